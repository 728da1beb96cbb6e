"""Images and label images read and written; broken files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings, strategies as st
from imagecodecs import png_encode

from embedseg.images import read_image, read_labels, write_labels
from embedseg.types import DataError
from image_files import VOLUME, imagej, save
from strategies import spacings

each_example_writes_anew = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25
)


@given(data=st.data())
@each_example_writes_anew
def test_labels_come_back_with_axes_and_spacing(tmp_path: Path, data: st.DataObject) -> None:
    axes = data.draw(st.sampled_from(["YX", "ZYX", "TYX", "TZYX"]))
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * len(axes)))
    largest = data.draw(st.sampled_from([1, 2**16 - 1, 2**16, 2**31 - 1]))
    smallest = data.draw(st.sampled_from([0, -1]))
    labels = np.random.default_rng(0).integers(smallest, largest, shape, endpoint=True)
    spacing = data.draw(st.none() | spacings(len(axes.replace("T", ""))))
    write_labels(tmp_path / "a.tif", labels, spacing, axes)
    image = read_labels(tmp_path / "a.tif")
    assert image.data.dtype == np.int32
    np.testing.assert_array_equal(image.data, labels)
    assert image.axes == axes
    assert image.spacing == (spacing and pytest.approx(spacing, rel=1e-5))


def test_labels_are_what_imagej_understands(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", VOLUME % 9, (2.0, 0.5, 0.25), "TZYX")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        metadata, page = file.imagej_metadata, file.pages[0]
        assert metadata is not None
        assert (metadata["frames"], metadata["slices"]) == (5, 3)
        assert (metadata["unit"], metadata["spacing"]) == ("um", 2)
        assert page.tags["XResolution"].value == (4, 1)
        assert (page.dtype, page.compression.name) == (np.uint16, "ADOBE_DEFLATE")


def test_many_labels_are_ome(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", VOLUME[:, 0].astype(np.int32) * 1000, (2.0, 0.5, 0.25), "ZYX")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_ome
        assert file.series[0].dtype == np.uint32
        assert 'PhysicalSizeZ="2.0"' in (file.ome_metadata or "")


def test_ignore_label_becomes_minus_1(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.array([[0, 3, 255]], np.uint8))
    assert read_labels(path, ignore_label=255).data.tolist() == [[0, 3, -1]]
    assert read_labels(path, ignore_label=99).data.tolist() == [[0, 3, 255]]
    path = save(tmp_path / "b.tif", np.array([[0, 3, 2**32 - 1]], np.uint32))
    assert read_labels(path, ignore_label=2**32 - 1).data.tolist() == [[0, 3, -1]]
    with pytest.raises(DataError, match=r"b\.tif.*4294967295"):
        read_labels(path)


@pytest.mark.parametrize(
    "data, words",
    [
        (np.array([[0.5, 1]], np.float32), "fractional"),
        (np.array([[-2, 1]], np.int16), "from -2"),
    ],
)
def test_what_is_no_label_image_is_refused(tmp_path: Path, data: Any, words: str) -> None:
    with pytest.raises(DataError, match=rf"a\.tif.*{words}"):
        read_labels(save(tmp_path / "a.tif", data))


def test_colours_are_no_labels(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.zeros((5, 6, 3), np.uint8), photometric="rgb")
    with pytest.raises(DataError, match=r"a\.tif.*\(3, 5, 6\) \(CYX\) has colours"):
        read_labels(path)


@pytest.mark.parametrize(
    "shape, spacing, axes, words",
    [
        ((4, 5), None, "ZYX", r"\(4, 5\).*'ZYX'"),
        ((4, 5), None, "XY", "'XY'"),
        ((2, 4, 5), (1.0, 1.0, 1.0), "TYX", "3 values, the labels have 2"),
    ],
)
def test_labels_that_do_not_fit_are_not_written(
    tmp_path: Path, shape: tuple[int, ...], spacing: Any, axes: str, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        write_labels(tmp_path / "a.tif", np.zeros(shape, np.int32), spacing, axes)
    assert not list(tmp_path.iterdir())


def whole(folder: Path, name: str) -> Path:
    """One file of each kind, a few kB."""
    rng = np.random.default_rng(0)
    data = rng.integers(0, 2**16, (4, 3, 20, 21)).astype(np.uint16)
    path, zlib = folder / name, {"compression": "zlib"}
    if name == "a.png":
        path.write_bytes(png_encode(data[0, 0]))
    elif name == "a.h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("raw", data=data[0, 0], compression="gzip")
    elif name.startswith("plain"):
        save(path, data[0, 0], metadata=None, **zlib)
    elif name.startswith("json"):
        save(path, data[:, 0], metadata={"axes": "ZYX"}, **zlib)
    elif name.startswith("imagej"):
        imagej(path, data, "ZCYX", unit="um", spacing=2)
    else:
        save(path, data, metadata={"axes": "ZCYX"}, ome=True, **zlib)
    return path


KINDS = ["a.png", "a.h5", "plain.tif", "json.tif", "imagej.tif", "a.ome.tif"]


@pytest.mark.parametrize("name", KINDS)
@given(share=st.floats(0, 1, exclude_max=True), from_end=st.booleans())
@each_example_writes_anew
def test_truncated_files_are_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory, name: str, share: float, from_end: bool
) -> None:
    path = whole(tmp_path_factory.mktemp("broken"), name)
    expected, content = read_image(path), path.read_bytes()
    cut = int(share * len(content)) if not from_end else len(content) - 1 - int(share * 300)
    path.write_bytes(content[:cut])
    try:
        image = read_image(path)
    except DataError as error:
        assert str(path) in str(error)
        assert len(str(error).splitlines()) == 1
    else:  # a few bytes at the end may be filling
        assert image.axes == expected.axes
        np.testing.assert_array_equal(image.data, expected.data)


@pytest.mark.parametrize("name", KINDS)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@each_example_writes_anew
def test_damaged_files_raise_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, name: str, place: float, bit: int
) -> None:
    path = whole(tmp_path_factory.mktemp("broken"), name)
    content = bytearray(path.read_bytes())
    content[int(place * min(len(content), 800))] ^= 1 << bit
    path.write_bytes(content)
    try:
        read_image(path, None)
    except DataError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.tif", b""),
        ("a.tif", b"no image"),
        ("a.png", b"no image"),
        ("a.h5", b"no image"),
        ("a.tif", b"II*\0\x08\0\0\0"),
        ("a.jpg", b"whatever"),
    ],
)
def test_what_is_no_image_is_named(
    tmp_path: Path, name: str, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name), caplog.at_level(logging.DEBUG):
        read_image(tmp_path / name)
    assert not [record for record in caplog.records if record.name == "tifffile"]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.tif: no such file"):
        read_image(tmp_path / "none.tif")
