"""Augmentation moves image and labels alike, in physical units, and invents nothing."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError
from scipy import ndimage

from embedseg.data import PRESETS, Augment
from embedseg.geometry import symmetries
from embedseg.images import blobs
from embedseg.labels import relabel_crop
from embedseg.training import TrainOptions
from embedseg.types import OUTSIDE

CROPS = {2: (40, 36), 3: (12, 30, 30)}
SPACINGS = {2: (1.0, 1.0), 3: (2.0, 1.0, 1.0)}


def example(ndim: int, augment: Augment, seed: int = 0):
    """A crop with its margin, in which the first channel holds the labels."""
    margin = augment.margin(CROPS[ndim], SPACINGS[ndim])
    shape = tuple(n + 2 * m for n, m in zip(CROPS[ndim], margin, strict=True))
    image, labels = blobs(shape, 7, seed=seed)
    labels = relabel_crop(labels.astype(np.int32))
    return np.stack([labels, image, image]).astype(np.float32), labels


def applied(ndim: int, augment: Augment, seed: int = 0):
    image, labels = example(ndim, augment)
    return augment.apply(image, labels, CROPS[ndim], SPACINGS[ndim], np.random.default_rng(seed))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_gives_crops(ndim, name):
    augment = PRESETS[name]
    for seed in range(8):
        image, labels = applied(ndim, augment, seed)
        assert image.shape == (3, *CROPS[ndim]) and labels.shape == CROPS[ndim]
        assert image.dtype == np.float32 and labels.dtype == np.int32
        assert image.flags.c_contiguous and labels.flags.c_contiguous
        assert np.isfinite(image).all() and labels.min() >= OUTSIDE
        assert set(np.unique(labels)) <= {OUTSIDE, 0, *range(1, 8)}
        again = applied(ndim, augment, seed)
        np.testing.assert_array_equal(image, again[0])
        np.testing.assert_array_equal(labels, again[1])


@pytest.mark.parametrize("ndim", [2, 3])
def test_presets_none_and_paper_only_turn(ndim):
    image, labels = example(ndim, PRESETS["none"])
    same = applied(ndim, PRESETS["none"])
    np.testing.assert_array_equal(same[0], image)
    np.testing.assert_array_equal(same[1], labels)
    seen = set()
    for seed in range(60):
        turned, found = applied(ndim, PRESETS["paper"], seed)
        np.testing.assert_array_equal(turned[0], np.maximum(found, 0))
        fits = [
            i
            for i, s in enumerate(symmetries(SPACINGS[ndim]))
            if s.apply(image).shape == image.shape and np.array_equal(s.apply(image), turned)
        ]
        seen.update(fits[:1])
    # The 2D crop is not square, so its axes are never exchanged.
    assert len(seen) == {2: 4, 3: 16}[ndim]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(
    "change",
    [
        {"rotation": 180},
        {"scale": 0.5},
        {"zoom": 0.5},
        {"shear": 20},
        {"shift": 0.2},
        {"elastic": 4},
        {"rotation": 90, "scale": 0.3, "elastic": 3, "shear": 5},
    ],
    ids=str,
)
def test_labels_follow_their_pixels(ndim, change):
    augment = Augment(chance=1.0, **change)
    before = example(ndim, augment)[1]
    for seed in range(6):
        image, labels = applied(ndim, augment, seed)
        # Where the interpolated labels of a pixel's neighbours agree, they are its label's value.
        whole = np.abs(image[0] - np.round(image[0])) < 1e-4
        assert whole.mean() > 0.5
        for number in np.unique(labels[labels > 0]):
            own = np.round(image[0][(labels == number) & whole])
            if len(own) < 9:
                continue
            values, counts = np.unique(own, return_counts=True)
            assert counts.max() >= 0.97 * counts.sum()
            assert values[counts.argmax()] in before
        moved = ~np.isclose(
            image[1],
            example(ndim, augment)[0][1][
                tuple(
                    slice((n - m) // 2, (n - m) // 2 + m)
                    for n, m in zip(before.shape, CROPS[ndim], strict=True)
                )
            ],
        )
        assert moved.any()


def test_a_ball_stays_a_ball_where_voxels_are_long():
    spacing, crop = (2.0, 1.0, 1.0), (20, 40, 40)
    augment = Augment(rotation=180, chance=1.0)
    margin = augment.margin(crop, spacing)
    assert margin[0] == 0 < margin[1] == margin[2]
    shape = [n + 2 * m for n, m in zip(crop, margin, strict=True)]
    at = (np.indices(shape).T - (np.array(shape) - 1) / 2).T * np.reshape(spacing, (3, 1, 1, 1))
    ball = ((at**2).sum(axis=0) < 15**2).astype(np.int32)
    image = ball[None].astype(np.float32)
    kept = tuple(slice(m, m + n) for n, m in zip(crop, margin, strict=True))
    for seed in range(5):
        turned, labels = augment.apply(image, ball, crop, spacing, np.random.default_rng(seed))
        assert ((labels > 0) != (ball[kept] > 0)).mean() < 0.01
        assert not np.array_equal(turned, image[:, *kept])


def test_rotation_is_about_the_middle_and_by_the_angle():
    augment = Augment(rotation=30, chance=1.0)
    margin = augment.margin((61, 61), (1.0, 1.0))
    shape = (61 + 2 * margin[0],) * 2
    rows = (np.indices(shape)[0] - (shape[0] - 1) / 2)[None].astype(np.float32)
    angles = []
    for seed in range(200):
        turned, labels = augment.apply(
            rows, np.zeros(shape, np.int32), (61, 61), (1.0, 1.0), np.random.default_rng(seed)
        )
        inner = turned[0, 20:41, 20:41]
        assert abs(turned[0, 30, 30]) < 1e-3
        down, right = np.gradient(inner)
        assert np.hypot(down, right) == pytest.approx(1.0, abs=1e-3)
        angles.append(np.rad2deg(np.arctan2(right.mean(), down.mean())))
        assert (labels >= 0).all()
    assert max(np.abs(angles)) <= 30.01 and min(angles) < -25 and max(angles) > 25


def test_what_comes_from_outside_is_marked():
    image = np.ones((1, 30, 30), np.float32)
    augment = Augment(shift=0.5, chance=1.0)
    _, labels = augment.apply(
        image, np.zeros((30, 30), np.int32), (30, 30), (1.0, 1.0), np.random.default_rng(3)
    )
    assert set(np.unique(labels)) == {OUTSIDE, 0}
    rows, columns = (labels == 0).any(axis=1), (labels == 0).any(axis=0)
    assert (labels[np.ix_(rows, columns)] == 0).all()  # what is inside is a rectangle


@pytest.mark.parametrize("ndim", [2, 3])
def test_displacements_are_cubic_splines(ndim):
    augment, crop, spacing = Augment(elastic=4, elastic_grid=9), CROPS[ndim], SPACINGS[ndim]
    found = augment._draw_displacement(crop, spacing, np.random.default_rng(3))
    points = [int(np.ceil(n * step / 9)) + 1 for n, step in zip(crop, spacing, strict=True)]
    drawn = np.random.default_rng(3).normal(0, 2, (ndim, *points))
    factors = np.divide(crop, points)
    for part, expected in zip(found, drawn, strict=True):
        zoomed = ndimage.zoom(expected, factors, order=3, mode="nearest", grid_mode=True)
        np.testing.assert_allclose(part, zoomed, atol=1e-12)


def test_half_of_the_crops_stay_where_they_are():
    augment, still = Augment(rotation=90, chance=0.5), 0
    image, labels = example(2, augment)
    margin = augment.margin(CROPS[2], SPACINGS[2])
    inner = image[:, *(slice(m, m + n) for n, m in zip(CROPS[2], margin, strict=True))]
    for seed in range(200):
        turned, _ = augment.apply(image, labels, CROPS[2], SPACINGS[2], np.random.default_rng(seed))
        still += np.array_equal(turned, inner)
    assert 75 < still < 125


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({"brightness": 0.3}, lambda a, b: 0 < np.ptp(b - a) < 1e-5 or np.ptp(b - a) == 0),
        (
            {"contrast": 0.5},
            lambda a, b: (
                abs(np.corrcoef(a, b)[0, 1] - 1) < 1e-5 and abs(a.mean() - b.mean()) < 1e-5
            ),
        ),
        (
            {"gamma": 0.5},
            lambda a, b: (
                (np.argsort(a[::7]) == np.argsort(b[::7])).mean() > 0.9
                and abs(a.max() - b.max()) < 1e-5
                and abs(a.min() - b.min()) < 1e-5
            ),
        ),
        ({"noise": 0.1}, lambda a, b: 0 < (b - a).std() <= 0.11),
        ({"blur": 3.0}, lambda a, b: b.std() < a.std()),
    ],
    ids=["brightness", "contrast", "gamma", "noise", "blur"],
)
def test_intensities_change_as_they_say(change, holds):
    augment = Augment(chance=1.0, **change)
    before = np.random.default_rng(0).random((2, 50, 40)).astype(np.float32)
    labels = np.zeros((50, 40), np.int32)
    for seed in range(5):
        after, same = augment.apply(
            before, labels, (50, 40), (1.0, 1.0), np.random.default_rng(seed)
        )
        assert same is labels or np.array_equal(same, labels)
        assert not np.array_equal(before, after)
        assert holds(before.ravel(), after.ravel())


def test_dropout_never_takes_the_last_channel():
    augment = Augment(channel_dropout=1.0)
    image, labels = example(2, augment)
    for seed in range(20):
        after = augment.apply(image, labels, CROPS[2], SPACINGS[2], np.random.default_rng(seed))[0]
        assert sum(np.ptp(channel) > 0 for channel in after) == 1
    one = augment.apply(image[:1], labels, CROPS[2], SPACINGS[2], np.random.default_rng(0))[0]
    np.testing.assert_array_equal(one, image[:1])


@given(st.lists(st.integers(-2, 40), min_size=1, max_size=60))
def test_renumbering_keeps_who_is_who(values):
    labels = np.array(values, np.int32)
    after = relabel_crop(labels)
    np.testing.assert_array_equal(after[labels <= 0], labels[labels <= 0])
    pairs = set(zip(labels[labels > 0].tolist(), after[labels > 0].tolist(), strict=True))
    assert sorted(new for _, new in pairs) == list(range(1, len(pairs) + 1))
    assert sorted(pairs) == sorted(pairs, key=lambda pair: pair[1])


def test_presets_are_named_in_settings():
    options = TrainOptions(crop=(8, 8), augment="strong")
    assert options.augment == PRESETS["strong"]
    assert TrainOptions.model_validate(options.model_dump()) == options
    assert TrainOptions(crop=(8, 8)).augment == PRESETS["light"]
    with pytest.raises(ValidationError, match="no preset 'wild'; there are none, paper, light"):
        TrainOptions(crop=(8, 8), augment="wild")
