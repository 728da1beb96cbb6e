"""TIFF files: pixel size, channels, missing pixels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

from embedseg.images import open_lazy, read_image, write_tiff
from embedseg.images.tiff_series import list_series
from embedseg.types import DataError
from image_files import VOLUME, imagej, save


@pytest.mark.parametrize("unit", ["micron", "um", r"\u00B5m", "microns"])
def test_spacing_of_imagej(tmp_path: Path, unit: str) -> None:
    image = read_image(imagej(tmp_path / "a.tif", VOLUME[:, 0], "ZYX", unit=unit, spacing=2))
    assert image.spacing == (2, 0.5, 0.25)
    image = read_image(imagej(tmp_path / "t.tif", VOLUME[:, 0], "TYX", unit=unit))
    assert image.spacing == (0.5, 0.25)


@pytest.mark.parametrize("value", ["0", "-inf", "nan", "inf"])
def test_impossible_sizes_are_warned_of_and_not_used(
    tmp_path: Path, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": value}
    path = save(tmp_path / "a.ome.tif", VOLUME[:, 0], metadata=metadata)
    assert read_image(path).spacing is None
    (line,) = caplog.messages
    assert "a.ome.tif: size of a pixel along Z" in line and value in line


@pytest.mark.parametrize("ome", [False, True])
def test_a_negative_depth_is_read_as_positive(
    tmp_path: Path, ome: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if ome:
        sizes = {
            f"PhysicalSize{axis}": size for axis, size in zip("ZYX", (-2, 0.5, 0.25), strict=True)
        }
        path = save(tmp_path / "a.ome.tif", VOLUME[:, 0], metadata={"axes": "ZYX", **sizes})
    else:
        path = imagej(tmp_path / "a.tif", VOLUME[:, 0], "ZYX", unit="um", spacing=-2)
    with caplog.at_level("INFO", "embedseg"):
        assert read_image(path).spacing == open_lazy(path).spacing == (2, 0.5, 0.25)
    (line,) = caplog.messages
    assert f"{path.name}: size of a pixel along Z is -2" in line and "read as 2" in line


def test_spacing_of_imagej_in_other_units(tmp_path: Path) -> None:
    nm = imagej(tmp_path / "a.tif", VOLUME[:, 0], "ZYX", (0.25, 0.2), unit="nm", spacing=50)
    assert read_image(nm).spacing == pytest.approx((0.05, 0.005, 0.004))
    # ImageJ leaves a depth of 1 out.
    left_out = imagej(tmp_path / "b.tif", VOLUME[:, 0], "ZYX", unit="um")
    assert read_image(left_out).spacing == (1, 0.5, 0.25)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"unit": "pixel"},
        {"unit": "furlong"},
        {"unit": "um", "spacing": 0},
        {"unit": "um", "spacing": "nan"},
    ],
)
def test_spacing_of_imagej_that_is_not_known(tmp_path: Path, metadata: Any) -> None:
    assert read_image(imagej(tmp_path / "a.tif", VOLUME[:, 0], "ZYX", **metadata)).spacing is None


@pytest.mark.parametrize("unit, factor", [("µm", 1), ("nm", 1e-3), ("mm", 1e3)])
def test_spacing_of_ome(tmp_path: Path, unit: str, factor: float) -> None:
    metadata: dict[str, Any] = {"axes": "ZYX"}
    for axis, size in zip("ZYX", (3, 2, 1), strict=True):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}
    image = read_image(save(tmp_path / "a.ome.tif", VOLUME[:, 0], metadata=metadata))
    assert image.spacing == pytest.approx((3 * factor, 2 * factor, factor))
    del metadata["PhysicalSizeZ"]
    image = read_image(save(tmp_path / "a.ome.tif", VOLUME[:, 0], metadata=metadata))
    assert image.spacing is None


def test_spacing_of_ome_is_in_micrometres_by_default(tmp_path: Path) -> None:
    metadata = {"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
    image = read_image(save(tmp_path / "a.ome.tif", VOLUME[0, 0], metadata=metadata))
    assert image.spacing == (0.5, 0.25)


@pytest.mark.parametrize(
    "per_unit, unit, spacing",
    [
        (72, "INCH", None),
        (96, "INCH", None),
        (300, "INCH", None),
        (28.35, "CENTIMETER", None),
        (1, "CENTIMETER", None),
        (1, "NONE", None),
        (4, "NONE", None),
        (20_000, "CENTIMETER", (0.5, 0.5)),
        (50_800, "INCH", (0.5, 0.5)),
        (4, "MICROMETER", (0.25, 0.25)),
    ],
)
def test_spacing_of_resolution_tags(
    tmp_path: Path, per_unit: float, unit: str, spacing: Any
) -> None:
    options = {"metadata": None, "resolution": (per_unit,) * 2, "resolutionunit": unit}
    image = read_image(save(tmp_path / "a.tif", VOLUME[0, 0], **options))
    assert image.spacing == (spacing and pytest.approx(spacing))
    # Tags know nothing of z.
    assert read_image(save(tmp_path / "b.tif", VOLUME[:, 0], **options), "ZYX").spacing is None


def test_spacing_of_described_unit_goes_before_the_default_inch(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.tif",
        VOLUME[:, 0],
        resolution=(4, 2),
        resolutionunit="INCH",
        metadata={"axes": "ZYX", "spacing": 2, "unit": "um"},
    )
    assert read_image(path).spacing == (2, 0.5, 0.25)


@pytest.mark.parametrize(
    "dtype, shape, axes",
    [
        (np.float32, (3, 2, 6, 7), "ZCYX"),
        (np.float64, (3, 2, 6, 7), "ZCYX"),
        (np.float32, (2, 6, 7), "CYX"),
        (np.float32, (3, 2, 1, 7), "ZCYX"),
    ],
    ids=["ImageJ", "OME", "image", "JSON"],
)
def test_names_of_channels_come_back(
    tmp_path: Path, dtype: Any, shape: tuple[int, ...], axes: str
) -> None:
    data = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    write_tiff(
        tmp_path / "a.tif",
        data,
        (2.0, 0.5, 0.25)[-axes.count("Z") - 2 :],
        axes,
        ("DAPI", "Alexa 488"),
    )
    image = read_image(tmp_path / "a.tif")
    assert image.channels == ("DAPI", "Alexa 488")
    assert image.spacing == (2.0, 0.5, 0.25)[-axes.count("Z") - 2 :]
    np.testing.assert_array_equal(image.data, np.moveaxis(data, axes.index("C"), 0))


def test_names_of_channels_of_others(tmp_path: Path) -> None:
    ome = save(
        tmp_path / "a.ome.tif",
        VOLUME,
        metadata={"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP", "mCherry"]}},
    )
    assert read_image(ome).channels == ("DAPI", "GFP", "mCherry")
    # Names of planes are not those of channels, nor are too few of them.
    planes = [f"plane {k}" for k in range(15)]
    assert read_image(imagej(tmp_path / "b.tif", VOLUME, "ZCYX", Labels=planes)).channels == ()
    assert (
        read_image(
            save(
                tmp_path / "c.ome.tif",
                VOLUME,
                metadata={"axes": "ZCYX", "Channel": {"Name": ["DAPI", "", "GFP"]}},
            )
        ).channels
        == ()
    )
    assert read_image(imagej(tmp_path / "d.tif", VOLUME[:, 0], "ZYX")).channels == ()


@pytest.mark.parametrize(
    "tag, value, words",
    [
        ("StripByteCounts", 0, "pixels of plane 2 are missing"),
        ("StripOffsets", 0, "pixels of plane 2 are missing"),
        ("StripOffsets", 10**6, "truncated: plane 2 ends at byte 1000"),
    ],
)
def test_missing_pixels_do_not_pass_for_zeros(
    tmp_path: Path, tag: str, value: int, words: str
) -> None:
    path = save(tmp_path / "a.tif", VOLUME[:, 0], metadata={"axes": "ZYX"}, compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[2].tags[tag].overwrite(value)
    with pytest.raises(DataError, match=rf"a\.tif: {words}"):
        read_image(path)


def test_missing_planes_do_not_pass_for_zeros(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ome.tif", VOLUME[:, 0], metadata={"axes": "ZYX"})
    content = path.read_bytes()
    for old, new in ((b'SizeZ="5"', b'SizeZ="9"'), (b'PlaneCount="5"', b'PlaneCount="9"')):
        content = content.replace(old, new)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.ome\.tif: .*missing"):
        read_image(path)


def test_axes_of_length_one_are_kept_with_the_tifffile_here_and_with_newer(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((1, 3, 1, 6, 5), np.uint16), imagej=True)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        ((_, shape, axes),) = list_series(file)
    assert dict(zip(axes, shape, strict=True)) == {"T": 1, "Z": 3, "C": 1, "Y": 6, "X": 5, "S": 1}
    # From 2026.5 on (Python 3.12) a file gives series with all axes, or, unasked, without.
    full = SimpleNamespace(shape=shape, axes=axes)
    short = SimpleNamespace(shape=(3, 6, 5), axes="ZYX")
    newer = SimpleNamespace(series=lambda squeeze: [short if squeeze else full])
    assert list_series(newer) == [(full, shape, axes)]
