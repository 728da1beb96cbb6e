"""Centres of objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from skimage.draw import disk

from embedseg.labels import centroids, medoids, nearest_medians, object_ids
from embedseg.labels.centres import TIE
from strategies import Labels, boxes, labels, spacings


def with_spacing(image: Labels) -> st.SearchStrategy[tuple[Labels, tuple[float, ...]]]:
    return st.tuples(st.just(image), spacings(image.ndim))


def slow_medoids(image: Labels, spacing: tuple[float, ...]) -> NDArray[np.int64]:
    found = []
    for k in object_ids(image):
        pixels = np.argwhere(image == k)
        sums = cdist(pixels * spacing, pixels * spacing).sum(axis=0)
        found.append(pixels[np.argmax(sums <= sums.min() * (1 + TIE))])
    return np.array(found).reshape(-1, image.ndim)


def test_medoid_lies_in_a_hook_whose_centroid_does_not() -> None:
    hook = np.array(
        [
            [1, 1, 1, 1],
            [1, 0, 0, 0],
            [1, 0, 0, 0],
            [1, 0, 0, 0],
        ]
    )
    assert centroids(hook, (1.0, 1.0)).tolist() == [[6 / 7, 6 / 7]]
    assert medoids(hook, (1.0, 1.0)).tolist() == [[0, 1]]  # and [1, 0], which comes later
    assert nearest_medians(hook, (1.0, 1.0)).tolist() == [[0, 0]]


def test_spacing_moves_the_medoid() -> None:
    cross = np.zeros((5, 9), int)
    cross[:, 2] = cross[1] = 1
    assert medoids(cross, (1.0, 1.0)).tolist() == [[1, 3]]
    assert medoids(cross, (9.0, 1.0)).tolist() == [[1, 4]]


def test_of_equal_medoids_the_first_in_raster_order_wins() -> None:
    assert medoids(np.ones((2, 2), int), (0.1, 0.1)).tolist() == [[0, 0]]
    # Rounding makes the sums of later pixels a little smaller here.
    assert medoids(np.ones((6, 6), int), (0.1, 0.1)).tolist() == [[2, 2]]
    assert medoids(np.ones((2, 4, 4), int), (0.1, 0.1, 0.1)).tolist() == [[0, 1, 1]]
    assert nearest_medians(np.ones((4, 4), int), (0.3, 0.3)).tolist() == [[1, 1]]


@given(labels(max_label=3, unannotated=True).flatmap(with_spacing))
def test_medoids_are_those_of_all_distances(case: tuple[Labels, tuple[float, ...]]) -> None:
    assert np.array_equal(medoids(*case), slow_medoids(*case))


def test_medoids_of_large_objects() -> None:
    ring = np.zeros((130, 130), np.int32)
    ring[disk((64, 64), 60)] = 4
    ring[disk((64, 70), 45)] = 0
    noise = (np.random.default_rng(0).random((60, 80)) < 0.4).astype(np.int32)
    for image in (ring, noise):
        assert np.array_equal(medoids(image, (1.0, 0.7)), slow_medoids(image, (1.0, 0.7)))


@given(boxes().flatmap(with_spacing))
def test_centroids_are_means(case: tuple[Labels, tuple[float, ...]]) -> None:
    image, spacing = case
    expected = [(np.argwhere(image == k) * spacing).mean(axis=0) for k in object_ids(image)]
    assert np.allclose(centroids(image, spacing), np.reshape(expected, (-1, image.ndim)))


@given(labels(max_label=3, unannotated=True).flatmap(with_spacing))
def test_nearest_medians_are_object_pixels_near_the_median(
    case: tuple[Labels, tuple[float, ...]],
) -> None:
    image, spacing = case
    chosen = nearest_medians(image, spacing)
    for k, pixel in zip(object_ids(image), chosen, strict=True):
        pixels = np.argwhere(image == k)
        apart = cdist([np.median(pixels, axis=0) * spacing], pixels * spacing)
        assert image[tuple(pixel)] == k
        own = (pixels == pixel).all(axis=1)
        assert apart[0, own] == pytest.approx(apart.min())
