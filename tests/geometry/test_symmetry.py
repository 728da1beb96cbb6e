"""Symmetries of a grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from embedseg.geometry import Symmetry, paired_boxes, symmetries
from embedseg.geometry.grid import coordinates
from embedseg.types import MapSpec, Spacing
from strategies import shapes, spacings


def specs(ndim: int) -> tuple[MapSpec, ...]:
    return (
        MapSpec("offset", "vector", ndim, "tanh"),
        MapSpec("bandwidth", "extent", ndim, "none"),
        MapSpec("classes", "scalar", 2, "none"),
    )


@pytest.mark.parametrize(
    ("spacing", "count"),
    [
        ((1.0, 1.0), 8),
        ((1.0, 1.005), 8),
        ((1.0, 1.02), 4),
        ((2.0, 0.5, 0.5), 16),
        ((1.0, 1.0, 1.0), 16),
        ((0.5, 0.5, 1.0), 8),
    ],
)
def test_number_of_symmetries(spacing: Spacing, count: int) -> None:
    found = symmetries(spacing)
    array = np.arange(4 ** len(spacing)).reshape((4,) * len(spacing))
    assert len(found) == count
    assert len({s.apply(array).tobytes() for s in found}) == count
    assert np.array_equal(found[0].apply(array), array)


@given(shape=shapes(max_side=5), data=st.data())
def test_undo_takes_apply_back(shape: tuple[int, ...], data: st.DataObject) -> None:
    symmetry = data.draw(st.sampled_from(symmetries(data.draw(spacings(len(shape))))))
    array = data.draw(hnp.arrays(np.float32, (2, *shape), elements=st.floats(-1, 1, width=32)))
    assert np.array_equal(symmetry.undo(symmetry.apply(array)), array)


def test_undo_takes_a_cyclic_permutation_back() -> None:
    symmetry = Symmetry((1, 2, 0), (True, False, True))
    array = np.arange(24).reshape(2, 3, 4)
    assert symmetry.apply(array).shape == (3, 4, 2)
    assert np.array_equal(symmetry.undo(symmetry.apply(array)), array)


@pytest.mark.parametrize(
    "symmetry",
    [
        *symmetries((1.0, 1.0)),
        *symmetries((2.0, 1.0, 1.0)),
        Symmetry((1, 2, 0), (True, False, True)),
    ],
)
def test_vectors_to_a_point_turn_with_the_image(symmetry: Symmetry) -> None:
    """The image is a peak; vectors to it, its distance along each axis, and itself are the maps."""
    ndim = len(symmetry.flips)
    image = np.zeros((1, *(5, 6, 7)[:ndim]), np.float32)
    image[(0, *(1, 2, 5)[:ndim])] = 1

    def maps(peak: np.ndarray) -> np.ndarray:
        place = np.argwhere(peak[0])[0].reshape(-1, *[1] * ndim)
        vectors = place - coordinates(peak.shape[1:], (1.0,) * ndim)
        return np.concatenate([vectors, np.abs(vectors), peak, 2 * peak])

    undone = symmetry.undo_maps(maps(symmetry.apply(image)), specs(ndim))
    assert np.array_equal(undone, maps(image))


#: Offsets of which each symmetry of an isotropic plane makes others, or opposites of others.
OFFSETS = {
    2: ((0, 1), (1, 0), (0, 3), (3, 0), (2, 2), (2, -2)),
    3: ((1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 0, 0), (0, -3, 0), (0, 0, 3)),
}


@pytest.mark.parametrize("symmetry", [*symmetries((1.0, 1.0)), *symmetries((2.0, 1.0, 1.0))])
def test_affinities_move_to_the_channel_and_pixel_of_their_pair(symmetry: Symmetry) -> None:
    ndim = len(symmetry.flips)
    image = np.random.default_rng(0).integers(0, 3, (1, *(5, 6, 7)[:ndim]))

    def maps(image: np.ndarray) -> np.ndarray:
        found = np.zeros((len(OFFSETS[ndim]), *image.shape[1:]), np.float32)
        for k, offset in enumerate(OFFSETS[ndim]):
            for pixel in np.ndindex(image.shape[1:]):
                other = tuple(np.add(pixel, offset))
                if min(other) >= 0 and all(np.less(other, image.shape[1:])):
                    found[(k, *pixel)] = image[(0, *pixel)] == image[(0, *other)]
        return found

    spec = MapSpec("pairs", "affinity", len(OFFSETS[ndim]), "none", offsets=OFFSETS[ndim])
    assert symmetry.keeps((spec,))
    undone = symmetry.undo_maps(maps(symmetry.apply(image)), (spec,))
    assert np.array_equal(undone, maps(image))


def test_a_symmetry_that_leads_to_other_offsets_is_told() -> None:
    spec = MapSpec("pairs", "affinity", 2, "none", offsets=((0, 1), (2, 0)))
    kept = [symmetry.keeps((spec,)) for symmetry in symmetries((1.0, 1.0))]
    assert kept == [True] * 4 + [False] * 4


def test_pairs_farther_apart_than_the_image_is_long_are_none() -> None:
    first, second = paired_boxes((3, 4), (5, 0))
    assert np.zeros((3, 4))[first].size == np.zeros((3, 4))[second].size == 0
