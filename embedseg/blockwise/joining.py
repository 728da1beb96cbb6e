"""Labels of blocks joined into those of one image.

Every pixel belongs to the inner box of one block, and has the label that it got there. A method
names in `join` how these labels become those of the image:

- "seed-ownership": an object is known by the pixel that it grew from. The block whose inner box
  holds that pixel numbers it, and all blocks that met it look the number up.
- "faces": objects of neighbouring blocks are one if a piece of both is about the same on a layer
  that both decoded.
- "none": labels are classes and stay what they are.

Numbers run from 1 to n in the order of the blocks and, in a block, of its objects: they do not
depend on which block was decoded first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from embedseg.blockwise.block_objects import BlockObjects, ObjectTable, crop_objects, no_objects
from embedseg.geometry import Block
from embedseg.labels import label_pieces
from embedseg.methods import JoinName
from embedseg.types import Indices, Labels, Mask, PerAxis, Segmentation


@dataclass(frozen=True)
class Numbering:
    """The number in the image of each object of each block.

    Attributes
    ----------
    of_block : list of (n + 1,) int64 ndarray
        For each block the numbers of its objects; 0 is 0.
    count : int
        Objects in the image.
    lost : int
        Objects met by a block that their owner did not find: they were numbered where they were
        met. With halos that are wide enough there are none.
    """

    of_block: list[Indices]
    count: int
    lost: int


class Joining(ABC):
    """How the labels of blocks become those of one image."""

    #: Whether objects are decoded with pixels beyond the block.
    needs_halo: ClassVar[bool]
    #: Whether a block may hold a piece of an object, which is whole only once it is joined.
    joins_pieces: ClassVar[bool]
    #: Whether blocks around a cut object are decoded again with wider halos.
    widens_halo: ClassVar[bool]

    @abstractmethod
    def crop(
        self, segmentation: Segmentation, block: Block, shape: PerAxis
    ) -> tuple[Labels, BlockObjects]:
        """Crop a decoded outer box to the inner one; return its labels and objects."""

    @abstractmethod
    def number(
        self, blocks: Sequence[Block], objects: Sequence[BlockObjects], shape: PerAxis
    ) -> Numbering:
        """Assign the objects of all blocks their numbers in the image.

        Parameters
        ----------
        blocks : sequence of Block
            In raster order, as `embedseg.geometry.split_blocks` gives them.
        objects : sequence of BlockObjects
            Of each block.
        shape : tuple of int
            Of the image.
        """

    @abstractmethod
    def table(
        self, blocks: Sequence[Block], objects: Sequence[BlockObjects], numbering: Numbering
    ) -> ObjectTable | None:
        """Return one row per object of the image; None for classes."""


@final
class SeedOwnership(Joining):
    """Objects known by the pixel that they grew from."""

    needs_halo, joins_pieces, widens_halo = True, False, True

    def crop(
        self, segmentation: Segmentation, block: Block, shape: PerAxis
    ) -> tuple[Labels, BlockObjects]:
        """Crop objects to the inner box."""
        return crop_objects(segmentation, block, shape)

    def number(
        self, blocks: Sequence[Block], objects: Sequence[BlockObjects], shape: PerAxis
    ) -> Numbering:
        """Assign one number to all objects with the same seed."""
        keys = [
            np.ravel_multi_index(tuple(each.seeds.T), shape)
            if len(each.seeds)
            else np.zeros(0, np.int64)
            for each in objects
        ]
        owned = [each.owned(block) for each, block in zip(objects, blocks, strict=True)]
        # An object that its owner does not know is numbered by the first block that met it.
        order = np.concatenate([*(mine[own] for mine, own in zip(keys, owned, strict=True)), *keys])
        known = int(sum(own.sum() for own in owned))
        different, first = np.unique(order, return_index=True)
        number = np.empty(len(different), np.int64)
        number[np.argsort(first)] = np.arange(1, len(different) + 1)
        numbers = [number[np.searchsorted(different, mine)] for mine in keys]
        of_block = [np.concatenate([[0], each]) for each in numbers]
        return Numbering(of_block, len(different), len(different) - known)

    def table(
        self, blocks: Sequence[Block], objects: Sequence[BlockObjects], numbering: Numbering
    ) -> ObjectTable:
        """Return one row per object, with the objects that reach beyond the halo as cut."""
        return join_tables(blocks, objects, numbering)


@final
class Faces(Joining):
    """Objects joined where two blocks decoded the same pixels; a halo of a pixel is enough."""

    needs_halo, joins_pieces, widens_halo = True, True, False

    def crop(
        self, segmentation: Segmentation, block: Block, shape: PerAxis
    ) -> tuple[Labels, BlockObjects]:
        """Crop objects to the inner box."""
        return crop_objects(segmentation, block, shape)

    def number(
        self, blocks: Sequence[Block], objects: Sequence[BlockObjects], shape: PerAxis
    ) -> Numbering:
        """Assign one number to all objects connected by shared pixels."""
        start = np.cumsum([0, *(len(each.seeds) for each in objects)])
        rows, columns = _shared_pixels(blocks, objects, start).T
        total = int(start[-1])
        graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(total, total))
        count, names = connected_components(graph, directed=False)
        of_block = [
            np.concatenate([[0], names[start[k] : start[k + 1]].astype(np.int64) + 1])
            for k in range(len(objects))
        ]
        return Numbering(of_block, int(count), 0)

    def table(
        self, blocks: Sequence[Block], objects: Sequence[BlockObjects], numbering: Numbering
    ) -> ObjectTable:
        """Return one row per object; joined from all its parts, none is cut."""
        return join_tables(blocks, objects, numbering) | {"cut": np.zeros(numbering.count, bool)}


@final
class Pixelwise(Joining):
    """Classes: every pixel by itself."""

    needs_halo, joins_pieces, widens_halo = False, False, False

    def crop(
        self, segmentation: Segmentation, block: Block, shape: PerAxis
    ) -> tuple[Labels, BlockObjects]:
        """Crop labels to the inner box."""
        return segmentation.labels[block.local], no_objects(len(shape))

    def number(
        self, blocks: Sequence[Block], objects: Sequence[BlockObjects], shape: PerAxis
    ) -> Numbering:
        """Leave classes as they are."""
        return Numbering([np.arange(2**8)] * len(blocks), 0, 0)

    def table(
        self, blocks: Sequence[Block], objects: Sequence[BlockObjects], numbering: Numbering
    ) -> None:
        """Return None: there are no objects."""


#: What a method may name in `join`.
JOININGS: dict[JoinName, Joining] = {
    "seed-ownership": SeedOwnership(),
    "faces": Faces(),
    "none": Pixelwise(),
}


def _shared_pixels(
    blocks: Sequence[Block], objects: Sequence[BlockObjects], start: Indices
) -> Indices:
    """Return pairs of objects that share a piece of a face, (pairs, 2).

    Objects of block k count from `start[k]` on; outer boxes reach at least a pixel beyond the
    inner ones.
    """
    places = {tuple(side.start for side in block.inner): k for k, block in enumerate(blocks)}
    pairs = [np.zeros((0, 2), np.int64)]
    for a, block in enumerate(blocks):
        corner = [side.start for side in block.inner]
        for axis, ours in enumerate(objects[a].behind):
            b = places.get((*corner[:axis], block.inner[axis].stop, *corner[axis + 1 :]))
            if b is None:
                continue
            theirs = objects[b].first[axis]
            shared = _shared_pieces(ours, theirs).astype(np.int64) - 1
            pairs.append(np.add(shared, (start[a], start[b])))
    return np.concatenate(pairs)


def _shared_pieces(ours: Labels, theirs: Labels) -> Indices:
    """Return pairs of labels in two versions of a layer of which a piece is about the same.

    That is at least half of the smaller one: where two objects meet, blocks may differ in the
    pixels between them, if what lies beyond the halo decides on these.

    Examples
    --------
    >>> _shared_pieces(np.array([[1, 1, 1, 0, 2, 2]]), np.array([[4, 4, 4, 0, 4, 5]])).tolist()
    [[1, 4], [2, 4], [2, 5]]
    >>> _shared_pieces(np.array([[1, 1, 1, 2, 2, 2]]), np.array([[4, 4, 4, 4, 5, 5]])).tolist()
    [[1, 4], [2, 5]]
    """
    both = (ours > 0) & (theirs > 0)
    if not both.any():
        return np.zeros((0, 2), np.int64)
    pieces = [label_pieces(layer) for layer in (ours, theirs)]
    shared = np.stack([each[both] for each in pieces])
    pairs, first, counts = np.unique(shared, axis=1, return_index=True, return_counts=True)
    sizes = [np.bincount(each.ravel())[own] for each, own in zip(pieces, pairs, strict=True)]
    same = first[2 * counts >= np.minimum(*sizes)]
    return np.stack([ours[both][same], theirs[both][same]], axis=1)


def drop_objects(numbering: Numbering, keep: Mask) -> Numbering:
    """Drop objects; the others are numbered anew, in order.

    Examples
    --------
    >>> numbering = Numbering([np.array([0, 1, 2])], 2, 0)
    >>> drop_objects(numbering, np.array([False, True])).of_block[0].tolist()
    [0, 0, 1]
    """
    new = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)])
    return Numbering([new[old] for old in numbering.of_block], int(keep.sum()), numbering.lost)


def join_tables(
    blocks: Sequence[Block], objects: Sequence[BlockObjects], numbering: Numbering
) -> ObjectTable:
    """Return one row per object of the image: sizes added up, boxes joined, whether it was cut.

    `centre` and `score` are those of the object's owner, or of the first block that met it.
    """
    n, ndim = numbering.count, len(blocks[0].inner)
    table: ObjectTable = {
        "centre": np.zeros((n, ndim), np.float32),
        "score": np.zeros(n, np.float32),
        "size": np.zeros(n, np.int64),
        "written": np.zeros(n, np.int64),
        "lower": np.full((n, ndim), np.iinfo(np.int64).max),
        "upper": np.zeros((n, ndim), np.int64),
        "cut": np.zeros(n, bool),
    }
    # 0 before any block, 1 by a block that met the object, 2 by its owner.
    source = np.zeros(n, np.int8)
    for each, block, numbers in zip(objects, blocks, numbering.of_block, strict=True):
        kept = numbers[1:] > 0
        rows, rank = numbers[1:][kept] - 1, each.owned(block)[kept].astype(np.int8) + 1
        columns = {name: values[kept] for name, values in each.table.items()}
        for name in ("size", "written"):
            np.add.at(table[name], rows, columns[name])
        np.minimum.at(table["lower"], rows, columns["lower"])
        np.maximum.at(table["upper"], rows, columns["upper"])
        np.logical_or.at(table["cut"], rows, each.cut[kept])
        better = rank > source[rows]
        source[rows[better]] = rank[better]
        for name in ("centre", "score"):
            table[name][rows[better]] = columns[name][better]
    return table
