"""Sources of large images: files, folders, zarr stores."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import tifffile

from embedseg.images.content import Layout, make_plain_layout
from embedseg.images.display import Display, Displayed, log_display
from embedseg.images.formats import READERS, read_png
from embedseg.images.hdf5 import CONTAINERS, open_hdf5
from embedseg.images.inputs import check_link, split_container
from embedseg.images.microscopes import PLUGINS
from embedseg.images.multiscales import read_array_layout, read_channel_names, read_image_layout
from embedseg.images.slices import Slices
from embedseg.images.tiff import find_display, list_series, open_tiff
from embedseg.types import DataError, UsageError

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


class Source(NamedTuple):
    """A source of pixels.

    Attributes
    ----------
    kind : str
        Key of `OPENERS`.
    path, inside : str
        Arguments of the opener: a file, folder or URL, and the array in it.
    layout : Layout
    """

    kind: str
    path: str
    inside: str
    layout: Layout


@contextmanager
def translate_errors(source: str) -> Iterator[None]:
    """Turn any error of a decoder or a network into one that names the source."""
    try:
        yield
    except (DataError, UsageError):
        raise
    except ImportError as error:
        needs = f"needs {error.name}" if error.name else str(error)
        raise UsageError(f"{source}: {needs}: pip install 'embedseg-nd[large]'") from error
    except Exception as error:  # decoders and networks raise anything
        reason = (str(error) or "no details").splitlines()[0]
        raise DataError(
            f"{source}: cannot be read, or is corrupt or truncated "
            f"({type(error).__name__}: {reason})"
        ) from error


def is_url(source: str) -> bool:
    """Return whether a source is a URL, to be opened by fsspec.

    Examples
    --------
    >>> is_url("s3://bucket/a.zarr"), is_url("folder/a.zarr")
    (True, False)
    """
    return ("://" in source or "::" in source) and not os.path.exists(source)


# -- files and folders -----------------------------------------------------------------------------
def inspect_file(source: str, wanted: str | None) -> Source:
    """Return kind and layout of a file or a folder of slices; only a PNG is decoded.

    Parameters
    ----------
    source : str
        Path.
    wanted : str, optional
        Axes that the user names; slices are read with them.

    Raises
    ------
    DataError
        If the source is missing or incomplete, or slices are not all of one kind.
    """
    path, inside = split_container(Path(os.path.abspath(source)))
    if path.is_dir():
        slices = Slices(path, wanted)
        slices.check()
        layout = make_plain_layout(slices.shape)._replace(axes="Z" + slices.axes)
        return Source("slices", str(path), wanted or "", layout)
    check_link(path)
    if not path.is_file():
        raise DataError(f"{source}: no such file or folder")
    kind = path.suffix.lower()
    if kind in CONTAINERS:
        with open_hdf5(path, inside) as (dataset, layout):
            return Source("hdf5", str(path), dataset.name, layout)
    if kind in (".tif", ".tiff"):
        with open_tiff(path) as (series, layout):
            log_display(path, layout.display)
            assert series.parent is not None
            ndim = len(list_series(series.parent)[0][1])
            return Source("tiff", str(path), "", layout.shown(ndim))
    if kind == ".npy":
        return Source("npy", str(path), "", make_plain_layout(_open_npy(str(path), "").shape))
    if kind == ".png":
        content = read_png(path)
        log_display(path, content.display)
        content = content.shown()
        layout = make_plain_layout(content.data.shape)._replace(axes=content.axes)
        return Source("png", str(path), "", layout)
    raise DataError(
        f"{source}: files of type {kind!r} cannot be read in boxes, expected "
        + " ".join(each for each in READERS if each not in PLUGINS)
        + " .npy, a zarr store or a folder of slices"
    )


# -- zarr ------------------------------------------------------------------------------------------
def inspect_store(source: str, level: int) -> Source:
    """Return the layout of a zarr store: an array, or one level of an OME-Zarr image.

    Parameters
    ----------
    source : str
        Path or URL.
    level : int
        Level of the image's pyramid.

    Raises
    ------
    DataError
        If there is no store, no image or no such level.
    """
    import zarr

    path = source if is_url(source) else os.path.abspath(source)
    if not is_url(source) and not os.path.exists(path):
        raise DataError(f"{source}: no such file or folder")
    try:
        node = zarr.open(_store(path), mode="r")
    except FileNotFoundError as error:  # base of all errors of zarr for a missing node
        raise DataError(
            f"{source}: not a zarr store: found neither an array nor a group"
        ) from error
    if isinstance(node, zarr.Array):
        if level:
            raise DataError(f"{source}: has no level {level}, it is an array; name its group")
        return Source("zarr", path, "", read_array_layout(node))
    attributes: dict[str, Any] = node.attrs.asdict()
    attributes = attributes.get("ome", attributes)
    if not attributes.get("multiscales"):
        inside = "" if is_url(source) else f" (holds {_list_folders(path)})"
        raise DataError(
            f"{source}: a group without multiscales metadata{inside}, expected an OME-Zarr "
            f"image or an array; {source}/NAME names one"
        )
    image = attributes["multiscales"][0]
    names = [dataset["path"] for dataset in image["datasets"]]
    if not 0 <= level < len(names):
        raise DataError(f"{source}: has no level {level}, there are 0 to {len(names) - 1}")
    layout = read_image_layout(source, image, level, node[names[level]])
    layout = layout._replace(channels=read_channel_names(attributes))
    return Source("zarr", path, names[level], layout)


def _list_folders(path: str) -> str:
    folders = sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
    return ", ".join(folders) or "nothing"


# -- opening ---------------------------------------------------------------------------------------
def _open_zarr(path: str, inside: str) -> StoredArray:
    from embedseg.images.zarr_checks import open_checked

    array: StoredArray = open_checked(_store(path), inside)
    return array


def _store(path: str) -> Any:
    """Return the argument for `zarr.open`."""
    if not is_url(path) or "::" not in path:
        return path
    # zarr would bypass the cache in a chain of file systems.
    from fsspec.core import url_to_fs
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    from zarr.storage import FsspecStore

    files, root = url_to_fs(path)
    return FsspecStore(AsyncFileSystemWrapper(files, asynchronous=True), True, root)


def _open_hdf5(path: str, inside: str) -> StoredArray:
    import h5py

    dataset: StoredArray = h5py.File(path, "r")[inside]
    return dataset


def _open_tiff(path: str, inside: str) -> StoredArray:
    """Open a TIFF as it is shown."""
    stored, display = _open_pages(path)
    return stored if display is None else Displayed(stored, display)


def _open_pages(path: str) -> tuple[StoredArray, Display | None]:
    """Map a TIFF into memory; if it is compressed, decode pages on demand."""
    with ExitStack() as stack:
        file = stack.enter_context(tifffile.TiffFile(path))
        series, shape, _ = list_series(file)[0]
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


def _open_png(path: str, inside: str) -> StoredArray:
    data = read_png(Path(path)).shown().data
    data.flags.writeable = False
    return data


def _open_slices(path: str, inside: str) -> StoredArray:
    return Slices(Path(path), inside or None)


#: The opener of each kind of source; it gets `path` and `inside`.
OPENERS: dict[str, Callable[[str, str], StoredArray]] = {
    "zarr": _open_zarr,
    "hdf5": _open_hdf5,
    "tiff": _open_tiff,
    "npy": _open_npy,
    "png": _open_png,
    "slices": _open_slices,
}
