"""Blobs: what tests stand on has to be as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from embedseg.images import blobs, read_image, read_labels, write_blobs

SHAPES = [(48, 64), (12, 40, 40)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_blobs_are_numbered_in_one_piece_and_bright(shape: tuple[int, ...], seed: int) -> None:
    image, labels = blobs(shape, 6, seed)
    assert (image.shape, image.dtype) == (shape, np.float32)
    assert (labels.shape, labels.dtype) == (shape, np.int32)
    assert np.unique(labels).tolist() == list(range(7))
    for label in range(1, 7):
        assert ndimage.label(labels == label)[1] == 1
        assert image[labels == label].mean() > image[labels == 0].mean() + 0.2
    assert 0.05 < (labels > 0).mean() < 0.5


def test_blobs_touch_now_and_then() -> None:
    touching = 0
    for seed in range(10):
        labels = blobs((64, 64), 10, seed)[1]
        for axis in (0, 1):
            first, second = labels.take(range(63), axis), labels.take(range(1, 64), axis)
            touching += ((first != second) & (first > 0) & (second > 0)).any()
    assert touching > 5


def test_blobs_that_others_would_cut_in_two_stay_in_one_piece() -> None:
    for seed in range(9, 12):
        labels = blobs((8, 24, 24), 30, seed, radius=5.0)[1]
        for label in range(1, labels.max() + 1):
            assert ndimage.label(labels == label)[1] == 1


def test_the_seed_decides() -> None:
    for ours, same, other in zip(*(blobs((30, 30), 4, seed) for seed in (1, 1, 2)), strict=True):
        np.testing.assert_array_equal(ours, same)
        assert (ours != other).any()


def test_blobs_are_as_long_in_micrometres_along_any_axis() -> None:
    extents = [
        [s.stop - s.start for s in box]
        for seed in range(20)
        for box in ndimage.find_objects(blobs((24, 96, 96), 3, seed, spacing=(4, 1, 1))[1])
    ]
    z, y, x = np.mean(extents, axis=0)
    assert y == pytest.approx(x, rel=0.1)
    assert 4 * z == pytest.approx(x, rel=0.15)


def test_no_blobs_and_too_many() -> None:
    assert not blobs((10, 12), 0)[1].any()
    image, labels = blobs((10, 12), 50, radius=4.0)
    assert 0 < labels.max() < 50
    assert np.unique(labels).tolist() == list(range(labels.max() + 1))
    assert np.isfinite(image).all()


@pytest.mark.parametrize("ndim, spacing", [(2, (0.5, 0.5)), (3, (1, 0.5, 0.5))])
def test_data_folder(tmp_path: Path, ndim: int, spacing: tuple[float, ...]) -> None:
    write_blobs(tmp_path, ndim, splits={"train": 2, "test": 1})
    images = sorted(tmp_path.glob("*/images/*.tif"))
    assert [path.name for path in images] == ["test0.tif", "train0.tif", "train1.tif"]
    for path in images:
        image, labels = read_image(path), read_labels(path.parents[1] / "masks" / path.name)
        assert image.axes == labels.axes == "ZYX"[-ndim:]
        assert image.spacing == pytest.approx(spacing)
        assert labels.spacing == pytest.approx(spacing)
        assert image.data.shape == labels.data.shape
        assert labels.data.max() > 3
    assert (read_image(images[1]).data != read_image(images[2]).data).any()
