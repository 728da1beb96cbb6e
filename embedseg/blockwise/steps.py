"""Maps, objects and labels of one block.

Each step is a function of a `BlockJob` and the number of a block. It leaves one file, written aside
and then renamed, and does nothing where that exists: so an interrupted run resumes.

::

    make_maps      image of the outer box -> maps of the inner box          maps/7.npy
    decode_block   maps of the decode box -> labels of the inner box, and
                   its objects, as other blocks need to know them           found/7-0.npz
    release_maps   maps that all blocks around have decoded are deleted
    write_block    labels, numbered as in the whole image -> the output     written/7
    coarsen_box    a chunk of a coarser level of the output
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embedseg.blockwise.job import BlockJob, read_box
from embedseg.blockwise.resampled import labels_on_grid
from embedseg.blockwise.scratch import load_labels, save_objects, write_binary
from embedseg.geometry import Block, relative_box
from embedseg.images import fill_box, open_array
from embedseg.types import Box, Indices, Maps, PerAxis


def make_maps(job: BlockJob, k: int) -> None:
    """Compute the maps of a block's inner box."""
    if job.maps_file(k).exists():
        return
    block = job.net_blocks[k]
    image = read_box(job.image, block.outer)
    maps = np.ascontiguousarray(job.source(image, job.device, block.local))
    write_binary(job.maps_file(k), lambda file: np.save(file, maps))


def decode_block(job: BlockJob, k: int, level: int = 0) -> None:
    """Find the objects of a block."""
    if job.objects_file(k, level).exists():
        return
    block = job.decode_blocks(level)[k]
    segmentation = job.method.decode(_assemble_maps(job, block, job.needs(k, level)))
    labels, objects = job.joining.crop(segmentation, block, job.shape)
    del segmentation
    if "written" in objects.table and job.grid != job.shape:
        written = labels_on_grid(labels, block.inner, job.shape, job.grid)[1]
        pixels = np.bincount(written.ravel(), minlength=len(objects.seeds) + 1)[1:]
        objects.table["written"] = pixels.astype(np.int64)
    save_objects(job.objects_file(k, level), labels, objects)


def _assemble_maps(job: BlockJob, block: Block, blocks: Sequence[int]) -> Maps:
    """Return the maps of an outer box, put together from those of blocks."""
    count = sum(spec.channels for spec in job.specs)
    data = np.empty((count, *block.outer_shape), np.float16)
    for j in blocks:
        inner = job.net_blocks[j].inner
        common = tuple(
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(inner, block.outer, strict=True)
        )
        stored = np.load(job.maps_file(j), mmap_mode="r")
        data[(slice(None), *relative_box(common, block.outer))] = stored[
            (slice(None), *relative_box(common, inner))
        ]
    return Maps(data, job.specs, job.spacing, tuple(side.start for side in block.outer))


def release_maps(job: BlockJob, k: int) -> None:
    """Delete the maps of a block."""
    job.maps_file(k).unlink(missing_ok=True)


def write_block(job: BlockJob, k: int, level: int, numbers: Indices) -> None:
    """Put the labels of a block into the output, numbered as in the whole image."""
    if job.written_file(k).exists():
        return
    array = open_array(job.output)
    labels = numbers.astype(array.dtype)[load_labels(job.objects_file(k, level))]
    box, values = labels_on_grid(labels, job.decode_blocks()[k].inner, job.shape, job.grid)
    if values.size:
        if job.frame is None:
            array[box] = values
        else:
            array[(slice(job.frame, job.frame + 1), *box)] = values[np.newaxis]
    write_binary(job.written_file(k), lambda file: file.write(b""))


def coarsen_box(job: BlockJob, level: int, box: Box, step: PerAxis) -> None:
    """Fill a box of a coarser level of the output."""
    fill_box(job.output, level, box, step)
