"""Objects of one block, cropped to its inner box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.geometry import Block
from embedseg.types import Indices, Labels, Mask, PerAxis, Segmentation

#: One row per object, by the name of the column.
ObjectTable = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class BlockObjects:
    """The n objects of a block, as other blocks need to know them.

    Attributes
    ----------
    seeds : (n, ndim) int64 ndarray
        Index in the image of the pixel that each of them grew from.
    table : dict of str to ndarray
        Of each of them `centre`, `score`; and `size`, `lower`, `upper`: number of its pixels in
        the inner box, and the box around them in the image; `written`, the number of pixels of the
        output that take its label there.
    cut : (n,) bool ndarray
        Whether it belongs to this block and yet reaches a face of the outer box inside the image:
        the pixels beyond were not decoded.
    first, behind : tuple of ndarray
        For each axis the labels of the first layer of pixels of the inner box, and of the layer
        just behind it, which is the first one of the next block; the latter is empty where the
        image ends, or the outer box does.
    """

    seeds: Indices
    table: ObjectTable
    cut: Mask
    first: tuple[Labels, ...] = ()
    behind: tuple[Labels, ...] = ()

    def owned(self, block: Block) -> Mask:
        """Return which objects the block owns: those that grew from its inner box."""
        return _inside(self.seeds, block)


def no_objects(ndim: int) -> BlockObjects:
    """Return the objects of a block that has none.

    Examples
    --------
    >>> no_objects(2).seeds.shape
    (0, 2)
    """
    return BlockObjects(np.zeros((0, ndim), np.int64), {}, np.zeros(0, bool))


def crop_objects(
    segmentation: Segmentation, block: Block, shape: PerAxis
) -> tuple[Labels, BlockObjects]:
    """Crop a decoded outer box to the inner one.

    Labels are 0, or 1 to n for the n objects that have pixels in the inner box or grew from there.

    Parameters
    ----------
    segmentation : Segmentation
        Of the outer box, with objects.
    block : Block
    shape : tuple of int
        Of the whole image.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0, 2, 2]], np.int32)
    >>> objects = {"position": np.array([[0, 0], [0, 3]]), "centre": np.zeros((2, 2)),
    ...            "score": np.ones(2), "size": np.array([2, 2])}
    >>> block = Block((slice(0, 1), slice(4, 8)), (slice(0, 1), slice(3, 8)))
    >>> labels, objects = crop_objects(Segmentation(labels, objects), block, (1, 8))
    >>> labels.tolist(), objects.seeds.tolist(), objects.table["upper"].tolist()
    ([[1, 0, 2, 2]], [[0, 3], [0, 6]], [[1, 5], [1, 8]])
    """
    objects = segmentation.objects
    assert objects is not None
    start = np.array([side.start for side in block.outer], np.int64)
    seeds = np.asarray(objects["position"], np.int64) + start
    inner = segmentation.labels[block.local]
    sizes = np.bincount(inner.ravel(), minlength=len(seeds) + 1)[1:]
    # An object may have grown from a pixel that another one took later.
    kept = np.flatnonzero((sizes > 0) | _inside(seeds, block))
    numbers = np.zeros(len(seeds) + 1, np.int32)
    numbers[kept + 1] = np.arange(1, len(kept) + 1)
    labels = numbers[inner]
    lower, upper = _boxes(labels, len(kept))
    corner = np.array([side.start for side in block.inner], np.int64)
    table = {
        "centre": objects["centre"][kept],
        "score": objects["score"][kept],
        "size": sizes[kept].astype(np.int64),
        "written": sizes[kept].astype(np.int64),
        "lower": lower + corner,
        "upper": upper + corner,
    }
    cropped = _reaching_out(segmentation.labels, len(seeds), block, shape)
    return labels, BlockObjects(
        seeds[kept],
        table,
        cropped[kept] & _inside(seeds[kept], block),
        tuple(labels.take([0], axis) for axis in range(labels.ndim)),
        tuple(numbers[layer] for layer in _layers_behind(segmentation.labels, block)),
    )


def _reaching_out(labels: Labels, count: int, block: Block, shape: PerAxis) -> Mask:
    """Return which objects reach a face of the outer box that is not one of the image."""
    beyond = np.zeros(count + 1, bool)
    for axis, (side, length) in enumerate(zip(block.outer, shape, strict=True)):
        for end, inside in ((0, side.start > 0), (-1, side.stop < length)):
            if inside:
                beyond[np.unique(labels.take(end, axis))] = True
    return beyond[1:]


def _inside(places: Indices, block: Block) -> Mask:
    low = np.array([side.start for side in block.inner])
    high = np.array([side.stop for side in block.inner])
    return np.asarray(((places >= low) & (places < high)).all(axis=1))


def _layers_behind(labels: Labels, block: Block) -> list[Labels]:
    """Return the layer behind the inner box along each axis, which may be empty."""
    layers = []
    for axis, (inner, outer) in enumerate(zip(block.inner, block.outer, strict=True)):
        box = list(block.local)
        layer = 1 if outer.stop > inner.stop else 0
        box[axis] = slice(box[axis].stop, box[axis].stop + layer)
        layers.append(labels[tuple(box)])
    return layers


def _boxes(labels: Labels, count: int) -> tuple[Indices, Indices]:
    """Return the lower and upper corners of the objects; of one without pixels, an empty box."""
    from scipy.ndimage import find_objects

    low = np.full((count, labels.ndim), np.iinfo(np.int64).max // 2)
    high = np.zeros((count, labels.ndim), np.int64)
    for row, box in enumerate(find_objects(labels, max_label=count) if count else []):
        if box is not None:
            low[row], high[row] = zip(*((side.start, side.stop) for side in box), strict=True)
    return low, high
