"""Maps, segmentations, errors, and checks of input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

#: One whole number per axis: a shape, a stride, a kernel.
PerAxis = tuple[int, ...]
#: Size of a pixel along each axis, in array-axis order, µm.
Spacing = tuple[float, ...]
#: One slice per axis.
Box = tuple[slice, ...]
#: A label image: 0 is background, objects are positive.
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

#: Least and greatest size of a pixel along an axis, µm: a picometre and a metre.
SMALLEST_PIXEL, LARGEST_PIXEL = 1e-6, 1e6
#: Greatest length in an image, µm: a million of the largest pixels.
LONGEST = 1e12

#: Label of pixels that are not annotated.
NOT_ANNOTATED = -1
#: Label of pixels of a crop that lie outside of its image.
OUTSIDE = -2

#: Activations of raw network output; `embedseg.methods.base` holds the torch twins.
ACTIVATIONS = {
    "none": lambda raw: raw,
    "tanh": np.tanh,
    "sigmoid": expit,
    "softmax": lambda raw: softmax(raw, axis=0),
}


class DataError(ValueError):
    """Invalid data: a file, an array or a folder."""


class UsageError(ValueError):
    """An invalid request: an unknown name, or options that exclude each other."""


@dataclass(frozen=True)
class MapSpec:
    """One named group of output channels of a net.

    Attributes
    ----------
    name : str
        Name under which a method asks for the map.
    kind : {"scalar", "vector", "extent"}
        Behaviour under a symmetry of the grid: a flip changes the sign of a vector; an axis swap
        exchanges the channels of a vector and of an extent; a scalar is not affected. Channel d of
        a vector or an extent belongs to array axis d.
    channels : int
        Number of channels.
    activation : {"none", "tanh", "sigmoid", "softmax"}
        Activation that turns raw output into the map.
    head : int
        Decoder branch of the net that outputs it. Maps are listed in the order of their heads.
    average : {"raw", "activated"}
        Whether symmetries and ensembles average before or after the activation.

    Examples
    --------
    >>> MapSpec("seed", "scalar", 1, "sigmoid", head=1).channels
    1
    """

    name: str
    kind: Literal["scalar", "vector", "extent"]
    channels: int
    activation: Literal["none", "tanh", "sigmoid", "softmax"]
    head: int = 0
    average: Literal["raw", "activated"] = "raw"


def channel_slices(specs: tuple[MapSpec, ...]) -> dict[str, slice]:
    """Return the channels of each map in the output of a net.

    Examples
    --------
    >>> channel_slices((MapSpec("a", "vector", 2, "tanh"), MapSpec("b", "scalar", 1, "none")))
    {'a': slice(0, 2, None), 'b': slice(2, 3, None)}
    """
    slices, start = {}, 0
    for spec in specs:
        slices[spec.name] = slice(start, start + spec.channels)
        start += spec.channels
    return slices


@dataclass(frozen=True)
class Maps:
    """Raw output of a net on one image, rounded once to float16.

    Every path (in memory, tiled, from disk) decodes these same numbers. `maps["seed"]` activates
    on reading; `maps.raw("seed")` does not.

    Attributes
    ----------
    data : (M, *space) float16 ndarray
        Raw output, all maps one after the other.
    specs : tuple of MapSpec
        Maps that the M channels hold.
    spacing : tuple of float
        Size of a pixel along each axis of `space`, in µm.
    origin : tuple of int, optional
        Index of the first pixel in the whole image, for the maps of a block.

    Examples
    --------
    >>> spec = MapSpec("seed", "scalar", 1, "sigmoid")
    >>> maps = Maps(np.zeros((1, 4, 5), np.float16), (spec,), (1.0, 1.0))
    >>> maps["seed"].shape, float(maps["seed"][0, 0, 0]), maps.shape
    ((1, 4, 5), 0.5, (4, 5))
    """

    data: NDArray[np.float16]
    specs: tuple[MapSpec, ...]
    spacing: Spacing
    origin: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        channels = sum(spec.channels for spec in self.specs)
        if self.data.dtype != np.float16 or self.data.shape[0] != channels:
            raise ValueError(
                f"maps must be float16 with {channels} channels first, "
                f"not {self.data.dtype} of shape {self.data.shape}"
            )
        if self.data.ndim != len(self.spacing) + 1:
            raise ValueError(f"spacing {self.spacing} does not fit maps of shape {self.data.shape}")
        if self.origin is not None and len(self.origin) != len(self.spacing):
            raise ValueError(f"origin {self.origin} does not fit spacing {self.spacing}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image, without channels."""
        return self.data.shape[1:]

    def spec(self, name: str) -> MapSpec:
        """Return the description of one map."""
        for spec in self.specs:
            if spec.name == name:
                return spec
        raise KeyError(f"no map {name!r}; there are {[spec.name for spec in self.specs]}")

    def raw(self, name: str) -> NDArray[np.float16]:
        """Return one map without activation, (channels, *space)."""
        self.spec(name)
        return self.data[channel_slices(self.specs)[name]]

    def __getitem__(self, name: str) -> Floats:
        """Return one map activated, (channels, *space) float32."""
        activate = ACTIVATIONS[self.spec(name).activation]
        return np.asarray(activate(self.raw(name).astype(np.float32)), np.float32)


@dataclass(frozen=True)
class Segmentation:
    """Labels decoded from maps, and a table of their objects.

    Attributes
    ----------
    labels : (*space) int32 ndarray
        0 is background; instances are numbered 1 to n.
    objects : mapping of str to ndarray, or None
        For instance methods one row per object, in order of label: `position` (n, ndim) int64,
        index of the pixel an object grew from; `centre` (n, ndim) float32, µm in the whole image;
        `score` (n,) float32, after tuning the probability that it matches a true object at IoU
        0.5; `size` (n,) int64, pixels; `evidence` (n, k) float32, from which the score is
        computed. None for semantic methods.
    """

    labels: Labels
    objects: Mapping[str, NDArray[Any]] | None = None


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
        or NaN at all pixels.

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
    image = image.astype(np.float32, copy=False)
    if infinite := int(np.isinf(image).sum()):
        raise DataError(f"{name}: {infinite} of {image.size} values are infinite")
    if not part and missing_pixels(image).all():
        raise DataError(f"{name}: every pixel is NaN, expected an image")
    return image


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
