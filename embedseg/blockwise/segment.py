"""Segmentation from store to store, resumed after a kill."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from embedseg.blockwise.block_objects import BlockObjects, ObjectTable
from embedseg.blockwise.estimate import format_net_load, pixels_through_net
from embedseg.blockwise.job import BlockJob
from embedseg.blockwise.joining import Numbering, drop_objects
from embedseg.blockwise.options import BlockOptions
from embedseg.blockwise.outputs import Output, output_at
from embedseg.blockwise.plan import memory_share, plan_blocks
from embedseg.blockwise.resampled import centres_in_image, table_on_grid
from embedseg.blockwise.runs import Result, Run, explain_full_disk, request_of
from embedseg.blockwise.scratch import Found, load_found, load_objects, save_found
from embedseg.blockwise.steps import coarsen_box, write_block
from embedseg.blockwise.tables import write_table
from embedseg.blockwise.workers import (
    BlockTask,
    ThisProcess,
    Workers,
    object_tasks,
    open_workers,
)
from embedseg.common import made_folder, open_bar
from embedseg.geometry import Block
from embedseg.images import Filling, LazyImage, Origin, fit_channels
from embedseg.model import Config, Predictor
from embedseg.types import Box, DataError, PerAxis, UsageError

log = logging.getLogger("embedseg")

#: How often blocks are decoded again, each time with twice the halo, because objects were cut.
RETRIES = 2


def segment_blocks(
    model: Predictor,
    image: LazyImage,
    output: Path,
    options: BlockOptions,
    *,
    home: Path | None = None,
    channels: Sequence[str] = (),
    frames: bool = False,
    overwrite: bool = False,
    progress: bool = False,
    origin: Origin | None = None,
) -> Result:
    """Segment an image block by block; see `embedseg.segmenter.Segmenter.segment_blocks`."""
    image = fit_channels(image, model.config.channels, channels, model.config.data.channels or ())
    target = output_at(output, image, origin)
    film = frames and "T" in image.axes
    run = Run(target.scratch, request_of(model, image, options))
    if not overwrite and (done := run.load_result(target)):
        run.remove()
        return done
    resumes = not overwrite and run.interrupted()
    with explain_full_disk(target.scratch), made_folder(target.scratch.parent):
        # The table of a run that resumes may be there already.
        target.check(overwrite, table=not resumes)
        if resumes:
            log.info("%s: resumes an interrupted run", target.scratch)
        else:
            run.begin(overwrite)
        memory = run.memory(memory_share(options))
        plan = partial(
            plan_frame if film else plan_blocks,
            *(model, image, target.scratch, options, home, memory),
        )
        try:
            job = plan()
        except (DataError, UsageError):
            if not resumes:
                # Nothing has been computed that a later run could resume from.
                run.remove()
            raise
        log.info(format_net_load(pixels_through_net(job) / prod(job.shape)))
        with open_workers(options) as workers:
            if film:
                result = run_frames(plan, target, workers, model.config, progress)
            else:
                result = run_job(job, target, workers, model.config, progress)
            run.save_result(result)
            target.finish(job.output, progress, worker_filling(job, workers))
    run.remove()
    return result


def run_job(
    job: BlockJob, output: Output, workers: Workers, config: Config, progress: bool
) -> Result:
    """Find the objects of all blocks, number them, and write labels and table."""
    return _write_found(output, [write_objects(job, output, workers, config, progress)])


def plan_frame(
    model: Predictor,
    image: LazyImage,
    scratch: Path,
    options: BlockOptions,
    home: Path | None,
    memory: float | None,
    frame: int = 0,
) -> BlockJob:
    """Plan the blocks of a frame of a film, which is normalised by its own values."""
    own = scratch / f"frame{frame}"
    job = plan_blocks(model, image.at_frame(frame), own, options, home, memory)
    return replace(job, frame=frame)


def run_frames(
    plan: Callable[..., BlockJob],
    output: Output,
    workers: Workers,
    config: Config,
    progress: bool,
) -> Result:
    """Work on the frames of a film one after the other, each as `run_job` on an image.

    `plan` gets the number of a frame; what was found there is kept for a run that resumes.
    """
    found, count = [], output.image.shape[0]
    for frame in range(count):
        kept = output.scratch / f"frame{frame}.npz"
        if not kept.exists():
            log.info("frame %d of %d", frame + 1, count)
            job = plan(frame=frame)
            save_found(kept, write_objects(job, output, workers, config, progress))
            shutil.rmtree(job.scratch)
        found.append(load_found(kept))
    return _write_found(output, found)


def _write_found(output: Output, found: Sequence[Found]) -> Result:
    """Write the table of an image, or of all frames, and return the result."""
    tables = [each.table for each in found if each.table is not None]
    if tables:
        write_table(output.table, output.image.axes, tables)
    counts = (sum(column) for column in zip(*(each.counts for each in found), strict=True))
    return Result(output.path, output.table if tables else None, *counts)


def write_objects(
    job: BlockJob, output: Output, workers: Workers, config: Config, progress: bool
) -> Found:
    """Find the objects of all blocks, number them, and write labels; return their table."""
    levels = find_objects(job, workers, progress)
    objects = [load_objects(job.objects_file(k, level)) for k, level in enumerate(levels)]
    numbering, table = number_objects(job, job.decode_blocks(), objects, config)
    create_labels(job, output, numbering, classes=table is None)
    write_labels(job, workers, levels, numbering, progress)
    cut = 0 if table is None else int(table["cut"].sum())
    _warn(cut, numbering.lost, table)
    if table is not None:
        centres = centres_in_image(table["centre"], job.image, job.spacing)
        table = table_on_grid(table, job.shape, job.grid) | {"centre": centres}
    retried = sum(level > 0 for level in levels)
    return Found(table, (numbering.count, len(levels), retried, cut, numbering.lost))


def find_objects(job: BlockJob, workers: Workers, progress: bool) -> list[int]:
    """Decode all blocks; those around objects that were cut again, with twice the halo.

    Returns
    -------
    list of int
        How often the halo of each block was doubled. It follows from the objects alone, so a run
        that resumes ends with the same files.
    """
    levels = [0] * len(job.decode_blocks())
    current = list(range(len(levels)))
    for level in range(RETRIES + 1):
        left = [k for k in current if not job.objects_file(k, level).exists()]
        title = "segment" if level == 0 else "wider halos"
        _run_tasks(job, workers, object_tasks(job, left, level), title, len(current), progress)
        if not job.joining.widens_halo or level == RETRIES or job.widest(level + 1) > job.most:
            break
        cut = {k for k in current if load_objects(job.objects_file(k, level)).cut.any()}
        # Blocks beside hold a part of such an object, which they have to see whole as well.
        current = sorted({j for k in cut for j in job.around(k, level)})
        if not current:
            break
        log.info(
            "%d blocks hold objects that reach beyond the decoded box; %d are decoded "
            "again with halos twice as wide",
            len(cut),
            len(current),
        )
        for k in current:
            levels[k] = level + 1
    return levels


def number_objects(
    job: BlockJob, blocks: Sequence[Block], objects: Sequence[BlockObjects], config: Config
) -> tuple[Numbering, ObjectTable | None]:
    """Return the number in the image of each object of each block, and the table of objects."""
    numbering = job.joining.number(blocks, objects, job.shape)
    table = job.joining.table(blocks, objects, numbering)
    if table is None:
        return _as_pixel_values(numbering, config), None
    # On a coarser grid an object may be left without a pixel.
    keep = config.method.keeps(table, job.joining.joins_pieces) & (table["written"] > 0)
    if not keep.all():
        numbering = drop_objects(numbering, keep)
        table = job.joining.table(blocks, objects, numbering)
    return numbering, table


def _as_pixel_values(numbering: Numbering, config: Config) -> Numbering:
    """Return classes numbered by their pixel values in the masks, if the masks have any."""
    if not config.data.classes:
        return numbering
    values = np.array([each.values[0] for each in config.data.classes], np.int64)
    return replace(numbering, of_block=[values] * len(numbering.of_block))


def create_labels(job: BlockJob, output: Output, numbering: Numbering, classes: bool) -> None:
    """Create the array that blocks are written into, of the smallest type that holds them."""
    largest = max((int(numbers.max(initial=0)) for numbers in numbering.of_block), default=0)
    dtype = np.dtype(
        "uint8" if classes and largest < 2**8 else "uint32" if largest < 2**32 else "uint64"
    )
    output.create(job.output, job.part, job.grid, dtype)


def write_labels(
    job: BlockJob, workers: Workers, levels: Sequence[int], numbering: Numbering, progress: bool
) -> None:
    """Write the labels of all blocks, numbered as in the whole image."""
    tasks = [
        BlockTask(f"write {k}", write_block, (k, levels[k], numbers), counts=True)
        for k, numbers in enumerate(numbering.of_block)
        if not job.written_file(k).exists()
    ]
    # On another grid blocks share chunks, which two processes must not write at once.
    writers = workers if job.grid == job.shape else ThisProcess()
    _run_tasks(job, writers, tasks, "write", len(levels), progress)


def worker_filling(job: BlockJob, workers: Workers) -> Filling:
    """Return a function by which workers fill the coarser levels of the output."""

    def fill(level: int, boxes: Iterable[Box], step: PerAxis) -> Iterator[BlockTask]:
        return workers.run(
            job,
            (
                BlockTask(f"level {level} {number}", coarsen_box, (level, box, step))
                for number, box in enumerate(boxes)
            ),
        )

    return fill


def _run_tasks(
    job: BlockJob,
    workers: Workers,
    tasks: Sequence[BlockTask],
    title: str,
    total: int,
    progress: bool,
) -> None:
    """Run tasks under a progress bar over `total` blocks; the other blocks are done already."""
    done = total - sum(task.counts for task in tasks)
    with open_bar(progress, title, "block", total, done) as bar:
        for task in workers.run(job, tasks):
            bar.update(task.counts)


def _warn(cut: int, lost: int, table: ObjectTable | None) -> None:
    """Warn of objects that a wider halo would mend."""
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
