"""Compiled parts of drawing surfaces."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, nogil=True)
def draw_triangles(
    corners: NDArray[np.float32],
    paints: NDArray[np.uint8],
    nearest: NDArray[np.float32],
    picture: NDArray[np.uint8],
) -> None:
    """Paint triangles into a picture where nothing nearer was painted.

    Parameters
    ----------
    corners : (n, 3, 3) float32 ndarray
        Column and row on the screen, pixels, and nearness of each corner.
    paints : (n, 4) uint8 ndarray
        Colour of each triangle.
    nearest : (rows, columns) float32 ndarray
        Nearness of what was painted, changed in place; at first -inf.
    picture : (rows, columns, 4) uint8 ndarray
        Changed in place.
    """
    rows, columns = nearest.shape
    for k in range(len(corners)):
        x0, y0, z0 = corners[k, 0]
        x1, y1, z1 = corners[k, 1]
        x2, y2, z2 = corners[k, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0:
            continue
        for row in range(
            max(0, int(np.ceil(min(y0, y1, y2)))), min(rows - 1, int(max(y0, y1, y2))) + 1
        ):
            for column in range(
                max(0, int(np.ceil(min(x0, x1, x2)))), min(columns - 1, int(max(x0, x1, x2))) + 1
            ):
                a = ((x1 - column) * (y2 - row) - (x2 - column) * (y1 - row)) / area
                b = ((x2 - column) * (y0 - row) - (x0 - column) * (y2 - row)) / area
                c = 1 - a - b
                # A pixel on an edge belongs to both triangles, also where rounding moves it.
                if min(a, b, c) < -1e-4:
                    continue
                near = a * z0 + b * z1 + c * z2
                if near > nearest[row, column]:
                    nearest[row, column] = near
                    picture[row, column] = paints[k]
