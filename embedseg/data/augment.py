"""Augmentation of crops and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from embedseg.common import unknown_name
from embedseg.geometry import symmetries
from embedseg.types import OUTSIDE, Floats, Labels, Spacing

#: Axes whose spacings differ by more than this factor are not rotated or sheared into each other.
MAX_SPACING_RATIO = 1.5
#: Largest margin around a crop, as a share of its side.
MAX_MARGIN = 0.3


class Augment(BaseModel):
    """Augmentation of training crops.

    All geometric changes are one transformation in physical units and one resampling: linear for
    the image, nearest neighbour for labels. Each option is the largest value of a quantity that is
    drawn anew for each crop; 0 switches it off.

    Attributes
    ----------
    symmetries : bool
        Flips, and exchange of axes with equal spacing and equal crop size.
    rotation : float
        Degrees, in all planes whose axes have nearly the same spacing.
    scale, zoom : float
        Change of size: 0.25 is a factor from 1 / 1.25 to 1.25; `scale` for all axes together,
        `zoom` for each axis separately.
    shear : float
        Degrees, in the planes that are rotated too.
    shift : float
        Share of the crop's side.
    elastic : float
        Length of a smooth random displacement, pixels of the finest axis.
    elastic_grid : float
        Distance of the points at which the displacement is drawn, pixels of the finest axis.
    brightness : float
        Offset added to the intensities, which are about 0 to 1 after normalisation.
    contrast, gamma : float
        Factor on the distance to the mean, and exponent: 0.25 is from 1 / 1.25 to 1.25.
    noise : float
        Standard deviation of Gaussian noise.
    blur : float
        Standard deviation of a Gaussian filter, pixels of the finest axis.
    channel_dropout : float
        Probability that a channel is set to its mean; one channel always stays.
    chance : float
        Probability of each part except symmetries and dropout: geometry, elastic displacement, and
        each change of intensities.

    Examples
    --------
    >>> Augment.model_validate("light").rotation
    30.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    symmetries: bool = False
    rotation: float = Field(default=0.0, ge=0, le=180)
    scale: float = Field(default=0.0, ge=0, le=3)
    zoom: float = Field(default=0.0, ge=0, le=3)
    shear: float = Field(default=0.0, ge=0, le=45)
    shift: float = Field(default=0.0, ge=0, le=0.5)
    elastic: float = Field(default=0.0, ge=0, le=1000)
    elastic_grid: float = Field(default=24.0, gt=1, le=1e6)
    brightness: float = Field(default=0.0, ge=0, le=100)
    contrast: float = Field(default=0.0, ge=0, le=100)
    gamma: float = Field(default=0.0, ge=0, le=100)
    noise: float = Field(default=0.0, ge=0, le=100)
    blur: float = Field(default=0.0, ge=0, le=100)
    channel_dropout: float = Field(default=0.0, ge=0, le=1)
    chance: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in PRESETS:
            raise ValueError(unknown_name("preset", value, PRESETS))
        return PRESETS[value].__dict__

    @property
    def moves(self) -> bool:
        """Whether crops are resampled."""
        return any((self.rotation, self.scale, self.zoom, self.shear, self.shift, self.elastic))

    def margin(self, crop: Sequence[int], spacing: Spacing) -> tuple[int, ...]:
        """Return the margin around a crop that may come into view, on each side of each axis.

        Examples
        --------
        >>> Augment(rotation=10).margin((64, 64), (1.0, 1.0)), Augment().margin((64, 64), (1., 1.))
        ((6, 6), (0, 0))
        """
        rotated = {axis for pair in _similar_axes(spacing) for axis in pair}
        margins = []
        for axis, (size, step) in enumerate(zip(crop, spacing, strict=True)):
            share = 0.5 * ((1 + self.scale) * (1 + self.zoom) - 1) + self.shift
            if axis in rotated:
                share += 0.5 * np.sin(np.deg2rad(min(self.rotation, 25.0)))
                share += 0.5 * np.tan(np.deg2rad(self.shear))
            pixels = share * size + self.elastic * min(spacing) / step
            margins.append(int(np.ceil(min(share and pixels, MAX_MARGIN * size))))
        return tuple(margins)

    def apply(
        self,
        image: Floats,
        labels: Labels,
        crop: Sequence[int],
        spacing: Spacing,
        rng: np.random.Generator,
    ) -> tuple[Floats, Labels]:
        """Augment a crop with its margin, and return it without the margin.

        Parameters
        ----------
        image : (C, *(crop + 2 margin)) float32 ndarray
            Normalised.
        labels : (*(crop + 2 margin)) int32 ndarray
            0 background, -1 not annotated, -2 outside of the image.
        crop : sequence of int
            Shape of the result.
        spacing : tuple of float
            Size of a pixel along each axis.
        rng : numpy.random.Generator
            Source of all random numbers.

        Returns
        -------
        (C, *crop) float32 ndarray, (*crop) int32 ndarray
            Contiguous. A pixel of label k was one of label k before.

        Examples
        --------
        >>> image = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
        >>> flipped, labels = Augment(symmetries=True).apply(
        ...     image, image[0].astype(np.int32), (2, 2), (1.0, 1.0), np.random.default_rng(0))
        >>> bool((flipped[0] == labels).all())
        True
        """
        if self.symmetries:
            image, labels = _flip(image, labels, tuple(crop), spacing, rng)
        if self.moves:
            image, labels = self._move(image, labels, tuple(crop), spacing, rng)
        image = self._change_intensities(image, spacing, rng)
        return np.ascontiguousarray(image), np.ascontiguousarray(labels)

    def _move(
        self,
        image: Floats,
        labels: Labels,
        crop: tuple[int, ...],
        spacing: Spacing,
        rng: np.random.Generator,
    ) -> tuple[Floats, Labels]:
        from scipy import ndimage

        steps, size = np.asarray(spacing), np.asarray(crop)
        middle = (np.array(labels.shape) - 1) / 2
        linear, offset = np.eye(len(crop)), np.zeros(len(crop))
        displacement = None
        if rng.random() < self.chance:
            linear = self._draw_linear(spacing, rng)
            offset = rng.uniform(-self.shift, self.shift, len(crop)) * size * steps
        if self.elastic and rng.random() < self.chance:
            displacement = self._draw_displacement(crop, spacing, rng)
        unmoved = not offset.any() and np.array_equal(linear, np.eye(len(crop)))
        if displacement is None and unmoved:
            inner = tuple(
                slice((n - m) // 2, (n - m) // 2 + m)
                for n, m in zip(labels.shape, crop, strict=True)
            )
            return image[:, *inner], labels[inner]
        # Source of each pixel of the result, in pixels of `image`.
        matrix = linear * steps / steps[:, None]
        start = middle - matrix @ ((size - 1) / 2) + offset / steps
        axes = [np.arange(n, dtype=np.float64) for n in crop]
        places = np.empty((len(crop), *crop))
        for row, place in enumerate(places):
            place[...] = start[row]
            for axis, along in enumerate(axes):
                if matrix[row, axis]:
                    shape = [-1 if d == axis else 1 for d in range(len(crop))]
                    place += (matrix[row, axis] * along).reshape(shape)
        if displacement is not None:
            places += displacement / steps.reshape(-1, *[1] * len(crop))
        warped = np.stack(
            [ndimage.map_coordinates(channel, places, order=1, mode="mirror") for channel in image]
        )
        return warped, _nearest(labels, places)

    def _draw_linear(self, spacing: Spacing, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw the linear map from the new crop to the old one, in µm."""
        ndim = len(spacing)
        sizes = np.exp(
            rng.uniform(-1, 1) * np.log1p(self.scale)
            + rng.uniform(-1, 1, ndim) * np.log1p(self.zoom)
        )
        linear = np.diag(sizes)
        for one, other in _similar_axes(spacing):
            angle, lean = np.deg2rad(rng.uniform(-1, 1, 2) * (self.rotation, self.shear))
            turn, shear = np.eye(ndim), np.eye(ndim)
            turn[one, one] = turn[other, other] = np.cos(angle)
            turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
            shear[one, other] = np.tan(lean)
            linear = linear @ turn @ shear
        return linear

    def _draw_displacement(
        self, crop: tuple[int, ...], spacing: Spacing, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Draw a smooth displacement in µm, (ndim, *crop)."""
        finest = min(spacing)
        points = [
            int(np.ceil(n * step / finest / self.elastic_grid)) + 1
            for n, step in zip(crop, spacing, strict=True)
        ]
        # 95 % of the displacements are shorter than `elastic`.
        drawn = rng.normal(0, 0.5 * self.elastic * finest, (len(crop), *points))
        for axis, (pixels, known) in enumerate(zip(crop, points, strict=True), 1):
            drawn = np.moveaxis(np.tensordot(_cubic(known, pixels), drawn, (1, axis)), 0, axis)
        return drawn

    def _change_intensities(
        self, image: Floats, spacing: Spacing, rng: np.random.Generator
    ) -> Floats:
        from scipy import ndimage

        def chosen(largest: float) -> bool:
            return largest > 0 and bool(rng.random() < self.chance)

        if chosen(self.blur):
            sigma = rng.uniform(0, self.blur) * min(spacing) / np.asarray(spacing)
            image = ndimage.gaussian_filter(image, (0, *sigma), truncate=3.0)
        if chosen(self.gamma):
            low, high = image.min(), image.max()
            span = max(float(high - low), 1e-6)
            image = ((image - low) / span) ** _draw_factor(self.gamma, rng) * span + low
        if chosen(self.contrast):
            mean = _channel_means(image)
            image = (image - mean) * _draw_factor(self.contrast, rng) + mean
        if chosen(self.brightness):
            image = image + np.float32(rng.uniform(-self.brightness, self.brightness))
        if chosen(self.noise):
            width = np.float32(rng.uniform(0, self.noise))
            image = image + width * rng.standard_normal(image.shape, np.float32)
        if self.channel_dropout and len(image) > 1:
            lost = rng.random(len(image)) < self.channel_dropout
            lost[rng.integers(len(image))] = False
            lost = lost.reshape(-1, *[1] * (image.ndim - 1))
            image = np.where(lost, _channel_means(image), image)
        return image.astype(np.float32, copy=False)


@cache
def _cubic(points: int, pixels: int) -> NDArray[np.float64]:
    """Return the matrix of cubic spline interpolation along one axis, (pixels, points).

    One axis at a time, a pixel costs a product per point, of which there are few; `ndimage.zoom`
    of a volume costs 64.
    """
    from scipy import ndimage

    zoomed = ndimage.zoom(
        np.eye(points), (pixels / points, 1), order=3, mode="nearest", grid_mode=True
    )
    return np.asarray(zoomed)


def _channel_means(image: Floats) -> Floats:
    """Return the mean of each channel, (C, 1, ...)."""
    means: Floats = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
    return means


def _draw_factor(largest: float, rng: np.random.Generator) -> np.float32:
    return np.float32(np.exp(rng.uniform(-1, 1) * np.log1p(largest)))


def _similar_axes(spacing: Spacing) -> list[tuple[int, int]]:
    """Return the pairs of axes whose spacings are nearly the same."""
    ndim = len(spacing)
    return [
        (a, b)
        for a in range(ndim)
        for b in range(a + 1, ndim)
        if max(spacing[a], spacing[b]) <= MAX_SPACING_RATIO * min(spacing[a], spacing[b])
    ]


def _flip(
    image: Floats, labels: Labels, crop: tuple[int, ...], spacing: Spacing, rng: np.random.Generator
) -> tuple[Floats, Labels]:
    """Apply a random symmetry that keeps the shape of the crop."""
    fitting = [
        s for s in symmetries(spacing) if tuple(crop[axis] for axis in s.permutation) == crop
    ]
    symmetry = fitting[rng.integers(len(fitting))]
    return symmetry.apply(image), symmetry.apply(labels)


def _nearest(labels: Labels, places: NDArray[np.float64]) -> Labels:
    """Return the labels at the pixels nearest to places."""
    from scipy import ndimage

    nearest: Labels = ndimage.map_coordinates(
        labels, places, order=0, mode="constant", cval=OUTSIDE
    )
    return nearest


#: `paper` is that of the publication; `light` suits nearly all microscopy images.
PRESETS = {
    "none": Augment(),
    "paper": Augment(symmetries=True),
    "light": Augment(
        symmetries=True,
        rotation=30,
        scale=0.2,
        brightness=0.1,
        contrast=0.25,
        gamma=0.25,
        noise=0.03,
    ),
    "strong": Augment(
        symmetries=True,
        rotation=180,
        scale=0.4,
        zoom=0.15,
        shear=8,
        shift=0.1,
        elastic=4,
        brightness=0.2,
        contrast=0.6,
        gamma=0.5,
        noise=0.08,
        blur=1.5,
        channel_dropout=0.1,
    ),
}
