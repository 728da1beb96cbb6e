"""Folders with one file per slice, read box by box."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.images.formats import READERS
from embedseg.images.hdf5 import CONTAINERS
from embedseg.images.image import Image, read_image
from embedseg.images.inputs import check_file, natural_key, stem
from embedseg.images.ome_files import drop_members
from embedseg.images.tiff import open_tiff
from embedseg.types import DataError

log = logging.getLogger("embedseg")


def find_slices(folder: Path) -> list[Path]:
    """List the files of a folder of slices, in order; of a slice in several files the first one.

    Raises
    ------
    DataError
        If there are none, or a number is missing or occurs twice.
    """
    slices = _by_number(folder, drop_members(_list_files(folder)))
    _check_gaps(folder, slices)
    return [slices[number] for number in sorted(slices)]


def find_whole(folder: Path) -> Path | None:
    """Return the first file of a folder if all of them are one OME-TIFF image; else None.

    Raises
    ------
    DataError
        If there are no files.
    """
    files = _list_files(folder)
    first, *others = drop_members(files)
    return None if others or len(files) == 1 else first


def _list_files(folder: Path) -> list[Path]:
    kinds = [kind for kind in READERS if kind not in CONTAINERS]
    paths = sorted(
        (
            path
            for path in folder.iterdir()
            if path.suffix.lower() in kinds and not path.name.startswith(".")
        ),
        key=natural_key,
    )
    for path in paths:
        check_file(path)
    if not paths:
        raise DataError(f"{folder}: no slices in this folder, expected files " + " ".join(kinds))
    return paths


def _by_number(folder: Path, paths: Sequence[Path]) -> dict[int, Path]:
    """Return the slices of a series by their numbers."""
    split = [re.split(r"(\d+)", stem(path)) for path in paths]
    first = split[0]
    for path, parts in zip(paths, split, strict=True):
        if parts[::2] != first[::2]:
            raise DataError(
                f"{folder}: {paths[0].name} and {path.name} differ in more than a "
                "number, expected slices of one series"
            )
    # Names may hold other numbers, such as a position; the slice's number has the most values.
    columns = list(zip(*([int(part) for part in parts[1::2]] for parts in split), strict=True))
    numbers = max(columns, key=lambda column: len(set(column)), default=(0,) * len(paths))
    seen: dict[int, Path] = {}
    for path, value in zip(paths, numbers, strict=True):
        if (other := seen.setdefault(value, path)) is not path:
            raise DataError(f"{folder}: {other.name} and {path.name} are both slice {value}")
    return seen


def _check_gaps(folder: Path, slices: dict[int, Path]) -> None:
    """Check that slices are numbered in equal steps."""
    values = sorted(slices)
    # Two numbers alone are always in equal steps.
    step = min(b - a for a, b in pairwise(values)) if len(values) > 2 else 1
    for a, b in pairwise(values):
        if b - a != step:
            one = b - a <= 2 * step
            gap = f"slice {a + step} is" if one else f"slices {a + step} to {b - 1} are"
            raise DataError(
                f"{folder}: {gap} missing, between {slices[a].name} and {slices[b].name}"
            )
    if step > 1:
        log.info("%s: slices are numbered in steps of %d", folder, step)


class Slices:
    """The slices of a folder as one array, (Z, *axes of a slice), read on demand.

    Attributes
    ----------
    files : list of Path
    axes : str
        Axes of a slice: YX or CYX.
    shape, dtype
        Shape and type of the array, by its first slice.
    chunks : tuple of int
        Shape of a slice: each file is read as a whole.

    Raises
    ------
    DataError
        As `find_slices` and `embedseg.images.read_image`; if the first file is not a slice.

    Examples
    --------
    >>> import tempfile
    >>> from embedseg.images.image import write_labels
    >>> folder = Path(tempfile.mkdtemp())
    >>> for z in range(9, 12):
    ...     write_labels(folder / f"{z}.tif", np.full((4, 5), z), None, "YX")
    >>> slices = Slices(folder)
    >>> slices.shape, slices[1:3, :1, :2].tolist()
    ((3, 4, 5), [[[10, 10]], [[11, 11]]])
    """

    def __init__(self, folder: Path, axes: str | None = None) -> None:
        self.files = find_slices(folder)
        self._wanted = axes.replace("Z", "") if axes else None
        first = read_image(self.files[0], self._wanted)
        if first.axes not in ("YX", "CYX"):
            raise DataError(
                f"{first.path}: shape {first.data.shape} ({first.axes}), expected a slice (YX, CYX)"
            )
        self.axes, self.dtype = first.axes, first.data.dtype
        self.shape = (len(self.files), *first.data.shape)
        self.chunks = (1, *first.data.shape)

    def check(self) -> None:
        """Check that all slices are of one kind, reading only those whose headers differ.

        Raises
        ------
        DataError
            If one has other axes, another shape or type.
        """
        header = _header(self.files[0])
        for path in self.files[1:]:
            if header is None or _header(path) != header:
                self._read(path)

    def __getitem__(self, box: tuple[slice, ...]) -> NDArray[Any]:
        planes = [self._read(path)[box[1:]] for path in self.files[box[0]]]
        return np.stack(planes) if planes else np.empty((0, *self.chunks[1:]), self.dtype)[box]

    def _read(self, path: Path) -> NDArray[Any]:
        image: Image = read_image(path, self._wanted)
        check_slice(image, (self.axes, self.chunks[1:], self.dtype), self.files[0])
        return image.data


def check_slice(
    image: Image, first: tuple[str, tuple[int, ...], np.dtype[Any]], first_path: Path
) -> None:
    """Check that a slice has the axes, shape and type of the first one.

    Raises
    ------
    DataError
        If it does not.
    """
    own = (image.axes, image.data.shape, image.data.dtype)
    for what, ours, other in zip(("axes", "shape", "type"), own, first, strict=True):
        if ours != other:
            raise DataError(
                f"{image.path}: {what} {ours}, but {first_path.name} has {other}; "
                "expected slices of one kind"
            )


def _header(path: Path) -> object:
    """Return the part of a header that is equal for arrays of one kind; None if not known."""
    if path.suffix.lower() == ".png":
        with open(path, "rb") as file:
            return file.read(26)
    try:
        with open_tiff(path) as (series, layout, _):
            return layout.shown(0).shape, layout.axes, series.dtype
    except Exception:  # reading it will raise the error
        return None
