"""Segmentation from store to store, resumed after a kill."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from embedseg.blockwise.estimate import pixels_seen, seen_in_words
from embedseg.blockwise.joining import (
    Found,
    Numbers,
    joined_table,
    number_by_faces,
    number_by_seeds,
    without,
)
from embedseg.blockwise.outputs import Output
from embedseg.blockwise.plan import BlockOptions, fingerprint, plan_blocks
from embedseg.blockwise.resampled import table_on_grid
from embedseg.blockwise.steps import RETRIES, Job, coarsen, load_found, write_block
from embedseg.blockwise.workers import Engine, Here, Task, engine, tasks
from embedseg.common import write_text
from embedseg.geometry import Block
from embedseg.images import Filling, LazyImage
from embedseg.model import Config, Ensemble, TrainedNet
from embedseg.types import Box, DataError, PerAxis, UsageError

log = logging.getLogger("embedseg")

#: Files of a run in its folder: what was asked for, and what came of it.
ASKED, RESULT = "asked.json", "result.json"


@dataclass(frozen=True)
class Result:
    """What came of an image.

    Attributes
    ----------
    labels : Path
        Where they are: an OME-Zarr group or a BigTIFF.
    table : Path or None
        CSV with a row per object; None for classes.
    count : int
        Objects; for classes 0.
    blocks : int
        Blocks that the image was cut into.
    retried : int
        Blocks that were decoded again with wider halos.
    cut : int
        Objects that reach beyond the widest halo.
    lost : int
        Objects that the block they grew from decoded differently; see
        `embedseg.blockwise.joining.Numbers`.
    """

    labels: Path
    table: Path | None
    count: int
    blocks: int
    retried: int
    cut: int
    lost: int


def segment_blocks(
    model: TrainedNet | Ensemble,
    image: LazyImage,
    output: Path,
    options: BlockOptions,
    *,
    home: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Result:
    """Segment an image block by block; see `embedseg.segmenter.Segmenter.segment_blocks`."""
    target = Output(output, image)
    asked = _asked(model, image, options)
    if (done := _finished(target, asked)) and not overwrite:
        return done
    goes_on = not overwrite and _before(target.scratch) == asked
    # The table of a run that goes on may be there already.
    target.check(overwrite, table=not goes_on)
    _resume(target.scratch, asked, goes_on, overwrite)
    with _disk(target.scratch):
        try:
            job = plan_blocks(model, image, target.scratch, options, home)
        except (DataError, UsageError):
            if not goes_on:
                # Nothing has been computed that a later run could go on from.
                shutil.rmtree(target.scratch)
            raise
        log.info(seen_in_words(pixels_seen(job) / prod(job.shape)))
        with engine(options) as workers:
            result = work(job, target, workers, model.config, progress)
            write_text(target.scratch / RESULT, json.dumps(_plain(result)))
            target.finish(job.output, progress, coarsening(job, workers))
    shutil.rmtree(target.scratch)
    return result


def work(job: Job, target: Output, workers: Engine, config: Config, progress: bool) -> Result:
    """Find the objects of all blocks, number them, and write labels and table."""
    levels = _find(job, workers, progress)
    blocks = job.decode_blocks()
    found = [load_found(job.found_file(k, level)) for k, level in enumerate(levels)]
    numbers, table = _numbered(job, blocks, found, config)
    largest = max((int(of.max(initial=0)) for of in numbers.of), default=0)
    dtype = np.dtype(
        "uint8" if table is None and largest < 2**8 else "uint32" if largest < 2**32 else "uint64"
    )
    target.create(job.output, job.part, job.grid, dtype, target.image.spacing)
    left = [k for k in range(len(blocks)) if not job.written_file(k).exists()]
    writing = [
        Task(f"write {k}", write_block, (k, levels[k], numbers.of[k]), counts=True) for k in left
    ]
    # On another grid blocks share chunks, which two processes must not write at once.
    writers = workers if job.grid == job.shape else Here()
    _run(job, writers, writing, "write", len(blocks), progress)
    cut = 0 if table is None else int(table["cut"].sum())
    _warn(cut, numbers.lost, table)
    if table is not None:
        table = table_on_grid(table, job.shape, job.grid)
        target.write_table(table, target.image.axes.replace("C", "").lower())
    return Result(
        target.path,
        target.table if table is not None else None,
        numbers.count,
        len(blocks),
        sum(level > 0 for level in levels),
        cut,
        numbers.lost,
    )


def coarsening(job: Job, workers: Engine) -> Filling:
    """Return what has the workers fill the coarser levels of the output."""

    def fill(level: int, boxes: Iterable[Box], step: PerAxis) -> Iterator[Task]:
        return workers.run(
            job,
            (
                Task(f"level {level} {number}", coarsen, (level, box, step))
                for number, box in enumerate(boxes)
            ),
        )

    return fill


def _find(job: Job, workers: Engine, progress: bool) -> list[int]:
    """Decode all blocks; those around objects that were cut again, with twice the halo.

    What is decoded again follows from what was found alone, so a run that goes on after a kill
    ends with the same files.
    """
    levels = [0] * len(job.decode_blocks())
    current = list(range(len(levels)))
    for level in range(RETRIES + 1):
        left = [k for k in current if not job.found_file(k, level).exists()]
        words = "segment" if level == 0 else "wider halos"
        _run(job, workers, tasks(job, left, level), words, len(current), progress)
        if (
            job.method.join != "seed-ownership"
            or level == RETRIES
            or job.widest(level + 1) > job.most
        ):
            break
        cut = {k for k in current if load_found(job.found_file(k, level)).cut.any()}
        # Blocks beside hold a part of such an object, which they have to see whole as well.
        current = sorted({j for k in cut for j in job.around(k, level)})
        if not current:
            break
        log.info(
            "%d blocks hold objects that reach beyond what was decoded; %d are decoded "
            "again with halos twice as wide",
            len(cut),
            len(current),
        )
        for k in current:
            levels[k] = level + 1
    return levels


def _run(
    job: Job, workers: Engine, todo: Sequence[Task], words: str, total: int, progress: bool
) -> None:
    done = total - sum(task.counts for task in todo)
    with tqdm(desc=words, unit="block", total=total, initial=done, disable=not progress) as bar:
        for task in workers.run(job, todo):
            bar.update(task.counts)


def _numbered(
    job: Job, blocks: Sequence[Block], found: Sequence[Found], config: Config
) -> tuple[Numbers, dict[str, NDArray[Any]] | None]:
    """Return the number of each object of each block in the image, and the table of objects."""
    ndim = len(job.shape)
    if job.method.join == "none":
        values = (
            np.array([each.values[0] for each in config.data.classes], np.int64)
            if config.data.classes
            else np.arange(2**8)
        )
        return Numbers([values] * len(blocks), 0, 0), None
    if job.method.join == "seed-ownership":
        numbers = number_by_seeds(blocks, found, job.shape)
    else:
        numbers = number_by_faces(blocks, found)
    table = joined_table(found, blocks, numbers, ndim)
    keep = config.method.keeps(table)
    if not keep.all():
        numbers = without(numbers, keep)
        table = joined_table(found, blocks, numbers, ndim)
    if job.method.join == "faces":
        # Joined from what blocks saw of it, nothing of it is missing.
        table["cut"][:] = False
    return numbers, table


def _warn(cut: int, lost: int, table: dict[str, NDArray[Any]] | None) -> None:
    if cut and table is not None:
        places = ", ".join(
            str(tuple(int(n) for n in low))
            for low in table["lower"][np.flatnonzero(table["cut"])[:5]]
        )
        log.warning(
            "%d objects reach beyond the widest halo and may be cut (column cut of the "
            "table), the first at %s; a larger --halo would hold them",
            cut,
            places,
        )
    if lost:
        log.warning(
            "%d objects look different from the block beside them; a larger --halo would mend that",
            lost,
        )


# -- going on after a kill -------------------------------------------------------------------------
def _asked(model: TrainedNet | Ensemble, image: LazyImage, options: BlockOptions) -> dict[str, Any]:
    """Return what has to be the same for a run to go on."""
    asked = {
        "image": image.source,
        "shape": image.shape,
        "axes": image.axes,
        "spacing": image.spacing,
        "block": options.block,
        "halo": options.halo,
        "threads": options.threads,
        "memory": options.memory,
        "weights": _digest(model),
        "model": model.config.model_dump(mode="json", exclude={"train"}),
    }
    held: dict[str, Any] = json.loads(json.dumps(asked))
    return held


def _digest(model: TrainedNet | Ensemble) -> str:
    """Return what tells the weights of a model from others."""
    if isinstance(model, Ensemble):
        return "".join(fingerprint(folder) for folder in model.folders)
    digest = hashlib.sha256()
    for name, values in model.net.state_dict().items():
        digest.update(name.encode() + values.cpu().numpy().tobytes())
    return digest.hexdigest()


def _resume(scratch: Path, asked: dict[str, Any], goes_on: bool, overwrite: bool) -> None:
    """Go on in the folder of an earlier run if that was the same one, else begin one.

    Raises
    ------
    UsageError
        If another run was begun there.
    """
    if goes_on:
        log.info("%s: goes on from what is there", scratch)
        return
    if scratch.exists() and not overwrite:
        before = _before(scratch) or {}
        other = sorted(name for name in asked if before.get(name) != asked[name])
        raise UsageError(
            f"{scratch}: holds a run that was cut off, with another "
            f"{', '.join(other)}; remove it, or --overwrite"
        )
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    write_text(scratch / ASKED, json.dumps(asked, indent=2) + "\n")


def _before(scratch: Path) -> dict[str, Any] | None:
    try:
        held: dict[str, Any] = json.loads((scratch / ASKED).read_text(encoding="utf-8"))
        return held
    except (OSError, ValueError):
        return None


def _finished(target: Output, asked: dict[str, Any]) -> Result | None:
    """Return what a run had come to that was killed while it cleaned up."""
    scratch = target.scratch
    if _before(scratch) != asked or not target.path.exists() or not (scratch / RESULT).exists():
        return None
    held = json.loads((scratch / RESULT).read_text(encoding="utf-8"))
    shutil.rmtree(scratch)
    return Result(
        **held | {"labels": target.path, "table": target.table if held["table"] else None}
    )


def _plain(result: Result) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(result).items()
    }


@contextmanager
def _disk(scratch: Path) -> Iterator[None]:
    """Say what to do when there is no room left."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(
            f"{scratch}: no space left on the disk; what is finished is kept, the "
            "same command goes on once there is room"
        ) from error
