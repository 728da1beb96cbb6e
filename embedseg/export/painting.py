"""Label images painted from outlines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.export.nesting import find_parents
from embedseg.export.rasterize import Drawn, Mask
from embedseg.types import DataError

#: Top, left, bottom and right of an outline.
Corners = tuple[int, int, int, int]


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
    regions : int
        Annotations that hold other objects and are none.
    apart : int
        Outlines with the number of another object in their plane, far away from it.
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
    regions: int = 0
    apart: int = 0

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
            f"annotations that hold other objects, taken for regions: {self.regions}; "
            "--keep-regions makes them objects": self.regions,
            f"outlines far from another one of their number, which get a new one: "
            f"{self.apart}": self.apart,
        }
        return [text for text, count in lines.items() if count]


def paint(drawn: Iterable[Drawn], shape: tuple[int, ...], *, keep_regions: bool = False) -> Painted:
    """Make a label image of outlines; pixels of several belong to the first of them.

    What lies inside another outline keeps its pixels, though, whichever is the first.

    Parameters
    ----------
    drawn : iterable of Drawn
        Outlines without a number get the next ones after the largest, in their order. Those of one
        number are one object, unless two in a plane are farther apart than both are large.
    shape : tuple of int
        Shape of the image, volume or film.
    keep_regions : bool
        Whether regions that hold other outlines are objects, too.

    Raises
    ------
    DataError
        If there are outlines, but no object in the image; or those of a film of volumes, for
        another shape.

    Examples
    --------
    >>> one, other = np.ones((1, 2), bool), np.ones((2, 1), bool)
    >>> painted = paint([Drawn(7, None, Mask(0, 0, one)), Drawn(None, 0, Mask(0, 1, other))],
    ...                 (2, 3))
    >>> painted.labels, painted.warnings()
    (array([[7, 7, 0], [0, 8, 0]], dtype=int32),
     ['objects that overlap earlier ones: 1, which leave 1 pixels to these'])
    """
    volume = np.zeros((math.prod(shape[:-2]), *shape[-2:]), np.int32)
    every = _on_planes(list(drawn), shape[:-2])
    kept, counts = _usable(every, len(volume))
    parents = find_parents(kept)
    if not keep_regions:
        held = {place for found in parents for place in found if kept[place].region}
        counts["regions"] = len(held)
        rest = [place for place in range(len(kept)) if place not in held]
        new = {old: place for place, old in enumerate(rest)}
        parents = [[new[k] for k in parents[old] if k in new] for old in rest]
        kept = [kept[old] for old in rest]
    places, numbers, counts["apart"] = _places(kept)
    losers = _put_all(volume, kept, parents, places)
    given = _numbered(numbers)
    there = np.zeros(len(given), bool)
    # Row by row: an index of all pixels would take several times the memory of the labels.
    for row in volume.reshape(-1, volume.shape[-1]):
        there[row] = True
        row[...] = given[row]
    counts["overlapping"], counts["taken"] = len(losers), sum(losers.values())
    counts["hidden"] = int((~there[1:]).sum())
    painted = Painted(volume.reshape(shape), int(there[1:].sum()), **counts)
    if every and not painted.objects:
        raise DataError("; ".join(["no outline of an object in this image", *painted.warnings()]))
    return painted


def _on_planes(drawn: Sequence[Drawn], outer: tuple[int, ...]) -> list[Drawn]:
    """Return outlines with their index among all planes of an image, volume or film.

    Of a film of images, frames are planes.
    """
    if len(outer) == 2:
        return [each._replace(plane=_of_both(each, *outer)) for each in drawn]
    frames, planes = (
        {each[field] for each in drawn} - {None}
        for field in map(Drawn._fields.index, ("frame", "plane"))
    )
    if len(frames) > 1 and len(planes) > 1:
        raise DataError(
            f"outlines in {len(frames)} frames and {len(planes)} planes, expected the shape "
            "T,Z,Y,X of a film of volumes"
        )
    if len(frames) > 1:
        return [each._replace(plane=each.frame) for each in drawn]
    if len(planes) > 1:
        return list(drawn)
    return [each._replace(plane=each.plane or each.frame or each.plane) for each in drawn]


def _of_both(drawn: Drawn, frames: int, planes: int) -> int | None:
    """Return the index of an outline among the planes of all frames; -1 if it is outside."""
    if drawn.frame is None:
        return drawn.plane
    plane = 0 if planes == 1 and drawn.plane is None else drawn.plane
    if plane is None:
        return None
    inside = 0 <= drawn.frame < frames and 0 <= plane < planes
    return drawn.frame * planes + plane if inside else -1


def _usable(drawn: Iterable[Drawn], planes: int) -> tuple[list[Drawn], Counter[str]]:
    """Return the outlines with pixels in the image, and counts of the others."""
    kept, counts = [], Counter[str]()
    for each in drawn:
        plane = 0 if planes == 1 and each.plane is None else each.plane
        if each.missing:
            counts["missing"] += 1
        elif each.mask is None:
            counts["lines"] += 1
        elif plane is None:
            counts["planeless"] += 1
        elif not (0 <= plane < planes and each.mask.inside.any()):
            counts["outside"] += 1
        else:
            kept.append(each._replace(plane=plane))
    return kept, counts


def _places(drawn: Sequence[Drawn]) -> tuple[list[int], list[int], int]:
    """Return the object of each outline, from 1; the objects' numbers; how many are far apart."""
    named: dict[int, int] = {}
    seen: dict[tuple[int, int | None], list[Corners]] = {}
    places, numbers, apart = [], [0], 0
    for label, plane, mask, *_ in drawn:
        near = True
        if label is not None and mask is not None:
            others = seen.setdefault((label, plane), [])
            near = not others or any(_near(mask, other) for other in others)
            if near:
                others.append(_corners(mask))
        apart += not near
        if label is None or not near:
            place = len(numbers)
        else:
            place = named.setdefault(label, len(numbers))
        if place == len(numbers):
            numbers.append(label if label and near else 0)
        places.append(place)
    return places, numbers, apart


def _corners(mask: Mask) -> Corners:
    rows, columns = np.nonzero(mask.inside.any(1))[0], np.nonzero(mask.inside.any(0))[0]
    return (
        mask.top + int(rows[0]),
        mask.left + int(columns[0]),
        mask.top + int(rows[-1]) + 1,
        mask.left + int(columns[-1]) + 1,
    )


def _near(mask: Mask, other: Corners) -> bool:
    """Return whether the gap between two boxes is no larger than one of them."""
    own = _corners(mask)
    gaps = [max(own[k] - other[k + 2], other[k] - own[k + 2]) for k in (0, 1)]
    largest = max(box[k + 2] - box[k] for box in (own, other) for k in (0, 1))
    return max(gaps) <= largest


def _put_all(
    volume: NDArray[np.int32],
    drawn: Sequence[Drawn],
    parents: Sequence[Sequence[int]],
    places: Sequence[int],
) -> dict[int, int]:
    """Paint outlines; return the pixels that objects leave to earlier ones."""
    above = [{places[k] for k in found} for found in parents]
    below: dict[int, set[int]] = {}
    for place, found in zip(places, above, strict=True):
        for parent in found:
            below.setdefault(parent, set()).add(place)
    losers: dict[int, int] = {}
    for each, place, found in zip(drawn, places, above, strict=True):
        if each.mask is None or each.plane is None:
            continue
        own = below.get(place, set())
        if lost := _put(volume[each.plane], each.mask, place, list(found), list(own)):
            losers[place] = losers.get(place, 0) + lost
    return losers


def _put(
    plane: NDArray[np.int32], mask: Mask, place: int, above: list[int], below: list[int]
) -> int:
    """Paint free pixels and those of what it lies in; return how many belong to other objects.

    Those that lie inside it do not count as others.
    """
    rows, columns = mask.inside.shape
    part = plane[mask.top : mask.top + rows, mask.left : mask.left + columns]
    free = mask.inside & (part == 0)
    if above:
        free |= mask.inside & np.isin(part, above)
    part[free] = place
    others = mask.inside & (part != place)
    if below:
        others &= ~np.isin(part, below)
    return int(np.count_nonzero(others))


def _numbered(numbers: list[int]) -> Any:
    """Give numbers to the objects without one."""
    labels = np.array(numbers, np.int64)
    new = np.flatnonzero(labels[1:] == 0) + 1
    labels[new] = labels.max() + 1 + np.arange(len(new))
    if labels.max() > np.iinfo(np.int32).max:
        labels[1:] = 1 + np.arange(len(labels) - 1)
    return labels.astype(np.int32)
