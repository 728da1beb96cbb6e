"""Outlines that lie inside others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embedseg.export.rasterize import Drawn, Mask


def find_parents(drawn: Sequence[Drawn]) -> list[list[int]]:
    """Return for each outline the larger ones in its plane that hold it, by their places.

    An outline holds others if all of their pixels are its own; a region holds what lies in it by
    more than half, as objects at its border may stick out.

    Parameters
    ----------
    drawn : sequence of Drawn

    Examples
    --------
    >>> wide, narrow = (Mask(0, 0, np.ones((1, n), bool)) for n in (5, 2))
    >>> find_parents([Drawn(None, 0, narrow), Drawn(None, 0, wide), Drawn(None, 1, narrow)])
    [[1], [], []]
    """
    parents: list[list[int]] = [[] for _ in drawn]
    plane, y, x, height, width, size = np.array([_row(each) for each in drawn]).reshape(-1, 6).T
    # One axis for all planes. Boxes may be a pixel larger than what is in them.
    places = plane * (np.max(y + height, initial=0) + 3) + y
    order = np.argsort(places, kind="stable")
    firsts, lasts = (
        np.searchsorted(places[order], places + sign * (height / 2 + 1)) for sign in (-1, 1)
    )
    for place in np.flatnonzero((lasts - firsts > 1) & (size > 1)).tolist():
        near = order[firsts[place] : lasts[place]]
        near = near[(size[near] < size[place]) & (size[near] > 0)]
        near = near[np.abs(x[near] - x[place]) <= width[place] / 2 + 1]
        for other in near.tolist():
            if _holds(drawn[place], drawn[other], size[other]):
                parents[other].append(place)
    return parents


def _row(drawn: Drawn) -> tuple[float, ...]:
    """Return the plane, the middle of the box, its size, and the number of pixels."""
    if drawn.mask is None:
        return (-2.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    top, left, inside = drawn.mask
    height, width = inside.shape
    plane = -1 if drawn.plane is None else drawn.plane
    return (plane, top + height / 2, left + width / 2, height, width, int(np.count_nonzero(inside)))


def _holds(one: Drawn, other: Drawn, size: float) -> bool:
    """Return whether an outline holds another one of a number of pixels."""
    if one.mask is None or other.mask is None:
        return False
    shared = _count_shared(one.mask, other.mask)
    return shared > size / 2 if one.region and not other.region else shared == size


def _count_shared(one: Mask, other: Mask) -> int:
    top, left = max(one.top, other.top), max(one.left, other.left)
    ends = np.minimum(*(np.add((m.top, m.left), m.inside.shape) for m in (one, other)))
    if top >= ends[0] or left >= ends[1]:
        return 0
    first, second = (
        m.inside[top - m.top : ends[0] - m.top, left - m.left : ends[1] - m.left]
        for m in (one, other)
    )
    return int(np.count_nonzero(first & second))
