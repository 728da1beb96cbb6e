"""Outlines rasterised into label images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from embedseg.types import DataError, PerAxis, UsageError

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
        Index along Z, if it is known.
    mask : Mask, optional
        None for a line or a point, which have no area.
    missing : bool
        Whether the file gives no outline at all.
    """

    label: int | None
    plane: int | None
    mask: Mask | None
    missing: bool = False


class Painted(NamedTuple):
    """A label image made of outlines, with counts of those that did not become objects.

    Attributes
    ----------
    labels : (*space) int32 ndarray
    objects : int
        Objects in the image.
    overlapping, taken : int
        Objects that overlap earlier ones, and their pixels that stay with the earlier ones.
    hidden : int
        Of the overlapping ones, those without a pixel left.
    outside : int
        Outlines without a pixel in the image.
    lines : int
        Lines and points, which have no area.
    planeless : int
        Outlines without the plane of the volume that they lie on.
    missing : int
        Entries of the file without an outline.
    """

    labels: NDArray[np.int32]
    objects: int
    overlapping: int = 0
    taken: int = 0
    hidden: int = 0
    outside: int = 0
    lines: int = 0
    planeless: int = 0
    missing: int = 0

    def warnings(self) -> list[str]:
        """Return a warning for each kind of outline that is not fully in the image."""
        lines = {
            f"objects that overlap earlier ones: {self.overlapping}, which leave {self.taken} "
            "pixels to these": self.overlapping,
            f"objects that earlier ones cover: {self.hidden}": self.hidden,
            f"outlines without a pixel in the image: {self.outside}": self.outside,
            f"lines and points, which have no area: {self.lines}": self.lines,
            f"outlines without a plane: {self.planeless}": self.planeless,
            f"entries without an outline, skipped: {self.missing}": self.missing,
        }
        return [text for text, count in lines.items() if count]


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


def paint(drawn: Iterable[Drawn], shape: tuple[int, ...]) -> Painted:
    """Make a label image of outlines; pixels of several belong to the first of them.

    Parameters
    ----------
    drawn : iterable of Drawn
        Outlines without a number get the next ones after the largest, in their order.
    shape : tuple of int
        Shape of the image or volume.

    Raises
    ------
    DataError
        If there is no object in the image.

    Examples
    --------
    >>> one, other = np.ones((1, 2), bool), np.ones((2, 1), bool)
    >>> painted = paint([Drawn(7, None, Mask(0, 0, one)), Drawn(None, 0, Mask(0, 1, other))],
    ...                 (2, 3))
    >>> painted.labels, painted.warnings()
    (array([[7, 7, 0], [0, 8, 0]], dtype=int32),
     ['objects that overlap earlier ones: 1, which leave 1 pixels to these'])
    """
    volume = np.zeros(shape if len(shape) == 3 else (1, *shape), np.int32)
    named: dict[int, int] = {}
    numbers = [0]
    losers: dict[int, int] = {}
    outside = lines = planeless = skipped = 0
    for label, plane, mask, missing in drawn:
        if missing:
            skipped += 1
            continue
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
    painted = Painted(
        volume.reshape(shape),
        int(there[1:].sum()),
        len(losers),
        sum(losers.values()),
        int((~there[1:]).sum()),
        outside,
        lines,
        planeless,
        skipped,
    )
    if not painted.objects:
        raise DataError("; ".join(["no outline of an object in this image", *painted.warnings()]))
    return painted


def _put(plane: NDArray[np.int32], mask: Mask, place: int) -> int:
    """Paint free pixels; return how many belong to other objects."""
    rows, columns = mask.inside.shape
    part = plane[mask.top : mask.top + rows, mask.left : mask.left + columns]
    free = mask.inside & (part == 0)
    part[free] = place
    return int(np.count_nonzero(mask.inside & (part != place)))


def _numbered(numbers: list[int]) -> Any:
    """Give numbers to the objects without one."""
    labels = np.array(numbers, np.int64)
    new = np.flatnonzero(labels[1:] == 0) + 1
    labels[new] = labels.max() + 1 + np.arange(len(new))
    if labels.max() > np.iinfo(np.int32).max:
        labels[1:] = 1 + np.arange(len(labels) - 1)
    return labels.astype(np.int32)
