"""Resampling of images and labels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from embedseg.geometry import resample, resample_labels
from strategies import shapes


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
