"""Normalisation of whole images, channel by channel.

NaN are pixels without image: they do not count, and stay NaN.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from embedseg.types import DataError, Floats

#: Bounds of the values of images: those of float32.
IN_RANGE = Field(ge=-3.4e38, le=3.4e38)
Limits = tuple[Annotated[float, IN_RANGE], Annotated[float, IN_RANGE]]


class Fixed(BaseModel):
    """Map two given values of each channel to 0 and 1: those of a whole image.

    Attributes
    ----------
    limits : tuple of (float, float)
        The two values of each channel; where both are the same, the channel becomes 0.
    clip : bool
        Whether values beyond them become 0 and 1.

    Examples
    --------
    >>> Fixed(limits=[(0, 4), (1, 1)]).apply(np.array([[[2]], [[7]]], np.uint8)).tolist()
    [[[0.5]], [[0.0]]]
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["fixed"] = "fixed"
    limits: tuple[Limits, ...]
    clip: bool = False

    def apply(self, image: NDArray[Any]) -> Floats:
        """Normalise an image (C, *space) of any type."""
        normal = np.stack(
            [_to_unit(channel, limits) for channel, limits in zip(image, self.limits, strict=True)]
        )
        return np.clip(normal, 0, 1) if self.clip else normal

    def fixed(self, sample: NDArray[Any]) -> Fixed:
        """Return itself."""
        return self


class Percentile(BaseModel):
    """Map two percentiles of each channel to 0 and 1.

    Attributes
    ----------
    low, high : float
        Percentiles, 0 to 100.
    clip : bool
        Whether values beyond them become 0 and 1.

    Examples
    --------
    >>> image = np.arange(101, dtype=np.float32).reshape(1, 1, 101)
    >>> normal = Percentile(low=0, high=50).apply(image)
    >>> [float(normal[0, 0, i]) for i in (0, 50, 100)]
    [0.0, 1.0, 2.0]
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["percentile"] = "percentile"
    low: float = Field(default=1.0, ge=0, le=100)
    high: float = Field(default=99.8, ge=0, le=100)
    clip: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Percentile:
        _check_order(self.low, self.high)
        return self

    def apply(self, image: NDArray[Any]) -> Floats:
        """Normalise an image (C, *space) of any type; a constant channel becomes 0."""
        return self.fixed(image).apply(image)

    def fixed(self, sample: NDArray[Any]) -> Fixed:
        """Return the limits that a sample (C, *space) of an image implies."""
        return Fixed(limits=tuple(self._limits(channel) for channel in sample), clip=self.clip)

    def _limits(self, channel: NDArray[Any]) -> Limits:
        channel = _known(channel)
        low, high = (float(q) for q in np.percentile(channel, (self.low, self.high)))
        smallest, largest = float(channel.min()), float(channel.max())
        # Where all but a few pixels are background, the percentiles would not see the objects.
        if high - low <= 1e-6 * (largest - smallest):
            return smallest, largest
        return low, high


class ZScore(BaseModel):
    """Scale each channel to mean 0 and standard deviation 1.

    Examples
    --------
    >>> normal = ZScore().apply(np.array([[[2, 4]]], np.uint8))
    >>> normal.tolist()
    [[[-1.0, 1.0]]]
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["zscore"] = "zscore"

    def apply(self, image: NDArray[Any]) -> Floats:
        """Normalise an image (C, *space) of any type; a constant channel becomes 0."""
        return self.fixed(image).apply(image)

    def fixed(self, sample: NDArray[Any]) -> Fixed:
        """Return the limits that a sample (C, *space) of an image implies."""
        return Fixed(limits=tuple(self._limits(channel) for channel in sample))

    @staticmethod
    def _limits(channel: NDArray[Any]) -> Limits:
        channel = _known(channel)
        mean = float(channel.mean(dtype=np.float64))
        return mean, mean + float(channel.std(dtype=np.float64))


class Absolute(BaseModel):
    """Map two given values to 0 and 1: for images whose values mean the same everywhere.

    Attributes
    ----------
    low, high : float
        Values of the image that become 0 and 1.

    Examples
    --------
    >>> Absolute(low=0, high=200).apply(np.array([[[100, 200]]], np.uint8)).tolist()
    [[[0.5, 1.0]]]
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["absolute"] = "absolute"
    low: Annotated[float, IN_RANGE]
    high: Annotated[float, IN_RANGE]

    @model_validator(mode="after")
    def _ordered(self) -> Absolute:
        _check_order(self.low, self.high)
        return self

    def apply(self, image: NDArray[Any]) -> Floats:
        """Normalise an image (C, *space) of any type."""
        return _to_unit(image, (self.low, self.high))

    def fixed(self, sample: NDArray[Any]) -> Fixed:
        """Return the same for each of the channels of a sample (C, *space)."""
        return Fixed(limits=((self.low, self.high),) * len(sample))


Normalization = Annotated[Percentile | ZScore | Absolute | Fixed, Field(discriminator="type")]


def _check_order(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"low {low} must be below high {high}")


def _known(channel: NDArray[Any]) -> NDArray[Any]:
    """Return the values that are not NaN."""
    missing = np.isnan(channel)
    if missing.all():
        raise DataError("every value of a channel is NaN, expected an image")
    return channel[~missing] if missing.any() else channel


def _to_unit(values: NDArray[Any], limits: Limits) -> Floats:
    """Map the limits to 0 and 1; everything to 0 if they are one value."""
    low, high = limits
    if not high - low > np.finfo(np.float32).tiny:
        return np.where(np.isnan(values), np.float32(np.nan), np.float32(0))
    normal = values.astype(np.float32)
    normal -= np.float32(low)
    normal /= np.float32(high - low)
    return normal
