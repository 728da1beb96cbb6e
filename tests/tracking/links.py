"""Scores of links and divisions against those of a film whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.labels import assign_pairs, count_overlaps, object_ids
from embedseg.tracking import Track
from embedseg.types import Labels

Node = tuple[int, int]


class LinkScores(NamedTuple):
    """Counts of links and divisions: true ones, those found, and found ones that are right."""

    links: NDArray[np.int64]
    divisions: NDArray[np.int64]

    def __add__(self, other: Any) -> LinkScores:
        return LinkScores(self.links + other.links, self.divisions + other.divisions)

    def shares(self) -> dict[str, float]:
        """Shares of true links and divisions found, and of found ones that are false."""
        (links, found, right), (true, divided, well) = self.links, self.divisions
        return {
            "links": right / links,
            "false links": 1 - right / found,
            "divisions": well / true,
            "false divisions": 1 - well / max(divided, 1),
        }


def links_of(labels: Labels, tracks: Sequence[Track]) -> set[tuple[Node, Node]]:
    """Pairs of objects, (frame, label), that follow each other in a track or across a division."""
    nodes: dict[int, list[Node]] = {}
    for frame, ids in enumerate(map(object_ids, labels)):
        for number in ids.tolist():
            nodes.setdefault(number, []).append((frame, number))
    links = {pair for each in nodes.values() for pair in pairwise(each)}
    born = (track for track in tracks if track.parent)
    return links | {(nodes[track.parent][-1], nodes[track.number][0]) for track in born}


def divisions_of(links: set[tuple[Any, Any]]) -> set[tuple[Any, frozenset[Any]]]:
    """Objects with several that follow, and those."""
    children: dict[Any, set[Any]] = {}
    for before, after in links:
        children.setdefault(before, set()).add(after)
    return {(node, frozenset(each)) for node, each in children.items() if len(each) > 1}


def score_links(
    truth: Labels, true_tracks: Sequence[Track], found: Labels, tracks: Sequence[Track]
) -> LinkScores:
    """Compare links; objects are the same if their IoU is above a half."""
    same: dict[Node, Node] = {}
    for frame, pair in enumerate(zip(truth, found, strict=True)):
        overlaps = count_overlaps(*pair)
        for i, j in assign_pairs(overlaps.ious, 0.5).tolist():
            same[frame, int(overlaps.pred_ids[j])] = (frame, int(overlaps.true_ids[i]))
    true = links_of(truth, true_tracks)
    ours = {(same.get(a, (a, "?")), same.get(b, (b, "?"))) for a, b in links_of(found, tracks)}
    split, ours_split = divisions_of(true), divisions_of(ours)
    return LinkScores(
        np.array([len(true), len(ours), len(true & ours)]),
        np.array([len(split), len(ours_split), len(split & ours_split)]),
    )


def shuffled(labels: Labels, seed: int) -> Labels:
    """Number the objects of each frame anew, in any order."""
    rng = np.random.default_rng(seed)
    return np.stack([_shuffle(frame, rng) for frame in labels])


def _shuffle(frame: Labels, rng: np.random.Generator) -> Labels:
    numbers = np.concatenate([[0], 1 + rng.permutation(int(frame.max(initial=0)))])
    return numbers[frame].astype(np.int32)
