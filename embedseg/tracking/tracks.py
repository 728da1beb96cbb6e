"""Tracks: number, first and last frame, parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.common import write_rows
from embedseg.labels import object_ids
from embedseg.types import Labels


class Track(NamedTuple):
    """An object through time.

    Attributes
    ----------
    number : int
        Its label in all frames.
    first, last : int
        Frames, from 0.
    parent : int
        Number of the track that divided into it and others; 0 if none.
    """

    number: int
    first: int
    last: int
    parent: int


def list_tracks(labels: NDArray[Any], parents: Mapping[int, int]) -> tuple[Track, ...]:
    """Return the tracks of a film whose labels are numbers of tracks, ascending.

    Parameters
    ----------
    labels : (T, *space) integer ndarray
    parents : mapping of int to int
        Parents by number, of tracks that have one.

    Examples
    --------
    >>> list_tracks(np.array([[[1, 1]], [[0, 1]], [[2, 3]]]), {2: 1, 3: 1})[1]
    Track(number=2, first=2, last=2, parent=1)
    """
    spans: dict[int, tuple[int, int]] = {}
    for frame, ids in enumerate(map(object_ids, labels)):
        spans |= {number: (spans.get(number, (frame, 0))[0], frame) for number in ids.tolist()}
    return tuple(Track(number, *spans[number], parents.get(number, 0)) for number in sorted(spans))


def split_gaps(labels: Labels, tracks: Sequence[Track]) -> tuple[Labels, tuple[Track, ...]]:
    """Split tracks where they miss a frame: what follows becomes a track with that as parent.

    Parameters
    ----------
    labels : (T, *space) int32 ndarray
    tracks : sequence of Track

    Returns
    -------
    (T, *space) int32 ndarray, tuple of Track
        New numbers are larger than all others.

    Examples
    --------
    >>> labels = np.array([[[1]], [[0]], [[1]]], np.int32)
    >>> found, tracks = split_gaps(labels, [Track(1, 0, 2, 0)])
    >>> found.ravel().tolist(), tracks
    ([1, 0, 2], (Track(number=1, first=0, last=0, parent=0),
                 Track(number=2, first=2, last=2, parent=1)))
    """
    largest = max((track.number for track in tracks), default=0)
    parents = {track.number: track.parent for track in tracks if track.parent}
    current = np.arange(largest + 1, dtype=np.int32)
    seen = np.full(largest + 1, -1)
    split = labels.copy()
    for frame, before in enumerate(labels):
        ids = object_ids(before)
        for number in ids[(seen[ids] >= 0) & (seen[ids] < frame - 1)].tolist():
            largest += 1
            parents[largest], current[number] = int(current[number]), largest
        seen[ids] = frame
        split[frame] = np.where(before > 0, current[np.maximum(before, 0)], before)
    # Children of a track that was split descend from its last part.
    divided = {track.number for track in tracks if track.parent}
    for number in divided:
        parents[number] = int(current[parents[number]])
    return split, list_tracks(split, parents)


def write_tracks(path: Path, tracks: Sequence[Track]) -> None:
    """Write a table of tracks as CSV: number, parent or 0, first and last frame from 0.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tracks.csv"
    >>> write_tracks(path, [Track(1, 0, 4, 0)])
    >>> path.read_text().split()
    ['track,parent,first_frame,last_frame', '1,0,0,4']
    """
    rows = ([track.number, track.parent, track.first, track.last] for track in tracks)
    write_rows(path, ["track", "parent", "first_frame", "last_frame"], rows)
