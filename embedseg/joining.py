"""Labels of blocks, each decoded on its own, become the labels of one image.

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

from embedseg.blocks import Block
from embedseg.types import Segmentation

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """What decoding a block gave, cut down to what others have to know of it.

    Attributes
    ----------
    labels : (*inner) int32 ndarray
        0, or 1 to n for the n objects that have pixels in the inner box.
    seeds : (n, ndim) int64 ndarray
        Where in the image each of them grew from.
    table : dict of str to ndarray
        Of each of them `centre`, `score`; and `size`, `lower`, `upper`: number of its pixels in
        the inner box, and the box around them in the image.
    cut : (n,) bool ndarray
        Whether it belongs to this block and yet reaches a face of the outer box at which the image
        goes on: what lies beyond was not seen.
    edges : tuple of ndarray
        For each axis the labels of the layer of pixels just behind the inner box, which are the
        first ones of the next block; empty where the image ends, or the outer box does.
    """

    labels: NDArray[np.int32]
    seeds: Indices
    table: dict[str, NDArray[Any]]
    cut: NDArray[np.bool_]
    edges: tuple[NDArray[np.int32], ...] = ()

    def owned(self, block: Block) -> NDArray[np.bool_]:
        """Return which of its objects a block owns: those that grew from its inner box."""
        return _inside(self.seeds, block)


def cut_down(segmentation: Segmentation, block: Block, shape: tuple[int, ...]) -> Found:
    """Keep of a decoded outer box what lies in the inner one.

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
    >>> found = cut_down(Segmentation(labels, objects), block, (1, 8))
    >>> found.labels.tolist(), found.seeds.tolist(), found.table["upper"].tolist()
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
    table = {"centre": objects["centre"][there], "score": objects["score"][there],
             "size": sizes[there].astype(np.int64), "lower": lower + first, "upper": upper + first}
    beyond = np.zeros(len(seeds) + 1, bool)
    for axis, (side, length) in enumerate(zip(block.outer, shape, strict=True)):
        for end, goes_on in ((0, side.start > 0), (-1, side.stop < length)):
            if goes_on:
                beyond[np.unique(segmentation.labels.take(end, axis))] = True
    return Found(labels, seeds[there], table, beyond[1:][there] & _inside(seeds[there], block),
                 tuple(numbers[edge] for edge in _edges(segmentation.labels, block)))


def _inside(places: Indices, block: Block) -> NDArray[np.bool_]:
    low = np.array([side.start for side in block.inner])
    high = np.array([side.stop for side in block.inner])
    return np.asarray(((places >= low) & (places < high)).all(axis=1))


def _edges(labels: NDArray[np.int32], block: Block) -> list[NDArray[np.int32]]:
    """Return the layer behind the inner box along each axis, which may be empty."""
    edges = []
    for axis, (inner, outer) in enumerate(zip(block.inner, block.outer, strict=True)):
        box = list(block.local)
        layer = 1 if outer.stop > inner.stop else 0
        box[axis] = slice(box[axis].stop, box[axis].stop + layer)
        edges.append(labels[tuple(box)])
    return edges


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


def number_by_seeds(blocks: Sequence[Block], found: Sequence[Found], shape: tuple[int, ...]
                    ) -> Numbers:
    """Give numbers to objects, where they grew from.

    Parameters
    ----------
    blocks : sequence of Block
        In raster order, as `embedseg.blocks.split` gives them.
    found : sequence of Found
        What was found in each; labels are not looked at, but where an owner has another object.
    shape : tuple of int
        Of the image.
    """
    keys = [np.ravel_multi_index(tuple(each.seeds.T), shape) if len(each.seeds)
            else np.zeros(0, np.int64) for each in found]
    owned = [each.owned(block) for each, block in zip(found, blocks, strict=True)]
    # An object that its owner does not know is numbered by the first block that met it.
    first: dict[int, None] = {}
    for mine, own in zip(keys, owned, strict=True):
        first |= dict.fromkeys(mine[own].tolist())
    known = len(first)
    for mine in keys:
        first |= dict.fromkeys(key for key in mine.tolist() if key not in first)
    number = {key: place for place, key in enumerate(first, 1)}
    of = [np.array([0, *(number[key] for key in mine.tolist())], np.int64) for mine in keys]
    return Numbers(of, len(number), len(number) - known)


def number_by_faces(
    found: Sequence[Found], shared: Sequence[tuple[int, int, NDArray[Any], NDArray[Any]]]
) -> Numbers:
    """Give one number to what is one object wherever two blocks decoded the same pixels.

    Parameters
    ----------
    found : sequence of Found
    shared : sequence of (int, int, ndarray, ndarray)
        Two blocks, and the labels that each of them gave to the same pixels.
    """
    start = np.cumsum([0, *(len(each.seeds) for each in found)])
    edges = [np.zeros((0, 2), np.int64)]
    for a, b, ours, theirs in shared:
        both = (ours > 0) & (theirs > 0)
        pairs = np.stack([ours[both] - 1 + start[a], theirs[both] - 1 + start[b]], axis=1)
        edges.append(np.unique(pairs.astype(np.int64), axis=0))
    rows, columns = np.concatenate(edges).T
    total = int(start[-1])
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(total, total))
    count, names = connected_components(graph, directed=False)
    of = [np.concatenate([[0], names[start[k]:start[k + 1]].astype(np.int64) + 1])
          for k in range(len(found))]
    return Numbers(of, int(count), 0)


def joined_table(found: Sequence[Found], blocks: Sequence[Block], numbers: Numbers, ndim: int
                 ) -> dict[str, NDArray[Any]]:
    """Return one row per object of the image: sizes added up, boxes joined.

    `centre` and `score` are those of the object's owner, or of the first block that met it.
    """
    n = numbers.count
    table: dict[str, NDArray[Any]] = {
        "centre": np.zeros((n, ndim), np.float32), "score": np.zeros(n, np.float32),
        "size": np.zeros(n, np.int64), "lower": np.full((n, ndim), np.iinfo(np.int64).max),
        "upper": np.zeros((n, ndim), np.int64)}
    told = np.zeros(n, np.int8)
    for each, block, of in zip(found, blocks, numbers.of, strict=True):
        rows, own = of[1:] - 1, each.owned(block).astype(np.int8) + 1
        np.add.at(table["size"], rows, each.table["size"])
        np.minimum.at(table["lower"], rows, each.table["lower"])
        np.maximum.at(table["upper"], rows, each.table["upper"])
        better = own > told[rows]
        told[rows[better]] = own[better]
        for name in ("centre", "score"):
            table[name][rows[better]] = each.table[name][better]
    return table
