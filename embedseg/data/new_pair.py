"""New pairs of image and mask, added to a data folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import write_aside
from embedseg.data.folder import MASKS, SPLITS, Split, match_split
from embedseg.images import READERS, Image, stem, write_labels, write_tiff
from embedseg.types import DataError, UsageError, check_labels


def add_pair(root: Path | str, split: str, name: str, image: Image, labels: Image) -> Split:
    """Write an image and its labels as TIFF into `images` and `masks` of a split.

    Parameters
    ----------
    root : path
        Data folder; it is made.
    split : {"train", "val", "test"}
    name : str
        Of both files, without suffix.
    image, labels : Image
        With the same axes but for channels, in the order (T, C, Z, Y, X).

    Returns
    -------
    Split
        The two files.

    Raises
    ------
    DataError
        If image and labels do not fit, or nothing is annotated.
    UsageError
        If there is a file of that name, or the folder pairs its files by other names.

    Examples
    --------
    >>> import tempfile
    >>> image, labels = Image(np.ones((4, 5)), "YX"), Image(np.ones((4, 5), np.int32), "YX")
    >>> [path.parent.name for path in add_pair(tempfile.mkdtemp(), "train", "a", image, labels)]
    ['images', 'masks']
    """
    if split not in SPLITS:
        raise UsageError(f"split {split!r}; there are {', '.join(SPLITS)}")
    if not re.fullmatch(r"[^/\\.][^/\\]*", name) or stem(f"{name}.tif") != name:
        raise UsageError(f"{name!r} is no name for a file")
    space = image.axes.replace("C", "")
    shape = tuple(n for n, axis in zip(image.data.shape, image.axes, strict=True) if axis != "C")
    if labels.axes != space:
        raise DataError(f"{name}: labels have the axes {labels.axes}, the image {image.axes}")
    values = check_labels(labels.data, shape, name)
    if values.max(initial=-1) < 0:
        raise DataError(f"{name}: nothing is annotated, all labels are -1")
    folders = Split(*(Path(root) / split / part for part in ("images", MASKS)))
    _refuse(folders, name)
    target = Split(*(folder / f"{name}.tif" for folder in folders))
    spacing = image.spacing or labels.spacing
    write_labels(target.masks, values, spacing, space)
    try:
        axes = "".join(axis for axis in "TZCYX" if axis in image.axes)
        pixels = _storable(image.data.transpose([image.axes.index(axis) for axis in axes]))
        write_aside(target.images, lambda aside: write_tiff(aside, pixels, spacing, axes))
    except BaseException:
        target.masks.unlink(missing_ok=True)
        raise
    return target


def _storable(data: NDArray[Any]) -> NDArray[Any]:
    """Return an image in a type that TIFF readers know, without loss where that can be."""
    if data.dtype == bool:
        data = data.astype(np.uint8)
    elif data.dtype.kind in "iu" and data.dtype.itemsize > 4:
        small = data.min() >= 0 and data.max() < 2**16
        data = data.astype(np.uint16 if small else np.float32)
    elif data.dtype.kind == "f":
        data = data.astype(np.float32)
    return np.ascontiguousarray(data)


def _refuse(folders: Split, name: str) -> None:
    """See that a pair of this name may be put there."""
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.suffix.lower() in READERS and stem(path) == name:
                raise UsageError(f"{path}: exists; choose another name")
    if any(folder.is_dir() and any(folder.iterdir()) for folder in folders):
        found = match_split(folders)
        if found.left or found.rule != "equal names":
            raise UsageError(
                f"{folders.images.parent}: its images and masks do not have equal "
                "names, so these would find no partner; choose another data folder"
            )
