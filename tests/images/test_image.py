"""Reading and writing: axes, spacing, broken files, names of files."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings, strategies as st
from imagecodecs import png_encode

from embedseg.common import remove_partial_files, write_aside
from embedseg.images import expand_inputs, read_image, read_labels, stem, write_labels, write_tiff
from embedseg.images.tiff import whole_series
from embedseg.types import DataError, UsageError
from strategies import spacings

VOLUME = np.arange(5 * 3 * 6 * 7, dtype=np.uint16).reshape(5, 3, 6, 7)
each_example_writes_anew = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25
)


def save(path: Path, data: Any, **options: Any) -> Path:
    tifffile.imwrite(path, data, **{"photometric": "minisblack", **options})
    return path


def imagej(
    path: Path, data: Any, axes: str, pixels: tuple[float, float] = (4, 2), **metadata: Any
) -> Path:
    return save(path, data, imagej=True, resolution=pixels, metadata={"axes": axes, **metadata})


# -- axes ------------------------------------------------------------------------------------------
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


@pytest.mark.parametrize(
    "attributes, axes",
    [
        ({"axes": "ZYX"}, "ZYX"),
        ({"axes": ["t", "y", "x"]}, "TYX"),
        ({"axistags": '{"axes": [{"key": "z"}, {"key": "y"}, {"key": "x"}]}'}, "ZYX"),
    ],
)
def test_hdf5(tmp_path: Path, attributes: dict[str, Any], axes: str) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["group/raw"] = VOLUME[:, 0]
        file["list"] = [1, 2]
        file["group/raw"].attrs.update({**attributes, "element_size_um": [2, 0.5, 0.25]})
    image = read_image(path)
    assert image.axes == axes
    assert image.spacing == ((2, 0.5, 0.25) if axes == "ZYX" else (0.5, 0.25))
    np.testing.assert_array_equal(image.data, VOLUME[:, 0])


def test_hdf5_needs_its_axes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = VOLUME[:, 0]
    with pytest.raises(DataError, match="--axes"):
        read_image(tmp_path / "a.h5")
    assert read_image(tmp_path / "a.h5", "ZYX").axes == "ZYX"
    with h5py.File(tmp_path / "a.h5", "a") as file:
        # A size for each axis of space says which they are.
        file["raw"].attrs["element_size_um"] = [2, 0.5, 0.25]
    assert read_image(tmp_path / "a.h5").axes == "ZYX"
    assert read_image(tmp_path / "a.h5").spacing == (2, 0.5, 0.25)


def test_hdf5_with_several_datasets(tmp_path: Path) -> None:
    path, volume = tmp_path / "a.h5", VOLUME[:, 0]
    with h5py.File(path, "w") as file:
        file["raw"], file["more/label"] = volume, volume + 1
    np.testing.assert_array_equal(read_image(path, "ZYX").data, volume)
    named = read_image(path / "more" / "label", "ZYX")
    np.testing.assert_array_equal(named.data, volume + 1)
    assert stem(path / "more" / "label") == "a"
    assert expand_inputs([f"{path}/more/label"]) == [path / "more" / "label"]
    with pytest.raises(DataError, match="expected a dataset 'no', found more/label, raw"):
        read_image(path / "no", "ZYX")
    with h5py.File(path, "a") as file:
        file["volume"] = file.pop("raw")[()]
    with pytest.raises(DataError, match=r"one dataset.*found more/label, volume; a\.h5/NAME names"):
        read_image(path, "ZYX")


# -- spacing ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("unit", ["micron", "um", r"\u00B5m", "microns"])
def test_spacing_of_imagej(tmp_path: Path, unit: str) -> None:
    image = read_image(imagej(tmp_path / "a.tif", VOLUME[:, 0], "ZYX", unit=unit, spacing=2))
    assert image.spacing == (2, 0.5, 0.25)
    image = read_image(imagej(tmp_path / "t.tif", VOLUME[:, 0], "TYX", unit=unit))
    assert image.spacing == (0.5, 0.25)


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
        {"unit": "um", "spacing": -1},
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


# -- labels ----------------------------------------------------------------------------------------
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


# -- channels --------------------------------------------------------------------------------------
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


# -- microscopes -----------------------------------------------------------------------------------
def test_files_of_microscopes_need_bioio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bioio", None)
    for name, plugin in (("a.czi", "bioio-czi"), ("a.nd2", "bioio-nd2"), ("a.LIF", "bioio-lif")):
        touch(tmp_path, name)
        with pytest.raises(UsageError, match=rf"{name}: needs bioio and {plugin}: pip install"):
            read_image(tmp_path / name)


def test_czi(tmp_path: Path) -> None:
    czi = pytest.importorskip("pylibCZIrw.czi", reason="needs pip install 'embedseg-nd[bioio]'")
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for z, c in np.ndindex(VOLUME.shape[:2]):
            file.write(VOLUME[z, c][..., np.newaxis], plane={"C": c, "Z": z, "T": 0})
        file.write_metadata(
            channel_names={0: "DAPI", 1: "GFP", 2: "mCherry"},
            scale_x=0.25e-6,
            scale_y=0.5e-6,
            scale_z=2e-6,
        )
    image = read_image(tmp_path / "a.czi")
    assert (image.axes, image.spacing) == ("CZYX", (2.0, 0.5, 0.25))
    assert image.channels == ("DAPI", "GFP", "mCherry")
    np.testing.assert_array_equal(image.data, np.moveaxis(VOLUME, 1, 0))
    (tmp_path / "b.czi").write_bytes((tmp_path / "a.czi").read_bytes()[:500])
    with pytest.raises((DataError, UsageError), match=r"b\.czi: "):
        read_image(tmp_path / "b.czi")


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


def test_what_fails_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    def fail(aside: Path) -> None:
        aside.write_text("half")
        raise KeyboardInterrupt

    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_aside(tmp_path / "a.txt", fail)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


# -- broken files ----------------------------------------------------------------------------------
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


def test_several_images_in_one_file_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(VOLUME[0, 0], metadata={})
        writer.write(VOLUME[0, 0, :3], metadata={})
    with pytest.raises(DataError, match=r"2 separate images.*expected one"):
        read_image(tmp_path / "a.tif")


# -- names of files --------------------------------------------------------------------------------
def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_stem() -> None:
    assert [stem(name) for name in ("a/b.tif", "b.OME.TIFF", "b.c.png", "b", ".tif")] == [
        "b",
        "b",
        "b.c",
        "b",
        ".tif",
    ]


def test_inputs_are_expanded_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "x10.tif", "x9.ome.tif", "X1.png", ".hidden.tif", "notes.txt", "sub/z.tif")
    names = ["X1.png", "x9.ome.tif", "x10.tif"]
    assert [path.name for path in expand_inputs([tmp_path])] == names
    assert [path.name for path in expand_inputs([str(tmp_path / "x*")])] == names[1:]
    # The same file twice is one file.
    assert [path.name for path in expand_inputs([tmp_path / "x10.tif", str(tmp_path)])] == names


def test_a_file_named_like_a_pattern_is_found(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].tif")
    assert expand_inputs([tmp_path / "a[1].tif"]) == [tmp_path / "a[1].tif"]


def test_inputs_that_stand_for_nothing_or_clash_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/same.tif", "b/same.ome.tif", "empty/notes.txt")
    with pytest.raises(DataError, match=r"a/same\.tif and .*b/same\.ome\.tif .*'same'"):
        expand_inputs([tmp_path / "b", tmp_path / "a"])
    for nothing in (tmp_path / "empty", tmp_path / "*.tif", tmp_path / "none.tif"):
        with pytest.raises(DataError, match=nothing.name.replace("*", r"\*")):
            expand_inputs([tmp_path / "a", nothing])
    with pytest.raises(DataError, match="no image files given"):
        expand_inputs([])


def test_what_was_left_half_written_is_swept_away(tmp_path):
    (tmp_path / ".labels.tif.77.part").write_text("half")
    (tmp_path / ".out.77.part" / "slices").mkdir(parents=True)
    (tmp_path / "labels.tif").write_text("whole")
    remove_partial_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.tif"]


def test_axes_of_length_one_are_kept_with_the_tifffile_here_and_with_newer(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((1, 3, 1, 6, 5), np.uint16), imagej=True)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        ((_, shape, axes),) = whole_series(file)
    assert dict(zip(axes, shape, strict=True)) == {"T": 1, "Z": 3, "C": 1, "Y": 6, "X": 5, "S": 1}
    # From 2026.5 on (Python 3.12) a file gives series with all axes, or, unasked, without.
    full = SimpleNamespace(shape=shape, axes=axes)
    short = SimpleNamespace(shape=(3, 6, 5), axes="ZYX")
    newer = SimpleNamespace(series=lambda squeeze: [short if squeeze else full])
    assert whole_series(newer) == [(full, shape, axes)]
