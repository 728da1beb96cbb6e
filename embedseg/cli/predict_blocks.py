"""Prediction of an image in blocks, and the options for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedseg.cli.console import at_terminal, explain_error, say
from embedseg.cli.help import BLOCKS as PANEL
from embedseg.cli.numbers import parse_as, parse_whole

if TYPE_CHECKING:
    from embedseg.blockwise import BlockOptions, Result
    from embedseg.cli.predict_request import PredictRequest
    from embedseg.segmenter import Segmenter

BlockSize = Annotated[
    str | None,
    typer.Option(
        "--block",
        metavar="Z,Y,X",
        help="Segment one image in blocks of this size, pixels, with one block in memory at a "
        "time; -o is *.zarr, IMAGE.zarr/labels/NAME or *.tif then.",
        show_default="128,512,512 or 4096,4096 for zarr",
        rich_help_panel=PANEL,
    ),
]
Halo = Annotated[
    str | None,
    typer.Option(
        "--halo",
        metavar="Z,Y,X",
        help="Margin around a block within which its objects must lie, pixels.",
        show_default="by the size of the objects in training",
        rich_help_panel=PANEL,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers", min=1, max=1024, help="Processes that share the blocks.", rich_help_panel=PANEL
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Use the workers of a dask scheduler, such as tcp://host:8786.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=1024,
        help="Threads of each process.",
        show_default="an equal share",
        rich_help_panel=PANEL,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory of each process, such as 4GB.",
        show_default="an equal share",
        rich_help_panel=PANEL,
    ),
]
Level = Annotated[
    int,
    typer.Option(
        "--level",
        min=0,
        max=100,
        help="Level of the pyramid of an OME-Zarr image.",
        rich_help_panel=PANEL,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only print the number of blocks, and the memory, disk and time they take.",
        rich_help_panel=PANEL,
    ),
]


def block_options(
    block: str | None,
    halo: str | None,
    workers: int,
    scheduler: str | None,
    threads: int | None,
    memory: str | None,
) -> BlockOptions:
    """Return the options of blocks, parsed."""
    from embedseg.blockwise import BlockOptions

    if memory is not None:
        from embedseg.model import parse_memory

        parse_as("--memory", memory, parse_memory)
    return BlockOptions(
        parse_whole("--block", block, "128,512,512"),
        parse_whole("--halo", halo, "16,64,64", least=0),
        workers,
        scheduler,
        threads,
        memory,
    )


def predict_in_blocks(request: PredictRequest) -> None:
    """Segment one image of any size, or print what that would take."""
    from embedseg.images import is_lazy_source, list_fields
    from embedseg.types import UsageError

    if request.needs_whole_images:
        raise UsageError(
            "--maps, --plot, --pieces, --also and what tidies objects are not for images in blocks"
        )
    if len(request.inputs) != 1:
        raise UsageError(f"{len(request.inputs)} inputs: expected one image, to segment in blocks")
    source, more = request.inputs[0], {}
    fields = list_fields(source) if is_lazy_source(source) else []
    if request.tta or request.planes:
        more = {
            "predict.tta": str(request.tta).lower(),
            "predict.planes": str(request.planes).lower(),
        }
    segmenter = request.load_model(more)
    if fields:
        predict_fields(request, segmenter, fields)
    elif request.dry_run:
        _estimate(segmenter, source, request)
    else:
        _report(segment_source(request, segmenter, source, request.output, at_terminal()))


def segment_source(
    request: PredictRequest, segmenter: Segmenter, source: str, output: Path, progress: bool
) -> Result:
    """Segment one image in blocks."""
    return segmenter.segment_blocks(
        source,
        output,
        axes=request.axes,
        spacing=request.spacing,
        level=request.level,
        options=request.blocks,
        frames=request.by_frame,
        overwrite=request.overwrite,
        progress=progress,
    )


def _estimate(segmenter: Segmenter, source: str, request: PredictRequest) -> None:
    """Print the number of blocks, and what they take."""
    from embedseg.blockwise import estimate_blocks
    from embedseg.images import open_lazy

    image = open_lazy(source, request.axes, request.spacing, request.level)
    if "T" in image.axes and request.by_frame:
        typer.echo(f"frames: {image.shape[0]}, each one:")
        image = image.at_frame(0)
    estimate = estimate_blocks(segmenter.predictor, image, request.blocks, segmenter.home)
    typer.echo("\n".join(estimate.lines()))


def _report(result: Result) -> None:
    say(
        f"{result.blocks} blocks"
        + (f", {result.retried} of them with wider halos" if result.retried else "")
    )
    if result.table:
        typer.echo(
            f"{result.count} objects written to {result.labels}, their table to {result.table}"
        )
    else:
        typer.echo(f"classes written to {result.labels}")


# -- plates ----------------------------------------------------------------------------------------
def predict_fields(request: PredictRequest, segmenter: Segmenter, fields: list[str]) -> None:
    """Segment the fields of a plate or a well that have no labels yet."""
    from embedseg.common import check_not_inputs, check_output_folder, plural
    from embedseg.images import check_origin, identify_image
    from embedseg.types import UsageError

    source, output = request.inputs[0].rstrip("/"), request.output
    plate = Path(source).resolve()
    if output.parent.name == "labels" and output.parent.parent.resolve() == plate:
        targets = {field: Path(source, field, "labels", output.name) for field in fields}
    elif output.suffix:
        raise UsageError(
            f"{output}: expected a folder, or {source}/labels/NAME, for the labels of "
            f"{len(fields)} fields"
        )
    else:
        check_not_inputs([output], [plate])
        check_output_folder(output, True)
        targets = {field: output / f"{field}.zarr" for field in fields}
    if request.dry_run:
        typer.echo(f"fields: {len(fields)}, the first one:")
        _estimate(segmenter, f"{source}/{fields[0]}", request)
        return
    missing = [each for each in fields if request.overwrite or not targets[each].exists()]
    origin = request.origin(segmenter)
    for field in sorted({*fields} - {*missing}):
        check_origin(targets[field], {"image": identify_image(f"{source}/{field}"), **origin})
    if skipped := len(fields) - len(missing):
        say(f"{skipped} of {len(fields)} have labels already and are skipped")
    failed = [
        field
        for number, field in enumerate(missing, 1)
        if not _try_field(
            request, segmenter, field, targets[field], f"[{number}/{len(missing)}] {field}"
        )
    ]
    typer.echo(f"{plural(len(missing) - len(failed), 'field')} written to {output}")
    refuse_failed("fields", failed, len(missing))


def refuse_failed(noun: str, failed: Sequence[str], total: int) -> None:
    """Raise an error that names the first of those that failed, if any did."""
    from embedseg.types import DataError

    if failed:
        raise DataError(
            f"{len(failed)} of {total} {noun} failed: "
            + ", ".join(failed[:5])
            + " ..." * (len(failed) > 5)
        )


def _try_field(
    request: PredictRequest, segmenter: Segmenter, field: str, target: Path, place: str
) -> bool:
    """Segment a field and print what was found, or what is wrong with it; return success."""
    from embedseg.common import disk_is_full
    from embedseg.types import DataError

    source = f"{request.inputs[0].rstrip('/')}/{field}"
    try:
        result = segment_source(request, segmenter, source, target, progress=False)
    except DataError as error:  # a bad field must not cost the others
        if disk_is_full(error):
            raise
        say(f"{place}: failed")
        explain_error(error)
        return False
    say(f"{place}: " + (f"{result.count} objects" if result.table else "classes"))
    return True


# -- images that turn out to be too large ----------------------------------------------------------
def too_large(
    segmenter: Segmenter, path: Path, axes: str | None, spacing: tuple[float, ...] | None
) -> bool:
    """Return whether an image would not fit into memory as a whole, and can be cut into blocks."""
    from math import prod

    import torch

    from embedseg.images import open_lazy
    from embedseg.nets import DECODING, IMAGE, MAPS, SHARES, available_memory
    from embedseg.types import DataError, UsageError

    try:
        image = open_lazy(path, axes, spacing)
    except (DataError, UsageError):
        # Reading it reports what is wrong with it.
        return False
    config = segmenter.config
    channels = sum(spec.channels for spec in config.method.maps(config.ndim))
    each = MAPS * channels + DECODING + IMAGE * config.channels
    needed = prod(image.shape) / config.channels * each
    if "T" in image.axes or needed < SHARES["cpu"] * available_memory(torch.device("cpu")):
        return False
    say(
        f"{path.name}: would take {needed / 1e9:.0f} GB, more than is free, so it is segmented in "
        "blocks"
    )
    return True


def in_blocks_instead(
    segmenter: Segmenter,
    path: Path,
    target: Path,
    axes: str | None,
    spacing: tuple[float, ...] | None,
    overwrite: bool,
) -> str:
    """Segment an image in blocks without being asked to; return what was found."""
    result = segmenter.segment_blocks(
        path, target, axes=axes, spacing=spacing, overwrite=overwrite, progress=at_terminal()
    )
    return f"{result.count} objects" if result.table else "classes"
