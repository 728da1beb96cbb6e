"""Outlines rasterised into label images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from embedseg.types import DataError

#: Edges lie this much further right, so that rounding does not decide what is on them.
NUDGE = 1e-8


class Mask(NamedTuple):
    """Pixels of a part of an image: index of its first row and column, and which pixels."""

    top: int
    left: int
    inside: NDArray[np.bool_]


class Drawn(NamedTuple):
    """What somebody drew.

    Attributes
    ----------
    label : int, optional
        Number of the object, where its name says one; what has the same number is one object.
    plane : int, optional
        Index along Z, where it is known.
    mask : Mask, optional
        None for what has no area: a line, a point.
    """

    label: int | None
    plane: int | None
    mask: Mask | None


class Painted(NamedTuple):
    """A label image made of outlines, and what became of them.

    Attributes
    ----------
    labels : (*space) int32 ndarray
    objects : int
        Objects that are there.
    overlapping, taken : int
        Objects that overlap earlier ones, and their pixels that stay with these.
    hidden : int
        Of the overlapping ones those that have no pixel left.
    outside : int
        Outlines without a pixel in the image.
    lines : int
        Lines and points: they have no area.
    planeless : int
        Outlines that do not say on which plane of a volume they are.
    """

    labels: NDArray[np.int32]
    objects: int
    overlapping: int = 0
    taken: int = 0
    hidden: int = 0
    outside: int = 0
    lines: int = 0
    planeless: int = 0

    def words(self) -> list[str]:
        """Say what is not as one would wish."""
        said = {
            f"objects that overlap earlier ones: {self.overlapping}, which leave {self.taken} "
            "pixels to these": self.overlapping,
            f"objects that earlier ones cover: {self.hidden}": self.hidden,
            f"outlines without a pixel in the image: {self.outside}": self.outside,
            f"lines and points, which have no area: {self.lines}": self.lines,
            f"outlines that do not say on which plane they are: {self.planeless}": self.planeless,
        }
        return [text for text, count in said.items() if count]


def fill(polygons: Sequence[Sequence[NDArray[Any]]], shape: Sequence[int]) -> Mask:
    """Return the pixels whose middle lies in a polygon, as ImageJ fills it.

    Parameters
    ----------
    polygons : sequence of sequence of (n, 2) ndarray
        Rings of corners x, y; the pixel at index i reaches from i to i + 1. A pixel is in a
        polygon if it is in an odd number of its rings.
    shape : (2,) sequence of int
        Rows and columns of the image, which cuts off what is outside.

    Raises
    ------
    ValueError
        If a coordinate is no number.

    Examples
    --------
    >>> fill([[np.array([[1, 0], [3, 0], [3, 2], [1, 2]])]], (2, 5))
    Mask(top=0, left=1, inside=array([[ True,  True], [ True,  True]]))
    """
    rings = [np.asarray(ring, np.float64).reshape(-1, 2) for rings in polygons for ring in rings]
    points = np.concatenate([np.zeros((0, 2)), *rings])
    if not np.isfinite(points).all():
        raise ValueError("coordinates that are no numbers")
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


def paint(drawn: Iterable[Drawn], shape: tuple[int, ...]) -> Painted:
    """Make a label image of outlines; pixels of several belong to the first of them.

    Parameters
    ----------
    drawn : iterable of Drawn
        What has no number gets one after the largest, in its order.
    shape : tuple of int
        Of the image or volume.

    Raises
    ------
    DataError
        If not one object comes out of it.

    Examples
    --------
    >>> one, other = np.ones((1, 2), bool), np.ones((2, 1), bool)
    >>> painted = paint([Drawn(7, None, Mask(0, 0, one)), Drawn(None, 0, Mask(0, 1, other))],
    ...                 (2, 3))
    >>> painted.labels, painted.words()
    (array([[7, 7, 0], [0, 8, 0]], dtype=int32),
     ['objects that overlap earlier ones: 1, which leave 1 pixels to these'])
    """
    volume = np.zeros(shape if len(shape) == 3 else (1, *shape), np.int32)
    named: dict[int, int] = {}
    numbers = [0]
    losers: dict[int, int] = {}
    outside = lines = planeless = 0
    for label, plane, mask in drawn:
        plane = 0 if len(volume) == 1 and plane is None else plane
        if mask is None or plane is None:
            lines, planeless = lines + (mask is None), planeless + (mask is not None)
            continue
        if not (0 <= plane < len(volume) and mask.inside.any()):
            outside += 1
            continue
        place = len(numbers) if label is None else named.setdefault(label, len(numbers))
        if place == len(numbers):
            numbers.append(label or 0)
        if lost := _put(volume[plane], mask, place):
            losers[place] = losers.get(place, 0) + lost
    numbers = _numbered(numbers)
    there = np.zeros(len(numbers), bool)
    # Row by row: an index of all pixels would take several times the memory of the labels.
    for row in volume.reshape(-1, volume.shape[-1]):
        there[row] = True
        row[...] = numbers[row]
    found = Painted(
        volume.reshape(shape),
        int(there[1:].sum()),
        len(losers),
        sum(losers.values()),
        int((~there[1:]).sum()),
        outside,
        lines,
        planeless,
    )
    if not found.objects:
        raise DataError("; ".join(["no outline of an object in this image", *found.words()]))
    return found


def _put(plane: NDArray[np.int32], mask: Mask, place: int) -> int:
    """Paint where nothing is yet; return how many pixels belong to others."""
    rows, columns = mask.inside.shape
    part = plane[mask.top : mask.top + rows, mask.left : mask.left + columns]
    free = mask.inside & (part == 0)
    part[free] = place
    return int(np.count_nonzero(mask.inside & (part != place)))


def _numbered(numbers: list[int]) -> Any:
    """Give numbers to what has none yet, the background excepted."""
    found = np.array(numbers, np.int64)
    new = np.flatnonzero(found[1:] == 0) + 1
    found[new] = found.max() + 1 + np.arange(len(new))
    if found.max() > np.iinfo(np.int32).max:
        found[1:] = 1 + np.arange(len(found) - 1)
    return found.astype(np.int32)
