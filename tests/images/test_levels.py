"""Levels of pyramids: of slides and other TIFFs as of OME-Zarr."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from slides import coarser, write_ndpi, write_ome_pyramid, write_pyramid, write_svs
from stores import write_store

from embedseg.images import first_pixel, open_fitting, open_lazy, read_image
from embedseg.types import DataError

PIXELS = np.random.default_rng(0).integers(0, 255, (500, 640, 3), np.uint8)
WRITERS: dict[str, Callable[..., Path]] = {
    "a.svs": write_svs,
    "a.ndpi": write_ndpi,
    "a.tif": write_pyramid,
    "a.ome.tif": write_ome_pyramid,
}


@pytest.fixture(params=WRITERS)
def slide(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITERS[request.param](tmp_path / request.param, PIXELS, 0.25)


def test_each_level_of_a_slide_is_read_with_its_pixel_size_and_place(slide: Path) -> None:
    for level, factor in enumerate((1, 4, 16)):
        image = open_lazy(slide, level=level)
        assert (image.axes, image.levels) == ("CYX", 3)
        assert image.spacing == pytest.approx((0.25 * factor,) * 2)
        expected = np.moveaxis(coarser(PIXELS, factor), -1, 0)
        assert image.shape == expected.shape
        np.testing.assert_array_equal(image.load().data, expected)
        box = (slice(0, 2), slice(3, 20), slice(5, 30))
        np.testing.assert_array_equal(image.read(box), expected[box])
        # The edges of the levels coincide, not the middles of their first pixels.
        start = (factor - 1) / 2 * 0.25
        assert first_pixel(image.scales, 2) == pytest.approx((start / (0.25 * factor),) * 2)
    with pytest.raises(DataError, match="has no level 3, there are 0 to 2"):
        open_lazy(slide, level=3)
    image = read_image(slide)
    assert image.spacing == pytest.approx((0.25, 0.25))
    np.testing.assert_array_equal(image.data, np.moveaxis(PIXELS, -1, 0))


@pytest.mark.parametrize(
    ("size", "level"),
    [(0.1, 0), (0.25, 0), (0.9, 0), (0.96, 1), (1.0, 1), (3.0, 1), (4.0, 2), (9.0, 2)],
)
def test_the_level_that_fits_a_pixel_size_is_taken(
    slide: Path, size: float, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "embedseg"):
        image = open_fitting(slide, target=(size, size))
    assert image.spacing == pytest.approx((0.25 * 4**level,) * 2)
    own = f"{0.25 * 4**level:g}"
    *_, line = caplog.messages
    assert f"{slide.name}: level {level} of 0 to 2 is read, pixels of {own} x {own} µm" in line


def test_a_level_or_a_pixel_size_that_is_given_counts(slide: Path) -> None:
    assert open_fitting(slide, level=2, target=(0.25, 0.25)).shape[1:] == (31, 40)
    # It would not be known of which level it is.
    assert open_fitting(slide, spacing=(1.0, 1.0), target=(1.0, 1.0)).shape[1:] == (500, 640)
    assert open_fitting(slide).shape[1:] == (500, 640)


def test_levels_of_a_slide_without_pixel_size(tmp_path: Path) -> None:
    path = write_svs(tmp_path / "a.svs", PIXELS, 0.0)
    assert open_fitting(path, target=(1.0, 1.0)).shape[1:] == (500, 640)
    image = open_lazy(path, level=1)
    # Its place is in pixels of the first level.
    assert image.spacing is None and image.scales == ((4.0, 1.5, None),) * 2


def test_an_ome_zarr_image_is_read_at_the_level_that_fits(tmp_path: Path) -> None:
    place: dict[str, Any] = {"scale": {"Y": 0.5, "X": 0.5}, "translation": {"Y": 9.0, "X": 0.0}}
    path = write_store(tmp_path / "a.zarr", np.zeros((64, 80), np.uint16), "YX", **place)
    fine, coarse = (open_lazy(path, level=level) for level in (0, 1))
    assert open_fitting(path, target=(0.6, 0.6)) == fine
    assert open_fitting(path, target=(1.0, 1.0)) == coarse != fine
    # Pixels are not longer along any axis; volumes do not have the axes of planes.
    assert open_fitting(path, target=(1.0, 0.6)) == fine
    assert open_fitting(path, target=(9.0, 1.0, 1.0)) == fine


def test_levels_of_a_volume_keep_its_depth(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 99, (3, 100, 130), np.uint16)
    sizes = {"PhysicalSizeZ": 2.0, "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.5}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        tiled: dict[str, Any] = {"tile": (32, 32), "photometric": "minisblack"}
        file.write(volume, subifds=1, metadata={"axes": "ZYX", **sizes}, **tiled)
        file.write(volume[:, ::2, ::2], subfiletype=1, **tiled)
    image = open_fitting(tmp_path / "a.ome.tif", target=(2.0, 1.0, 1.0))
    assert (image.axes, image.spacing) == ("ZYX", (2.0, 1.0, 1.0))
    assert [(each.size, each.start) for each in image.scales] == [(2, 0), (1, 0.25), (1, 0.25)]
    np.testing.assert_array_equal(image.load().data, volume[:, ::2, ::2])


def test_only_the_tiles_of_a_box_are_decoded(slide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, decoded = open_lazy(slide), []
    decode = tifffile.TiffPage.decode.func  # type: ignore[attr-defined]

    def counted(page: Any) -> Any:
        inner = decode(page)
        return lambda data, index, **more: (decoded.append(index), inner(data, index, **more))[1]

    monkeypatch.setattr(tifffile.TiffPage, "decode", property(counted))
    image.read((slice(0, 3), slice(70, 120), slice(70, 130)))
    assert sorted(set(decoded)) == [11, 12]


@pytest.mark.parametrize("source", ["folder", "a.npy"])
def test_other_sources_have_no_levels(tmp_path: Path, source: str) -> None:
    (tmp_path / "folder").mkdir()
    tifffile.imwrite(tmp_path / "folder/z1.tif", PIXELS[..., 0])
    np.save(tmp_path / "a.npy", PIXELS)
    with pytest.raises(DataError, match="has no level 1, only an OME-Zarr image or a TIFF has"):
        open_lazy(tmp_path / source, level=1)


def test_a_level_that_is_listed_but_missing_is_named(tmp_path: Path) -> None:
    store = write_store(tmp_path / "a.zarr", np.ones((8, 8), np.uint8), "YX", "0.5")
    group = zarr.open_group(store, mode="r+")
    ome: Any = dict(group.attrs["ome"])
    ome["multiscales"][0]["datasets"][0]["path"] = "nope"
    group.attrs["ome"] = ome
    with pytest.raises(DataError, match="list level 'nope', which is not there"):
        open_lazy(store)
