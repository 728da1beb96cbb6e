"""Resampling of images and labels to another spacing or shape."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.types import Floats, Mask, Spacing, UsageError, fill_missing, missing_pixels

#: Spacings that differ by at most this share count as equal.
SAME_SPACING = 0.01
#: Pixels that are this many times larger or smaller than those of a model are warned of, refused.
UNUSUAL, ABSURD = 4.0, 20.0

log = logging.getLogger("embedseg")


def resample(image: Floats, source: Spacing, target: Spacing) -> Floats:
    """Resample an image to another spacing, by linear interpolation, smoothed where it shrinks.

    Axes whose spacings agree within 1 % do not change. Pixels are boxes: the corners of the
    first and last box stay in place.

    Parameters
    ----------
    image : (C, *space) float32 ndarray
    source, target : tuple of float
        Spacing of the image and of the result, in µm.

    Returns
    -------
    (C, *space') float32 ndarray

    Examples
    --------
    >>> resample(np.zeros((1, 4, 6), np.float32), (2.0, 1.0), (1.0, 1.0)).shape
    (1, 8, 6)
    """
    return resample_to_shape(
        image,
        tuple(
            n if spacings_agree((s, t)) else max(1, round(n * s / t))
            for n, s, t in zip(image.shape[1:], source, target, strict=True)
        ),
    )


def resample_to_shape(image: Floats, shape: tuple[int, ...]) -> Floats:
    """Resample an image to another shape; see `resample`.

    Pixels where a channel is NaN count as 0, and all pixels that lie on them become NaN.

    Examples
    --------
    >>> resample_to_shape(np.zeros((3, 4, 6), np.float32), (8, 3)).shape
    (3, 8, 3)
    """
    from skimage.transform import resize

    if shape == image.shape[1:]:
        return image.astype(np.float32, copy=False)
    missing = missing_pixels(image)
    image = fill_missing(image)
    resized = [
        resize(  # type: ignore[no-untyped-call]
            channel, shape, order=1, mode="edge", anti_aliasing=True, preserve_range=True
        )
        for channel in image.astype(np.float32, copy=False)
    ]
    result = np.stack(resized).astype(np.float32, copy=False)
    if missing.any():
        result[:, resample_mask(missing, shape)] = np.nan
    return result


def resample_mask(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Resample a mask; see `mask_along`.

    Examples
    --------
    >>> resample_mask(np.array([[True, False, False, False]]), (1, 2)).tolist()
    [[True, False]]
    """
    for axis, (n, m) in enumerate(zip(mask.shape, shape, strict=True)):
        mask = mask_along(mask, axis, (slice(0, n), n), (slice(0, m), m))
    return mask


def mask_along(mask: Mask, axis: int, source: tuple[slice, int], target: tuple[slice, int]) -> Mask:
    """Resample a stretch of a mask along one axis.

    A pixel is in it if the pixel at its centre is, or one that takes its label back from there.

    Parameters
    ----------
    mask : (*space) bool ndarray
    axis : int
    source, target : tuple of (slice, int)
        The stretch given, or wanted, and the length of the whole axis.
    """
    (given, n), (wanted, m) = source, target
    along = np.moveaxis(mask, axis, 0)
    centres = (2 * np.arange(wanted.start, wanted.stop) + 1) * n // (2 * m)
    result = along[centres - given.start]
    back = (2 * np.arange(given.start, given.stop) + 1) * m // (2 * n) - wanted.start
    inside = (back >= 0) & (back < len(result))
    np.logical_or.at(result, back[inside], along[inside])
    return np.moveaxis(result, 0, axis)


def resample_labels(labels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Resample labels to another shape: each pixel takes the label at its centre.

    Examples
    --------
    >>> resample_labels(np.array([[1, 2]], np.uint8), (1, 4)).tolist()
    [[1, 1, 2, 2]]
    """
    nearest = (
        (2 * np.arange(m) + 1) * n // (2 * m) for n, m in zip(labels.shape, shape, strict=True)
    )
    return labels[np.ix_(*nearest)]


def gaussian_smooth(values: NDArray[Any], sigma: float, spacing: Spacing) -> Floats:
    """Smooth values by a Gaussian of equal width in µm along all axes.

    Parameters
    ----------
    values : (*space) float ndarray
    sigma : float
        Standard deviation, in pixels of the finest axis.
    spacing : tuple of float
        µm per pixel along each axis.

    Examples
    --------
    >>> gaussian_smooth(np.array([[0.0, 1.0, 0.0]]), 1.0, (1.0, 4.0)).round(2).tolist()
    [[0.0, 1.0, 0.0]]
    """
    from scipy import ndimage

    widths = sigma * min(spacing) / np.asarray(spacing)
    return np.asarray(ndimage.gaussian_filter(values, widths))


def spacings_agree(spacing: Spacing) -> bool:
    """Return whether all values agree within 1 %.

    Examples
    --------
    >>> spacings_agree((0.5, 0.503)), spacings_agree((2.0, 0.5))
    (True, False)
    """
    return max(spacing) <= min(spacing) * (1 + SAME_SPACING)


def check_spacing(
    own: Spacing, target: Spacing, name: str, *, any_spacing: bool = False, warn: bool = True
) -> None:
    """Check that the pixels of an image are about as large as those of a model.

    Above `UNUSUAL` times a warning is logged.

    Parameters
    ----------
    own, target : tuple of float
        Spacing of the image and of the model, µm.
    name : str
        Name of the image in messages.
    any_spacing : bool
        Whether pixels of any size are accepted.
    warn : bool
        Whether to log warnings.

    Raises
    ------
    UsageError
        If they are more than `ABSURD` times larger or smaller along an axis, or not positive.

    Examples
    --------
    >>> check_spacing((1000.0, 1000.0), (0.5, 0.5), "a.tif")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    embedseg.types.errors.UsageError: a.tif: pixels are 2000 times the model's (1000 µm ...
    """
    if not all(0 < step < np.inf for step in own):
        raise UsageError(f"{name}: spacing {tuple(own)}, expected positive numbers")
    pairs = list(zip(own, target, strict=True))
    ratio, step, model = max((max(a / b, b / a), a, b) for a, b in pairs)
    times = f"{ratio:.4g} times" if step > model else f"1/{ratio:.4g} of"
    message = f"{name}: pixels are {times} the model's ({step:.4g} µm against {model:.4g} µm)"
    if ratio > ABSURD and not any_spacing:
        raise UsageError(
            f"{message}: are the units right? --set predict.any_spacing=true accepts them"
        )
    if warn and ratio > UNUSUAL:
        log.warning("%s", message)
