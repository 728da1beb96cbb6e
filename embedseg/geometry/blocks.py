"""Tile arithmetic: blocks with a halo."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from embedseg.types import Box, PerAxis


@dataclass(frozen=True)
class Block:
    """A box of an array, and the larger box that has to be read to compute it.

    ::

        +---------------+
        | outer         |   outer: read; inner and a halo around it, cropped to the array
        |   +-------+   |
        |   | inner |   |   inner: written; inner boxes cover the array exactly once
        |   +-------+   |
        +---------------+

    Attributes
    ----------
    inner, outer : tuple of slice
        Boxes of the array.

    Examples
    --------
    >>> Block((slice(4, 8),), (slice(2, 10),)).local
    (slice(2, 6, None),)
    """

    inner: Box
    outer: Box

    @property
    def local(self) -> Box:
        """Box of `inner` within `outer`."""
        return relative_box(self.inner, self.outer)

    @property
    def inner_shape(self) -> PerAxis:
        """Shape of `inner`."""
        return tuple(i.stop - i.start for i in self.inner)

    @property
    def outer_shape(self) -> PerAxis:
        """Shape of `outer`."""
        return tuple(o.stop - o.start for o in self.outer)


def relative_box(box: Box, origin: Box) -> Box:
    """Return a box relative to the start of another one.

    Examples
    --------
    >>> relative_box((slice(4, 8),), (slice(2, 10),))
    (slice(2, 6, None),)
    """
    return tuple(
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, origin, strict=True)
    )


def split_blocks(
    shape: PerAxis, size: PerAxis, halo: PerAxis, multiple: PerAxis, within: Box | None = None
) -> list[Block]:
    """Split an array into blocks.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    size : tuple of int
        Shape of an inner box, raised to a multiple of `multiple`; the last ones may be smaller.
    halo : tuple of int
        Pixels by which an outer box extends its inner box, at least, inside the array.
    multiple : tuple of int
        Boxes begin at multiples of it, and end at multiples of it or at the array's end.
    within : tuple of slice, optional
        Split only this inner box of an earlier split.

    Returns
    -------
    list of Block
        In raster order.

    Examples
    --------
    >>> for block in split_blocks((10,), (4,), (1,), (2,)):
    ...     print(block.inner, block.outer)
    (slice(0, 4, None),) (slice(0, 6, None),)
    (slice(4, 8, None),) (slice(2, 10, None),)
    (slice(8, 10, None),) (slice(6, 10, None),)
    """
    within = within or tuple(slice(0, n) for n in shape)
    spans = []
    for n, step, h, m, box in zip(shape, size, halo, multiple, within, strict=True):
        starts = range(box.start, box.stop, _round_up(step, m))
        inner = [slice(i, min(i + _round_up(step, m), box.stop)) for i in starts]
        outer = [
            slice(max(0, i.start - _round_up(h, m)), min(n, _round_up(i.stop + h, m)))
            for i in inner
        ]
        spans.append(list(zip(inner, outer, strict=True)))
    return [
        Block(tuple(inner for inner, _ in pairs), tuple(outer for _, outer in pairs))
        for pairs in product(*spans)
    ]


def find_blocks(shape: PerAxis, size: PerAxis, box: Box) -> list[int]:
    """Return the indices of the blocks of a split whose inner boxes overlap a box.

    Parameters
    ----------
    shape, size : tuple of int
        As given to `split_blocks`; `size` is a multiple of the split's `multiple`.
    box : tuple of slice
        Not empty.

    Examples
    --------
    >>> find_blocks((10, 10), (4, 5), (slice(3, 5), slice(0, 5)))
    [0, 2]
    """
    counts = tuple(-(-n // step) for n, step in zip(shape, size, strict=True))
    spans = (
        range(side.start // step, -(-side.stop // step))
        for side, step in zip(box, size, strict=True)
    )
    return [_flat_index(index, counts) for index in product(*spans)]


def _flat_index(index: PerAxis, counts: PerAxis) -> int:
    flat = 0
    for i, n in zip(index, counts, strict=True):
        flat = flat * n + i
    return flat


def largest_inner_shape(
    shape: PerAxis, halo: PerAxis, multiple: PerAxis, pixels: float, within: PerAxis | None = None
) -> PerAxis:
    """Return the inner size of blocks of at most `pixels` pixels that read the least in all.

    Parameters
    ----------
    shape, halo, multiple : tuple of int
        As for `split_blocks`.
    pixels : float
        Most pixels of an outer box.
    within : tuple of int, optional
        Shape of the part to split, if not the whole array.

    Returns
    -------
    tuple of int
        Of the sizes whose outer boxes, halos included, hold the fewest pixels altogether. If even
        the smallest blocks do not fit, their size.

    Examples
    --------
    >>> largest_inner_shape((64, 64), (8, 8), (8, 8), pixels=64 * 64)
    (64, 64)
    >>> largest_inner_shape((64, 64), (8, 8), (8, 8), pixels=3100)
    (32, 64)
    >>> largest_inner_shape((64, 64), (8, 8), (8, 8), pixels=3100, within=(32, 32))
    (32, 32)
    """
    axes = [_sizes(*sides) for sides in zip(shape, within or shape, halo, multiple, strict=True)]
    largest, seen = (
        reduce(np.multiply.outer, [axis[row].astype(float) for axis in axes]) for row in (1, 2)
    )
    fits = largest <= pixels
    if not fits.any():
        return tuple(int(axis[0, 0]) for axis in axes)
    least = np.argwhere(fits & (seen == seen[fits].min()))
    sizes = [tuple(int(axis[0, k]) for axis, k in zip(axes, each, strict=True)) for each in least]
    # Of equals the largest, and the one whose rows are longest.
    return max(sizes, key=lambda size: (prod(size), size[::-1]))


def _sizes(n: int, within: int, halo: int, multiple: int) -> NDArray[np.int64]:
    """Return inner sizes along an axis, the largest outer ones, and pixels read in all: (3, k)."""
    parts = np.arange(1, -(-within // multiple) + 1)
    size = np.unique(np.minimum(within, -(-within // parts // multiple) * multiple))
    margin = 2 * _round_up(halo, multiple)
    outer = np.where(size == n, n, np.minimum(n, size + margin))
    count = -(-within // size)
    # The ends of an axis have no halo beyond them.
    return np.stack([size, outer, within + min(margin, n - within) + (count - 1) * margin])


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
