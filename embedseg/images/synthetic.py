"""Synthetic images of blobs with known labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from embedseg.common import write_file
from embedseg.images.image import write_labels
from embedseg.images.tiff import write_tiff
from embedseg.types import Floats, Labels, Spacing

#: Images per split, shape, number of blobs and spacing of `write_blobs`, by number of axes.
SPLITS = {"train": 8, "val": 2, "test": 2}
SHAPES = {2: (96, 96), 3: (16, 48, 48)}
NUMBERS = {2: 12, 3: 8}
SPACINGS = {2: (0.5, 0.5), 3: (1.0, 0.5, 0.5)}


def blobs(
    shape: tuple[int, ...],
    n: int,
    seed: int = 0,
    *,
    spacing: Spacing | None = None,
    radius: float | None = None,
    noise: float = 0.05,
) -> tuple[Floats, Labels]:
    """Make an image of bright ellipses or ellipsoids, and their labels.

    Blobs may touch and cover a little of each other, and the border may cut them; each is one
    piece, darker towards its rim.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image, 2D or 3D.
    n : int
        Number of blobs; fewer if they do not fit.
    seed : int
        The same seed gives the same image.
    spacing : tuple of float, optional
        Size of a pixel along each axis, µm; 1 by default. In µm, blobs are equally long along
        all axes.
    radius : float, optional
        Mean radius in µm; by default such that whole blobs would fill a quarter of the image, but
        at most a third of its shortest side.
    noise : float
        Standard deviation of the noise; blobs are 0.5 to 1 bright, the background is 0.1.

    Returns
    -------
    image : (*space) float32 ndarray
    labels : (*space) int32 ndarray
        0 is background, blobs are numbered from 1.

    Examples
    --------
    >>> image, labels = blobs((32, 40), 3, seed=1)
    >>> image.shape, image.dtype, labels.dtype, int(labels.max())
    ((32, 40), dtype('float32'), dtype('int32'), 3)
    """
    rng = np.random.default_rng(seed)
    step = np.ones(len(shape)) if spacing is None else np.asarray(spacing, float)
    radius = _default_radius(np.asarray(shape) * step, n) if radius is None else radius
    labels = np.zeros(shape, np.int32)
    image = np.full(shape, 0.1, np.float32)
    number = 0
    for _ in range(30 * n):
        if number == n:
            break
        number += _add_blob(image, labels, number + 1, rng, step, radius)
    image = ndimage.gaussian_filter(image, 0.5 / step * step.min())
    image += rng.normal(0, noise, shape).astype(np.float32)
    return image, labels


def _default_radius(size: NDArray[np.float64], n: int) -> float:
    ndim = len(size)
    ball = math.pi ** (ndim / 2) / math.gamma(ndim / 2 + 1)
    return float(min((size.prod() / 4 / max(n, 1) / ball) ** (1 / ndim), size.min() / 3))


def _add_blob(
    image: Floats,
    labels: Labels,
    number: int,
    rng: np.random.Generator,
    step: NDArray[np.float64],
    radius: float,
) -> bool:
    """Try one blob at a random place; skip it if others cover much of it."""
    radii = radius * rng.uniform(0.75, 1.25, len(step))
    centre = rng.uniform(0, labels.shape) * step
    brightness = rng.uniform(0.5, 1)
    low = np.maximum(np.floor((centre - radii) / step), 0).astype(int)
    high = np.minimum(np.ceil((centre + radii) / step).astype(int) + 1, labels.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    grid, region = np.ogrid[box], labels[box]
    square = sum(
        ((x * s - c) / r) ** 2 for x, s, c, r in zip(grid, step, centre, radii, strict=True)
    )
    inside = np.asarray(square) <= 1
    pieces, count = ndimage.label(inside & (region == 0))
    sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
    if count == 0 or sizes.max() < max(0.7 * inside.sum(), 4):
        return False
    blob = pieces == sizes.argmax() + 1
    region[blob] = number
    image[box][blob] = brightness * (1 - 0.5 * np.broadcast_to(square, region.shape)[blob])
    return True


def write_blobs(
    folder: Path | str,
    ndim: int,
    *,
    splits: Mapping[str, int] | None = None,
    shape: tuple[int, ...] | None = None,
    n: int | None = None,
    seed: int = 0,
    noise: float = 0.05,
) -> None:
    """Write a data folder of blobs: `train`, `val` and `test`, each with `images` and `masks`.

    Parameters
    ----------
    folder : path
        Folder to write; created if missing.
    ndim : {2, 3}
        Images or volumes, with a spacing of (0.5, 0.5) or (1, 0.5, 0.5) µm.
    splits : mapping of str to int, optional
        Number of images of each split; by default 8, 2 and 2.
    shape : tuple of int, optional
        Shape of an image; by default (96, 96) or (16, 48, 48).
    n : int, optional
        Blobs per image.
    seed : int
        The same seed gives the same images.
    noise : float
        As in `blobs`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_blobs(folder, ndim=2, splits={"train": 1})
    >>> [path.name for path in sorted(folder.glob("train/*/*"))]
    ['train0.tif', 'train0.tif']
    """
    spacing, axes = SPACINGS[ndim], "ZYX"[-ndim:]
    number = 0
    for split, count in (SPLITS if splits is None else splits).items():
        for i in range(count):
            image, labels = blobs(
                shape or SHAPES[ndim],
                NUMBERS[ndim] if n is None else n,
                1000 * seed + number,
                spacing=spacing,
                noise=noise,
            )
            pixels = np.clip(image * 200, 0, 255).astype(np.uint8)
            name = f"{split}{i}.tif"
            write_labels(Path(folder) / split / "masks" / name, labels, spacing, axes)
            write_file(
                Path(folder) / split / "images" / name,
                partial(write_tiff, data=pixels, spacing=spacing, axes=axes),
            )
            number += 1
