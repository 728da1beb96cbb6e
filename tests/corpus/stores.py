"""PNG, HDF5 and OME-Zarr, broken and odd."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from corpus.case import Case, Expected, File, naming
from corpus.tiffs import FLAT, LABELS, bytes_of
from numpy.typing import NDArray

ERRORS = "corrupt|truncated|cannot read|cannot be read|missing|empty|no |not a zarr|not there"


# -- pictures --------------------------------------------------------------------------------------
def png(data: NDArray[Any] = LABELS, share: float = 1) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        from imagecodecs import png_encode

        stored = png_encode(data)
        path.write_bytes(stored[: int(share * len(stored))])

    return write


BYTES = LABELS.astype(np.uint8)
PICTURES = {
    "8 bits": File(png(BYTES), LABELS, FLAT),
    "16 bits": File(png(LABELS), LABELS, FLAT),
    "one pixel": File(png(np.ones((1, 1), np.uint8)), np.ones((1, 1)), (1, 1)),
    "empty": File(bytes_of(b""), None, None, ERRORS),
    "text": File(bytes_of(b"no image"), None, None, ERRORS),
    "truncated": File(png(BYTES, 0.7), None, None, ERRORS),
    "header only": File(png(BYTES, 0.2), None, None, ERRORS),
    "a JPEG named png": File(bytes_of(b"\xff\xd8\xff\xe0" + bytes(50)), None, None, ERRORS),
    "colours": File(
        png(np.stack([BYTES, BYTES // 2, BYTES], -1)), None, None, "colour|channel|axes"
    ),
}


# -- HDF5 ------------------------------------------------------------------------------------------
def hdf5(sets: Mapping[str, Any], **attributes: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        import h5py

        with h5py.File(path, "w") as file:
            for name, data in sets.items():
                file[name] = data
                file[name].attrs.update(attributes)

    return write


def cut_hdf5(path: Path) -> None:
    hdf5({"raw": LABELS})(path)
    path.write_bytes(path.read_bytes()[:-500])


HDF5 = {
    "one dataset": File(hdf5({"any": LABELS}), LABELS, FLAT),
    "raw among others": File(hdf5({"raw": LABELS, "more": LABELS[:5]}), LABELS, FLAT),
    "no dataset": File(hdf5({}), None, None, "expected one dataset"),
    "several datasets": File(hdf5({"a": LABELS, "b": LABELS}), None, None, "found a, b"),
    "a dataset of one axis": File(hdf5({"raw": LABELS[0]}), None, None, "two axes"),
    "a dataset of text": File(hdf5({"raw": np.array([[b"a", b"b"]])}), None, None, "type|dtype"),
    "a dataset without pixels": File(
        hdf5({"raw": LABELS[:0]}), None, None, "empty|no pixels|shape"
    ),
    "axistags that are no JSON": File(hdf5({"raw": LABELS}, axistags="{"), None, None, ERRORS),
    "axistags without axes": File(hdf5({"raw": LABELS}, axistags="{}"), None, None, ERRORS),
    "sizes of zero": File(hdf5({"raw": LABELS}, element_size_um=[0.0, 0.0]), LABELS, FLAT),
    "truncated": File(cut_hdf5, None, None, ERRORS),
    "empty": File(bytes_of(b""), None, None, ERRORS),
    "text": File(bytes_of(b"no data"), None, None, ERRORS),
}


# -- OME-Zarr --------------------------------------------------------------------------------------
def store(
    version: int = 3,
    change: Callable[[dict[str, Any]], object] | None = None,
    after: Callable[[Path], object] | None = None,
) -> Callable[[Path], object]:
    """Return what fills a store at `a.zarr`, with other metadata, and a change of its files."""

    def make(folder: Path) -> None:
        import zarr

        path = folder / "a.zarr"
        group = zarr.open_group(path, mode="w", zarr_format=version)
        array = group.create_array("0", shape=FLAT, chunks=(16, 16), dtype=np.uint16)
        array[...] = LABELS
        axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
        scale = [{"type": "scale", "scale": [0.5, 0.5]}]
        level = {"path": "0", "coordinateTransformations": scale}
        meta: dict[str, Any] = {"axes": axes, "datasets": [level], "version": "0.4"}
        if change:
            change(meta)
        held = {"multiscales": [meta]}
        group.attrs.update({"ome": {"version": "0.5", **held}} if version == 3 else held)
        if after:
            after(path)

    return make


def text_in(name: str, text: str) -> Callable[[Path], object]:
    return lambda path: (path / name).write_text(text, encoding="utf-8")


def remove(name: str) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        target = path / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return change


def store_case(make: Callable[[Path], object], labels: bool = True, refused: str = ERRORS) -> Case:
    """Return the case of a store, read whole and in blocks."""
    from corpus.case import found_in, same_labels

    no = naming("a.zarr", refused)
    read: Expected = same_labels(LABELS) if labels else no
    found: Expected = found_in(FLAT) if labels else no
    return Case(
        make,
        {
            "convert IN/a.zarr -o OUT/read.tif": read,
            "predict MODEL IN/a.zarr -o OUT/labels.zarr --block 32,32 --device cpu": found,
        },
    )


def axes(*names: str) -> Callable[[dict[str, Any]], object]:
    return lambda meta: meta.update(axes=[{"name": name, "type": "space"} for name in names])


def scale(*values: object) -> Callable[[dict[str, Any]], object]:
    transformation = [{"type": "scale", "scale": [*values]}]
    return lambda meta: meta["datasets"][0].update(coordinateTransformations=transformation)


DEEP = "[" * 100_000
ZARR: dict[str, Case] = {}
for _version, _file, _chunk in ((2, ".zattrs", "0/0.0"), (3, "zarr.json", "0/c/0/0")):
    _v = f"version {_version}, "
    _array = "0/.zarray" if _version == 2 else "0/zarr.json"
    ZARR |= {
        _v + "as it should be": store_case(store(_version)),
        _v + "a missing chunk": Case(
            store(_version, after=remove(_chunk)),
            {"convert IN/a.zarr -o OUT/read.csv": lambda out, _: None},
        ),
        _v + "bad JSON": store_case(store(_version, after=text_in(_file, "{")), False),
        _v + "empty JSON": store_case(store(_version, after=text_in(_file, "")), False),
        _v + "deep JSON": store_case(store(_version, after=text_in(_file, DEEP)), False),
        _v + "a list as JSON": store_case(store(_version, after=text_in(_file, "[]")), False),
        _v + "missing level": store_case(store(_version, after=remove("0")), False),
        _v + "level without metadata": store_case(store(_version, after=remove(_array)), False),
        _v + "level of bad JSON": store_case(store(_version, after=text_in(_array, "{")), False),
        _v + "no levels": store_case(
            store(_version, lambda m: m.update(datasets=[])), False, "list none"
        ),
        _v + "too many axes": store_case(store(_version, axes("z", "y", "x")), False, "axes|axis"),
        _v + "an axis twice": store_case(store(_version, axes("x", "x")), False, "axes|axis"),
        _v + "axes without x": store_case(store(_version, axes("a", "b")), False, "axes|axis"),
        _v + "scale of zero": store_case(store(_version, scale(0, 0))),
        _v + "scale of text": store_case(store(_version, scale("a", "b")), False),
        _v + "scale that is short": store_case(store(_version, scale(1.0)), False),
        _v + "a truncated chunk": store_case(
            store(_version, after=lambda path, c=_chunk: (path / c).write_bytes(b"\x01\x02")), False
        ),
    }
ZARR["an empty folder"] = store_case(lambda folder: (folder / "a.zarr").mkdir(), False)
ZARR["a file"] = store_case(lambda folder: (folder / "a.zarr").write_text("text"), False)
