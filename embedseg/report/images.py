"""Thumbnails, and pixels as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.plots import Colours, image_colours
from embedseg.types import Spacing

#: Screen pixels of the longer side of a picture of an image, and of a slice of a volume.
SIDE = {2: 560, 3: 288}
#: Slices of a volume at most.
SLICES = 20
#: Quality of what is seen of an image; labels are kept exactly.
QUALITY = 72
#: Small images are enlarged by so much at most.
ENLARGED = 4

Index = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def chosen_slices(depth: int, most: int = SLICES) -> list[int]:
    """Return which slices of a volume are shown: evenly spaced ones.

    Examples
    --------
    >>> chosen_slices(3), chosen_slices(9, most=3)
    ([0, 1, 2], [0, 4, 8])
    """
    return list(np.linspace(0, depth - 1, min(depth, most)).round().astype(int).tolist())


def index_of(shape: tuple[int, ...], spacing: Spacing, slices: Sequence[int]) -> Index:
    """Return the indices (Z, Y, X) that bring the planes of an image to the size of a picture.

    Parameters
    ----------
    shape : tuple of int
        Of space; an image is a volume of one plane.
    spacing : tuple of float
        Sets the aspect of a picture.
    slices : sequence of int
        Which planes.
    """
    extent = np.multiply(shape[-2:], spacing[-2:])
    # Of the finer axis no pixel is left out unless the picture would be too large.
    size = extent / min(spacing[-2:])
    scale = SIDE[len(shape)] / size.max()
    # Pixels of one size look like the image: enlarge by whole numbers.
    scale = min(np.floor(scale), ENLARGED) if scale >= 1 else scale
    high, wide = np.maximum(np.round(size * scale), 1).astype(int)
    rows, columns = (
        ((np.arange(n) + 0.5) * old / n).astype(np.int64)
        for n, old in zip((high, wide), shape[-2:], strict=True)
    )
    return np.asarray(slices, np.int64), rows, columns


def taken(labels: NDArray[np.int32], index: Index) -> NDArray[np.int32]:
    """Return labels (*space) at indices, as (Z, Y, X)."""
    volume = labels[np.newaxis] if labels.ndim == 2 else labels
    return volume[np.ix_(*index)]


def image_thumbnail(image: NDArray[np.float32], index: Index) -> Colours:
    """Paint an image (C, *space) at indices: (Z, Y, X, 3) uint8.

    What would be left out is averaged over, so that noise does not stand for the image.
    """
    volume = image[:, np.newaxis] if image.ndim == 3 else image
    picked: NDArray[Any] = volume[:, index[0]].astype(np.float32)
    for axis in (2, 3):
        block = picked.shape[axis] // len(index[axis - 1])
        if block > 1:
            whole = picked.shape[axis] // block * block
            kept = picked.take(np.arange(whole), axis)
            picked = np.add.reduceat(kept, np.arange(0, whole, block), axis) / np.float32(block)
    rows, columns = (
        ((np.arange(len(index[k])) + 0.5) * picked.shape[k + 1] / len(index[k])).astype(int)
        for k in (1, 2)
    )
    return image_colours(picked[:, :, rows][..., columns])


def sheet(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put the slices of a volume (Z, Y, X, channels) under each other."""
    return np.ascontiguousarray(pictures.reshape(-1, *pictures.shape[2:]))


def data_uri(pixels: NDArray[np.uint8], *, lossless: bool) -> str:
    """Return pixels (Y, X, 3 or 4) as an address that holds the whole picture.

    Examples
    --------
    >>> data_uri(np.zeros((4, 4, 4), np.uint8), lossless=True)[:28]
    'data:image/webp;base64,UklGR'
    """
    from imagecodecs import webp_encode

    coded = webp_encode(pixels, level=QUALITY, lossless=lossless)
    return "data:image/webp;base64," + base64.b64encode(coded).decode("ascii")
