"""Symmetries of a grid: permutations of axes, and flips."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.geometry.resampling import spacings_agree
from embedseg.types import Box, MapSpec, Spacing, channel_slices


@dataclass(frozen=True)
class Symmetry:
    """A permutation of the axes followed by flips; acts on the last axes of an array.

    Attributes
    ----------
    permutation : tuple of int
        Axis d of the result is axis `permutation[d]` of the array.
    flips : tuple of bool
        Whether each axis of the result is reversed.

    Examples
    --------
    >>> turn = Symmetry((1, 0), (True, False))
    >>> turn.apply(np.array([[1, 2], [3, 4]])).tolist()
    [[2, 4], [1, 3]]
    >>> turn.undo(turn.apply(np.array([[1, 2], [3, 4]]))).tolist()
    [[1, 2], [3, 4]]
    """

    permutation: tuple[int, ...]
    flips: tuple[bool, ...]

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the array, (..., *space), transformed."""
        return self._flip(self._permute(array, self.permutation))

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the array with `apply` reversed."""
        inverse = tuple(int(axis) for axis in np.argsort(self.permutation))
        return self._permute(self._flip(array), inverse)

    def undo_maps(
        self, maps: NDArray[np.floating[Any]], specs: tuple[MapSpec, ...]
    ) -> NDArray[np.floating[Any]]:
        """Return maps of a transformed image, (M, *space), as maps of the image itself.

        Vectors change sign along flipped axes; vectors and extents exchange their channels as
        the axes are exchanged. Affinities move to the channel of the pair's offset and to the
        pixel that holds it; pairs with a pixel outside of the image get 0.
        """
        undone = self.undo(maps).copy()
        for spec, channels in zip(specs, channel_slices(specs).values(), strict=True):
            if spec.kind == "scalar":
                continue
            part = undone[channels].copy()
            if spec.kind == "affinity":
                undone[channels] = self._undo_affinities(part, spec.offsets)
                continue
            for axis, (origin, flip) in enumerate(zip(self.permutation, self.flips, strict=True)):
                negate = flip and spec.kind == "vector"
                undone[channels.start + origin] = -part[axis] if negate else part[axis]
        return undone

    def keeps(self, specs: tuple[MapSpec, ...]) -> bool:
        """Return whether every affinity of transformed maps is one of the image's own maps."""
        for spec in specs:
            both_ways = {*spec.offsets, *map(_reverse, spec.offsets)}
            if not both_ways.issuperset(map(self._undo_offset, spec.offsets)):
                return False
        return True

    def _undo_offset(self, offset: tuple[int, ...]) -> tuple[int, ...]:
        """Return an offset in a transformed image as one in the image itself."""
        undone = [0] * len(offset)
        for step, origin, flip in zip(offset, self.permutation, self.flips, strict=True):
            undone[origin] = -step if flip else step
        return tuple(undone)

    def _undo_affinities(
        self, maps: NDArray[np.floating[Any]], offsets: tuple[tuple[int, ...], ...]
    ) -> NDArray[np.floating[Any]]:
        """Return affinities whose pixels are in place as those of the image's own offsets."""
        undone = np.zeros_like(maps)
        for offset, channel in zip(offsets, maps, strict=True):
            there = self._undo_offset(offset)
            if there in offsets:
                undone[offsets.index(there)] = channel
                continue
            back = _reverse(there)
            first, second = paired_boxes(maps.shape[1:], back)
            undone[offsets.index(back)][first] = channel[second]
        return undone

    def _permute(self, array: NDArray[Any], order: tuple[int, ...]) -> NDArray[Any]:
        first = array.ndim - len(order)
        return array.transpose(*range(first), *(first + axis for axis in order))

    def _flip(self, array: NDArray[Any]) -> NDArray[Any]:
        first = array.ndim - len(self.flips)
        axes = tuple(first + axis for axis, flip in enumerate(self.flips) if flip)
        return np.flip(array, axes)


def paired_boxes(shape: tuple[int, ...], offset: tuple[int, ...]) -> tuple[Box, Box]:
    """Return the boxes of first and of second pixels of all pairs with an offset in an image.

    Examples
    --------
    >>> paired_boxes((5, 7), (0, -2))
    ((slice(0, 5, None), slice(2, 7, None)), (slice(0, 5, None), slice(0, 5, None)))
    """
    first = tuple(
        slice(max(0, -step), max(0, min(n, n - step)))
        for n, step in zip(shape, offset, strict=True)
    )
    second = tuple(
        slice(max(0, step), max(0, min(n, n + step))) for n, step in zip(shape, offset, strict=True)
    )
    return first, second


def lift_offset(offset: tuple[int, ...], across: int) -> tuple[int, ...]:
    """Return an offset within planes as one in a volume; the planes lie across an axis.

    Examples
    --------
    >>> lift_offset((1, 3), 0), lift_offset((1, 3), 1)
    ((0, 1, 3), (1, 0, 3))
    """
    return (*offset[:across], 0, *offset[across:])


def _reverse(offset: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-step for step in offset)


def symmetries(spacing: Spacing) -> tuple[Symmetry, ...]:
    """Return the symmetries of a grid, the identity first.

    All flips, and where the last two axes have the same spacing also their exchange: 8 for an
    isotropic 2D grid, 16 for a 3D grid isotropic in YX.

    Examples
    --------
    >>> len(symmetries((1.0, 1.0))), len(symmetries((2.0, 0.5, 0.5))), len(symmetries((2.0, 1.0)))
    (8, 16, 4)
    """
    axes = tuple(range(len(spacing)))
    orders = [axes]
    if spacings_agree(spacing[-2:]):
        orders.append((*axes[:-2], axes[-1], axes[-2]))
    flips = list(product((False, True), repeat=len(axes)))
    return tuple(Symmetry(order, flip) for order in orders for flip in flips)
