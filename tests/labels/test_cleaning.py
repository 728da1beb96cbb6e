"""Labels tidied: each step by eye, and against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from scipy import ndimage

from embedseg.labels import CleanOptions, clean, find_border_objects
from embedseg.labels.cleaning import clear_border, keep_largest
from strategies import labels

SCENE = np.array(
    [
        [1, 0, 2, 2, 2, 0],
        [0, 0, 2, 0, 2, 0],
        [1, 1, 2, 2, 2, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 3, 0, -1, 5, 5],
    ],
    np.int32,
)


@pytest.mark.parametrize(
    ("options", "gone", "new"),
    [
        ({}, (), ()),
        ({"largest_piece": True}, [(0, 0)], ()),
        ({"fill_holes": True}, (), [(1, 3)]),
        ({"min_size": 3}, [(4, 1), (4, 4), (4, 5)], ()),
        # Object 1 has 3 pixels in two pieces: it is small once the smaller piece is gone.
        (
            {"min_size": 3, "largest_piece": True},
            [(0, 0), (2, 0), (2, 1), (4, 1), (4, 4), (4, 5)],
            (),
        ),
    ],
)
def test_each_step_by_eye(
    options: dict[str, int], gone: list[tuple[int, int]], new: list[tuple[int, int]]
) -> None:
    expected = SCENE.copy()
    for place in gone:
        expected[place] = 0
    for place in new:
        expected[place] = 2
    np.testing.assert_array_equal(clean(SCENE, CleanOptions(**options)), expected)


def test_what_the_border_cuts_goes() -> None:
    labels = np.zeros((5, 7), np.int32)
    labels[0, 3], labels[2, 2:4], labels[1, 6], labels[3, 5] = 4, 7, 2, -1
    np.testing.assert_array_equal(np.unique(clear_border(labels)), [-1, 0, 7])
    assert find_border_objects(labels).tolist() == [2, 4]


def test_a_single_plane_has_its_border_within_the_plane_only() -> None:
    labels = np.zeros((1, 5, 5), np.int32)
    labels[0, 2, 2] = 1
    assert clear_border(labels).any()
    assert not clear_border(np.repeat(labels, 3, 0)).any()


def test_a_piece_at_the_border_does_not_cost_the_object() -> None:
    labels = np.zeros((5, 6), np.int32)
    labels[0, 0], labels[2:4, 2:4] = 1, 1
    assert clean(labels, CleanOptions(clear_border=True, largest_piece=True)).sum() == 4
    assert not clean(labels, CleanOptions(clear_border=True)).any()


def test_of_equal_pieces_the_first_stays() -> None:
    np.testing.assert_array_equal(keep_largest(np.array([[0, 9, 0, 9]], np.int32)), [[0, 9, 0, 0]])


@given(labels(unannotated=True))
def test_largest_pieces_as_found_one_by_one(labels: np.ndarray) -> None:
    expected = np.minimum(labels, 0)
    for label in np.unique(labels[labels > 0]):
        pieces, _ = ndimage.label(labels == label, np.ones((3,) * labels.ndim))
        expected[pieces == 1 + np.bincount(pieces[pieces > 0])[1:].argmax()] = label
    np.testing.assert_array_equal(keep_largest(labels), expected)


@given(labels(unannotated=True))
def test_what_stays_is_what_it_was(labels: np.ndarray) -> None:
    before = labels.copy()
    for step in CleanOptions.model_fields:
        found = clean(labels, CleanOptions(**{step: 2 if step == "min_size" else True}))
        assert found.dtype == np.int32
        kept = found != 0
        if step != "fill_holes":
            np.testing.assert_array_equal(found[kept], labels[kept])
        assert set(np.unique(found)) <= set(np.unique(labels)) | {0}
        np.testing.assert_array_equal(found == -1, labels == -1)
    np.testing.assert_array_equal(labels, before)


def test_a_hole_with_another_object_in_it_is_not_filled() -> None:
    labels = np.zeros((12, 12), np.int32)
    labels[1:11, 1:11] = 3
    labels[3:9, 3:9] = 0
    labels[5:7, 5:7] = 8
    labels[2, 2] = 0
    expected = labels.copy()
    expected[2, 2] = 3
    assert np.array_equal(clean(labels, CleanOptions(fill_holes=True)), expected)
