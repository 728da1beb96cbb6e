"""The command convert: labels for other programs, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from embedseg.cli.app import command
from embedseg.cli.console import at_terminal, say, show_result
from embedseg.cli.help import OUTLINES, one_of
from embedseg.cli.numbers import parse_whole
from embedseg.cli.options import (
    Axes,
    ChannelNames,
    ClearBorder,
    FillHoles,
    Json,
    LargestPiece,
    MinSize,
    Overwrite,
    SpacingText,
    check_spacing,
    parse_channels,
    parse_spacing,
    pixel_size,
    tidying_options,
)
from embedseg.cli.plots import plot_option
from embedseg.common import plural

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from embedseg.images import Image
    from embedseg.labels import CleanOptions

#: What label images are called among the formats, and how their files end.
LABELS, SUFFIXES = "tif", (".tif", ".tiff")


@command(
    "embedseg convert labels.tif -o cells.zip",
    "embedseg convert labels.tif -o cells.csv --image image.tif --clear-border",
    "embedseg convert cells.geojson -o masks.tif --like image.tif",
)
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="Label image or volume; or outlines drawn elsewhere: ImageJ ROIs "
            "(.zip, .roi), QuPath's .geojson, COCO's .json.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="File to write.")],
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="roi (.zip), geojson, csv (a table of measures), coco "
            "(.json), ome-zarr (.zarr) or tif (labels).",
            show_default="by the name of OUT",
            autocompletion=one_of("roi", "geojson", "csv", "coco", "ome-zarr", "tif"),
        ),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image",
            metavar="IMAGE",
            help="The image that the labels belong to: the table then has "
            "the intensities of objects.",
            show_default=False,
        ),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like",
            metavar="IMAGE",
            help="The image they were drawn on, for its size and spacing.",
            show_default="--image",
            rich_help_panel=OUTLINES,
        ),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            "--shape",
            metavar="Z,Y,X",
            help="Size of that image, pixels; T,Z,Y,X of a film of volumes.",
            show_default=False,
            rich_help_panel=OUTLINES,
        ),
    ] = None,
    link: Annotated[
        bool,
        typer.Option(
            "--link",
            help="Join outlines that overlap from plane to plane into one object.",
            rich_help_panel=OUTLINES,
        ),
    ] = False,
    keep_regions: Annotated[
        bool,
        typer.Option(
            "--keep-regions",
            help="Make objects of QuPath's annotations that hold other objects, too; what lies "
            "inside keeps its number.",
            rich_help_panel=OUTLINES,
        ),
    ] = False,
    largest_piece: LargestPiece = False,
    fill_holes: FillHoles = False,
    min_size: MinSize = 0,
    clear_border: ClearBorder = False,
    spacing: SpacingText = None,
    axes: Axes = None,
    channel: ChannelNames = None,
    plot: Annotated[Path | None, plot_option("Draw the objects, over --image if given")] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Take label images to ImageJ, QuPath, COCO, OME-Zarr or a table; and outlines back to labels.

    Objects are tidied first if asked for: pieces, holes, size and border, in this order.
    """
    from embedseg.common import check_output_file
    from embedseg.export import Objects, check_export, export_objects
    from embedseg.images import take_channels, write_labels
    from embedseg.labels import object_ids
    from embedseg.plots import save_overlay
    from embedseg.types import DataError, UsageError

    given, size, kind = parse_spacing(spacing), _shape(shape), _kind(to, output)
    options = tidying_options(largest_piece, fill_holes, min_size, clear_border)
    if kind == LABELS:
        check_output_file(output, overwrite)
    else:
        check_export(output, kind, overwrite=overwrite)
    drawing = _Drawing(link, keep_regions)
    read = _read(source, image, like, size, drawing, axes and axes.upper(), given)
    film = "T" in read.axes
    if film and plot:
        raise DataError(
            f"{source}: drawn on a film ({read.axes}), --plot is for images and volumes"
        )
    labels = _tidy(read.data, options, film)
    shown = _image(image, axes and axes.upper()) if image else None
    if channel and shown is None:
        raise UsageError("--channel is for the image of --image, which is not given")
    if shown and channel:
        shown = take_channels(shown, parse_channels(channel))
    pixels = _with_channels(shown) if shown else None
    if shown:
        _compare_spacing(shown, read, given)
    if kind == LABELS:
        check_spacing(given, read.axes, source)
        write_labels(output, labels, given or read.spacing, read.axes)
    else:
        objects = Objects(
            labels,
            pixel_size(read, given),
            (image or like or source).name,
            image=pixels,
            channels=shown.channels if shown else (),
            progress=at_terminal(),
            spacing_known=(given or read.spacing) is not None,
            film=film,
            scales=read.scales,
        )
        export_objects(output, objects, kind, overwrite=overwrite)
    count = len(object_ids(labels))
    if plot:
        save_overlay(
            plot,
            (labels > 0)[None] if pixels is None else pixels,
            None,
            labels,
            spacing=given or read.spacing,
            title=source.name,
        )
    show_result(
        {"output": output, "format": kind, "objects": count},
        f"{plural(count, 'object')} written to {output}",
        json,
    )


def _tidy(labels: NDArray[Any], options: CleanOptions, film: bool) -> NDArray[Any]:
    """Return tidied labels, of a film frame by frame."""
    import numpy as np

    from embedseg.labels import clean

    return np.stack([clean(each, options) for each in labels]) if film else clean(labels, options)


def _kind(asked: str | None, output: Path) -> str:
    """Return the format to write, and check that the name of the file fits it."""
    from embedseg.export import EXPORTERS
    from embedseg.types import UsageError

    suffix = output.suffix.lower()
    known = {name: each.suffix for name, each in EXPORTERS.items() if not each.tracks}
    kind = asked or next(
        (name for name, own in known.items() if own == suffix),
        LABELS if suffix in SUFFIXES else None,
    )
    if kind == LABELS and suffix not in SUFFIXES:
        raise UsageError(f"{output}: label images end with {SUFFIXES[0]}")
    if kind is None:
        raise UsageError(
            f"{output}: no format ends so; choose one with --to: " + ", ".join([*known, LABELS])
        )
    return kind


class _Drawing(NamedTuple):
    """What becomes of outlines, as `import_objects` takes it."""

    link: bool
    keep_regions: bool


# -- reading ----------------------------------------------------------------------------------
def _read(
    source: Path,
    image: Path | None,
    like: Path | None,
    shape: tuple[int, ...] | None,
    drawing: _Drawing,
    axes: str | None,
    spacing: tuple[float, ...] | None,
) -> Image:
    """Read labels from a file or store, or make them of outlines."""
    from dataclasses import replace

    from embedseg.export import IMPORTERS
    from embedseg.images import is_lazy_source, label_axes, open_lazy, read_labels
    from embedseg.types import DataError, UsageError, check_labels

    if source.suffix.lower() in IMPORTERS:
        return _drawn(source, like or (None if shape else image), shape, drawing, axes)
    if like or shape or any(drawing):
        raise UsageError(
            f"{source}: --like, --shape, --link and --keep-regions are for outlines: "
            + " ".join(IMPORTERS)
        )
    axes = axes and label_axes(axes)
    if is_lazy_source(source):
        labels = open_lazy(source, axes, spacing).load()
        labels = replace(labels, data=check_labels(labels.data, name=str(source)))
    else:
        labels = read_labels(source, axes)
    if labels.axes not in ("YX", "ZYX"):
        raise DataError(
            f"{source}: shape {labels.data.shape} ({labels.axes}), expected labels of an "
            "image (YX) or a volume (ZYX); --axes sets the order of the axes"
        )
    return labels


def _drawn(
    source: Path,
    like: Path | None,
    shape: tuple[int, ...] | None,
    drawing: _Drawing,
    axes: str | None,
) -> Image:
    from embedseg.export import import_objects
    from embedseg.images import Image, axis_lengths, label_axes
    from embedseg.types import UsageError

    if like and shape:
        raise UsageError("--like and --shape: expected one of them")
    size, spacing, kept = shape, None, None
    if like:
        image = _image(like, axes, films=True)
        kept = label_axes(image.axes)
        size, spacing = axis_lengths(image.data.shape, image.axes, kept), image.spacing
    drawn = import_objects(source, size, image=like.name if like else None, **drawing._asdict())
    for line in drawn.warnings():
        say(f"{source}: {line}")
    return Image(drawn.labels, kept or "TZYX"[-drawn.labels.ndim :], spacing, source)


def _shape(text: str | None) -> tuple[int, ...] | None:
    from embedseg.types import UsageError

    size = parse_whole("--shape", text, "1024,1024")
    if size and len(size) not in (2, 3, 4):
        raise UsageError(
            f"--shape {text!r}: expected Y,X or Z,Y,X or T,Z,Y,X in pixels, such as 1024,1024"
        )
    return size


def _with_channels(image: Image) -> NDArray[Any]:
    """Return an image as (C, *space)."""
    return image.data if "C" in image.axes else image.data[None]


def _image(path: Path, axes: str | None, films: bool = False) -> Image:
    from embedseg.images import is_lazy_source, open_lazy, read_image
    from embedseg.types import DataError

    def read(axes: str | None) -> Image:
        if is_lazy_source(path):
            return open_lazy(path, axes).load()
        return read_image(path, axes)

    try:
        image = read(axes)
    except DataError:
        # The axes may be those of the labels only.
        if axes is None:
            raise
        image = read(None)
    if "T" in image.axes and not films:
        raise DataError(f"{path}: has a time axis ({image.axes}), expected an image or a volume")
    return image


def _compare_spacing(image: Image, labels: Image, given: tuple[float, ...] | None) -> None:
    """Print that an image has another spacing than the one that its labels are written with."""
    from embedseg.geometry import spacings_agree

    used = given or labels.spacing
    if not used or not image.spacing or len(used) != len(image.spacing):
        return
    if not all(map(spacings_agree, zip(image.spacing, used, strict=True))):
        theirs, ours = (",".join(f"{size:g}" for size in each) for each in (image.spacing, used))
        say(f"{image.path}: spacing {theirs} µm, that of the labels is {ours} µm, which is used")
