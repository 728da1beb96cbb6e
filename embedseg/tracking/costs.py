"""Costs of links and divisions: overlap, distance, size."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import KDTree

from embedseg.labels import centroids, iou, object_ids, object_sizes, overlap_table
from embedseg.types import Spacing

#: Costs of possible pairs of objects, by their places in the film; below 1.
Costs = dict[tuple[int, int], float]
#: Largest size of a child, as a share of its parent's: a larger one is rather the parent itself.
LARGEST_CHILD = 0.85
#: The least cost of a division: closing a gap explains a new object better, if both are possible.
LEAST_DIVISION = 0.5


class FrameObjects(NamedTuple):
    """Objects of a frame, in the order of `object_ids`.

    Attributes
    ----------
    start : int
        Place of the first one among the objects of all frames.
    ids : (n,) int32 ndarray
        Labels.
    sizes : (n,) int64 ndarray
        Pixels.
    centres : (n, ndim) float64 ndarray
        µm.
    """

    start: int
    ids: NDArray[np.int32]
    sizes: NDArray[np.int64]
    centres: NDArray[np.float64]


def list_frames(labels: NDArray[Any], spacing: Spacing) -> list[FrameObjects]:
    """Return the objects of each frame of a film."""
    frames: list[FrameObjects] = []
    start = 0
    for frame in labels:
        ids = object_ids(frame)
        frames.append(FrameObjects(start, ids, object_sizes(frame), centroids(frame, spacing)))
        start += len(ids)
    return frames


def plan_distance(frames: list[FrameObjects], spacing: Spacing) -> float:
    """Return the diameter of a circle or ball of the median object's size, µm.

    Examples
    --------
    >>> labels = np.ones((1, 10, 10), np.int32)
    >>> round(plan_distance(list_frames(labels, (2.0, 2.0)), (2.0, 2.0)), 2)
    22.57
    """
    volume = float(np.median(np.concatenate([frame.sizes for frame in frames])) * np.prod(spacing))
    if len(spacing) == 2:
        return float(2 * np.sqrt(volume / np.pi))
    return float(2 * np.cbrt(3 * volume / (4 * np.pi)))


def link_costs(
    before: NDArray[Any],
    after: NDArray[Any],
    first: FrameObjects,
    second: FrameObjects,
    reach: float,
) -> sparse.coo_array:
    """Return the costs of links between the objects of two frames: (n, m), those below 1.

    The cost is the mean of what is missing from an IoU of 1, and of the distance of the centres as
    a share of `reach`, at most 1. Objects may be linked if they overlap or lie within that.

    Parameters
    ----------
    before, after : (*space) integer ndarray
        Labels of the frames.
    first, second : FrameObjects
        Their objects.
    reach : float
        Largest distance, µm.
    """
    table, rows, columns = overlap_table(before, after)
    overlaps = sparse.coo_array(iou(table[rows > 0][:, columns > 0], first.sizes, second.sizes))
    near = np.array(list(_near(first, second, reach)), np.int64).reshape(-1, 2)
    size = overlaps.shape
    # Sums over both: of pairs that overlap and lie near, the entry of the latter adds nothing.
    pairs = np.concatenate([np.stack([overlaps.row, overlaps.col], axis=1), near])
    found = sparse.coo_array((np.r_[overlaps.data, np.zeros(len(near))], pairs.T), size)
    found.sum_duplicates()
    away = np.linalg.norm(first.centres[found.row] - second.centres[found.col], axis=1)
    cost = (1 - found.data + np.minimum(away / reach, 1)) / 2
    possible = cost < 1
    return sparse.coo_array((cost[possible], (found.row[possible], found.col[possible])), size)


def division_costs(frames: list[FrameObjects], reach: float) -> Costs:
    """Return the costs of divisions, by a parent and one of its children.

    Both children lie within `reach` of the parent, and neither is nearly as large. The cost grows
    with the distance from the parent's centre to that of both together, as a share of `reach`, and
    with the logarithm of the factor between the parent's size and theirs together. Of all pairs
    with a child the cheapest counts.
    """
    costs: Costs = {}
    for first, second in pairwise(frames):
        near: dict[int, list[int]] = {}
        for i, j in _near(first, second, reach):
            near.setdefault(i, []).append(j)
        for i, children in near.items():
            sizes, centres = second.sizes[children], second.centres[children]
            both = sizes[:, None] + sizes
            middle = (sizes[:, None, None] * centres[:, None] + sizes[:, None] * centres) / both[
                ..., None
            ]
            away = np.linalg.norm(middle - first.centres[i], axis=-1) / reach
            growth = np.abs(np.log2(both / first.sizes[i]))
            cost = LEAST_DIVISION + (1 - LEAST_DIVISION) * (away + growth)
            whole = np.maximum(sizes[:, None], sizes) > LARGEST_CHILD * first.sizes[i]
            cost[whole | np.eye(len(children), dtype=bool)] = 1
            for j, least in zip(children, cost.min(axis=1).tolist(), strict=True):
                if least < 1:
                    costs[first.start + i, second.start + j] = least
    return costs


def _near(first: FrameObjects, second: FrameObjects, reach: float) -> Iterator[tuple[int, int]]:
    """Yield the pairs of objects whose centres lie within a distance."""
    if len(first.ids) and len(second.ids):
        found = KDTree(first.centres).query_ball_tree(KDTree(second.centres), reach)
        for i, near in enumerate(found):
            for j in near:
                yield i, j
