"""Objects of a film linked by linear assignment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.common import missing_library
from embedseg.labels import assign_pairs
from embedseg.tracking.costs import (
    Costs,
    FrameObjects,
    division_costs,
    link_costs,
    list_frames,
    plan_distance,
)
from embedseg.tracking.tracks import Track, list_tracks
from embedseg.types import DataError, Labels, Spacing, UsageError, check_labels

if TYPE_CHECKING:
    import networkx as nx

#: Frames in a row in which an object may be missing.
LONGEST_GAP = 1

#: An object: its frame, and its place in it.
Node = tuple[int, int]


class Tracked(NamedTuple):
    """A film with one number per object through time.

    Attributes
    ----------
    labels : (T, *space) int32 ndarray
    tracks : tuple of Track
        By number, from 1.
    max_distance : float
        Largest distance of a link from frame to frame, µm.
    """

    labels: Labels
    tracks: tuple[Track, ...]
    max_distance: float


def check_tracker() -> None:
    """Check that the library that links is installed.

    Raises
    ------
    UsageError
        If not.
    """
    try:
        import laptrack  # noqa: F401
    except ImportError as error:
        raise missing_library("tracks need", error, "track") from error


def link_frames(
    labels: NDArray[Any], spacing: Spacing, *, max_distance: float | None = None
) -> Tracked:
    """Link the objects of a film through time, with divisions.

    Links from frame to frame have the least sum of costs, of overlap and distance. Then gaps of one
    frame are closed, and objects that are left over may be children of a division, in the same way
    (Jaqaman et al. 2008, https://doi.org/10.1038/nmeth.1237, by laptrack). Objects never merge.

    Parameters
    ----------
    labels : (T, Y, X) or (T, Z, Y, X) integer ndarray
        Labels of each frame; numbers of different frames are unrelated. -1 stays.
    spacing : tuple of float
        Size of a pixel along each axis of space, µm.
    max_distance : float, optional
        Largest distance of a link from frame to frame, µm; by default the diameter of a circle or
        ball of the median object's size. Objects that overlap may be farther apart.

    Raises
    ------
    DataError
        If these are no labels of a film.
    UsageError
        If `spacing` does not fit them, the distance is not positive, or laptrack is missing.

    Examples
    --------
    >>> film = np.array([[[5, 5, 0, 0, 3]], [[1, 1, 0, 0, 0]], [[7, 7, 0, 0, 9]]])
    >>> found = link_frames(film, (1.0, 1.0))
    >>> found.labels[:, 0].tolist()
    [[2, 2, 0, 0, 1], [2, 2, 0, 0, 0], [2, 2, 0, 0, 1]]
    >>> found.tracks[1]
    Track(number=2, first=0, last=2, parent=0)
    """
    check_tracker()
    labels = check_labels(labels, name="labels")
    if labels.ndim not in (3, 4):
        raise DataError(f"labels of shape {labels.shape}, expected those of a film (TYX or TZYX)")
    if len(spacing) != labels.ndim - 1:
        raise UsageError(
            f"spacing {tuple(spacing)} has {len(spacing)} values, "
            f"the labels have {labels.ndim - 1} axes of space"
        )
    if max_distance is not None and not 0 < max_distance < math.inf:
        raise UsageError(f"max_distance {max_distance:g}: expected a positive number of µm")
    frames = list_frames(labels, spacing)
    if not any(len(frame.ids) for frame in frames):
        return Tracked(labels, (), max_distance or 0.0)
    reach = max_distance or plan_distance(frames, spacing)
    numbered, tracks = _number(labels, frames, _link(labels, frames, reach))
    return Tracked(numbered, tracks, reach)


def _link(labels: Labels, frames: list[FrameObjects], reach: float) -> nx.DiGraph:
    """Return the links between objects, nodes of a graph."""
    links: Costs = {}
    chosen: list[tuple[Node, Node]] = []
    for step in range(1, LONGEST_GAP + 2):
        for t, (first, second) in enumerate(zip(frames, frames[step:], strict=False)):
            costs = link_costs(labels[t], labels[t + step], first, second, step * reach)
            places = zip(costs.row + first.start, costs.col + second.start, strict=True)
            links |= dict(zip(places, costs.data.tolist(), strict=True))
            if step == 1:
                # laptrack does so too, but takes minutes where there are 1000 objects in a frame.
                costs.data = 1 - costs.data
                pairs = assign_pairs(costs, np.finfo(float).tiny).tolist()
                chosen += [((t, i), (t + 1, j)) for i, j in pairs]
    return _close_gaps_and_divide(frames, chosen, links, division_costs(frames, reach))


def _close_gaps_and_divide(
    frames: list[FrameObjects],
    chosen: list[tuple[Node, Node]],
    links: Costs,
    divisions: Costs,
) -> nx.DiGraph:
    from laptrack import LapTrack

    def link(before: NDArray[Any], after: NDArray[Any]) -> float:
        return links.get((before[0], after[0]), math.inf)

    def divide(child: NDArray[Any], parent: NDArray[Any]) -> float:
        return divisions.get((parent[0], child[0]), math.inf)

    tracker = LapTrack(
        cutoff=0,  # no more links from frame to frame
        gap_closing_metric=link,
        gap_closing_cutoff=1,
        gap_closing_max_frame_count=LONGEST_GAP + 1,
        splitting_metric=divide,
        splitting_cutoff=1,
        # Whatever has a cost is better than an end and a start, in any film.
        segment_start_cost=1,
        segment_end_cost=1,
        no_splitting_cost=1,
        no_merging_cost=1,
    )
    places = [frame.start + np.arange(len(frame.ids), dtype=float)[:, None] for frame in frames]
    return tracker.predict(places, chosen)


def _number(
    labels: Labels, frames: list[FrameObjects], graph: nx.DiGraph
) -> tuple[Labels, tuple[Track, ...]]:
    """Return the film with tracks numbered by first frame and label, and the tracks."""
    numbers: dict[Node, int] = {}
    parents: dict[int, int] = {}
    numbered = np.minimum(labels, 0)
    count = 0
    for t, frame in enumerate(frames):
        for place in range(len(frame.ids)):
            before = next(iter(graph.predecessors((t, place))), None)
            if before is not None and graph.out_degree(before) == 1:
                numbers[t, place] = numbers[before]
                continue
            count += 1
            numbers[t, place] = count
            if before is not None:
                parents[count] = numbers[before]
        own = np.array([numbers[t, place] for place in range(len(frame.ids))], np.int32)
        objects = labels[t] > 0
        numbered[t][objects] = own[np.searchsorted(frame.ids, labels[t][objects])]
    return numbered, list_tracks(numbered, parents)
