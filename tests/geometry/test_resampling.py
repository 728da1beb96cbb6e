"""Grids: what is padded, resampled or transformed comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from embedseg.geometry import Symmetry, pad_to_multiple, resample, resample_labels, symmetries
from embedseg.geometry.grid import coordinates
from embedseg.types import MapSpec, Spacing
from strategies import shapes, spacings


def specs(ndim: int) -> tuple[MapSpec, ...]:
    return (
        MapSpec("offset", "vector", ndim, "tanh"),
        MapSpec("bandwidth", "extent", ndim, "none"),
        MapSpec("classes", "scalar", 2, "none"),
    )


def test_coordinates_are_index_times_spacing() -> None:
    found = coordinates((2, 3, 4), (2.0, 0.5, 0.25))
    assert found.dtype == np.float32 and found.shape == (3, 2, 3, 4)
    assert found[:, 1, 2, 3].tolist() == [2.0, 1.0, 0.75]


@given(shape=shapes(max_side=6), data=st.data())
def test_padding_comes_off_again(shape: tuple[int, ...], data: st.DataObject) -> None:
    divisor = tuple(data.draw(st.integers(1, 9)) for _ in shape)
    mode = data.draw(st.sampled_from(["reflect", "constant"]))
    array = np.arange(2 * np.prod(shape), dtype=np.int32).reshape(2, *shape)
    padded, cut = pad_to_multiple(array, divisor, mode, value=-1)
    assert all(n % d == 0 for n, d in zip(padded.shape[1:], divisor, strict=True))
    assert all(0 <= n - m < d for n, m, d in zip(padded.shape[1:], shape, divisor, strict=True))
    assert np.array_equal(padded[(slice(None), *cut)], array)
    if mode == "reflect":
        assert set(np.unique(padded)) == set(np.unique(array))
    else:
        assert (padded == -1).sum() == padded.size - array.size


def test_padding_reflects_as_often_as_needed() -> None:
    padded, _ = pad_to_multiple(np.array([[1, 2, 3], [4, 5, 6]]), (1, 8))
    assert padded[0].tolist() == [1, 2, 3, 2, 1, 2, 3, 2]
    alone, _ = pad_to_multiple(np.array([[7]]), (1, 4))
    assert alone.tolist() == [[7, 7, 7, 7]]


def test_nothing_to_pad_copies_nothing() -> None:
    array = np.zeros((1, 8, 8))
    assert pad_to_multiple(array, (8, 4))[0] is array


def test_a_linear_ramp_stays_a_ramp_when_enlarged() -> None:
    ramp = np.arange(8, dtype=np.float32)[None, None]
    found = resample(ramp, (1.0, 1.0), (1.0, 0.5))
    assert found.shape == (1, 1, 16) and found.dtype == np.float32
    # Centres of the small pixels lie at -0.25, 0.25, 0.75 ... of the large ones.
    np.testing.assert_allclose(found[0, 0, 1:-1], np.arange(14) / 2 + 0.25, atol=1e-5)


def test_shrinking_smooths_and_keeps_the_mean() -> None:
    checkers = np.indices((32, 32)).sum(axis=0)[None] % 2
    found = resample(checkers.astype(np.float32), (1.0, 1.0), (4.0, 4.0))
    assert found.shape == (1, 8, 8)
    assert np.abs(found - 0.5).max() < 0.1


def test_spacings_within_one_percent_are_the_same() -> None:
    image = np.zeros((2, 300, 300), np.float32)
    assert resample(image, (1.005, 1.0), (1.0, 1.0)) is image
    assert resample(image, (1.02, 1.0), (1.0, 1.0)).shape == (2, 306, 300)
    assert resample(image[:, :1], (1.0, 1.0), (9.0, 1.0)).shape == (2, 1, 300)


@given(shape=shapes(max_side=5), factor=st.integers(1, 4))
def test_enlarged_labels_come_back(shape: tuple[int, ...], factor: int) -> None:
    labels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    large = resample_labels(labels, tuple(factor * n for n in shape))
    assert large.dtype == np.uint16
    assert (np.bincount(large.ravel()) == factor ** len(shape)).all()
    assert np.array_equal(resample_labels(large, shape), labels)


def test_labels_lie_where_the_image_lies() -> None:
    truth = np.zeros((40, 60), np.int32)
    truth[7:21, 11:44] = 5
    image = resample(truth[None].astype(np.float32), (1.0, 1.0), (1.7, 0.6))
    found = resample_labels(truth, image.shape[1:])
    assert np.mean((image[0] > 2.5) == (found == 5)) > 0.99


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
