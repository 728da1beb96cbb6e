"""Axes of stored arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from embedseg.images import open_lazy, read_image, read_labels
from embedseg.types import DataError, UsageError
from image_files import VOLUME, save


@pytest.mark.parametrize(
    "data, options, axes",
    [
        (VOLUME[0, 0], {"metadata": None}, "YX"),
        (VOLUME[0, 0], {}, "YX"),
        (VOLUME[:, 0], {"metadata": {"axes": "ZYX"}}, "ZYX"),
        (VOLUME[:, 0], {"metadata": {"axes": "TYX"}}, "TYX"),
        (VOLUME[:1, 0], {"metadata": {"axes": "ZYX"}}, "ZYX"),
        (VOLUME[:, 0], {"imagej": True, "metadata": {"axes": "ZYX"}}, "ZYX"),
        (VOLUME[:, 0], {"imagej": True, "metadata": {"axes": "TYX"}}, "TYX"),
        (VOLUME[:, 0], {"ome": True, "metadata": {"axes": "ZYX"}}, "ZYX"),
        (VOLUME[0], {"ome": True, "metadata": {"axes": "CYX"}}, "CYX"),
        (VOLUME[:, 0], {"ome": True, "metadata": {"axes": "TYX"}}, "TYX"),
        (VOLUME[:1, 0], {"metadata": {}}, "YX"),
    ],
)
def test_axes_come_from_metadata(tmp_path: Path, data: Any, options: Any, axes: str) -> None:
    image = read_image(save(tmp_path / "a.tif", data, **options))
    assert image.axes == axes
    np.testing.assert_array_equal(image.data, data.reshape(image.data.shape))
    assert image.data.dtype == data.dtype


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True, "metadata": {"axes": "ZCYX"}},
        {"ome": True, "metadata": {"axes": "ZCYX"}},
        {"metadata": {"axes": "ZCYX"}},
    ],
)
def test_axes_are_brought_into_one_order(tmp_path: Path, options: Any) -> None:
    image = read_image(save(tmp_path / "a.tif", VOLUME, **options))
    assert image.axes == "CZYX"
    np.testing.assert_array_equal(image.data, VOLUME.swapaxes(0, 1))


@pytest.mark.parametrize("metadata", [None, {}, {"axes": "QYX"}, {"axes": "IYX"}])
def test_axes_are_not_guessed(tmp_path: Path, metadata: Any) -> None:
    path = save(tmp_path / "a.tif", VOLUME[:, 0], metadata=metadata)
    with pytest.raises(DataError, match=r"a\.tif.*\(5, 6, 7\).*--axes"):
        read_image(path)
    assert read_image(path, "tyx").axes == "TYX"
    image = read_image(path, "XZY")
    assert (image.axes, image.data.shape) == ("ZYX", (6, 7, 5))


def test_asked_axes_go_before_metadata(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", VOLUME[:, 0], metadata={"axes": "ZYX"})
    assert read_image(path, "TYX").axes == "TYX"
    image = read_image(path, "CZYX")
    assert (image.axes, image.data.shape) == ("CZYX", (1, 5, 6, 7))
    with pytest.raises(DataError, match=r"\(5, 6, 7\) \(ZYX\) does not have the axes YX"):
        read_image(path, "YX")


@pytest.mark.parametrize("axes", ["YY", "ZX", "AYX", "", "ZZYX"])
def test_axes_that_make_no_sense_are_a_wrong_request(tmp_path: Path, axes: str) -> None:
    with pytest.raises(UsageError, match="expected Y and X"):
        read_image(save(tmp_path / "a.tif", VOLUME[0, 0]), axes)


@pytest.mark.parametrize("planar", [False, True])
def test_colours_are_channels(tmp_path: Path, planar: bool) -> None:
    colours = VOLUME[0].astype(np.uint8)
    path = save(
        tmp_path / "a.tif",
        colours if planar else colours.transpose(1, 2, 0),
        photometric="rgb",
        planarconfig="separate" if planar else "contig",
    )
    for axes in (None, "CYX"):
        image = read_image(path, axes)
        assert image.axes == "CYX"
        np.testing.assert_array_equal(image.data, colours)
    if planar:
        # Any volume of three planes may have been written so.
        np.testing.assert_array_equal(read_image(path, "ZYX").data, colours)
    else:
        with pytest.raises(DataError, match="does not have the axes ZYX"):
            read_image(path, "ZYX")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planes", [3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_three_or_four_planes_are_asked_about(
    tmp_path: Path, dtype: str, planes: int, compression: str | None
) -> None:
    volume = VOLUME[:planes, 0].astype(dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, volume, compression=compression)
    for wanted in ("ZYX", "CYX", "TYX"):
        image, lazy = read_image(path, wanted), open_lazy(path, wanted)
        assert image.axes == lazy.axes == wanted
        np.testing.assert_array_equal(image.data, volume)
        np.testing.assert_array_equal(lazy.read((slice(None),) * 3), volume)
    np.testing.assert_array_equal(read_labels(path, "ZYX").data, volume)
    question = rf"a\.tif: .*{planes} separate planes of unknown meaning; pass --axes: ZYX"
    with pytest.raises(DataError, match=question):
        read_labels(path)
    if dtype == "uint8":
        # These may be colours.
        assert read_image(path).axes == open_lazy(path).axes == "CYX"
        return
    for read in (read_image, open_lazy):
        with pytest.raises(DataError, match=question):
            read(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_volumes_in_separate_planes_have_the_axes_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VOLUME)
    np.testing.assert_array_equal(read_image(path, "ZCYX").data, VOLUME.swapaxes(0, 1))
    np.testing.assert_array_equal(read_image(path, "TZYX").data, VOLUME)


def test_colours_in_separate_planes_are_remarked_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = save(tmp_path / "a.tif", VOLUME[0].astype(np.uint8), photometric="rgb")
    with caplog.at_level("INFO", "embedseg"):
        read_image(path)
    assert "3 separate planes, read as colours; --axes ZYX" in caplog.text
