"""Labels of blocks joined into those of one image.

Every pixel belongs to the inner box of one block, and has the label that it got there. Whose it is
follows from the method's `join`:

- "seed-ownership": an object is known by the pixel that it grew from. The block whose inner box
  holds that pixel numbers it, and all blocks that met it look the number up.
- "faces": objects of neighbouring blocks are one if they share pixels on a layer that both decoded.
- "none": labels are classes and stay what they are.

Numbers run from 1 to n in the order of the blocks and, in a block, of its objects: they do not
depend on which block was decoded first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from embedseg.geometry import Block
from embedseg.types import Indices, Segmentation


@dataclass(frozen=True)
class Found:
    """What others have to know of the n objects that were found in a block.

    Attributes
    ----------
    seeds : (n, ndim) int64 ndarray
        Where in the image each of them grew from.
    table : dict of str to ndarray
        Of each of them `centre`, `score`; and `size`, `lower`, `upper`: number of its pixels in
        the inner box, and the box around them in the image.
    cut : (n,) bool ndarray
        Whether it belongs to this block and yet reaches a face of the outer box at which the image
        goes on: what lies beyond was not seen.
    first, behind : tuple of ndarray
        For each axis the labels of the first layer of pixels of the inner box, and of the layer
        just behind it, which is the first one of the next block; the latter is empty where the
        image ends, or the outer box does.
    """

    seeds: Indices
    table: dict[str, NDArray[Any]]
    cut: NDArray[np.bool_]
    first: tuple[NDArray[np.int32], ...] = ()
    behind: tuple[NDArray[np.int32], ...] = ()

    def owned(self, block: Block) -> NDArray[np.bool_]:
        """Return which of its objects a block owns: those that grew from its inner box."""
        return _inside(self.seeds, block)


def cut_down(
    segmentation: Segmentation, block: Block, shape: tuple[int, ...]
) -> tuple[NDArray[np.int32], Found]:
    """Keep of a decoded outer box what lies in the inner one.

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
    >>> labels, found = cut_down(Segmentation(labels, objects), block, (1, 8))
    >>> labels.tolist(), found.seeds.tolist(), found.table["upper"].tolist()
    ([[1, 0, 2, 2]], [[0, 3], [0, 6]], [[1, 5], [1, 8]])
    """
    objects = segmentation.objects
    assert objects is not None
    start = np.array([side.start for side in block.outer], np.int64)
    seeds = np.asarray(objects["position"], np.int64) + start
    inner = segmentation.labels[block.local]
    sizes = np.bincount(inner.ravel(), minlength=len(seeds) + 1)[1:]
    # An object may have grown from a pixel that another one took later.
    there = np.flatnonzero((sizes > 0) | _inside(seeds, block))
    numbers = np.zeros(len(seeds) + 1, np.int32)
    numbers[there + 1] = np.arange(1, len(there) + 1)
    labels = numbers[inner]
    lower, upper = _boxes(labels, len(there))
    first = np.array([side.start for side in block.inner], np.int64)
    table = {
        "centre": objects["centre"][there],
        "score": objects["score"][there],
        "size": sizes[there].astype(np.int64),
        "lower": lower + first,
        "upper": upper + first,
    }
    beyond = np.zeros(len(seeds) + 1, bool)
    for axis, (side, length) in enumerate(zip(block.outer, shape, strict=True)):
        for end, goes_on in ((0, side.start > 0), (-1, side.stop < length)):
            if goes_on:
                beyond[np.unique(segmentation.labels.take(end, axis))] = True
    return labels, Found(
        seeds[there],
        table,
        beyond[1:][there] & _inside(seeds[there], block),
        tuple(labels.take([0], axis) for axis in range(labels.ndim)),
        tuple(numbers[layer] for layer in _behind(segmentation.labels, block)),
    )


def _inside(places: Indices, block: Block) -> NDArray[np.bool_]:
    low = np.array([side.start for side in block.inner])
    high = np.array([side.stop for side in block.inner])
    return np.asarray(((places >= low) & (places < high)).all(axis=1))


def _behind(labels: NDArray[np.int32], block: Block) -> list[NDArray[np.int32]]:
    """Return the layer behind the inner box along each axis, which may be empty."""
    layers = []
    for axis, (inner, outer) in enumerate(zip(block.inner, block.outer, strict=True)):
        box = list(block.local)
        layer = 1 if outer.stop > inner.stop else 0
        box[axis] = slice(box[axis].stop, box[axis].stop + layer)
        layers.append(labels[tuple(box)])
    return layers


def _boxes(labels: NDArray[np.int32], count: int) -> tuple[Indices, Indices]:
    from scipy.ndimage import find_objects

    low = np.full((count, labels.ndim), np.iinfo(np.int64).max // 2)
    high = np.zeros((count, labels.ndim), np.int64)
    for row, box in enumerate(find_objects(labels, max_label=count) if count else []):
        if box is not None:
            low[row], high[row] = zip(*((side.start, side.stop) for side in box), strict=True)
    return low, high


@dataclass(frozen=True)
class Numbers:
    """Which number each object of each block has in the image.

    Attributes
    ----------
    of : list of (n + 1,) int64 ndarray
        For each block the number of its objects; 0 is 0.
    count : int
        Objects in the image.
    lost : int
        Objects met by a block of which the owner knows nothing: they were numbered where they
        were met. With halos that are wide enough there are none.
    """

    of: list[Indices]
    count: int
    lost: int


def number_by_seeds(
    blocks: Sequence[Block], found: Sequence[Found], shape: tuple[int, ...]
) -> Numbers:
    """Give numbers to objects, where they grew from.

    Parameters
    ----------
    blocks : sequence of Block
        In raster order, as `embedseg.geometry.split` gives them.
    found : sequence of Found
        What was found in each.
    shape : tuple of int
        Of the image.
    """
    keys = [
        np.ravel_multi_index(tuple(each.seeds.T), shape)
        if len(each.seeds)
        else np.zeros(0, np.int64)
        for each in found
    ]
    owned = [each.owned(block) for each, block in zip(found, blocks, strict=True)]
    # An object that its owner does not know is numbered by the first block that met it.
    order = np.concatenate([*(mine[own] for mine, own in zip(keys, owned, strict=True)), *keys])
    known = int(sum(own.sum() for own in owned))
    different, first = np.unique(order, return_index=True)
    number = np.empty(len(different), np.int64)
    number[np.argsort(first)] = np.arange(1, len(different) + 1)
    of = [np.concatenate([[0], number[np.searchsorted(different, mine)]]) for mine in keys]
    return Numbers(of, len(different), len(different) - known)


def number_by_faces(blocks: Sequence[Block], found: Sequence[Found]) -> Numbers:
    """Give one number to what is one object wherever two blocks decoded the same pixels.

    Parameters
    ----------
    blocks, found
        As in `number_by_seeds`; outer boxes reach a pixel beyond the inner ones at least.
    """
    start = np.cumsum([0, *(len(each.seeds) for each in found)])
    places = {tuple(side.start for side in block.inner): k for k, block in enumerate(blocks)}
    edges = [np.zeros((0, 2), np.int64)]
    for a, block in enumerate(blocks):
        corner = [side.start for side in block.inner]
        for axis, ours in enumerate(found[a].behind):
            b = places.get((*corner[:axis], block.inner[axis].stop, *corner[axis + 1 :]))
            if b is None:
                continue
            theirs = found[b].first[axis]
            both = (ours > 0) & (theirs > 0)
            pairs = np.stack([ours[both] - 1 + start[a], theirs[both] - 1 + start[b]], axis=1)
            edges.append(np.unique(pairs.astype(np.int64), axis=0))
    rows, columns = np.concatenate(edges).T
    total = int(start[-1])
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(total, total))
    count, names = connected_components(graph, directed=False)
    of = [
        np.concatenate([[0], names[start[k] : start[k + 1]].astype(np.int64) + 1])
        for k in range(len(found))
    ]
    return Numbers(of, int(count), 0)


def without(numbers: Numbers, keep: NDArray[np.bool_]) -> Numbers:
    """Drop objects; the others are numbered anew, in order.

    Examples
    --------
    >>> numbers = Numbers([np.array([0, 1, 2])], 2, 0)
    >>> without(numbers, np.array([False, True])).of[0].tolist()
    [0, 0, 1]
    """
    new = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)])
    return Numbers([new[of] for of in numbers.of], int(keep.sum()), numbers.lost)


def joined_table(
    found: Sequence[Found], blocks: Sequence[Block], numbers: Numbers, ndim: int
) -> dict[str, NDArray[Any]]:
    """Return one row per object of the image: sizes added up, boxes joined, whether it was cut.

    `centre` and `score` are those of the object's owner, or of the first block that met it.
    """
    n = numbers.count
    table: dict[str, NDArray[Any]] = {
        "centre": np.zeros((n, ndim), np.float32),
        "score": np.zeros(n, np.float32),
        "size": np.zeros(n, np.int64),
        "lower": np.full((n, ndim), np.iinfo(np.int64).max),
        "upper": np.zeros((n, ndim), np.int64),
        "cut": np.zeros(n, bool),
    }
    told = np.zeros(n, np.int8)
    for each, block, of in zip(found, blocks, numbers.of, strict=True):
        there = of[1:] > 0
        rows, own = of[1:][there] - 1, each.owned(block)[there].astype(np.int8) + 1
        here = {name: values[there] for name, values in each.table.items()}
        np.add.at(table["size"], rows, here["size"])
        np.minimum.at(table["lower"], rows, here["lower"])
        np.maximum.at(table["upper"], rows, here["upper"])
        np.logical_or.at(table["cut"], rows, each.cut[there])
        better = own > told[rows]
        told[rows[better]] = own[better]
        for name in ("centre", "score"):
            table[name][rows[better]] = here[name][better]
    return table
