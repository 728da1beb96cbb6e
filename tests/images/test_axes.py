"""Axes of stored arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedseg.images import read_image
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
    # A colour never passes for a plane.
    with pytest.raises(DataError, match="does not have the axes ZYX"):
        read_image(path, "ZYX")
