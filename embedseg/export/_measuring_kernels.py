"""Compiled parts of measuring."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

#: Twice a coordinate that no pixel has.
FAR = 2**40


@numba.njit(cache=True, nogil=True)
def moments(
    volume: NDArray[np.int32], ids: NDArray[np.int32], lower: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return per object the sums of its pixels' coordinates and of their products.

    Parameters
    ----------
    volume : (Z, Y, X) int32 ndarray
    ids : (n,) int32 ndarray
        All its labels, ascending.
    lower : (n, 3) int64 ndarray
        Where coordinates of an object are counted from.

    Returns
    -------
    (n, 3) int64 ndarray
    (n, 3, 3) int64 ndarray
    """
    sums, products = np.zeros((len(ids), 3), np.int64), np.zeros((len(ids), 3, 3), np.int64)
    for z in range(volume.shape[0]):
        for y in range(volume.shape[1]):
            last, k = np.int32(0), 0
            for x in range(volume.shape[2]):
                label = volume[z, y, x]
                if label <= 0:
                    continue
                if label != last:
                    last, k = label, np.searchsorted(ids, label)
                place = (z - lower[k, 0], y - lower[k, 1], x - lower[k, 2])
                for i in range(3):
                    sums[k, i] += place[i]
                    for j in range(i + 1):
                        products[k, i, j] += place[i] * place[j]
    return sums, products


@numba.njit(cache=True, nogil=True)
def intensities(
    labels: NDArray[np.int32],
    values: NDArray[np.float64],
    ids: NDArray[np.int32],
    table: NDArray[np.float64],
) -> None:
    """Add pixels to sums, least and largest values, and pixels that are NaN: columns 0 to 3."""
    last, k = np.int32(0), 0
    for i in range(len(labels)):
        if labels[i] <= 0:
            continue
        if labels[i] != last:
            last, k = labels[i], np.searchsorted(ids, labels[i])
        if np.isnan(values[i]):
            table[k, 3] += 1
            continue
        table[k, 0] += values[i]
        table[k, 1] = min(table[k, 1], values[i])
        table[k, 2] = max(table[k, 2], values[i])


@numba.njit(cache=True, nogil=True)
def deviations(
    labels: NDArray[np.int32],
    values: NDArray[np.float64],
    ids: NDArray[np.int32],
    means: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> None:
    """Add the squared distances of pixels from the mean of their object; NaN do not count."""
    last, k = np.int32(0), 0
    for i in range(len(labels)):
        if labels[i] <= 0:
            continue
        if labels[i] != last:
            last, k = labels[i], np.searchsorted(ids, labels[i])
        if not np.isnan(values[i]):
            squares[k] += (values[i] - means[k]) ** 2


@numba.njit(cache=True, nogil=True)
def convex_areas(
    plane: NDArray[np.int32],
    ids: NDArray[np.int32],
    lower: NDArray[np.int64],
    upper: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the pixels in the convex hull of each object of an image.

    The hull is that of the middles of all edges of pixels, and a pixel is in it if its middle is.
    Coordinates are doubled, so that all of it is whole numbers.
    """
    areas = np.zeros(len(ids), np.int64)
    for k in range(len(ids)):
        left = _side(plane, ids[k], lower[k], upper[k], 1)
        right = _side(plane, ids[k], lower[k], upper[k], -1)
        for row in range(upper[k, 0] - lower[k, 0]):
            # Rows of pixels are the odd ones.
            first, last = _first(left, 2 * row + 1), -_first(right, 2 * row + 1)
            areas[k] += max(0, last - first + 1)
    return areas


@numba.njit(cache=True, nogil=True)
def _side(plane: Any, label: int, lower: Any, upper: Any, sign: int) -> NDArray[np.int64]:
    """Return one side of the hull as corners (doubled row, doubled column), top to bottom.

    The right side is the left one of the image's mirror image.
    """
    rows = upper[0] - lower[0]
    edge = np.full(2 * rows + 1, FAR, np.int64)
    for row in range(rows):
        for step in range(upper[1] - lower[1]):
            x = lower[1] + step if sign > 0 else upper[1] - 1 - step
            if plane[lower[0] + row, x] == label:
                edge[2 * row + 1] = min(edge[2 * row + 1], 2 * sign * x - 1)
                edge[2 * row] = min(edge[2 * row], 2 * sign * x)
                edge[2 * row + 2] = 2 * sign * x
                break
    hull = np.empty((len(edge), 2), np.int64)
    count = 0
    for y in range(len(edge)):
        if edge[y] == FAR:
            continue
        while count > 1 and _bends_in(hull[count - 2], hull[count - 1], y, edge[y]):
            count -= 1
        hull[count, 0], hull[count, 1] = y, edge[y]
        count += 1
    return hull[:count]


@numba.njit(cache=True, nogil=True)
def _bends_in(a: Any, b: Any, y: int, x: int) -> bool:
    """Return whether b does not lie to the left of the line from a to (y, x)."""
    inwards: bool = (b[1] - a[1]) * (y - a[0]) >= (x - a[1]) * (b[0] - a[0])
    return inwards


@numba.njit(cache=True, nogil=True)
def _first(hull: Any, y: int) -> int:
    """Return the first pixel of a row whose middle is not left of a side."""
    k = 0
    while hull[k + 1, 0] < y:
        k += 1
    height = hull[k + 1, 0] - hull[k, 0]
    # Column of the side in this row, times twice that height; then rounded up.
    column = hull[k, 1] * height + (hull[k + 1, 1] - hull[k, 1]) * (y - hull[k, 0])
    pixel: int = -((-column) // (2 * height))
    return pixel
