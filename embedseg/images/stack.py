"""Stacks of slices: read as a volume, written back."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import format_shape, free_memory, write_folder
from embedseg.geometry import resample_to_shape
from embedseg.images.content import check_memory
from embedseg.images.formats import as_palette
from embedseg.images.image import Image, read_image
from embedseg.images.slices import check_slice, find_slices, find_whole
from embedseg.types import DataError, Floats, UsageError

#: Times that resized slices are held at once, normalised among others.
RESIZED = 3


# -- reading ---------------------------------------------------------------------------------------
def read_stack(path: Path | str, axes: str | None = None, *, as_stored: bool = False) -> Image:
    """Read a volume: a folder with a file per slice, or one image with three axes of space.

    Such an image is a file, or a folder with all files of an OME-TIFF. Slices are put into the
    natural order of their names, which differ in nothing but numbers. No slice may be missing or
    occur twice.

    Parameters
    ----------
    path : path
        Folder or file.
    axes : str, optional
        Axes of the file, as in `embedseg.images.read_image`, or of the slices, with or without Z.
    as_stored : bool
        Whether masks are read, as in `read_image`.

    Returns
    -------
    Image
        (Z, Y, X) or (C, Z, Y, X); slices have no spacing, as the distance of its slices is
        unknown.

    Raises
    ------
    DataError
        If there are no slices, or they differ in series, size or type; if the file is not a
        volume; as in `read_image`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "slices"
    >>> write_slices(folder, np.zeros((3, 4, 5), np.int32), ["z9", "z10", "z11"])
    >>> volume = read_stack(folder)
    >>> volume.axes, volume.data.shape
    ('ZYX', (3, 4, 5))
    """
    path = Path(path)
    if path.is_dir():
        path = find_whole(path) or path
    if path.is_dir():
        return Image(
            *_joined(find_slices(path), axes and axes.replace("Z", ""), as_stored), None, path
        )
    image = read_image(path, axes, as_stored=as_stored)
    if image.axes not in ("ZYX", "CZYX"):
        raise DataError(
            f"{path}: shape {image.data.shape} ({image.axes}), expected a volume (ZYX, "
            "CZYX); --axes names the axes"
        )
    return image


def _joined(paths: Sequence[Path], axes: str | None, as_stored: bool) -> tuple[NDArray[Any], str]:
    """Return the slices as one volume, and its axes."""
    first = read_image(paths[0], axes, as_stored=as_stored)
    if first.axes not in ("YX", "CYX"):
        raise DataError(
            f"{paths[0]}: shape {first.data.shape} ({first.axes}), expected a slice (YX, CYX)"
        )
    check_memory(paths[0].parent, (len(paths), *first.data.shape), first.data.dtype)
    volume = np.empty((len(paths), *first.data.shape), first.data.dtype)
    for place, path in enumerate(paths):
        image = read_image(path, axes, as_stored=as_stored) if place else first
        check_slice(image, (first.axes, first.data.shape, first.data.dtype), paths[0])
        volume[place] = image.data
    return (volume, "ZYX") if first.axes == "YX" else (volume.swapaxes(0, 1), "CZYX")


# -- working size ----------------------------------------------------------------------------------
def resize_slices(volume: NDArray[Any], size: int | tuple[int, int]) -> Floats:
    """Resample the slices of a volume to another size: linear, smoothed where they shrink.

    `embedseg.geometry.resample_labels` brings labels back to the original size.

    Parameters
    ----------
    volume : (Z, Y, X) or (C, Z, Y, X) ndarray
    size : int or (int, int)
        Pixels of the longer side, or along Y and X.

    Returns
    -------
    (..., Z, Y', X') float32 ndarray

    Raises
    ------
    UsageError
        If they would not fit into the free memory.

    Examples
    --------
    >>> resize_slices(np.zeros((3, 40, 60), np.uint8), 30).shape
    (3, 20, 30)
    """
    plane = volume.shape[-2:]
    if isinstance(size, int):
        size = (
            max(1, round(plane[0] * size / max(plane))),
            max(1, round(plane[1] * size / max(plane))),
        )
    needed, free = 4 * RESIZED * prod(volume.shape[:-2]) * prod(size), free_memory()
    if needed > free:
        raise UsageError(
            f"slices resized to {format_shape(size)} pixels take about {needed / 1e9:.3g} GB of "
            f"memory, {free / 1e9:.3g} GB are free; expected a smaller size"
        )
    small = np.empty((*volume.shape[:-2], *size), np.float32)
    for place in np.ndindex(volume.shape[:-2]):
        small[place] = resample_to_shape(volume[place][np.newaxis], size)[0]
    return small


# -- writing ---------------------------------------------------------------------------------------
def write_slices(
    folder: Path | str,
    labels: NDArray[Any],
    names: Sequence[str],
    colours: NDArray[np.uint8] | None = None,
) -> None:
    """Write a PNG per slice, of 8 bits where the labels fit, else 16: all of them or none.

    The stored values are the labels; `read_stack` returns them with `as_stored`.

    Parameters
    ----------
    folder : path
        Created if missing; PNG files in it are replaced.
    labels : (Z, Y, X) integer ndarray
    names : sequence of str
        Names of the files without suffix.
    colours : (n, 3) uint8 ndarray, optional
        Colours in which viewers show the labels 0 to n - 1, n <= 256; default, and for labels
        above 255: greys.

    Raises
    ------
    DataError
        If the numbers of names and slices differ, or labels do not fit into 16 bits.
    """
    from imagecodecs import png_encode

    if len(names) != len(labels):
        raise DataError(f"{folder}: {len(labels)} slices, but {len(names)} names")
    smallest, largest = int(labels.min(initial=0)), int(labels.max(initial=0))
    if smallest < 0 or largest >= 2**16:
        raise DataError(f"{folder}: labels from {smallest} to {largest}, a PNG holds 0 to 65535")
    kind = np.uint8 if largest < 2**8 else np.uint16

    def write(aside: Path) -> None:
        for name, plane in zip(names, labels, strict=True):
            stored = bytes(png_encode(np.ascontiguousarray(plane, kind)))
            if colours is not None and kind is np.uint8:
                stored = as_palette(stored, colours)
            (aside / f"{name}.png").write_bytes(stored)

    write_folder(Path(folder), write, ("*.png",))
