"""New pairs of image and mask, added to a data folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import normal_name, write_file
from embedseg.data.folder import MASKS, SPLITS, Split, pair_split
from embedseg.images import (
    READERS,
    Image,
    axis_lengths,
    label_axes,
    stem,
    write_labels,
    write_tiff,
)
from embedseg.types import NOT_ANNOTATED, DataError, UsageError, check_labels


def add_pair(root: Path | str, split: str, name: str, image: Image, labels: Image) -> Split:
    """Write an image and its labels as TIFF into `images` and `masks` of a split.

    Parameters
    ----------
    root : path
        Data folder; created if missing.
    split : {"train", "val", "test"}
    name : str
        Name of both files, without suffix.
    image, labels : Image
        With the same axes except channels, in the order (T, C, Z, Y, X).

    Returns
    -------
    Split
        The two files.

    Raises
    ------
    DataError
        If image and labels do not fit, or nothing is annotated.
    UsageError
        If a file of that name exists, or the folder does not pair its files by equal names.

    Examples
    --------
    >>> import tempfile
    >>> image, labels = Image(np.ones((4, 5)), "YX"), Image(np.ones((4, 5), np.int32), "YX")
    >>> [path.parent.name for path in add_pair(tempfile.mkdtemp(), "train", "a", image, labels)]
    ['images', 'masks']
    """
    if split not in SPLITS:
        raise UsageError(f"split {split!r}; there are {', '.join(SPLITS)}")
    name = normal_name(name)
    if not re.fullmatch(r"[^/\\.][^/\\]*", name) or stem(f"{name}.tif") != name:
        raise UsageError(f"{name!r} is not a valid name of a file")
    space = label_axes(image.axes)
    if labels.axes != space:
        raise DataError(f"{name}: labels have the axes {labels.axes}, the image {image.axes}")
    values = check_labels(labels.data, axis_lengths(image.data.shape, image.axes, space), name)
    if values.max(initial=NOT_ANNOTATED) == NOT_ANNOTATED:
        raise DataError(f"{name}: nothing is annotated, all labels are -1")
    folders = Split(*(Path(root) / split / part for part in ("images", MASKS)))
    _check_free(folders, name)
    target = Split(*(folder / f"{name}.tif" for folder in folders))
    spacing = image.spacing or labels.spacing
    write_labels(target.masks, values, spacing, space)
    try:
        axes = "".join(axis for axis in "TZCYX" if axis in image.axes)
        pixels = _storable(image.data.transpose([image.axes.index(axis) for axis in axes]))
        write_file(target.images, lambda aside: write_tiff(aside, pixels, spacing, axes))
    except BaseException:
        target.masks.unlink(missing_ok=True)
        raise
    return target


def _storable(data: NDArray[Any]) -> NDArray[Any]:
    """Return an image in a type of TIFF, without loss if possible."""
    if data.dtype == bool:
        data = data.astype(np.uint8)
    elif data.dtype.kind in "iu" and data.dtype.itemsize > 4:
        small = data.min() >= 0 and data.max() < 2**16
        data = data.astype(np.uint16 if small else np.float32)
    elif data.dtype.kind == "f":
        data = data.astype(np.float32)
    return np.ascontiguousarray(data)


def _check_free(folders: Split, name: str) -> None:
    """Check that a pair of this name can be added."""
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.suffix.lower() in READERS and stem(path) == name:
                raise UsageError(f"{path}: exists; choose another name")
    if any(folder.is_dir() and any(folder.iterdir()) for folder in folders):
        pairing = pair_split(folders)
        if pairing.left or pairing.rule != "equal names":
            raise UsageError(
                f"{folders.images.parent}: its images and masks do not have equal "
                "names, so these would have no partner; choose another data folder"
            )
