"""Outlines rasterised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from embedseg.types import PerAxis, UsageError

#: Edges lie this much further right, so that rounding does not decide on pixels on an edge.
NUDGE = 1e-8


class Mask(NamedTuple):
    """Pixels of a part of an image: index of its first row and column, and which pixels."""

    top: int
    left: int
    inside: NDArray[np.bool_]


class Canvas(NamedTuple):
    """The image that outlines were drawn on.

    Attributes
    ----------
    shape : tuple of int, optional
        Shape of the image or volume, if it is known.
    image : str, optional
        Its name; a file of several images needs it.
    """

    shape: PerAxis | None = None
    image: str | None = None

    def known_shape(self, path: Path) -> PerAxis:
        """Return the shape, which the file of outlines does not hold.

        Raises
        ------
        UsageError
            If it is not known.
        """
        if self.shape is None:
            raise UsageError(
                f"{path}: does not hold the size of the image; give --like IMAGE or --shape Y,X"
            )
        return self.shape


class Drawn(NamedTuple):
    """An outline in one plane, rasterised.

    Attributes
    ----------
    label : int, optional
        Number of the object, if its name holds one; outlines of the same number are one object.
    plane : int, optional
        Index along Z, if it is known; in a file that numbers all planes of a film of volumes in
        one, among these.
    mask : Mask, optional
        None for a line or a point, which have no area.
    missing : bool
        Whether the file gives no outline at all.
    region : bool
        Whether it is a region and no object, if other outlines lie in it.
    frame : int, optional
        Index along T, if the file gives it.
    """

    label: int | None
    plane: int | None
    mask: Mask | None
    missing: bool = False
    region: bool = False
    frame: int | None = None


def fill(polygons: Sequence[Sequence[NDArray[Any]]], shape: Sequence[int]) -> Mask:
    """Return the pixels whose middle lies in a polygon, as ImageJ fills it.

    Parameters
    ----------
    polygons : sequence of sequence of (n, 2) ndarray
        Rings of corners x, y; the pixel at index i reaches from i to i + 1. A pixel is in a
        polygon if it is in an odd number of its rings.
    shape : (2,) sequence of int
        Rows and columns of the image, which crops the polygons.

    Raises
    ------
    ValueError
        If a coordinate is NaN or infinite.

    Examples
    --------
    >>> fill([[np.array([[1, 0], [3, 0], [3, 2], [1, 2]])]], (2, 5))
    Mask(top=0, left=1, inside=array([[ True,  True], [ True,  True]]))
    """
    rings = [np.asarray(ring, np.float64).reshape(-1, 2) for rings in polygons for ring in rings]
    points = np.concatenate([np.zeros((0, 2)), *rings])
    if not np.isfinite(points).all():
        raise ValueError("NaN or infinite coordinates")
    if not len(points):
        return Mask(0, 0, np.zeros((0, 0), bool))
    size = np.array(shape[::-1])
    low = np.clip(np.floor(points.min(0)), 0, size).astype(int)
    high = np.maximum(np.clip(np.ceil(points.max(0)), 0, size).astype(int), low)
    inside = np.zeros((high[1] - low[1], high[0] - low[0]), bool)
    for polygon in polygons:
        odd = np.zeros((inside.shape[0], inside.shape[1] + 1), bool)
        for ring in polygon:
            _toggle(odd, np.asarray(ring, np.float64).reshape(-1, 2) - low)
        inside |= np.logical_xor.accumulate(odd, axis=1)[:, :-1]
    return Mask(int(low[1]), int(low[0]), inside)


@numba.njit(cache=True, nogil=True)
def _toggle(odd: NDArray[np.bool_], ring: NDArray[np.float64]) -> None:
    """Mark in each row where it crosses a ring: the first pixel whose middle lies behind that."""
    rows, columns = odd.shape
    for k in range(len(ring)):
        x1, y1 = ring[k]
        x2, y2 = ring[k + 1 if k + 1 < len(ring) else 0]
        if y1 > y2:
            x1, y1, x2, y2 = x2, y2, x1, y1
        first = int(min(max(np.ceil(y1 - 0.5), 0), rows))
        last = int(min(max(np.ceil(y2 - 0.5), 0), rows))
        for y in range(first, last):
            x = np.floor(x1 + (y + 0.5 - y1) * (x2 - x1) / (y2 - y1) + NUDGE + 0.5)
            place = int(min(max(x, 0), columns - 1))
            odd[y, place] = not odd[y, place]
