"""What the commands share: their common options, how words and errors reach people and scripts."""

from __future__ import annotations

import json
import logging
import math
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from embedseg.cli.helping import PREDICTING, READING, TIDYING, GroupedCommand, devices, methods

if TYPE_CHECKING:
    from embedseg.data import DataOptions
    from embedseg.images import Image
    from embedseg.segmenter import Segmenter

#: Plain help: it starts faster than boxes, and names in brackets stay as they are.
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  embedseg demo\n  embedseg train my_data -o nuclei --time-limit 15m",
)

F = TypeVar("F", bound=Callable[..., None])


def command(*examples: str, name: str | None = None) -> Callable[[F], F]:
    """Register a command whose help ends with examples."""
    return app.command(name, cls=GroupedCommand, epilog="\b\nExample:\n  " + "\n  ".join(examples))


def _print_version(asked: bool) -> None:
    if asked:
        from embedseg.common import __version__

        typer.echo(f"embedseg {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show where an error comes from; also after the command."),
    ] = False,
) -> None:
    """Find every object in microscopy images, in 2D and 3D.

    DATA is a folder with train, val and test, each with images and masks. Exit code 0 is success,
    1 bad data, 2 bad usage.
    """


# -- options that several commands have ------------------------------------------------------------
def _folder(metavar: str, text: str) -> Any:
    return typer.Argument(metavar=metavar, exists=True, file_okay=False, help=text)


Data = Annotated[Path, _folder("DATA", "Folder with train|val|test, each with images and masks.")]
Model = Annotated[Path, _folder("MODEL", "Folder of a trained model.")]
MethodName = Annotated[
    str, typer.Option("--method", help="What is learned and decoded.", autocompletion=methods)
]
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
        show_default="what the files say",
        rich_help_panel=READING,
    ),
]
SpacingText = Annotated[
    str | None,
    typer.Option(
        "--spacing",
        metavar="Z,Y,X",
        help="Size of a pixel along each space axis, µm.",
        show_default="what the files say, else 1",
        rich_help_panel=READING,
    ),
]
IgnoreLabel = Annotated[
    int | None,
    typer.Option(
        "--ignore-label",
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
        help="What values of masks of classes mean, for methods "
        "that tell classes apart: cell=0,membrane=1+2; with a colour, cell=0:#303030.",
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
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
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
        help="Drop objects, or pieces of classes, of fewer pixels.",
        rich_help_panel=TIDYING,
    ),
]
LargestPiece = Annotated[
    bool,
    typer.Option(
        "--largest-piece",
        help="Of an object in several pieces keep the largest.",
        rich_help_panel=TIDYING,
    ),
]
FillHoles = Annotated[
    bool, typer.Option("--fill-holes", help="Fill holes of objects.", rich_help_panel=TIDYING)
]
ClearBorder = Annotated[
    bool,
    typer.Option(
        "--clear-border",
        help="Drop objects that touch the border of the image.",
        rich_help_panel=TIDYING,
    ),
]


def parse_spacing(text: str | None) -> tuple[float, ...] | None:
    """Read a comma-separated list of positive numbers.

    Examples
    --------
    >>> parse_spacing("2,0.5,0.5")
    (2.0, 0.5, 0.5)
    """
    from embedseg.types import UsageError

    if text is None:
        return None
    try:
        spacing = tuple(float(part) for part in text.split(","))
    except ValueError:
        spacing = ()
    if not spacing or not all(0 < value < math.inf for value in spacing):
        raise UsageError(f"--spacing {text!r}: expected positive numbers such as 2,0.5,0.5")
    return spacing


def parse_list(text: str | None) -> list[str]:
    """Split what stands between commas.

    Examples
    --------
    >>> parse_list("unet, erfnet"), parse_list(None)
    (['unet', 'erfnet'], [])
    """
    return [part.strip() for part in (text or "").split(",") if part.strip()]


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
) -> dict[str, Any]:
    """Return the options of reading data that were given."""
    options = {
        "masks": masks,
        "axes": axes and axes.upper(),
        "spacing": parse_spacing(spacing),
        "ignore_label": ignore_label,
        "classes": classes,
    }
    return {name: value for name, value in options.items() if value is not None}


def reading_options(given: dict[str, Any], changes: dict[str, str]) -> DataOptions:
    """Return how data are read: what was given, and the settings that say so (data.val=5).

    It has to be known before anything is read, so before other settings are.
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


def typed(context: typer.Context) -> str:
    """Return the command as it was typed, for a report."""
    return shlex.join(["embedseg", *(context.obj or ())])


def check_fit(segmenter: Segmenter, axes: str, planes: bool | None, path: Path | None) -> None:
    """Say what to do about a volume for a model of images."""
    from embedseg.types import DataError

    options = segmenter.config
    if options.ndim == 2 and "Z" in axes and not (planes or options.predict.planes):
        raise DataError(f"{path}: 3D ({axes}), but the model is 2D; --planes applies it to volumes")


# -- what is said ----------------------------------------------------------------------------------
def said_spacing(image: Image, given: tuple[float, ...] | None) -> tuple[float, ...]:
    """Return the size of a pixel, 1 µm where nothing is known, and say where it is from."""
    from embedseg.types import UsageError

    axes = [axis for axis in image.axes if axis in "ZYX"]
    found = given or image.spacing
    if found is None:
        say(
            f"{image.path}: nothing says how large a pixel is, taken to be "
            f"{','.join('1' * len(axes))}; --spacing says"
        )
        return (1.0,) * len(axes)
    words = ",".join(f"{size:g}" for size in found)
    if len(found) != len(axes):
        raise UsageError(
            f"--spacing {words}: {len(found)} values, expected {len(axes)} ({', '.join(axes)})"
        )
    say(f"spacing {words} µm, {'as given' if given else 'from the file'}")
    return found


class _Handler(logging.Handler):
    """Writes to stderr, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def log_to_stderr() -> None:
    """Let the package's log be seen, once."""
    log = logging.getLogger("embedseg")
    log.setLevel(logging.INFO)
    if not any(isinstance(handler, _Handler) for handler in log.handlers):
        log.addHandler(_Handler())


def say(text: str = "") -> None:
    """Print for a person, on stderr: stdout is for results."""
    typer.echo(text, err=True)


def at_terminal() -> bool:
    """Return whether somebody watches: a progress bar only litters a log file."""
    return sys.stderr.isatty()


def best_score(history: list[dict[str, float]], primary: str) -> str:
    """Say how good the weights that were kept are on the validation images."""
    scores = [row[f"val_{primary}"] for row in history if f"val_{primary}" in row]
    return f"{primary} {max(scores):.3f} on validation images" if scores else "not validated"


def print_json(value: Any) -> None:
    """Print the one object that stdout holds; what is not a number is null."""
    typer.echo(json.dumps(_plain(value), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


# -- errors ----------------------------------------------------------------------------------------
def explain_error(error: Exception) -> int:
    """Print an error, ending with a line "error: ...", and return the exit code.

    The first line of a message says what is wrong, the lines after it are findings.
    """
    from pydantic import ValidationError

    from embedseg.types import DataError, UsageError

    if isinstance(error, ValidationError):
        *above, last = validation_lines(error)
        code = 2
    else:
        last, *above = str(error).splitlines() or [type(error).__name__]
        code = 2 if isinstance(error, UsageError) else 1
        if not isinstance(error, DataError | UsageError | OSError):
            last = f"{type(error).__name__}: {last} (not foreseen; --debug shows where)"
    for line in above:
        say(line)
    say(f"error: {last}")
    return code


def validation_lines(error: Any) -> list[str]:
    """Return one line per problem of a pydantic ValidationError."""
    return [
        f"{'.'.join(str(part) for part in problem['loc']) or error.title}: {problem['msg']}, "
        f"not {problem['input']!r}"[:300]
        for problem in error.errors()
    ]


@contextmanager
def findings_first(data: Path, options: DataOptions, method: str) -> Iterator[None]:
    """On bad data, list everything that is wrong with the folder above the first error."""
    from embedseg.types import DataError

    try:
        yield
    except DataError:
        from embedseg.data import check_folder
        from embedseg.methods import method_class

        report = check_folder(data, reads=method_class(method).reads, options=options)
        errors = tuple(found for found in report.findings if found.severity == "error")
        for line in replace(report, findings=errors, inventory={}).lines():
            say(line)
        raise
