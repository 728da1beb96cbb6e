"""Thumbnails, and pixels as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import pick_evenly
from embedseg.plots import Colours, paint_image
from embedseg.types import Spacing

#: Screen pixels of the longer side of an image (2D), and of a slice of a volume (3D).
PICTURE_SIDE = {2: 560, 3: 288}
#: Slices of a volume at most.
MAX_SLICES = 20
#: WebP quality of images; labels are compressed without loss.
WEBP_QUALITY = 72
#: Largest factor by which small images are enlarged.
MAX_ENLARGEMENT = 4

Index = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def choose_slices(depth: int, most: int = MAX_SLICES) -> list[int]:
    """Return the indices of evenly spaced slices of a volume.

    Examples
    --------
    >>> choose_slices(3), choose_slices(9, most=3)
    ([0, 1, 2], [0, 4, 8])
    """
    return pick_evenly(depth, most)


def thumbnail_index(shape: tuple[int, ...], spacing: Spacing, slices: Sequence[int]) -> Index:
    """Return the indices (Z, Y, X) that resample the planes of an image to thumbnails.

    Parameters
    ----------
    shape : tuple of int
        Of space; an image is a volume of one plane.
    spacing : tuple of float
        Sets the aspect of a picture.
    slices : sequence of int
        Indices of the planes.
    """
    extent = np.multiply(shape[-2:], spacing[-2:])
    # Pixels of the finer axis are skipped only where the picture would be too large.
    size = extent / min(spacing[-2:])
    scale = PICTURE_SIDE[len(shape)] / size.max()
    # Enlarge by whole numbers, so that all pixels have one size.
    scale = min(np.floor(scale), MAX_ENLARGEMENT) if scale >= 1 else scale
    high, wide = np.maximum(np.round(size * scale), 1).astype(int)
    rows, columns = (
        ((np.arange(n) + 0.5) * old / n).astype(np.int64)
        for n, old in zip((high, wide), shape[-2:], strict=True)
    )
    return np.asarray(slices, np.int64), rows, columns


def take_labels(labels: NDArray[np.int32], index: Index) -> NDArray[np.int32]:
    """Return labels (*space) at indices, as (Z, Y, X)."""
    volume = labels[np.newaxis] if labels.ndim == 2 else labels
    return volume[np.ix_(*index)]


def paint_thumbnail(image: NDArray[np.float32], index: Index) -> Colours:
    """Paint an image (C, *space) at indices: (Z, Y, X, 3) uint8.

    Pixels are averaged, not skipped, which suppresses noise.
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
    return paint_image(picked[:, :, rows][..., columns])


def stack_slices(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stack the slices of a volume (Z, Y, X, channels) below each other."""
    return np.ascontiguousarray(pictures.reshape(-1, *pictures.shape[2:]))


def encode_data_uri(pixels: NDArray[np.uint8], *, lossless: bool) -> str:
    """Encode pixels (Y, X, 3 or 4) as a data URI with a WebP image.

    Examples
    --------
    >>> encode_data_uri(np.zeros((4, 4, 4), np.uint8), lossless=True)[:28]
    'data:image/webp;base64,UklGR'
    """
    from imagecodecs import webp_encode

    coded = webp_encode(pixels, level=WEBP_QUALITY, lossless=lossless)
    return "data:image/webp;base64," + base64.b64encode(coded).decode("ascii")
