"""Sources of large images: files and folders."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from embedseg.images.content import make_plain_layout
from embedseg.images.display import Display, Displayed, log_display
from embedseg.images.formats import PICTURES, READERS
from embedseg.images.hdf5 import CONTAINERS, open_hdf5
from embedseg.images.inputs import check_link, split_container
from embedseg.images.microscopes import PLUGINS
from embedseg.images.slices import Slices, find_whole
from embedseg.images.stores import Source, open_zarr
from embedseg.images.tiff import find_display, open_tiff, read_tiff
from embedseg.images.tiff_series import choose_level, choose_series, open_file
from embedseg.types import DataError

#: Largest page of a TIFF, in bytes, that is decoded whole: many small strips take longer.
PAGE = 2**26


class StoredArray(Protocol):
    """An array of zarr, HDF5 or numpy, or one like it, from which boxes are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as it is stored."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type as it is stored."""

    def __getitem__(self, index: tuple[slice, ...], /) -> Any:
        """Read a box."""


# -- files and folders -----------------------------------------------------------------------------
def inspect_file(source: str, wanted: str | None, level: int = 0) -> Source:
    """Return kind and layout of a file or a folder of slices; only a PNG or JPEG is decoded.

    Parameters
    ----------
    source : str
        Path.
    wanted : str, optional
        Axes that the user names; slices are read with them.
    level : int
        Level of the pyramid of a TIFF.

    Raises
    ------
    DataError
        If the source is missing or incomplete, slices are not all of one kind, or there is no such
        level.
    """
    path, inside = split_container(Path(os.path.abspath(source)))
    if path.is_dir():
        path = find_whole(path) or path
    kind = path.suffix.lower()
    tiff = READERS.get(kind) is read_tiff
    if level and not (tiff and path.is_file()):
        raise DataError(
            f"{source}: has no level {level}, only an OME-Zarr image or a TIFF has levels"
        )
    if path.is_dir():
        slices = Slices(path, wanted)
        slices.check()
        layout = make_plain_layout(slices.shape)._replace(axes="Z" + slices.axes)
        return Source(source, "slices", str(path), wanted or "", layout)
    check_link(path)
    if not path.is_file():
        raise DataError(f"{source}: no such file or folder")
    if kind in CONTAINERS:
        with open_hdf5(path, inside) as (dataset, layout):
            return Source(source, "hdf5", str(path), dataset.name, layout)
    if tiff:
        with open_tiff(path, inside, level) as (series, layout, ndim):
            log_display(path, layout.display)
            colours = series.dtype == np.uint8
            found = layout.shown(ndim)
            return Source(source, "tiff", str(path), f"{level}/{inside or ''}", found, colours)
    if kind == ".npy":
        layout = make_plain_layout(_open_npy(str(path), "").shape)
        return Source(source, "npy", str(path), "", layout)
    if kind in PICTURES:
        content = READERS[kind](path, inside)
        log_display(path, content.display)
        content = content.shown()
        layout = make_plain_layout(content.data.shape)._replace(axes=content.axes)
        return Source(source, "picture", str(path), "", layout)
    raise DataError(
        f"{source}: files of type {kind!r} cannot be read in boxes, expected "
        + " ".join(each for each in READERS if each not in PLUGINS)
        + " .npy, a zarr store or a folder of slices"
    )


# -- opening ---------------------------------------------------------------------------------------
def _open_hdf5(path: str, inside: str) -> StoredArray:
    import h5py

    dataset: StoredArray = h5py.File(path, "r")[inside]
    return dataset


def _open_tiff(path: str, inside: str) -> StoredArray:
    """Open a TIFF as it is shown; `inside` is LEVEL/ or LEVEL/PART."""
    level, _, part = inside.partition("/")
    stored, display = _open_pages(path, part or None, int(level))
    return stored if display is None else Displayed(stored, display)


def _open_pages(path: str, part: str | None, level: int) -> tuple[StoredArray, Display | None]:
    """Map a TIFF into memory; if it is compressed, decode pages on demand."""
    with ExitStack() as stack:
        file = stack.enter_context(open_file(path))
        series, shape, _ = choose_level(path, choose_series(path, file, part)[0], level)
        page, display = series.keyframe, find_display(series)
        if series.dataoffset is not None and page.is_memmappable:
            kind = file.byteorder + series.dtype.char
            return np.memmap(path, kind, "r", series.dataoffset, shape), display
        import zarr

        whole = not page.is_tiled and page.nbytes <= PAGE
        pages = series.aszarr(level=0, squeeze=False, chunkmode=2 if whole else 0)
        array: StoredArray = zarr.open_array(pages, mode="r")
        # The file stays open as long as the array exists.
        weakref.finalize(array, stack.pop_all().close)
    return array, display


def _open_npy(path: str, inside: str) -> StoredArray:
    data: StoredArray = np.load(path, mmap_mode="r", allow_pickle=False)
    return data


def _open_picture(path: str, inside: str) -> StoredArray:
    data = READERS[Path(path).suffix.lower()](Path(path), None).shown().data
    data.flags.writeable = False
    return data


def _open_slices(path: str, inside: str) -> StoredArray:
    return Slices(Path(path), inside or None)


#: The opener of each kind of source; it gets `path` and `inside`.
OPENERS: dict[str, Callable[[str, str], StoredArray]] = {
    "zarr": open_zarr,
    "hdf5": _open_hdf5,
    "tiff": _open_tiff,
    "npy": _open_npy,
    "picture": _open_picture,
    "slices": _open_slices,
}
