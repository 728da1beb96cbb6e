"""Boxes of images are what the whole image holds there, whatever they are read from."""

from __future__ import annotations

import gc
import http.server
import multiprocessing
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import h5py
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, strategies as st
from imagecodecs import png_encode

from embedseg.images import LazyImage, is_lazy_source, open_lazy, pixel_source, read_image
from embedseg.types import DataError, UsageError

VOLUME = np.arange(5 * 3 * 18 * 37, dtype=np.uint16).reshape(5, 3, 18, 37)
ZYX, CZYX = VOLUME[:, 0], VOLUME.swapaxes(0, 1)
#: z, y, x in units of which two are no µm.
UNITS = {"z": ("nanometer", 2000.0), "y": ("micrometer", 0.5), "x": ("millimeter", 0.00025)}


def array(path: Path | str, data: Any, version: int = 3, **options: Any) -> Path | str:
    """Zarr array with chunks that do not divide it."""
    options = {"chunks": tuple(min(n, 7) for n in data.shape), **options}
    zarr.create_array(path, data=np.asarray(data), zarr_format=version, **options)
    return path


def ome_zarr(
    path: Path | str,
    data: Any,
    axes: str = "ZYX",
    version: int = 3,
    levels: int = 2,
    said: Any = None,
) -> Path | str:
    """OME-Zarr image whose levels are every 2nd, 4th ... pixel along all axes of space."""
    group = zarr.open_group(path, mode="w", zarr_format=version)
    kinds = {"T": "time", "C": "channel"}
    described: list[dict[str, Any]] = [
        {"name": axis.lower(), "type": kinds.get(axis, "space")} for axis in axes
    ]
    for axis in described:
        if axis["name"] in UNITS:
            axis["unit"] = UNITS[axis["name"]][0]
    datasets = []
    for level in range(levels):
        step = tuple(slice(None, None, 2**level if axis in "ZYX" else 1) for axis in axes)
        scale = [UNITS[axis.lower()][1] / 10 * 2**level if axis in "ZYX" else 1 for axis in axes]
        group.create_array(
            str(level),
            data=np.ascontiguousarray(data[step]),
            chunks=tuple(min(n, 7) for n in data[step].shape),
        )
        datasets.append(
            {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        )
    # Half of the scale is said of each level, half of all.
    image = {
        "axes": said or described,
        "datasets": datasets,
        "coordinateTransformations": [
            {"type": "scale", "scale": [10 if axis in "ZYX" else 1 for axis in axes]}
        ],
    }
    if version == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    else:
        group.attrs["multiscales"] = [{"version": "0.4", **image}]
    return path


def tiff(path: Path, data: Any, **options: Any) -> Path:
    tifffile.imwrite(path, data, **{"photometric": "minisblack", **options})
    return path


def hdf5(path: Path, data: Any, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("group/raw", data=data, **options)
    return path


def npy(path: Path, data: Any) -> Path:
    np.save(path, data)
    return path


def png(path: Path, data: Any) -> Path:
    path.write_bytes(png_encode(np.ascontiguousarray(data)))
    return path


def folder(path: Path, write: Callable[..., Any], planes: Any, suffix: str) -> Path:
    """Folder of slices whose names sort by numbers only."""
    path.mkdir()
    for number, plane in enumerate(planes, 8):
        write(path / f"z{number}{suffix}", plane)
    return path


def rgb(path: Path) -> Path:
    return tiff(
        path,
        VOLUME[0].astype(np.uint8).transpose(1, 2, 0),
        photometric="rgb",
        tile=(16, 16),
        compression="zlib",
    )


#: How each kind of source is made, with the axes it has to be told, the array that it is, and axes.
SOURCES: dict[str, tuple[Callable[[Path], Any], str | None, Any, str]] = {
    "ome-zarr 0.5": (lambda p: ome_zarr(p / "a.zarr", ZYX), None, ZYX, "ZYX"),
    "ome-zarr 0.4": (lambda p: ome_zarr(p / "a", ZYX, version=2), None, ZYX, "ZYX"),
    "channels": (lambda p: ome_zarr(p / "a", CZYX, "CZYX"), None, CZYX, "CZYX"),
    "another order": (lambda p: ome_zarr(p / "a", VOLUME, "ZCYX"), None, CZYX, "CZYX"),
    "level as array": (lambda p: Path(ome_zarr(p / "a", ZYX)) / "0", "ZYX", ZYX, "ZYX"),
    "zarr v2": (lambda p: array(p / "a.zarr", ZYX, 2), "zyx", ZYX, "ZYX"),
    "zarr v3": (lambda p: array(p / "a", ZYX, dimension_names=["z", "y", "x"]), None, ZYX, "ZYX"),
    "shards": (
        lambda p: array(p / "a", ZYX, chunks=(2, 4, 5), shards=(4, 8, 10)),
        "ZYX",
        ZYX,
        "ZYX",
    ),
    "big-endian": (lambda p: array(p / "a", ZYX.astype(">u2"), 2), "ZYX", ZYX, "ZYX"),
    "xarray": (
        lambda p: array(p / "a", ZYX, 2, attributes={"_ARRAY_DIMENSIONS": list("tyx")}),
        None,
        ZYX,
        "TYX",
    ),
    "plain zarr": (lambda p: array(p / "a", ZYX[0]), None, ZYX[0], "YX"),
    "file url": (lambda p: f"file://{array(p / 'a', ZYX[0])}", None, ZYX[0], "YX"),
    "hdf5": (lambda p: hdf5(p / "a.h5", ZYX), "ZYX", ZYX, "ZYX"),
    "chunked hdf5": (
        lambda p: hdf5(p / "a.h5", ZYX, chunks=(2, 8, 8), compression="gzip") / "group" / "raw",
        "ZYX",
        ZYX,
        "ZYX",
    ),
    "mapped tiff": (lambda p: tiff(p / "a.tif", ZYX, metadata={"axes": "ZYX"}), None, ZYX, "ZYX"),
    "imagej": (
        lambda p: tiff(p / "a.tif", VOLUME, imagej=True, metadata={"axes": "ZCYX"}),
        None,
        CZYX,
        "CZYX",
    ),
    "tiles": (
        lambda p: tiff(
            p / "a.tif",
            ZYX,
            metadata={"axes": "ZYX"},
            tile=(16, 16),
            compression="zlib",
            bigtiff=True,
        ),
        None,
        ZYX,
        "ZYX",
    ),
    "strips": (
        lambda p: tiff(
            p / "a.ome.tif", VOLUME, metadata={"axes": "ZCYX"}, rowsperstrip=5, compression="zlib"
        ),
        None,
        CZYX,
        "CZYX",
    ),
    "one plane": (
        lambda p: tiff(p / "a.tif", ZYX[0], tile=(16, 16), compression="zlib"),
        "ZYX",
        ZYX[:1],
        "ZYX",
    ),
    "added axes": (
        lambda p: tiff(p / "a.tif", ZYX, metadata={"axes": "ZYX"}),
        "CZYX",
        ZYX[None],
        "CZYX",
    ),
    "colours": (lambda p: rgb(p / "a.tif"), None, VOLUME[0].astype(np.uint8), "CYX"),
    "npy": (lambda p: npy(p / "a.npy", ZYX), "ZYX", ZYX, "ZYX"),
    "fortran npy": (
        lambda p: npy(p / "a.npy", np.asfortranarray(ZYX)),
        "XYZ",
        ZYX.transpose(2, 1, 0),
        "ZYX",
    ),
    "png": (lambda p: png(p / "a.png", ZYX[0]), None, ZYX[0], "YX"),
    "png slices": (lambda p: folder(p / "a", png, ZYX, ".png"), None, ZYX, "ZYX"),
    "tiff slices": (lambda p: folder(p / "a", tiff, ZYX, ".tif"), "ZYX", ZYX, "ZYX"),
    "coloured slices": (
        lambda p: folder(p / "a", png, VOLUME.transpose(0, 2, 3, 1), ".png"),
        None,
        CZYX,
        "CZYX",
    ),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LazyImage]:
    """All kinds of sources, opened."""
    return {
        name: open_lazy(make(tmp_path_factory.mktemp("source")), axes)
        for name, (make, axes, _, _) in SOURCES.items()
    }


def whole(image: LazyImage) -> Any:
    return image.read(tuple(slice(0, n) for n in image.shape))


@pytest.mark.parametrize("name", SOURCES)
def test_what_images_are(opened: dict[str, LazyImage], name: str) -> None:
    image, (_, _, data, axes) = opened[name], SOURCES[name]
    assert (image.axes, image.shape) == (axes, data.shape)
    assert image.dtype == data.dtype and image.dtype.isnative
    assert len(image.chunks) == len(axes)
    assert all(1 <= chunk <= max(n, 64) for chunk, n in zip(image.chunks, data.shape, strict=True))
    read = whole(image)
    np.testing.assert_array_equal(read, data)
    assert read.dtype == data.dtype and read.flags.c_contiguous and read.flags.writeable
    # Nobody else sees what is done to it.
    read[...] = 0
    np.testing.assert_array_equal(whole(image), data)


@given(st.data())
def test_boxes_are_what_is_there(opened: dict[str, LazyImage], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(SOURCES)))
    image, expected = opened[name], SOURCES[name][2]
    box = tuple(
        slice(*sorted(data.draw(st.tuples(*[st.integers(0, n + 2)] * 2)))) for n in image.shape
    )
    np.testing.assert_array_equal(image.read(box), expected[box])


def test_boxes_have_a_slice_per_axis(opened: dict[str, LazyImage]) -> None:
    image = opened["npy"]
    np.testing.assert_array_equal(
        image.read((slice(None), slice(-3, None), slice(2))), ZYX[:, -3:, :2]
    )
    for box in ((slice(1),), (slice(1), slice(2), slice(0, 9, 2))):
        with pytest.raises(ValueError, match="axes ZYX: expected a slice for each"):
            image.read(box)


def sums(image: LazyImage) -> tuple[int, int]:
    """Return the sum of all values, and how often the source was opened for it."""
    before = pixel_source.opened.cache_info().misses
    return int(whole(image).sum()), pixel_source.opened.cache_info().misses - before


def test_images_go_to_other_processes(opened: dict[str, LazyImage]) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for name in ("ome-zarr 0.5", "chunked hdf5", "tiles", "mapped tiff", "npy", "png slices"):
            image = opened[name]
            whole(image)
            assert len(pickle.dumps(image)) < 1000
            # Open here by now, and not sent along.
            total, times = sums(image)
            assert times == 0
            assert pool.map(sums, [image, image]) == [(total, 1), (total, 0)]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python warns of forks beside threads")
def test_a_forked_process_opens_files_itself(tmp_path: Path) -> None:
    image = open_lazy(tiff(tmp_path / "a.tif", ZYX[0], compression="zlib", tile=(16, 16)))
    whole(image)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(sums, [image]) == [(ZYX[0].sum(), 1)]


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    for value in (1, 2):
        new = tiff(tmp_path / "new.tif", ZYX[0] * 0 + value, compression="zlib", tile=(16, 16))
        path = new.replace(tmp_path / "a.tif")
        assert whole(open_lazy(path)).max() == value


def test_few_files_stay_open(tmp_path: Path) -> None:
    # An open file that is forgotten is a warning, and so an error here.
    for number in range(7):
        path = tiff(tmp_path / f"{number}.tif", ZYX[0], compression="zlib", tile=(16, 16))
        open_lazy(path)
    assert pixel_source.opened.cache_info().currsize <= 4
    gc.collect()


def test_one_box_of_slices_reads_its_files_only(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", png, ZYX, ".png")
    image = open_lazy(path)
    (path / "z12.png").write_bytes(b"broken")
    assert image.read((slice(0, 4), slice(1), slice(1))).shape == (4, 1, 1)
    with pytest.raises(DataError, match=r"z12\.png: corrupt"):
        whole(image)


def large(path: Path, kind: str, shape: tuple[int, ...]) -> Path:
    """Image of zeros that takes no room on the disk."""
    if kind == "npy":
        np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    elif kind == "tif":
        tifffile.memmap(path, shape=shape, dtype=np.uint8, metadata={"axes": "ZYX"})
    else:
        zarr.create_array(path, shape=shape, chunks=(64, 64, 64), dtype=np.uint8)
    return path


@pytest.mark.parametrize("kind", ["npy", "tif", "zarr"])
def test_images_larger_than_memory(tmp_path: Path, kind: str) -> None:
    image = open_lazy(large(tmp_path / f"a.{kind}", kind, (2**10, 2**14, 2**15)), "ZYX")
    assert np.prod(image.shape) == 2**39
    assert image.read((slice(1000, 1002), slice(-3, None), slice(2**14, 2**14 + 4))).sum() == 0


# -- axes and spacing ------------------------------------------------------------------------------
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_levels_of_ome_zarr(tmp_path: Path, version: int, level: int) -> None:
    path = ome_zarr(tmp_path / "a.zarr", CZYX, "CZYX", version, levels=3)
    image = open_lazy(path, level=level)
    step = 2**level
    np.testing.assert_array_equal(whole(image), CZYX[:, ::step, ::step, ::step])
    assert image.spacing == pytest.approx((2.0 * step, 0.5 * step, 0.25 * step))
    assert image.chunks == tuple(min(n, 7) for n in image.shape)
    with pytest.raises(DataError, match=r"a\.zarr: has no level 3, there are 0 to 2"):
        open_lazy(path, level=3)


def test_spacing_that_is_asked_for_goes_before(tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "a.zarr", ZYX)
    assert open_lazy(path, spacing=(3, 2, 1)).spacing == (3.0, 2.0, 1.0)
    for wrong in ((1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 1.0, float("nan"))):
        with pytest.raises(UsageError, match="expected 3 positive values, for the axes Z, Y, X"):
            open_lazy(path, spacing=wrong)


@pytest.mark.parametrize(
    "axes",
    [
        [{"name": axis} for axis in "zyx"],
        list("zyx"),
        [{"name": axis, "type": "space", "unit": "furlong"} for axis in "zyx"],
    ],
)
def test_spacing_that_is_not_known(tmp_path: Path, axes: Any) -> None:
    image = open_lazy(ome_zarr(tmp_path / "a.zarr", ZYX, said=axes))
    assert (image.axes, image.spacing) == ("ZYX", None)


def test_a_level_without_a_scale_has_no_spacing(tmp_path: Path) -> None:
    path = Path(ome_zarr(tmp_path / "a.zarr", ZYX))
    group = zarr.open_group(path, mode="r+")
    held: Any = group.attrs.asdict()
    image = held["ome"]["multiscales"][0]
    del image["coordinateTransformations"], image["datasets"][0]["coordinateTransformations"]
    group.attrs.put(held)
    assert open_lazy(path).spacing is None
    assert open_lazy(path, level=1).spacing == pytest.approx((0.4, 0.1, 0.05))


def test_names_of_axes_are_read_by_what_they_are(tmp_path: Path) -> None:
    axes = [
        {"name": "frame", "type": "time"},
        {"name": "stain", "type": "channel"},
        {"name": "y", "type": "space"},
        {"name": "x", "type": "space"},
    ]
    image = open_lazy(ome_zarr(tmp_path / "a.zarr", VOLUME, "TCYX", said=axes))
    assert image.axes == "TCYX"


def test_files_say_of_axes_and_spacing_what_they_say_elsewhere(tmp_path: Path) -> None:
    um = {"axes": "ZYX", "unit": "um", "spacing": 2}
    paths = [
        tiff(tmp_path / "a.tif", ZYX, imagej=True, resolution=(4, 2), metadata=um),
        hdf5(tmp_path / "a.h5", ZYX),
    ]
    with h5py.File(paths[1], "a") as file:
        file["group/raw"].attrs["element_size_um"] = [2, 0.5, 0.25]
    for path in paths:
        image, read = open_lazy(path), read_image(path)
        assert image.axes == read.axes == "ZYX"
        assert image.spacing == read.spacing == (2, 0.5, 0.25)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: array(p / "a.zarr", ZYX),
        lambda p: array(p / "a.zarr", ZYX, 2),
        lambda p: array(p / "a.zarr", ZYX, dimension_names=["a", "b", "c"]),
        lambda p: npy(p / "a.npy", ZYX),
        lambda p: hdf5(p / "a.h5", ZYX),
        lambda p: tiff(p / "a.tif", ZYX, metadata=None),
    ],
)
def test_axes_are_not_guessed(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    with pytest.raises(DataError, match=r"a\.\w+: shape \(5, 18, 37\).*pass --axes"):
        open_lazy(path)
    assert open_lazy(path, "TYX").axes == "TYX"
    with pytest.raises(DataError, match=r"a\.\w+: shape \(5, 18, 37\).*not have the axes YX"):
        open_lazy(path, "YX")
    with pytest.raises(UsageError, match="'YQ': expected Y and X"):
        open_lazy(path, "YQ")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_images_as_ome_zarr_writes_them(tmp_path: Path, version: str) -> None:
    from ome_zarr.format import format_from_version
    from ome_zarr.writer import write_image

    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3 - (version == "0.4"))
    write_image(
        CZYX,
        group,
        scale_factors=(2,),
        axes="czyx",
        fmt=format_from_version(version),
        scale={"c": 1, "z": 2.0, "y": 0.5, "x": 0.25},
        axes_units=dict.fromkeys("zyx", "micrometer"),
    )
    omero = {"channels": [{"label": name, "color": "FFFFFF"} for name in ("DAPI", "GFP", "RFP")]}
    if version == "0.5":
        group.attrs["ome"] = group.attrs["ome"] | {"omero": omero}
    else:
        group.attrs["omero"] = omero
    image = open_lazy(tmp_path / "a.zarr")
    assert (image.axes, image.spacing) == ("CZYX", (2.0, 0.5, 0.25))
    np.testing.assert_array_equal(image.read((slice(None),) * 4), CZYX)
    coarse = open_lazy(tmp_path / "a.zarr", level=1)
    assert coarse.spacing == pytest.approx((2.0, 1.0, 0.25 * 37 / coarse.shape[-1]))
    assert image.channels == coarse.channels == ("DAPI", "GFP", "RFP")


# -- elsewhere -------------------------------------------------------------------------------------
class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """URL of the test's folder."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("version", [2, 3])
def test_urls(tmp_path: Path, served: str, version: int) -> None:
    ome_zarr(tmp_path / "a.zarr", CZYX, "CZYX", version)
    expected = open_lazy(tmp_path / "a.zarr", level=1)
    # One that reads anew each time, and one that keeps what it has read.
    for chain in ("", "simplecache::"):
        image = open_lazy(f"{chain}{served}/a.zarr", level=1)
        assert image == replace(expected, source=f"{chain}{served}/a.zarr")
        np.testing.assert_array_equal(whole(image), whole(expected))
    with pytest.raises(DataError, match=r"http://.*/none\.zarr: not a zarr store"):
        open_lazy(f"{served}/none.zarr")


def test_chunks_that_cannot_be_fetched_are_no_zeros(
    tmp_path: Path, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    array(tmp_path / "a.zarr", ZYX[0] + 1)
    image = open_lazy(f"{served}/a.zarr")
    monkeypatch.setattr(Quiet, "do_GET", lambda self: self.send_error(500))
    with pytest.raises(DataError, match=r"http://.*/a\.zarr: chunk c/0/0 .*cannot be read.*500"):
        whole(image)


def test_memory_is_a_place_too() -> None:
    url = "memory://embedseg/a.zarr"
    array(url, ZYX[0])
    try:
        np.testing.assert_array_equal(whole(open_lazy(url)), ZYX[0])
    finally:
        fsspec.filesystem("memory").rm("/embedseg", recursive=True)


# -- what is wrong ---------------------------------------------------------------------------------
def test_what_is_a_store(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    stores = [
        array(tmp_path / "a", ZYX),
        array(tmp_path / "b", ZYX, 2),
        ome_zarr(tmp_path / "c", ZYX, version=2),
        "s3://a/b",
        "none.ZARR",
    ]
    assert all(map(is_lazy_source, stores))
    assert not any(map(is_lazy_source, [tmp_path / "empty", npy(tmp_path / "a.npy", ZYX), "no"]))


def test_groups_without_an_image_say_what_is_in_them(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    group = zarr.open_group(path, mode="w")
    with pytest.raises(DataError, match=r"a\.zarr: a group without multiscales.*holds nothing"):
        open_lazy(path)
    ome_zarr(path / "inner", ZYX)
    group.create_group("OME")
    with pytest.raises(DataError, match=r"holds OME, inner\).*a\.zarr/NAME names one"):
        open_lazy(path)
    assert open_lazy(path / "inner").shape == ZYX.shape


def test_stores_that_are_broken(tmp_path: Path) -> None:
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(DataError, match=r"empty\.zarr: not a zarr store"):
        open_lazy(tmp_path / "empty.zarr")
    with pytest.raises(DataError, match=r"none\.zarr: no such file or folder"):
        open_lazy(tmp_path / "none.zarr")
    (tmp_path / "empty.zarr" / "zarr.json").write_text("{")
    with pytest.raises(DataError, match=r"empty\.zarr: cannot be read, or is corrupt"):
        open_lazy(tmp_path / "empty.zarr")
    path = Path(ome_zarr(tmp_path / "a.zarr", ZYX))
    image = open_lazy(path)
    for chunk in (path / "0" / "c").rglob("[0-9]"):
        if chunk.is_file():
            chunk.write_bytes(b"what is this")
    with pytest.raises(DataError, match=r"a\.zarr: chunk 0/c/0/0/0 .*cannot be read, or is corr"):
        whole(image)
    (path / "0" / "zarr.json").unlink()
    with pytest.raises(DataError, match=r"a\.zarr: .*'0'"):
        open_lazy(path)
    path = Path(ome_zarr(tmp_path / "b.zarr", ZYX, said=[{"name": "y"}, {"name": "x"}]))
    with pytest.raises(
        DataError, match=r"b\.zarr: level 0 has shape \(5, 18, 37\).*describe 2 axes"
    ):
        open_lazy(path)


@pytest.mark.parametrize(
    "make, words",
    [
        (
            lambda p: array(p / "a.zarr", ZYX[0].astype(complex)),
            "complex128, expected integers or f",
        ),
        (lambda p: npy(p / "a.npy", ZYX[0] * 1j), "complex128, expected integers or floats"),
        (lambda p: npy(p / "a.npy", ZYX[:0, 0]), r"shape \(0, 37\) holds no pixels"),
        (
            lambda p: npy(p / "a.jpg.npy", ZYX[0]).rename(p / "a.bmp"),
            "'.bmp' cannot be read in boxes",
        ),
        (lambda p: p / "a.tif", "no such file or folder"),
        (lambda p: hdf5(p / "a.h5", ZYX) / "no", "expected a dataset 'no', found group/raw"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    path = make(tmp_path)
    with pytest.raises(DataError, match=words) as error:
        open_lazy(path)
    assert str(error.value).startswith(str(tmp_path / "a"))


def test_only_images_with_levels_have_them(tmp_path: Path) -> None:
    for path in (array(tmp_path / "a.zarr", ZYX[0]), npy(tmp_path / "a.npy", ZYX[0])):
        with pytest.raises(DataError, match=rf"{path}: has no level 1"):
            open_lazy(path, level=1)


@pytest.mark.parametrize("tail", [0, 3000])
def test_truncated_files(tmp_path: Path, tail: int) -> None:
    for path in (
        tiff(tmp_path / "a.tif", ZYX, metadata={"axes": "ZYX"}),
        npy(tmp_path / "a.npy", ZYX),
        hdf5(tmp_path / "a.h5", ZYX),
    ):
        path.write_bytes(path.read_bytes()[:tail])
        with pytest.raises(DataError, match=str(path)):
            open_lazy(path, "ZYX")


@pytest.mark.parametrize(
    "odd, words",
    [
        (ZYX[0][:9], r"shape \(9, 37\), but z8\.\w+ has \(18, 37\)"),
        (ZYX[0].astype(np.uint8), r"type uint8, but z8\.\w+ has uint16"),
    ],
)
@pytest.mark.parametrize("write, suffix", [(png, ".png"), (tiff, ".tif")])
def test_slices_of_several_kinds(
    tmp_path: Path, write: Callable[..., Path], suffix: str, odd: Any, words: str
) -> None:
    path = folder(tmp_path / "a", write, [*ZYX, odd], suffix)
    with pytest.raises(DataError, match=rf"z13\{suffix}: {words}; expected slices of one kind"):
        open_lazy(path)


def test_slices_that_are_missing(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", png, ZYX, ".png")
    (path / "z10.png").unlink()
    with pytest.raises(DataError, match=r"a: slice 10 is missing, between z9\.png and z11\.png"):
        open_lazy(path)


@pytest.mark.parametrize(
    "make, module",
    [
        (lambda p: array(p / "a.zarr", ZYX[0]), "zarr"),
        (lambda p: tiff(p / "a.tif", ZYX[0], compression="zlib"), "zarr"),
    ],
)
def test_what_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path], module: str
) -> None:
    path = make(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as error:
        open_lazy(path)
    assert (
        str(error.value)
        == f"{path}: needs zarr: pip install bokeh 'dask[distributed]' ome-zarr zarr"
    )
