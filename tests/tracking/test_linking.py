"""Links and divisions of synthetic films, whose truth is known, and of films with faults."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from embedseg.export.measures import touching
from embedseg.images import cell_film
from embedseg.tracking import Track, link_frames, list_tracks, split_gaps
from embedseg.types import DataError, Labels, UsageError
from tests.tracking.links import LinkScores, score_links, shuffled

pytest.importorskip("laptrack", reason="needs pip install '.[track]'")

#: Shape of a frame, and spacing.
SPACES = [((128, 128), (1.0, 1.0)), ((32, 64, 64), (2.0, 1.0, 1.0))]
#: Other films than those of seeds 0 to 9, on which the rules of divisions were chosen.
SEEDS = range(100, 104)


def without_a_frame(labels: Labels, seed: int) -> Labels:
    faulty = labels.copy()
    faulty[5 + seed % 4] = 0
    return faulty


def with_merges(labels: Labels, seed: int) -> Labels:
    rng, faulty = np.random.default_rng(seed), labels.copy()
    for frame in faulty[1:-1:4]:
        pairs = touching(frame)
        if len(pairs):
            kept, lost = pairs[rng.integers(len(pairs))]
            frame[frame == lost] = kept
    return faulty


def scores(
    shape: tuple[int, ...], spacing: tuple[float, ...], fault: Callable[[Labels, int], Labels]
) -> LinkScores:
    """Counts over all seeds; of a film with a missing frame, of the objects that are left."""
    total = None
    for seed in SEEDS:
        _, labels, parents = cell_film(shape, 25, 24, seed, spacing=spacing, radius=6.0)
        faulty = fault(labels, seed)
        truth = np.where(faulty > 0, labels, 0)
        found = link_frames(shuffled(faulty, seed), spacing)
        each = score_links(truth, list_tracks(truth, parents), found.labels, found.tracks)
        total = each if total is None else total + each
    assert total is not None
    return total


# -- films whose truth is known --------------------------------------------------------------------
@pytest.mark.parametrize(("shape", "spacing"), SPACES)
def test_true_labels_are_linked_and_divided(
    shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    total = scores(shape, spacing, lambda labels, seed: labels)
    assert total.links[0] > 2000 and total.divisions[0] > 70
    shares = total.shares()
    assert shares["links"] >= 0.99 and shares["false links"] <= 0.01, shares
    assert shares["divisions"] >= 0.87 and shares["false divisions"] <= 0.05, shares


@pytest.mark.parametrize(("shape", "spacing"), SPACES)
def test_a_missing_frame_is_bridged(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    shares = scores(shape, spacing, without_a_frame).shares()
    assert shares["links"] >= 0.97 and shares["false links"] <= 0.03, shares
    # A division between the frames around it is not seen.
    assert shares["divisions"] >= 0.8 and shares["false divisions"] <= 0.05, shares


@pytest.mark.parametrize(("shape", "spacing"), SPACES)
def test_merged_cells_cost_few_links(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    """Six pairs of touching cells of each film are one object for a frame."""
    shares = scores(shape, spacing, with_merges).shares()
    assert shares["links"] >= 0.97 and shares["false links"] <= 0.02, shares
    assert shares["divisions"] >= 0.8 and shares["false divisions"] <= 0.2, shares


# -- small films -----------------------------------------------------------------------------------
def moving(*places: tuple[int, ...] | None, shape: tuple[int, ...] = (8, 60)) -> Labels:
    """A film of an object of 4 pixels a side at each of these places, or nowhere."""
    film = np.zeros((len(places), *shape), np.int32)
    for frame, place in zip(film, places, strict=True):
        if place is not None:
            frame[tuple(slice(at, at + 4) for at in place)] = 5
    return film


def spans(found: Any) -> list[tuple[int, int]]:
    return [(track.first, track.last) for track in found.tracks]


def test_links_reach_as_far_as_the_median_object_is_wide() -> None:
    # 4.5 pixels: the diameter of a circle of 16 pixels.
    assert spans(link_frames(moving((2, 10), (2, 14)), (1.0, 1.0))) == [(0, 1)]
    assert spans(link_frames(moving((2, 10), (2, 15)), (1.0, 1.0))) == [(0, 0), (1, 1)]
    assert spans(link_frames(moving((2, 10), (2, 15)), (1.0, 1.0), max_distance=6)) == [(0, 1)]
    assert link_frames(moving((2, 10)), (2.0, 2.0)).max_distance == pytest.approx(9.03, abs=0.01)


def test_distances_are_in_micrometres() -> None:
    film = moving((0, 2, 2), (5, 2, 2), shape=(10, 8, 8))
    assert spans(link_frames(film, (1.0, 1.0, 1.0), max_distance=8)) == [(0, 1)]
    assert spans(link_frames(film, (2.0, 1.0, 1.0), max_distance=8)) == [(0, 0), (1, 1)]


def test_one_missing_frame_is_bridged_and_two_are_not() -> None:
    here = (2, 10)
    assert spans(link_frames(moving(here, None, here), (1.0, 1.0))) == [(0, 2)]
    assert spans(link_frames(moving(here, None, None, here), (1.0, 1.0))) == [(0, 0), (3, 3)]


def test_a_division_gives_new_numbers_to_both_children() -> None:
    film = np.zeros((3, 8, 30), np.int32)
    film[0, 2:6, 8:20] = 3
    film[1:, 2:6, 7:13], film[1:, 2:6, 15:21] = 1, 2
    found = link_frames(film, (1.0, 1.0))
    assert found.tracks == (Track(1, 0, 0, 0), Track(2, 1, 2, 1), Track(3, 1, 2, 1))
    assert set(np.unique(found.labels[2]).tolist()) == {0, 2, 3}


def test_a_cell_that_appears_beside_another_is_no_child() -> None:
    film = np.zeros((2, 8, 30), np.int32)
    film[:, 2:6, 8:18] = 3
    film[1, 2:6, 18:22] = 7
    assert [track.parent for track in link_frames(film, (1.0, 1.0)).tracks] == [0, 0]


def test_films_without_objects_and_pixels_that_are_not_annotated() -> None:
    empty = np.zeros((3, 4, 5), np.int32)
    assert link_frames(empty, (1.0, 1.0)).tracks == ()
    film = moving(None, (2, 10), (2, 11))
    film[:, 0] = -1
    found = link_frames(film, (1.0, 1.0))
    assert spans(found) == [(1, 2)] and (found.labels[:, 0] == -1).all()
    np.testing.assert_array_equal(found.labels[:, 1:] > 0, film[:, 1:] > 0)


def test_what_cannot_be_linked_is_named() -> None:
    film = np.ones((2, 4, 5), np.int32)
    with pytest.raises(DataError, match=r"shape \(4, 5\), expected those of a film"):
        link_frames(film[0], (1.0, 1.0))
    with pytest.raises(UsageError, match="has 3 values, the labels have 2 axes of space"):
        link_frames(film, (1.0, 1.0, 1.0))
    for distance in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="expected a positive number"):
            link_frames(film, (1.0, 1.0), max_distance=distance)


def test_tracks_without_a_gap() -> None:
    """The children of a track that was split descend from its last part."""
    film = np.array([[[1]], [[0]], [[1]], [[2]]], np.int32)
    found, tracks = split_gaps(film, [Track(1, 0, 2, 0), Track(2, 3, 3, 1)])
    assert tracks == (Track(1, 0, 0, 0), Track(2, 3, 3, 3), Track(3, 2, 2, 1))
    assert found.ravel().tolist() == [1, 0, 3, 2]


def test_the_extra_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "laptrack", None)
    with pytest.raises(UsageError, match=r"pip install laptrack"):
        link_frames(np.ones((2, 4, 5), np.int32), (1.0, 1.0))
