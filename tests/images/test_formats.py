"""Readers of image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imagecodecs import jpeg_encode, png_encode

from embedseg.images import (
    expand_inputs,
    open_lazy,
    read_image,
    read_label_values,
    read_labels,
    read_stack,
)
from embedseg.images.display import log_once
from embedseg.types import DataError
from image_files import VOLUME


@pytest.mark.parametrize(
    "data, axes",
    [
        (VOLUME[0, 0], "YX"),
        (VOLUME[0, 0].astype(np.uint8), "YX"),
        (VOLUME[0].transpose(1, 2, 0), "CYX"),
        (np.dstack([VOLUME[0].T] * 2)[..., :4], "CYX"),
    ],
)
def test_png(tmp_path: Path, data: Any, axes: str) -> None:
    path = tmp_path / "a.PNG"
    path.write_bytes(png_encode(np.ascontiguousarray(data)))
    image = read_image(path)
    assert (image.axes, image.spacing) == (axes, None)
    np.testing.assert_array_equal(image.data, data if axes == "YX" else data.transpose(2, 0, 1))


def jpeg(path: Path, data: Any) -> Path:
    """Write a JPEG, nearly without loss."""
    path.write_bytes(jpeg_encode(np.ascontiguousarray(data), level=100))
    return path


SMOOTH = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG"])
@pytest.mark.parametrize("colours", [False, True])
def test_jpeg(tmp_path: Path, suffix: str, colours: bool) -> None:
    data = np.dstack([SMOOTH, SMOOTH // 2, SMOOTH + 20]) if colours else SMOOTH
    path = jpeg(tmp_path / f"a.{suffix}", data)
    image, lazy = read_image(path), open_lazy(path)
    assert (image.axes, image.spacing) == ("CYX" if colours else "YX", None)
    expected = data.transpose(2, 0, 1) if colours else data
    assert np.abs(image.data.astype(int) - expected).max() < 6
    assert (lazy.axes, lazy.shape) == (image.axes, image.data.shape)
    box = (slice(None),) * (lazy.axes == "CYX") + (slice(3, 9), slice(10, 20))
    np.testing.assert_array_equal(lazy.read(box), image.data[box])
    assert expand_inputs([tmp_path]) == [path]


def test_slices_that_are_jpegs(tmp_path: Path) -> None:
    for z in range(3):
        jpeg(tmp_path / f"z{z}.jpg", SMOOTH + z)
    volume, lazy = read_stack(tmp_path), open_lazy(tmp_path)
    assert (volume.axes, volume.data.shape, lazy.axes) == ("ZYX", (3, 40, 60), "ZYX")
    np.testing.assert_array_equal(lazy.read((slice(None),) * 3), volume.data)
    jpeg(tmp_path / "z3.jpg", SMOOTH[:30])
    with pytest.raises(DataError, match=r"z3\.jpg: shape \(30, 60\), but z0\.jpg has \(40, 60\)"):
        open_lazy(tmp_path)


def test_that_jpeg_changes_values_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log_once.cache_clear()
    with caplog.at_level("INFO", "embedseg"):
        for name in "abc":
            read_image(jpeg(tmp_path / f"{name}.jpg", SMOOTH))
    assert [record.getMessage() for record in caplog.records] == [
        "JPEG images: their compression changed values; better take the originals"
    ]


def test_a_jpeg_is_no_mask(tmp_path: Path) -> None:
    path = jpeg(tmp_path / "a.jpg", SMOOTH)
    for read in (read_labels, read_label_values):
        with pytest.raises(DataError, match=r"a\.jpg: a JPEG holds no labels.*TIFF or PNG"):
            read(path)


def test_a_truncated_jpeg_is_not_made_up(tmp_path: Path) -> None:
    path = jpeg(tmp_path / "a.jpg", SMOOTH)
    whole = path.read_bytes()
    # A small picture in it has an end too, and cameras append to files.
    inside = b"\xff\xe1" + len(whole + b"..").to_bytes(2, "big") + whole
    path.write_bytes(whole[:2] + inside + whole[2:] + bytes(500))
    assert read_image(path).data.shape == SMOOTH.shape
    for stored in (whole[:-2], whole[: len(whole) // 2 + 200], whole[:2] + inside + whole[2:-100]):
        path.write_bytes(stored)
        with pytest.raises(DataError, match=r"a\.jpg: .*truncated"):
            read_image(path)
