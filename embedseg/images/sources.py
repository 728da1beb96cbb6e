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

from embedseg.images.content import Layout, plain_layout
from embedseg.images.formats import READERS
from embedseg.images.hdf5 import open_hdf5
from embedseg.images.inputs import split_container
from embedseg.images.microscopes import PLUGINS
from embedseg.images.multiscales import array_layout, channel_names, image_layout
from embedseg.images.slices import Slices
from embedseg.images.tiff import open_tiff, whole_series
from embedseg.types import DataError, UsageError

#: Bytes of a page of a TIFF up to which it is decoded whole: many small strips take longer.
PAGE = 2**26


class Stored(Protocol):
    """What pixels are read from: an array of zarr, HDF5 or numpy, or like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as it is stored."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type as it is stored."""

    def __getitem__(self, index: tuple[slice, ...], /) -> Any:
        """Read a box."""


class Found(NamedTuple):
    """What a source is.

    Attributes
    ----------
    kind : str
        What opens it, of `OPENERS`.
    path, inside : str
        What that takes: a file, folder or URL, and the array in it.
    layout : Layout
        What the source says of its axes.
    """

    kind: str
    path: str
    inside: str
    layout: Layout


@contextmanager
def named(source: str) -> Iterator[None]:
    """Say with the name of the source whatever goes wrong with it."""
    try:
        yield
    except (DataError, UsageError):
        raise
    except ImportError as error:
        needs = f"needs {error.name}" if error.name else str(error)
        raise UsageError(f"{source}: {needs}: pip install 'embedseg-nd[large]'") from error
    except Exception as error:  # decoders and networks raise anything
        words = (str(error) or "no more is known").splitlines()[0]
        raise DataError(
            f"{source}: cannot be read, or is corrupt or truncated "
            f"({type(error).__name__}: {words})"
        ) from error


def is_url(source: str) -> bool:
    """Return whether fsspec has to be asked for a source.

    Examples
    --------
    >>> is_url("s3://bucket/a.zarr"), is_url("folder/a.zarr")
    (True, False)
    """
    return ("://" in source or "::" in source) and not os.path.exists(source)


# -- files and folders -----------------------------------------------------------------------------
def look_into_file(source: str, wanted: str | None) -> Found:
    """Find out what a file or a folder of slices holds; pixels are not read, save of a PNG.

    Parameters
    ----------
    source : str
        Path.
    wanted : str, optional
        Axes that were asked for; those of slices are read with them.

    Raises
    ------
    DataError
        If it is not there or not complete, or slices are not all of one kind.
    """
    path, inside = split_container(Path(os.path.abspath(source)))
    if path.is_dir():
        slices = Slices(path, wanted)
        slices.check()
        layout = plain_layout(slices.shape)._replace(axes="Z" + slices.axes)
        return Found("slices", str(path), wanted or "", layout)
    if not path.is_file():
        raise DataError(f"{source}: no such file or folder")
    kind = path.suffix.lower()
    if kind in (".h5", ".hdf5"):
        with open_hdf5(path, inside) as (dataset, layout):
            return Found("hdf5", str(path), dataset.name, layout)
    if kind in (".tif", ".tiff"):
        with open_tiff(path) as (_, layout):
            return Found("tiff", str(path), "", layout)
    if kind == ".npy":
        return Found("npy", str(path), "", plain_layout(_open_npy(str(path), "").shape))
    if kind == ".png":
        content = READERS[kind](path)
        layout = plain_layout(content.data.shape)._replace(axes=content.axes)
        return Found("png", str(path), "", layout)
    raise DataError(
        f"{source}: files of type {kind!r} cannot be read in boxes, expected "
        + " ".join(each for each in READERS if each not in PLUGINS)
        + " .npy, a zarr store or a folder of slices"
    )


# -- zarr ------------------------------------------------------------------------------------------
def look_into_store(source: str, level: int) -> Found:
    """Find out what a zarr store holds: an array, or an OME-Zarr image with levels.

    Parameters
    ----------
    source : str
        Path or URL.
    level : int
        Of the image's pyramid.

    Raises
    ------
    DataError
        If there is nothing, no image or no such level.
    """
    import zarr

    path = source if is_url(source) else os.path.abspath(source)
    if not is_url(source) and not os.path.exists(path):
        raise DataError(f"{source}: no such file or folder")
    try:
        node = zarr.open(_store(path), mode="r")
    except FileNotFoundError as error:  # of which all errors of nothing found are
        raise DataError(f"{source}: no zarr store: found neither an array nor a group") from error
    if isinstance(node, zarr.Array):
        if level:
            raise DataError(f"{source}: has no level {level}, it is an array; name its group")
        return Found("zarr", path, "", array_layout(node))
    attributes: dict[str, Any] = node.attrs.asdict()
    attributes = attributes.get("ome", attributes)
    if not attributes.get("multiscales"):
        inside = (
            ""
            if is_url(source)
            else ", ".join(sorted(entry.name for entry in os.scandir(path) if entry.is_dir()))
            or "nothing"
        )
        raise DataError(
            f"{source}: a group without multiscales metadata"
            + f" (holds {inside})" * bool(inside)
            + f", expected an OME-Zarr image or an array; {source}/NAME names one"
        )
    image = attributes["multiscales"][0]
    names = [dataset["path"] for dataset in image["datasets"]]
    if not 0 <= level < len(names):
        raise DataError(f"{source}: has no level {level}, there are 0 to {len(names) - 1}")
    layout = image_layout(source, image, level, node[names[level]])
    layout = layout._replace(channels=channel_names(attributes))
    return Found("zarr", path, names[level], layout)


# -- opening --------------------------------------------------------------------------------------
def _open_zarr(path: str, inside: str) -> Stored:
    import zarr

    array: Stored = zarr.open_array(_store(path), path=inside, mode="r")
    return array


def _store(path: str) -> Any:
    """Return what zarr opens."""
    if not is_url(path) or "::" not in path:
        return path
    # zarr would go past the cache that a chain of file systems stands for.
    from fsspec.core import url_to_fs
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    from zarr.storage import FsspecStore

    files, root = url_to_fs(path)
    return FsspecStore(AsyncFileSystemWrapper(files, asynchronous=True), True, root)


def _open_hdf5(path: str, inside: str) -> Stored:
    import h5py

    dataset: Stored = h5py.File(path, "r")[inside]
    return dataset


def _open_tiff(path: str, inside: str) -> Stored:
    """Map a TIFF into memory, or where it is compressed, decode what is asked for."""
    with ExitStack() as stack:
        file = stack.enter_context(tifffile.TiffFile(path))
        series, shape, _ = whole_series(file)[0]
        page = series.keyframe
        if series.dataoffset is not None and page.is_memmappable:
            return np.memmap(
                path, file.byteorder + series.dtype.char, "r", series.dataoffset, shape
            )
        import zarr

        whole = not page.is_tiled and page.nbytes <= PAGE
        pages = series.aszarr(level=0, squeeze=False, chunkmode=2 if whole else 0)
        array: Stored = zarr.open_array(pages, mode="r")
        # The file stays open as long as the array is there.
        weakref.finalize(array, stack.pop_all().close)
    return array


def _open_npy(path: str, inside: str) -> Stored:
    data: Stored = np.load(path, mmap_mode="r", allow_pickle=False)
    return data


def _open_png(path: str, inside: str) -> Stored:
    data = READERS[".png"](Path(path)).data
    data.flags.writeable = False
    return data


def _open_slices(path: str, inside: str) -> Stored:
    return Slices(Path(path), inside or None)


OPENERS: dict[str, Callable[[str, str], Stored]] = {
    "zarr": _open_zarr,
    "hdf5": _open_hdf5,
    "tiff": _open_tiff,
    "npy": _open_npy,
    "png": _open_png,
    "slices": _open_slices,
}
