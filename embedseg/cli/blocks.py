"""What predict does with an image in blocks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from embedseg.cli.helping import BLOCKS as PANEL
from embedseg.cli.shared import at_terminal, say

if TYPE_CHECKING:
    from embedseg.blockwise import Result
    from embedseg.segmenter import Segmenter

BlockSize = Annotated[
    str | None,
    typer.Option(
        "--block",
        metavar="Z,Y,X",
        help="Segment one image in blocks of so many pixels, of which one "
        "is in memory at a time; -o is *.zarr, IMAGE.zarr/labels/NAME or *.tif then.",
        show_default="128,512,512 or 4096,4096 for zarr",
        rich_help_panel=PANEL,
    ),
]
Halo = Annotated[
    str | None,
    typer.Option(
        "--halo",
        metavar="Z,Y,X",
        help="Pixels beyond a block within which its objects must lie.",
        show_default="by the size of the objects in training",
        rich_help_panel=PANEL,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers", min=1, help="Processes that share the blocks.", rich_help_panel=PANEL
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
        "--level", min=0, help="Level of the pyramid of an OME-Zarr image.", rich_help_panel=PANEL
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say into how many blocks an image is cut, and what memory, disk and time they take.",
        rich_help_panel=PANEL,
    ),
]


class Blocks(NamedTuple):
    """What was said of blocks."""

    block: str | None
    halo: str | None
    workers: int
    scheduler: str | None
    threads: int | None
    memory: str | None
    level: int
    dry_run: bool

    def wanted(self, inputs: list[str], output: Path) -> bool:
        """Return whether an image is to be segmented in blocks."""
        from embedseg.images import is_lazy_source

        named = output.suffix.lower() in (".zarr", ".tif", ".tiff")
        named = named or output.parent.parent.suffix == ".zarr"
        return self != Blocks(*DEFAULTS) or named or any(map(is_lazy_source, inputs))


DEFAULTS = (None, None, 1, None, None, None, 0, False)


def predict_in_blocks(
    segmenter: Segmenter,
    inputs: list[str],
    output: Path,
    blocks: Blocks,
    *,
    axes: str | None,
    spacing: tuple[float, ...] | None,
    overwrite: bool,
) -> None:
    """Segment one image of any size."""
    from embedseg.blockwise import BlockOptions
    from embedseg.images import open_lazy
    from embedseg.types import UsageError

    if len(inputs) != 1:
        raise UsageError(f"{len(inputs)} inputs: in blocks one image at a time is segmented")
    options = BlockOptions(
        _numbers("--block", blocks.block),
        _numbers("--halo", blocks.halo),
        blocks.workers,
        blocks.scheduler,
        blocks.threads,
        blocks.memory,
    )
    if blocks.dry_run:
        from embedseg.blockwise import estimate_blocks

        image = open_lazy(inputs[0], axes, spacing, blocks.level)
        typer.echo(
            "\n".join(estimate_blocks(segmenter.source, image, options, segmenter.home).lines())
        )
        return
    result = segmenter.segment_blocks(
        inputs[0],
        output,
        axes=axes,
        spacing=spacing,
        level=blocks.level,
        options=options,
        overwrite=overwrite,
        progress=at_terminal(),
    )
    _say(result)


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
        # Whatever is wrong with it is said when it is read.
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
) -> str:
    """Segment an image in blocks, although nobody asked for them; return what was found."""
    result = segmenter.segment_blocks(
        path, target, axes=axes, spacing=spacing, overwrite=True, progress=at_terminal()
    )
    return f"{result.count} objects" if result.table else "classes"


def _say(result: Result) -> None:
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


def _numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    from embedseg.types import UsageError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"{option} {text!r}: expected whole numbers such as 128,512,512")
    return tuple(map(int, parts))
