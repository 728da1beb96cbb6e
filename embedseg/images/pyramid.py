"""Coarser levels of label images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray


def choose_factors(
    shape: Sequence[int], sizes: Sequence[float | None], smallest: int, levels: int | None = None
) -> list[tuple[int, ...]]:
    """Choose by which factor each level of a pyramid is coarser than the first, along each axis.

    At each level the axes with the shortest pixels are halved, as many of them as bring voxels the
    closest to cubes; axes with longer pixels follow later.

    Parameters
    ----------
    shape : sequence of int
        Shape of the first level.
    sizes : sequence of float or None
        Size of its pixels along each axis; None for an axis that is not halved.
    smallest : int
        Levels are added until no axis is longer.
    levels : int, optional
        Number of levels; overrides `smallest`.

    Examples
    --------
    >>> choose_factors((100, 800, 800), (2.0, 0.5, 0.5), smallest=256)
    [(1, 1, 1), (1, 2, 2), (1, 4, 4)]
    """
    factors = [(1,) * len(shape)]
    while levels is None or len(factors) < levels:
        current = factors[-1]
        lengths = coarser_shape(shape, current)
        # An axis of one pixel cannot be halved.
        known = {
            axis: size * current[axis]
            for axis, size in enumerate(sizes)
            if size is not None and lengths[axis] > 1
        }
        if not known or (levels is None and max(lengths[axis] for axis in known) <= smallest):
            break
        halved = _halved(known)
        factors.append(
            tuple(factor * (2 if axis in halved else 1) for axis, factor in enumerate(current))
        )
    return factors


def _halved(sizes: dict[int, float]) -> set[int]:
    """Return the axes to halve at the next level."""
    order = sorted(sizes, key=lambda axis: sizes[axis])
    choices = [set(order[:count]) for count in range(len(order), 0, -1)]

    def ratio(doubled: set[int]) -> float:
        lengths = [size * (2 if axis in doubled else 1) for axis, size in sizes.items()]
        return max(lengths) / min(lengths)

    return min(choices, key=ratio)


def coarser_shape(shape: Sequence[int], factor: Sequence[int]) -> tuple[int, ...]:
    """Return the number of cells of an array along each axis; the last may be incomplete.

    Examples
    --------
    >>> coarser_shape((5, 8), (2, 2))
    (3, 4)
    """
    return tuple(-(-n // f) for n, f in zip(shape, factor, strict=True))


def most_frequent(labels: NDArray[Any], step: tuple[int, ...]) -> NDArray[Any]:
    """Return the most frequent label of each cell of pixels, the smallest of equally frequent ones.

    Parameters
    ----------
    labels : integer ndarray
    step : tuple of int
        Shape of a cell; the last one along an axis may be incomplete.

    Returns
    -------
    ndarray
        A label per cell.

    Examples
    --------
    >>> most_frequent(np.array([[1, 2, 0, 3, 9], [2, 0, 3, 3, 8]]), (2, 2))
    array([[2, 3, 8]])
    """
    # Repeating the edge of an incomplete cell does not change which label is most frequent.
    cells = np.pad(labels, [(0, -n % f) for n, f in zip(labels.shape, step, strict=True)], "edge")
    parts = [
        cells[tuple(slice(start, None, f) for start, f in zip(corner, step, strict=True))]
        for corner in product(*map(range, step))
    ]
    result = parts[0].copy()
    mixed = np.zeros(result.shape, bool)
    for part in parts[1:]:
        mixed |= part != result
    # Most cells hold one label; the rest is sorted, and its runs are counted.
    several = np.sort(np.stack([part[mixed] for part in parts], axis=1), axis=1)
    best, run = several[:, 0].copy(), np.ones(len(several), np.uint8)
    longest = run.copy()
    for before, here in zip(several.T, several.T[1:], strict=False):
        run = np.where(before == here, run + 1, 1).astype(np.uint8)
        better = run > longest
        best[better], longest[better] = here[better], run[better]
    result[mixed] = best
    return result
