"""Zarr stores: arrays, OME-Zarr images, and groups of images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from embedseg.common import missing_library
from embedseg.images.chunks import unreadable
from embedseg.images.content import Layout
from embedseg.images.multiscales import read_array_layout, read_channel_names, read_image_layout
from embedseg.types import DataError, UsageError

#: Files that make a folder a zarr store.
STORE_FILES = ("zarr.json", ".zgroup", ".zarray")
#: Entry of the groups that bioformats2raw writes, in which each image is a series by number.
SERIES = "bioformats2raw.layout"


class Source(NamedTuple):
    """A source of pixels.

    Attributes
    ----------
    name : str
        Path or URL of the image, as it was given or found.
    kind : str
        Key of `embedseg.images.sources.OPENERS`.
    path, inside : str
        Arguments of the opener: a file, folder or URL, and the array in it.
    layout : Layout
    colours : bool
        As in `embedseg.images.axes.locate_axes`.
    """

    name: str
    kind: str
    path: str
    inside: str
    layout: Layout
    colours: bool = True


@contextmanager
def translate_errors(source: str) -> Iterator[None]:
    """Turn any error of a decoder or a network into one that names the source."""
    try:
        yield
    except (DataError, UsageError):
        raise
    except ImportError as error:
        raise missing_library(f"{source}: needs", error, "large") from error
    except Exception as error:  # decoders and networks raise anything
        raise unreadable(f"{source}:", error) from error


def is_url(source: str) -> bool:
    """Return whether a source is a URL, to be opened by fsspec.

    Examples
    --------
    >>> is_url("s3://bucket/a.zarr"), is_url("folder/a.zarr")
    (True, False)
    """
    return ("://" in source or "::" in source) and not os.path.exists(source)


def is_lazy_source(path: Path | str) -> bool:
    """Return whether a path is a zarr store, by its name or its files, or a URL.

    Examples
    --------
    >>> [is_lazy_source(name) for name in ("a.zarr", "s3://bucket/a", "a.tif")]
    [True, True, False]
    """
    if is_url(str(path)) or Path(path).suffix.lower() == ".zarr":
        return True
    return any((Path(path) / name).is_file() for name in STORE_FILES)


def inspect_store(source: str, level: int) -> Source:
    """Return the layout of a zarr store: an array, or one level of an OME-Zarr image.

    Axes of length 1 are left out, save Y, X and those without a name: OMERO and bioformats2raw
    store five axes of any image. Of a group of bioformats2raw the only series is taken.

    Parameters
    ----------
    source : str
        Path or URL.
    level : int
        Level of the image's pyramid.

    Raises
    ------
    DataError
        If there is no store, no image or no such level, or several images.
    """
    import zarr

    node = _open_node(source)
    if isinstance(node, zarr.Array):
        if level:
            raise DataError(f"{source}: has no level {level}, it is an array; name its group")
        return Source(source, "zarr", _path(source), "", read_array_layout(node).squeezed())
    attributes = _read_attributes(node)
    if not attributes.get("multiscales"):
        return inspect_store(_find_only_image(source, node, attributes), level)
    image = attributes["multiscales"][0]
    names = _inside(source, (dataset["path"] for dataset in image["datasets"]))
    if not 0 <= level < len(names):
        known = f"there are 0 to {len(names) - 1}" if names else "the metadata list none"
        raise DataError(f"{source}: has no level {level}, {known}")
    for name in dict.fromkeys((names[level], names[0])):
        if name not in node:
            raise DataError(f"{source}: its metadata list level {name!r}, which is not there")
    layout = read_image_layout(source, image, level, node[names[level]])
    layout = layout._replace(channels=read_channel_names(attributes), levels=len(names))
    # An axis may have length 1 in a coarse level only.
    return Source(
        source, "zarr", _path(source), names[level], layout.squeezed(node[names[0]].shape)
    )


def _find_only_image(source: str, node: Any, attributes: dict[str, Any]) -> str:
    """Return the path of the image in a group of images, if there is just one."""
    if fields := _list_fields(source, node, attributes):
        raise DataError(
            f"{source}: a plate or well of {len(fields)} fields, expected one image; "
            f"{source}/{fields[0]} names one"
        )
    series = _list_series(source, node, attributes)
    if len(series) == 1:
        return f"{source}/{series[0]}"
    if series:
        raise DataError(
            f"{source}: holds {len(series)} images, expected one: "
            + ", ".join(f"{source}/{name}" for name in series[:10])
            + " ..." * (len(series) > 10)
        )
    inside = "" if is_url(source) else f" (holds {_list_folders(source)})"
    raise DataError(
        f"{source}: a group without multiscales metadata{inside}, expected an OME-Zarr "
        f"image or an array; {source}/NAME names one"
    )


def _list_folders(path: str) -> str:
    folders = sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
    return ", ".join(folders) or "nothing"


# -- groups of images ------------------------------------------------------------------------------
def list_fields(source: str) -> list[str]:
    """Return the fields of a plate or a well, as paths in it; none of any other store.

    A well that is listed but missing counts as a field, which cannot be read.

    Parameters
    ----------
    source : str
        Path or URL.

    Examples
    --------
    >>> import tempfile, zarr
    >>> plate = zarr.open_group(tempfile.mkdtemp() + "/plate.zarr", mode="w")
    >>> plate.attrs["ome"] = {"version": "0.5", "plate": {"wells": [{"path": "B/3"}]}}
    >>> well = plate.create_group("B/3")
    >>> well.attrs["ome"] = {"version": "0.5", "well": {"images": [{"path": "0"}, {"path": "1"}]}}
    >>> list_fields(str(plate.store.root))
    ['B/3/0', 'B/3/1']
    """
    with translate_errors(source):
        node = _open_node(source)
        return _list_fields(source, node, _read_attributes(node))


def list_labels(source: str) -> list[str]:
    """Return the label images that an OME-Zarr image lists, as paths in it; none without a list.

    Parameters
    ----------
    source : str
        Path or URL of the image.

    Examples
    --------
    >>> import tempfile, zarr
    >>> image = zarr.open_group(tempfile.mkdtemp() + "/a.zarr", mode="w")
    >>> image.create_group("labels").attrs["ome"] = {"version": "0.5", "labels": ["cells"]}
    >>> list_labels(str(image.store.root))
    ['labels/cells']
    """
    with translate_errors(source):
        node = _open_node(source)
        # An array has no members.
        if not hasattr(node, "groups") or "labels" not in node:
            return []
        listed = _read_attributes(node["labels"]).get("labels", ())
        return [f"labels/{name}" for name in _inside(source, listed)]


def _list_fields(source: str, node: Any, attributes: dict[str, Any]) -> list[str]:
    if "plate" in attributes:
        wells = _inside(source, (each["path"] for each in attributes["plate"]["wells"]))
        return [
            f"{well}/{field}" if field else well
            for well in wells
            for field in (_list_images(source, node[well]) if well in node else [""])
        ]
    return _list_images(source, node)


def _list_images(source: str, well: Any) -> list[str]:
    images = _read_attributes(well).get("well", {}).get("images", ())
    return _inside(source, (each["path"] for each in images))


def _list_series(source: str, node: Any, attributes: dict[str, Any]) -> list[str]:
    """Return the paths of the series in a group of bioformats2raw; none of any other group."""
    if SERIES not in attributes:
        return []
    listed = _read_attributes(node["OME"]).get("series") if "OME" in node else None
    if listed:
        return _inside(source, listed)
    numbers = sorted(int(name) for name, _ in node.groups() if name.isdecimal())
    return list(map(str, numbers))


def _inside(source: str, listed: Iterable[object]) -> list[str]:
    """Return the paths that the metadata of a store list; none may lead out of it.

    Raises
    ------
    DataError
        If one does.
    """
    paths = [str(each) for each in listed]
    for path in paths:
        if path.startswith("/") or ".." in path.split("/") or "\\" in path or ":" in path:
            raise DataError(f"{source}: its metadata name {path!r}, expected a path inside it")
    return paths


# -- opening ---------------------------------------------------------------------------------------
def open_zarr(path: str, inside: str) -> Any:
    """Open an array in a store to read it; chunks that are too short are errors."""
    from embedseg.images.zarr_checks import open_checked

    return open_checked(_store(path), inside)


def _open_node(source: str) -> Any:
    """Open the array or group at a path or URL."""
    import zarr

    path = _path(source)
    if not is_url(source) and not os.path.exists(path):
        raise DataError(f"{source}: no such file or folder")
    try:
        return zarr.open(_store(path), mode="r")
    except FileNotFoundError as error:  # base of all errors of zarr for a missing node
        raise DataError(
            f"{source}: not a zarr store: found neither an array nor a group"
        ) from error


def _path(source: str) -> str:
    return source if is_url(source) else os.path.abspath(source)


def _read_attributes(node: Any) -> dict[str, Any]:
    """Return the metadata of OME-NGFF, which 0.5 keeps under one name."""
    attributes: dict[str, Any] = node.attrs.asdict()
    held: dict[str, Any] = attributes.get("ome", attributes)
    return held


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
