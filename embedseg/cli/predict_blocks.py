"""Prediction of an image in blocks, and the options for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedseg.cli.console import say, show_result
from embedseg.cli.help import BLOCKS as PANEL
from embedseg.cli.numbers import parse_as, parse_whole

if TYPE_CHECKING:
    from embedseg.blockwise import BlockOptions, Result
    from embedseg.cli.predict_request import PredictRequest
    from embedseg.images import LazyImage
    from embedseg.segmenter import Segmenter

BlockSize = Annotated[
    str | None,
    typer.Option(
        "--block",
        metavar="Z,Y,X",
        help="Segment images in blocks of this size, pixels, with one block in memory at a "
        "time; -o is *.zarr, IMAGE.zarr/labels/NAME or *.tif then, or a folder.",
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
    int | None,
    typer.Option(
        "--level",
        min=0,
        max=100,
        help="Level of the pyramid of an OME-Zarr image or a TIFF; 0 is the finest.",
        show_default="the one that fits the model's pixel size",
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
        channels=request.channels,
        options=request.blocks,
        frames=request.by_frame,
        overwrite=request.overwrite,
        progress=progress,
    )


def print_estimate(
    segmenter: Segmenter, source: str, request: PredictRequest, images: int = 1, lead: str = ""
) -> None:
    """Print the number of blocks, and what they take; of several images for the first one."""
    from embedseg.blockwise import estimate_blocks
    from embedseg.images import open_fitting

    target = segmenter.config.known_spacing
    image = open_fitting(source, request.axes, request.spacing, request.level, target)
    frames = None
    if "T" in image.axes and request.by_frame:
        frames = image.shape[0]
        lead += f"frames: {frames}, each one:\n"
        image = image.at_frame(0)
    estimate = estimate_blocks(
        segmenter.predictor, image, request.blocks, segmenter.home, request.channels
    )
    show_result(
        {"images": images, "frames": frames} | asdict(estimate),
        lead + "\n".join(estimate.lines()),
        request.json,
    )


def print_result(result: Result, json: bool) -> None:
    """Print what was found in an image."""
    say(
        f"{result.blocks} blocks"
        + (f", {result.retried} of them with wider halos" if result.retried else "")
    )
    show_result(
        asdict(result),
        f"{result.count} objects written to {result.labels}, their table to {result.table}"
        if result.table
        else f"classes written to {result.labels}",
        json,
    )


def refuse_failed(noun: str, failed: Sequence[str], total: int) -> None:
    """Raise an error that names the first of those that failed, if any did."""
    from embedseg.types import DataError

    if failed:
        raise DataError(
            f"{len(failed)} of {total} {noun} failed: "
            + ", ".join(failed[:5])
            + " ..." * (len(failed) > 5)
        )


# -- images that turn out to be too large ----------------------------------------------------------
def open_divisible(request: PredictRequest, segmenter: Segmenter, path: Path) -> LazyImage | None:
    """Open an image that can be cut into blocks; None for any other, and for what is broken.

    Raises
    ------
    DataError
        If it has no such level as is asked for.
    """
    from embedseg.images import open_fitting
    from embedseg.types import DataError, UsageError

    try:
        target = segmenter.config.known_spacing
        return open_fitting(path, request.axes, request.spacing, request.level, target)
    except (DataError, UsageError):
        if request.level:
            raise
        # Reading it reports what is wrong with it.
        return None


def too_large(request: PredictRequest, segmenter: Segmenter, image: LazyImage) -> bool:
    """Return whether an image would not fit into memory as a whole, and can be cut into blocks."""
    from math import prod

    import torch

    from embedseg.images import fit_channels
    from embedseg.nets import DECODING, IMAGE, MAPS, SHARES, available_memory
    from embedseg.types import DataError

    config = segmenter.config
    try:
        image = fit_channels(image, config.channels, request.channels, config.data.channels or ())
    except DataError:
        # Reading it reports what is wrong with it.
        return False
    channels = sum(spec.channels for spec in config.method.maps(config.ndim))
    each = MAPS * channels + DECODING + IMAGE * config.channels
    needed = prod(image.shape) / config.channels * each
    if "T" in image.axes or needed < SHARES["cpu"] * available_memory(torch.device("cpu")):
        return False
    say(
        f"{Path(image.source).name}: would take {needed / 1e9:.0f} GB, more than is free, so it "
        "is segmented in blocks"
    )
    return True


def in_blocks_instead(
    request: PredictRequest, segmenter: Segmenter, path: Path, target: Path
) -> str:
    """Segment an image in blocks without being asked to; return what was found."""
    result = segment_source(request, segmenter, str(path), target, progress=True)
    return f"{result.count} objects" if result.table else "classes"
