"""Images and label files: which axes they have, and how large a pixel is."""

from __future__ import annotations

import glob
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.axes import (
    arranged,
    check_axes,
    check_label_axes,
    known_channels,
    known_spacing,
    place_axes,
)
from embedseg.formats import CONTAINERS, READERS, Content, read_hdf5, write_tiff
from embedseg.types import DataError, Spacing, UsageError, check_labels


@dataclass(frozen=True)
class Image:
    """An image as it was read.

    Attributes
    ----------
    data : ndarray
        Values in the type of the file; axes in the order (T, C, Z, Y, X), those that there are.
    axes : str
        What they are: "YX", "ZYX", "CYX", "TZYX" ...
    spacing : tuple of float, optional
        Size of a pixel along Z, Y and X as far as they occur, µm; None unless all are known.
    path : Path, optional
        Where it came from.
    channels : tuple of str
        Names of the channels; empty unless all are known.
    """

    data: NDArray[Any]
    axes: str
    spacing: Spacing | None = None
    path: Path | None = None
    channels: tuple[str, ...] = ()


def read_image(path: Path | str, axes: str | None = None) -> Image:
    """Read an image: TIFF (OME, ImageJ or plain), PNG, HDF5, or with bioio CZI, ND2 and LIF.

    Of an HDF5 file the only dataset is read, or the one called "raw"; `file.h5/group/name` names
    another.

    Axes are never guessed: they come from the metadata or from `axes`; only a plain image with two
    axes is taken to be YX. Colours are channels.

    Parameters
    ----------
    path : path
        File to read.
    axes : str, optional
        What the axes of the stored array are, such as "ZYX"; goes before what the file says. An
        axis that the file leaves out gets length 1.

    Raises
    ------
    DataError
        If the file is not there, broken, or does not say what its axes are, or `axes` do not fit.
    UsageError
        If `axes` make no sense, or a library to read the file with is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.tif"
    >>> write_labels(path, np.ones((3, 4, 5), np.int32), (2.0, 0.5, 0.5), "ZYX")
    >>> image = read_image(path)
    >>> image.axes, image.data.shape, image.spacing
    ('ZYX', (3, 4, 5), (2.0, 0.5, 0.5))
    """
    path = Path(path)
    wanted = None if axes is None else check_axes(axes)
    content = _read(path)
    order, places = place_axes(path, content.data.shape, content.axes, wanted)
    spacing = known_spacing(order, content.sizes)
    data = arranged(content.data, places)
    return Image(data, order, spacing, path, known_channels(order, data.shape, content.channels))


def read_labels(
    path: Path | str, axes: str | None = None, ignore_label: int | None = None
) -> Image:
    """Read a label image as int32: 0 is background, -1 "not annotated".

    Parameters
    ----------
    path, axes
        As in `read_image`.
    ignore_label : int, optional
        Value that means "not annotated" in this file; it becomes -1.

    Raises
    ------
    DataError
        As in `read_image`; and for colours or channels, and values that are no labels.
    """
    image = read_image(path, axes)
    if "C" in image.axes:
        raise DataError(
            f"{path}: shape {image.data.shape} ({image.axes}) has colours or channels, "
            "expected one label per pixel"
        )
    data = image.data
    unknown = data == ignore_label if ignore_label is not None else np.zeros((), bool)
    if unknown.any():
        data = np.where(unknown, data.dtype.type(0), data)
    labels = check_labels(data, name=str(path))
    if unknown.any():
        labels = np.where(unknown, np.int32(-1), labels)
    return Image(labels, image.axes, image.spacing, image.path)


def label_values(path: Path | str) -> NDArray[Any]:
    """Return the values that occur in a label file, ascending, whatever its axes are."""
    return np.unique(_read(Path(path)).data)


def write_labels(
    path: Path | str, labels: NDArray[Any], spacing: Spacing | None, axes: str
) -> None:
    """Write a label image as TIFF, with zlib; `read_labels` gives back its axes and spacing.

    uint16 where the labels fit, as an ImageJ hyperstack; else uint32, or int32 if there is a -1, as
    OME-TIFF. Written aside and then renamed: there is never half a file.

    Parameters
    ----------
    path : path
        File to write; its folder is made.
    labels : (T?, *space) ndarray
        Labels.
    spacing : tuple of float, optional
        Size of a pixel along each axis of space, µm.
    axes : str
        "YX", "ZYX", "TYX" or "TZYX".

    Raises
    ------
    DataError
        If the labels are none, or `axes` or `spacing` do not fit them.
    """
    labels = check_labels(labels, name=str(path))
    check_label_axes(path, labels.shape, axes, spacing)
    smallest, largest = int(labels.min(initial=0)), int(labels.max(initial=0))
    fitting = np.int32 if smallest < 0 else np.uint16 if largest < 2**16 else np.uint32
    write_aside(Path(path), lambda aside: write_tiff(aside, labels.astype(fitting), spacing, axes))


def write_aside(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then give it that name: all of it or nothing.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new" / "a.txt"
    >>> write_aside(path, lambda aside: aside.write_text("whole"))
    >>> path.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def fill_folder(folder: Path, write: Callable[[Path], None], ours: Sequence[str]) -> None:
    """Let `write` fill a folder beside, then give it the name of `folder`: all of it or nothing.

    Parameters
    ----------
    folder : Path
        Where there is one already, only what `ours` names is replaced in it.
    write : callable
        Gets the path of an empty folder.
    ours : sequence of str
        Patterns of what an earlier call may have left.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "new"
    >>> fill_folder(folder, lambda aside: (aside / "a.txt").touch(), ["*.txt"])
    >>> fill_folder(folder, lambda aside: (aside / "b.txt").touch(), ["*.txt"])
    >>> [path.name for path in folder.iterdir()]
    ['b.txt']
    """
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        write(aside)
        if not folder.exists():
            aside.rename(folder)
            return
        for pattern in ours:
            for old in folder.glob(pattern):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in aside.iterdir():
            new.replace(folder / new.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, by `write_aside`."""
    write_aside(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def sweep(folder: Path) -> None:
    """Remove what `write_aside` or `fill_folder` left half-written as its process was killed."""
    for part in folder.glob(".*.part"):
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


# -- names of files --------------------------------------------------------------------------------
def refuse_used(folder: Path, overwrite: bool) -> None:
    """See that a folder to write to is free, before work is put into what goes there.

    Raises
    ------
    UsageError
        If it is a file, or there is something in it and `overwrite` does not allow that.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, expected a folder to write to")
    if folder.exists() and not overwrite and any(folder.iterdir()):
        raise UsageError(f"{folder}: exists and is not empty; choose another, or overwrite")


def stem(path: Path | str) -> str:
    """Return the name of a file without its suffix; ".ome.tif" is one suffix.

    Examples
    --------
    >>> stem("in/a.b.ome.tif"), stem("c.png"), stem("d.h5/raw")
    ('a.b', 'c', 'd')
    """
    name = split_container(Path(path))[0].name
    return re.sub(r"(?<=.)(\.ome)?\.[^.]+$", "", name, flags=re.IGNORECASE)


def split_container(path: Path) -> tuple[Path, str | None]:
    """Return the file and, where a path goes on inside of an HDF5 file, the name in it.

    Examples
    --------
    >>> file, name = split_container(Path("in/a.h5/group/raw"))
    >>> file.name, name, split_container(Path("a.tif"))[1]
    ('a.h5', 'group/raw', None)
    """
    for parent in path.parents:
        if parent.suffix.lower() in CONTAINERS and not parent.is_dir():
            return parent, path.relative_to(parent).as_posix()
    return path, None


def natural_key(path: Path | str) -> list[tuple[int, int, str]]:
    """Return a key that sorts file names as people do.

    Examples
    --------
    >>> sorted(["x10.tif", "x9.tif", "X1.tif"], key=natural_key)
    ['X1.tif', 'x9.tif', 'x10.tif']
    """
    return [
        (1, int(part), part) if part.isdecimal() else (0, 0, part.lower())
        for part in re.split(r"(\d+)", str(path))
    ]


def expand_inputs(inputs: Iterable[Path | str]) -> list[Path]:
    """Return the image files that paths, folders and glob patterns stand for, in natural order.

    Raises
    ------
    DataError
        If one of them stands for no file, or two files have one stem.
    """
    found = {path.resolve(): path for item in inputs for path in _expand(item)}
    if not found:
        raise DataError("no image files given")
    named: dict[str, Path] = {}
    for path in sorted(found.values(), key=natural_key):
        if (other := named.setdefault(stem(path), path)) is not path:
            raise DataError(
                f"{other} and {path} have the same name without suffix, "
                f"{stem(path)!r}; expected different names"
            )
    return list(named.values())


def _expand(item: Path | str) -> list[Path]:
    path = Path(item)
    if split_container(path)[0].is_file():
        return [path]
    folder = path.is_dir()
    paths = list(path.iterdir()) if folder else [Path(p) for p in glob.glob(str(item))]
    files = [p for p in paths if p.suffix.lower() in READERS and not p.name.startswith(".")]
    files = [p for p in files if p.is_file()]
    if not files:
        raise DataError(
            f"{item}: "
            + ("no image files in this folder" if folder else "no such image file")
            + f", expected {' '.join(READERS)}"
        )
    return files


# -- formats ---------------------------------------------------------------------------------------
def _read(path: Path) -> Content:
    """Read a file with the reader of its suffix; whatever goes wrong is said with its name."""
    path, inside = split_container(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path}: files of type {path.suffix!r} cannot be read, expected " + " ".join(READERS)
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = read_hdf5(path, inside) if inside else reader(path)
    except (DataError, UsageError):
        raise
    except Exception as error:  # decoders raise anything on a broken file
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{path}: corrupt, truncated or no {path.suffix} file ({words})") from error
    if content.data.size == 0:
        raise DataError(f"{path}: shape {content.data.shape} holds no pixels")
    return content
