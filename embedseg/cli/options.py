"""Options that several commands have, and how their values are parsed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.console import say
from embedseg.cli.help import PREDICTING, READING, TIDYING, devices, methods
from embedseg.common import quote

if TYPE_CHECKING:
    from embedseg.data import DataOptions
    from embedseg.images import Image
    from embedseg.labels import CleanOptions
    from embedseg.segmenter import Segmenter

METHOD_HELP = "embedding, affinity or boundary for objects, semantic for classes."


def _folder(metavar: str, text: str) -> Any:
    return typer.Argument(metavar=metavar, exists=True, file_okay=False, help=text)


Data = Annotated[Path, _folder("DATA", "Folder with train|val|test, each with images and masks.")]
Model = Annotated[Path, _folder("MODEL", "Folder of a trained model.")]
MethodName = Annotated[str, typer.Option("--method", help=METHOD_HELP, autocompletion=methods)]
Masks = Annotated[
    str | None,
    typer.Option(
        "--masks",
        help="Folder of the masks beside images.",
        show_default="masks",
        rich_help_panel=READING,
    ),
]
Axes = Annotated[
    str | None,
    typer.Option(
        "--axes",
        metavar="AXES",
        help="Order of the axes, such as ZYX, CYX or TYX.",
        show_default="as in the files",
        rich_help_panel=READING,
    ),
]
SpacingText = Annotated[
    str | None,
    typer.Option(
        "--spacing",
        metavar="Z,Y,X",
        help="Size of a pixel along each space axis, µm.",
        show_default="as in the files, else 1",
        rich_help_panel=READING,
    ),
]
ChannelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--channel",
        metavar="NAME,...",
        help="Channels of the images to read, by name or number from 0 on, such as DAPI or 0,2.",
        show_default="those of the model, else all",
        rich_help_panel=READING,
    ),
]
IgnoreLabel = Annotated[
    int | None,
    typer.Option(
        "--ignore-label",
        min=-(2**31),
        max=2**32 - 1,
        help="Value of masks that means 'not annotated', besides -1.",
        show_default=False,
        rich_help_panel=READING,
    ),
]
ClassesText = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="NAME=VALUE,...",
        help="Values of each class in the masks, for methods that tell classes apart: "
        "cell=0,membrane=1+2; with a colour, cell=0:#303030.",
        show_default="a class per value",
        rich_help_panel=READING,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting, such as train.batch=8; repeatable.",
        show_default=False,
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.", autocompletion=devices)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Overwrite existing files.")]
Tta = Annotated[
    bool,
    typer.Option(
        "--tta",
        help="Average over flips and quarter turns: slower, a little better.",
        rich_help_panel=PREDICTING,
    ),
]
Planes = Annotated[
    bool,
    typer.Option(
        "--planes", help="Apply a 2D model to volumes, plane by plane.", rich_help_panel=PREDICTING
    ),
]
MinSize = Annotated[
    int,
    typer.Option(
        "--min-size",
        min=0,
        max=10**12,
        help="Drop objects, or pieces of classes, of fewer pixels.",
        rich_help_panel=TIDYING,
    ),
]
LargestPiece = Annotated[
    bool,
    typer.Option(
        "--largest-piece",
        help="Keep only the largest piece of each object.",
        rich_help_panel=TIDYING,
    ),
]
FillHoles = Annotated[
    bool,
    typer.Option(
        "--fill-holes",
        help="Fill holes of objects, but for holes with another object in them.",
        rich_help_panel=TIDYING,
    ),
]
ClearBorder = Annotated[
    bool,
    typer.Option(
        "--clear-border",
        help="Drop objects that touch the border of the image.",
        rich_help_panel=TIDYING,
    ),
]


# -- parsing ---------------------------------------------------------------------------------------
def parse_spacing(text: str | None) -> tuple[float, ...] | None:
    """Parse a comma-separated list of sizes of pixels, µm.

    Examples
    --------
    >>> parse_spacing("2,0.5,0.5")
    (2.0, 0.5, 0.5)
    """
    from embedseg.types import LARGEST_PIXEL, SMALLEST_PIXEL, UsageError

    if text is None:
        return None
    try:
        spacing = tuple(float(part) for part in text.split(","))
    except ValueError:
        spacing = ()
    if not spacing or not all(SMALLEST_PIXEL <= size <= LARGEST_PIXEL for size in spacing):
        raise UsageError(
            f"--spacing {quote(text)}: expected positive numbers such as 2,0.5,0.5, "
            f"{SMALLEST_PIXEL:g} to {LARGEST_PIXEL:g} µm"
        )
    return spacing


def parse_list(text: str | None) -> list[str]:
    """Split a comma-separated list.

    Examples
    --------
    >>> parse_list("unet, erfnet"), parse_list(None)
    (['unet', 'erfnet'], [])
    """
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def parse_channels(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Split comma-separated lists of channels.

    Examples
    --------
    >>> parse_channels(["DAPI,GFP", "2"]), parse_channels(None)
    (('DAPI', 'GFP', '2'), ())
    """
    return tuple(part for text in texts or () for part in parse_list(text))


def parse_settings(settings: Sequence[str] | None) -> dict[str, str]:
    """Split KEY=VALUE settings; a later one wins.

    Examples
    --------
    >>> parse_settings(["train.epochs=5", "train.epochs=6"])
    {'train.epochs': '6'}
    """
    from embedseg.types import UsageError

    for setting in settings or ():
        if "=" not in setting.lstrip("="):
            raise UsageError(f"--set {setting!r}: expected KEY=VALUE, such as train.epochs=50")
    parts = (setting.partition("=") for setting in settings or ())
    return {key.strip(): value.strip() for key, _, value in parts}


def given_options(
    masks: str | None,
    axes: str | None,
    spacing: str | None,
    ignore_label: int | None,
    classes: str | None = None,
    channels: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return the given options of reading data, by the names of `DataOptions`."""
    options = {
        "masks": masks,
        "axes": axes and axes.upper(),
        "spacing": parse_spacing(spacing),
        "ignore_label": ignore_label,
        "classes": classes,
        "channels": parse_channels(channels) or None,
    }
    return {name: value for name, value in options.items() if value is not None}


def reading_options(given: dict[str, Any], changes: dict[str, str]) -> DataOptions:
    """Return the options of reading data: those given, and settings such as data.val=5.

    They are needed before anything is read, so before other settings are known.
    """
    from embedseg.data import DataOptions
    from embedseg.model import parse_value

    return DataOptions.model_validate(
        given
        | {
            key.removeprefix("data."): parse_value(value)
            for key, value in changes.items()
            if key.startswith("data.")
        }
    )


def tidying_options(
    largest_piece: bool, fill_holes: bool, min_size: int, clear_border: bool
) -> CleanOptions:
    """Return the options of tidying objects."""
    from embedseg.labels import CleanOptions

    return CleanOptions(
        largest_piece=largest_piece,
        fill_holes=fill_holes,
        min_size=min_size,
        clear_border=clear_border,
    )


# -- options and the images they are for -----------------------------------------------------------
def pixel_size(image: Image, given: tuple[float, ...] | None) -> tuple[float, ...]:
    """Return the spacing of an image, 1 µm if unknown, and print where it is from."""
    from embedseg.images import space_axes

    axes = space_axes(image.axes)
    spacing = given or image.spacing
    if spacing is None:
        ones = ",".join("1" * len(axes))
        say(f"{image.path}: the size of a pixel is unknown, taken to be {ones}; --spacing sets it")
        return (1.0,) * len(axes)
    check_spacing(spacing, image.axes, image.path)
    text = ",".join(f"{size:g}" for size in spacing)
    say(f"spacing {text} µm, {'as given' if given else 'from the file'}")
    return spacing


def check_spacing(spacing: tuple[float, ...] | None, axes: str, path: Path | None) -> None:
    """Check that a spacing has a value for each space axis of a file."""
    from embedseg.images import space_axes
    from embedseg.types import UsageError

    space = space_axes(axes)
    if spacing and len(spacing) != len(space):
        raise UsageError(
            f"--spacing {','.join(f'{size:g}' for size in spacing)}: {len(spacing)} values, "
            f"expected {len(space)} ({', '.join(space)}) for {path}"
        )


def check_axes(
    segmenter: Segmenter,
    axes: str,
    planes: bool | None,
    path: Path | None,
    *,
    flat: bool = False,
) -> None:
    """Check that a 2D model is applied to a volume plane by plane, and only to a volume so.

    `flat` is whether the volume has one plane, as where `--axes` names one more axis than there is.
    """
    from embedseg.types import DataError

    options = segmenter.config
    if options.ndim != 2:
        return
    if "Z" in axes and not (planes or options.predict.planes):
        if flat:
            raise DataError(
                f"{path}: has one plane, which axes {axes} make a volume, but the model is 2D; "
                f"expected --axes {axes.replace('Z', '')}"
            )
        raise DataError(f"{path}: 3D ({axes}), but the model is 2D; --planes applies it to volumes")
    if "Z" not in axes and (planes or options.predict.planes):
        name = "--planes" if planes else "predict.planes"
        raise DataError(f"{path}: 2D ({axes}), but {name} is for volumes")
