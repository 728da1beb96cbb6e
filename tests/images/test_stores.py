"""Stores of OMERO, IDR and bioformats2raw: five axes, series, plates, places of images."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from stores import write_plate, write_series, write_store

from embedseg.images import (
    Scale,
    add_pyramid,
    create_labels,
    list_fields,
    open_array,
    open_lazy,
    read_image,
)
from embedseg.types import DataError

VERSIONS = ("0.4", "0.5")
PLANE = np.arange(40 * 30, dtype=np.uint16).reshape(40, 30)


def whole(image: Any) -> Any:
    return image.read((slice(None),) * len(image.axes))


# -- axes of length 1 ------------------------------------------------------------------------------
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "shape, axes",
    [
        ((1, 1, 1, 40, 30), "YX"),
        ((1, 3, 1, 40, 30), "CYX"),
        ((1, 1, 4, 40, 30), "ZYX"),
        ((5, 1, 1, 40, 30), "TYX"),
        ((1, 1, 1, 40, 1), "YX"),
        ((2, 3, 4, 10, 5), "TCZYX"),
    ],
)
def test_axes_of_length_1_are_left_out(tmp_path: Path, version: str, shape: Any, axes: str) -> None:
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    image = open_lazy(write_store(tmp_path / "a.zarr", data, version=version, levels=1))
    assert image.axes == axes and len(image.shape) == len(image.chunks) == len(axes)
    kept = [n for n, axis in zip(shape, "TCZYX", strict=True) if axis in axes]
    np.testing.assert_array_equal(whole(image), data.reshape(kept))
    assert len(image.scales) == len(axes.replace("C", ""))


@pytest.mark.parametrize(
    "wanted, shape",
    [("TCZYX", (1, 3, 1, 40, 30)), ("CYX", (3, 40, 30)), ("CZYX", (3, 1, 40, 30))],
)
def test_axes_that_are_named_have_length_1(tmp_path: Path, wanted: str, shape: Any) -> None:
    data = np.stack([PLANE] * 3)[None, :, None]
    image = open_lazy(write_store(tmp_path / "a.zarr", data), wanted)
    assert (image.axes, image.shape) == (wanted, shape)
    np.testing.assert_array_equal(whole(image), data.reshape(shape))


def test_an_axis_of_length_1_in_a_coarse_level_only_is_kept(tmp_path: Path) -> None:
    create_labels(tmp_path / "a", (2, 8, 8), np.uint8, "ZYX", (1.0, 1.0, 1.0), chunks=(2, 8, 8))
    open_array(tmp_path / "a")[:] = 1
    add_pyramid(tmp_path / "a", smallest=4)
    image = open_lazy(tmp_path / "a", level=1)
    assert (image.axes, image.shape) == ("ZYX", (1, 4, 4))


def test_arrays_with_named_axes_leave_them_out_too(tmp_path: Path) -> None:
    names = ["t", "y", "x"]
    zarr.create_array(tmp_path / "a", data=PLANE[None], dimension_names=names)
    assert open_lazy(tmp_path / "a").axes == "YX"
    zarr.create_array(tmp_path / "b", data=PLANE[None])
    with pytest.raises(DataError, match=r"shape \(1, 40, 30\), axes unknown"):
        open_lazy(tmp_path / "b")


def test_ilastik_stores_five_axes_too(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", data=PLANE[None, None, :, :, None]).attrs["axes"] = "tzyxc"
    for image in (open_lazy(tmp_path / "a.h5"), read_image(tmp_path / "a.h5")):
        assert image.axes == "YX"
    np.testing.assert_array_equal(read_image(tmp_path / "a.h5").data, PLANE)
    np.testing.assert_array_equal(whole(open_lazy(tmp_path / "a.h5")), PLANE)


# -- groups of images ------------------------------------------------------------------------------
@pytest.mark.parametrize("version", VERSIONS)
def test_the_only_series_is_the_image(tmp_path: Path, version: str) -> None:
    path = write_series(tmp_path / "a.zarr", [PLANE[None, None, None]], version)
    image = open_lazy(path)
    assert (image.source, image.axes) == (f"{path}/0", "YX")
    np.testing.assert_array_equal(whole(image), PLANE)
    assert open_lazy(path, level=1).shape == (20, 15)


@pytest.mark.parametrize("version", VERSIONS)
def test_several_series_are_named(tmp_path: Path, version: str) -> None:
    path = write_series(
        tmp_path / "a.zarr", [PLANE[None, None, None] + n for n in range(2)], version
    )
    with pytest.raises(
        DataError, match=r"a\.zarr: holds 2 images, expected one: \S+a\.zarr/0, \S+a\.zarr/1$"
    ):
        open_lazy(path)
    np.testing.assert_array_equal(whole(open_lazy(path / "1")), PLANE + 1)


def test_series_without_a_list_are_the_numbered_groups(tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.zarr", [PLANE[None, None, None]])
    del zarr.open_group(path / "OME").attrs["series"]
    assert open_lazy(path).source == f"{path}/0"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.filterwarnings("ignore")  # ome-zarr's writer warns of itself
def test_plates_and_wells_list_their_fields(tmp_path: Path, version: str) -> None:
    names = ["A/1/0", "A/1/1", "B/3/0"]
    path = write_plate(tmp_path / "p.zarr", {name: PLANE for name in names}, version)
    assert list_fields(str(path)) == names
    assert list_fields(str(path / "A/1")) == ["0", "1"]
    assert list_fields(str(path / "A/1/0")) == []
    image = open_lazy(path / "B/3/0")
    assert (image.axes, image.spacing) == ("YX", (0.5, 0.5))
    np.testing.assert_array_equal(whole(image), PLANE)
    with pytest.raises(DataError, match=r"p\.zarr: a plate or well of 3 fields.*p\.zarr/A/1/0"):
        open_lazy(path)
    with pytest.raises(DataError, match=r"a plate or well of 2 fields, .*p\.zarr/A/1/0 names one"):
        open_lazy(path / "A/1")


@pytest.mark.filterwarnings("ignore")
def test_a_well_that_is_missing_counts_as_a_field(tmp_path: Path) -> None:
    path = write_plate(tmp_path / "p.zarr", {name: PLANE for name in ("A/1/0", "B/3/0")})
    shutil.rmtree(path / "B")
    assert list_fields(str(path)) == ["A/1/0", "B/3"]
    with pytest.raises(DataError, match="no such file"):
        open_lazy(path / "B/3")


def test_broken_stores_have_no_fields(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.zarr: cannot be read, or is corrupt"):
        list_fields(str(tmp_path / "a.zarr"))


# -- places ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", VERSIONS)
def test_an_image_has_the_place_of_its_level(tmp_path: Path, version: str) -> None:
    path = write_store(
        tmp_path / "a.zarr",
        np.stack([PLANE] * 2)[:, None, None],
        version=version,
        scale={"T": 60.0, "Y": 0.5, "X": 0.25},
        translation={"T": 3.0, "Y": 100.0, "X": -20.0},
    )
    image = open_lazy(path)
    assert image.scales == (
        Scale(60.0, 3.0),
        Scale(0.5, 100.0, "micrometer"),
        Scale(0.25, -20.0, "micrometer"),
    )
    assert image.offset == (200.0, -80.0) and image.at_frame(1).offset == (200.0, -80.0)
    coarse = open_lazy(path, level=1)
    assert coarse.scales[1:] == (
        Scale(1.0, 100.25, "micrometer"),
        Scale(0.5, -19.875, "micrometer"),
    )
    # The size that a user gives holds; the place stays where it is in pixels.
    given = open_lazy(path, spacing=(2.0, 2.0))
    assert given.offset == image.offset and given.scales[1] == Scale(2.0, 400.0, "micrometer")


def test_translations_are_scaled_by_what_follows_them(tmp_path: Path) -> None:
    path = write_store(
        tmp_path / "a.zarr", PLANE, "YX", scale={"Y": 2.0, "X": 2.0}, translation={"Y": 3.0}
    )
    group = zarr.open_group(path)
    held: Any = group.attrs["multiscales"]
    held[0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [10.0, 10.0]},
        {"type": "translation", "translation": [1.0, 0.0]},
    ]
    group.attrs["multiscales"] = held
    # Of pixel i: (2 i + 3) 10 + 1.
    assert open_lazy(path).scales == (
        Scale(20.0, 31.0, "micrometer"),
        Scale(20.0, 0.0, "micrometer"),
    )


@pytest.mark.parametrize("scale", [{"Y": 0.0}, {"Y": float("nan")}, {"X": -1.0}])
def test_an_impossible_scale_is_no_place(tmp_path: Path, scale: dict[str, float]) -> None:
    image = open_lazy(write_store(tmp_path / "a.zarr", PLANE, "YX", scale=scale))
    assert image.scales == () and image.offset == (0.0, 0.0)


def test_frames_of_any_order_of_axes(tmp_path: Path) -> None:
    data = np.arange(3 * 2 * 8 * 9, dtype=np.uint16).reshape(8, 9, 2, 3)
    np.save(tmp_path / "a.npy", data)
    film = open_lazy(tmp_path / "a.npy", "YXCT")
    for t in range(3):
        frame = film.at_frame(t)
        assert (frame.axes, frame.shape) == ("CYX", (2, 8, 9))
        np.testing.assert_array_equal(whole(frame), data[..., t].transpose(2, 0, 1))
