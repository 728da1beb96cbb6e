"""Normalisation: goldens, properties, options."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from embedseg.images import Absolute, Normalization, Percentile, ZScore
from embedseg.types import DataError, check_image

ADAPTER: TypeAdapter[Normalization] = TypeAdapter(Normalization)
KINDS = [Percentile(), Percentile(clip=True), ZScore(), Absolute(low=10, high=20)]
shapes = hnp.array_shapes(min_dims=3, max_dims=4, max_side=6)
images = st.one_of(
    hnp.arrays(np.uint16, shapes),
    hnp.arrays(np.uint8, shapes),
    hnp.arrays(np.float32, shapes, elements=st.floats(-1e6, 1e6, width=32)),
)


def test_percentiles_are_those_of_each_channel() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal([[[5.0]], [[-100.0]]], [[[1.0]], [[30.0]]], (2, 40, 50))
    normal = Percentile(low=2, high=90).apply(image.astype(np.float32))
    for channel in normal:
        assert np.percentile(channel, (2, 90)) == pytest.approx((0, 1), abs=1e-4)
    assert normal.max() > 1
    assert normal.min() < 0


def test_clip() -> None:
    normal = Percentile(low=10, high=90, clip=True).apply(np.arange(11.0).reshape(1, 1, 11))
    assert normal[0, 0].tolist() == pytest.approx(
        [0, 0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1]
    )


def test_few_bright_pixels_are_not_lost() -> None:
    image = np.zeros((1, 100, 100), np.uint8)
    image[0, 3, 4] = 200  # beyond the 99.8th percentile, which is 0
    normal = Percentile().apply(image)
    assert (normal[0, 3, 4], normal.sum()) == (1, 1)


def test_zscore() -> None:
    normal = ZScore().apply(np.random.default_rng(0).integers(0, 2**16, (2, 30, 40)))
    assert normal.mean((1, 2)) == pytest.approx((0, 0), abs=1e-5)
    assert normal.std((1, 2)) == pytest.approx((1, 1), abs=1e-5)


@pytest.mark.parametrize("option", KINDS[:3], ids=str)
@pytest.mark.parametrize("value", [0, 7, 65535, 0.1, 1e-40])
def test_a_constant_channel_becomes_0(option: Normalization, value: float) -> None:
    image = np.stack([np.full((37, 53), value), np.arange(37 * 53.0).reshape(37, 53)])
    normal = option.apply(image)
    assert not normal[0].any()
    assert normal[1].any()


@pytest.mark.parametrize("option", KINDS, ids=str)
@given(image=images)
def test_result_is_finite_float32_in_the_same_order(
    option: Normalization, image: NDArray[np.float32]
) -> None:
    before = image.copy()
    normal = option.apply(image)
    assert (normal.dtype, normal.shape) == (np.float32, image.shape)
    assert np.isfinite(normal).all()
    np.testing.assert_array_equal(image, before)
    for channel, values in zip(normal, image, strict=True):
        assert (np.diff(channel.ravel()[np.argsort(values, axis=None)]) >= 0).all()


@pytest.mark.parametrize("option", KINDS[:3], ids=str)
@given(image=hnp.arrays(np.uint8, (2, 5, 6)), gain=st.integers(1, 200), offset=st.integers(0, 99))
def test_brightness_and_contrast_do_not_matter(
    option: Normalization, image: NDArray[np.uint8], gain: int, offset: int
) -> None:
    changed = image.astype(np.uint16) * gain + offset
    np.testing.assert_allclose(option.apply(changed), option.apply(image), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("option", KINDS, ids=str)
def test_options_are_saved_and_read(option: Normalization) -> None:
    assert ADAPTER.validate_json(ADAPTER.dump_json(option)) == option


@pytest.mark.parametrize(
    "options",
    [
        {"type": "percentile", "low": 50, "high": 50},
        {"type": "percentile", "high": 101},
        {"type": "absolute", "low": 2, "high": 1},
        {"type": "absolute"},
        {"type": "median"},
        {"type": "zscore", "low": 1},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(options)


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_without_image_do_not_count(kind: Normalization) -> None:
    image = np.random.default_rng(0).normal(5, 2, (2, 20, 30)).astype(np.float32)
    stitched = np.pad(image, ((0, 0), (0, 0), (0, 25)), constant_values=np.nan)
    normal = kind.apply(stitched)
    assert np.array_equal(normal[..., :30], kind.apply(image))
    assert np.isnan(normal[..., 30:]).all()


def test_infinity_and_nothing_but_nan_are_errors() -> None:
    image = np.ones((1, 4, 5), np.float32)
    image[0, 0, 0] = np.nan
    assert np.isnan(check_image(image, 2, 1)).sum() == 1
    image[0, 1, 1] = np.inf
    with pytest.raises(DataError, match=r"a\.tif: 1 of 20 values are infinite"):
        check_image(image, 2, 1, "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: every pixel is NaN, expected an image"):
        check_image(np.full((4, 5), np.nan), 2, 1, "a.tif")


@pytest.mark.parametrize(
    "image",
    [
        np.arange(250, dtype=np.uint32) + 4_000_000_000,
        np.arange(250.0) + 1e9,
        np.arange(250, dtype=np.int64) - 10**12,
    ],
)
def test_values_that_rounding_makes_equal_are_refused(image):
    with pytest.raises(DataError, match=r"a\.tif: values around .* in single precision"):
        check_image(image.reshape(10, 25), 2, 1, "a.tif")


def test_values_beyond_single_precision_are_named():
    with pytest.raises(DataError, match=r"values up to 2.49e\+302, expected at most 3.4e38"):
        check_image(np.arange(250.0).reshape(10, 25) * 1e300, 2, 1)


@pytest.mark.parametrize(
    "image",
    [
        np.arange(250, dtype=np.uint32) * 17_000_000,
        np.full(250, 4_000_000_001, np.uint32),
        np.linspace(0.1, 0.2, 250),
        np.r_[np.nan, np.arange(249.0)],
        (np.arange(250) + 60_000).astype(np.int32),
    ],
)
def test_rounding_that_loses_nothing_is_accepted(image):
    assert check_image(image.reshape(10, 25), 2, 1).dtype == np.float32
