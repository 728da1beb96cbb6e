"""Object numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from embedseg.labels import (
    centroids,
    drop_small,
    fill_holes,
    medoids,
    nearest_medians,
    object_ids,
    object_sizes,
    overlap_table,
    relabel,
    split_pieces,
)
from embedseg.labels.pieces import count_pieces
from strategies import Labels, labels

EYE = np.array(
    [
        [7, 7, 0, 3],
        [7, 0, 0, 3],
        [-1, 0, 0, 3],
        [0, 7, 7, 3],
    ],
    np.int32,
)


def test_numbering_by_eye() -> None:
    assert object_ids(EYE).tolist() == [3, 7]
    assert object_sizes(EYE).tolist() == [4, 5]
    assert count_pieces(EYE).tolist() == [1, 2]
    assert relabel(EYE).tolist() == [[2, 2, 0, 1], [2, 0, 0, 1], [-1, 0, 0, 1], [0, 2, 2, 1]]
    assert split_pieces(EYE).tolist() == [[1, 1, 0, 2], [1, 0, 0, 2], [-1, 0, 0, 2], [0, 3, 3, 2]]
    assert drop_small(EYE, 5).tolist() == [[7, 7, 0, 0], [7, 0, 0, 0], [-1, 0, 0, 0], [0, 7, 7, 0]]


@given(labels(unannotated=True))
def test_relabel_keeps_partition_and_order(image: Labels) -> None:
    new = relabel(image)
    assert new.dtype == np.int32
    assert np.array_equal(new[image <= 0], image[image <= 0])
    ids = np.unique(image[image > 0])
    assert np.array_equal(np.unique(new[new > 0]), np.arange(1, len(ids) + 1))
    assert all(np.array_equal(new == k + 1, image == old) for k, old in enumerate(ids))
    assert np.array_equal(relabel(new), new)


@given(labels(unannotated=True))
def test_sizes_count_pixels(image: Labels) -> None:
    assert object_sizes(image).tolist() == [(image == k).sum() for k in object_ids(image)]
    assert object_sizes(image).dtype == np.int64


@given(labels(unannotated=True), st.integers(0, 9))
def test_drop_small_drops_the_small(image: Labels, least: int) -> None:
    kept = drop_small(image, least)
    expected = image.copy()
    for k in np.unique(image[image > 0]):
        if (image == k).sum() < least:
            expected[image == k] = 0
    assert np.array_equal(kept, expected)
    assert kept is not image


def test_large_numbers_and_narrow_types() -> None:
    image = np.array([[0, 2**31 - 1], [5, 5]], np.uint32)
    assert relabel(image).tolist() == [[0, 2], [1, 1]]
    table, rows, _ = overlap_table(image, image)
    assert table.shape == (3, 3) and rows.tolist() == [0, 5, 2**31 - 1]


@pytest.mark.parametrize("shape", [(0, 3), (4, 5), (1, 1, 1)])
def test_nothing_there(shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape, np.int32)
    spacing = (1.0,) * len(shape)
    assert relabel(empty).shape == fill_holes(empty).shape == shape
    assert len(object_ids(empty)) == len(object_sizes(empty)) == 0
    for centres in (centroids, medoids, nearest_medians):
        assert centres(empty, spacing).shape == (0, len(shape))
