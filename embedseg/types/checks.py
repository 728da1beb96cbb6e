"""Checks of images and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.types.aliases import NOT_ANNOTATED, Floats, Labels, Mask
from embedseg.types.errors import DataError

#: Pixels whose rounding is looked at, and the largest error over the standard deviation of values.
PROBED, ROUNDING = 10**6, 0.01


def missing_pixels(image: NDArray[Any]) -> Mask:
    """Return the pixels of (C, *space) where a channel is NaN: the image does not reach there.

    Examples
    --------
    >>> missing_pixels(np.array([[0, np.nan, 1], [0, 1, 1]])).tolist()
    [False, True, False]
    """
    return np.asarray(np.isnan(image).any(axis=0), np.bool_)


def fill_missing(image: Floats) -> Floats:
    """Return a normalised image with 0 in place of NaN.

    Examples
    --------
    >>> fill_missing(np.array([1, np.nan], np.float32)).tolist()
    [1.0, 0.0]
    """
    missing = np.isnan(image)
    return np.where(missing, np.float32(0), image) if missing.any() else image


def check_image(
    image: NDArray[Any], ndim: int, channels: int, name: str = "image", *, part: bool = False
) -> Floats:
    """Check an image and return it as (C, *space) float32; NaN are pixels without image.

    Parameters
    ----------
    image : (*space) or (C, *space) ndarray
        Bool, integer or float. Without a channel axis it has one channel.
    ndim : int
        Number of space axes expected.
    channels : int
        Number of channels expected.
    name : str
        Name in messages, such as that of the file.
    part : bool
        Whether it is a part of an image, of which all pixels may be NaN.

    Raises
    ------
    DataError
        For a wrong number of axes or channels, an empty image, complex or object values, infinity,
        NaN at all pixels, or values that differ by less than single precision can tell apart.

    Examples
    --------
    >>> check_image(np.ones((4, 5), np.uint8), ndim=2, channels=1).shape
    (1, 4, 5)
    """
    image = np.asarray(image)
    if image.dtype.kind not in "biuf":
        raise DataError(f"{name}: values of type {image.dtype}, expected integers or floats")
    if image.ndim == ndim:
        image = image[np.newaxis]
    if image.ndim != ndim + 1:
        raise DataError(
            f"{name}: shape {image.shape} has {image.ndim} axes, expected {ndim} space axes, "
            "after the channels if there are several"
        )
    if image.shape[0] != channels:
        raise DataError(
            f"{name}: shape {image.shape} has {image.shape[0]} channels, expected {channels}"
        )
    if image.size == 0:
        raise DataError(f"{name}: shape {image.shape} holds no pixels")
    with np.errstate(over="ignore"):  # what becomes infinite is refused below
        single = image.astype(np.float32, copy=False)
    if not part:
        _check_precision(image, single, name)
    image = single
    if infinite := int(np.isinf(image).sum()):
        raise DataError(f"{name}: {infinite} of {image.size} values are infinite")
    if not part and missing_pixels(image).all():
        raise DataError(f"{name}: every pixel is NaN, expected an image")
    return image


def _check_precision(image: NDArray[Any], single: Floats, name: str) -> None:
    """Check that rounding does not lose the image, as where each pixel has a large offset."""
    if image.dtype.itemsize < 4 or image.dtype == single.dtype:
        return
    step = max(1, image.size // PROBED)
    values, rounded = (a.ravel()[::step].astype(np.float64) for a in (image, single))
    known = np.isfinite(values) & np.isfinite(rounded)
    if np.isfinite(values[~known]).any():
        largest = np.abs(values[np.isfinite(values)]).max()
        raise DataError(f"{name}: values up to {largest:.3g}, expected at most 3.4e38")
    error = np.abs(values - rounded)[known].max(initial=0.0)
    spread = values[known].std() if known.any() else 0.0
    if spread and error > ROUNDING * spread:
        raise DataError(
            f"{name}: values around {values[known].mean():.10g} that differ by {spread:.3g} are "
            f"rounded to {error:.2g} in single precision; subtract a number from all of them"
        )


def check_labels(
    labels: NDArray[Any], shape: tuple[int, ...] | None = None, name: str = "labels"
) -> Labels:
    """Check labels and return them as int32.

    Parameters
    ----------
    labels : (*space) ndarray
        0 is background, -1 not annotated. Bool, integer, or float with integral values.
    shape : tuple of int, optional
        Shape expected: that of the image.
    name : str
        Name in messages, such as that of the file.

    Raises
    ------
    DataError
        For a wrong shape, NaN, fractional values, values below -1 or beyond int32.

    Examples
    --------
    >>> check_labels(np.array([[0, 1], [2, 2]], np.uint16)).dtype
    dtype('int32')
    """
    labels = np.asarray(labels)
    if shape is not None and labels.shape != tuple(shape):
        raise DataError(f"{name}: shape {labels.shape} differs from the image's {tuple(shape)}")
    if labels.dtype.kind not in "biuf":
        raise DataError(f"{name}: values of type {labels.dtype}, expected integers")
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise DataError(f"{name}: values are NaN, expected integer labels")
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        raise DataError(f"{name}: fractional values, expected integer labels")
    # As Python's numbers: float16 holds no value as large as the limit.
    low, high = (labels.min().item(), labels.max().item()) if labels.size else (0, 0)
    if low < NOT_ANNOTATED or high > np.iinfo(np.int32).max:
        raise DataError(
            f"{name}: values from {low} to {high}, expected -1 (not annotated), "
            f"0 (background) and up to {np.iinfo(np.int32).max}"
        )
    return labels.astype(np.int32, copy=False)


def arrange(image: NDArray[Any], axes: str | None, ndim: int, channels: int) -> Floats:
    """Bring an image into the order (C, *space) and check it.

    Raises
    ------
    DataError
        If the image has an axis too many and `axes` is not given, or `axes` does not fit.

    Examples
    --------
    >>> arrange(np.zeros((4, 5, 3)), "YXC", ndim=2, channels=3).shape
    (3, 4, 5)
    """
    image = np.asarray(image)
    if axes is not None:
        axes = axes.upper()
        order = "C" * ("C" in axes) + "ZYX"[3 - ndim :]
        if len(axes) != image.ndim or sorted(axes) != sorted(order):
            raise DataError(
                f"axes {axes!r} do not fit an image of shape {image.shape} for a model "
                f"of {ndim} space axes"
            )
        image = image.transpose([axes.index(axis) for axis in order])
    elif image.ndim != ndim + (channels > 1):
        raise DataError(
            f"an image of shape {image.shape} has {image.ndim} axes, expected "
            f"{ndim + (channels > 1)}; name them with axes, such as 'TYX'"
        )
    return check_image(image, ndim, channels)
