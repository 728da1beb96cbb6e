"""Augmentation of crops and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import ndimage

from embedseg.geometry import symmetries
from embedseg.types import OUTSIDE, Floats, Labels, Spacing

#: Axes whose spacings differ by more than this factor are not turned or sheared into each other.
ALIKE = 1.5
#: Most of a crop's side that is cut around it to be turned or shrunk into view.
WIDEST_MARGIN = 0.3


class Augment(BaseModel):
    """What a training crop may be turned into.

    Everything geometric is one transformation in physical units and one resampling: linear for the
    image, nearest neighbour for labels. Options are the widest range of a quantity that is drawn
    anew for each crop; 0 leaves it out.

    Attributes
    ----------
    symmetries : bool
        Flips, and exchange of axes as far as their spacing and the crop's size agree.
    rotation : float
        Degrees, in all planes whose axes have nearly the same spacing.
    scale, zoom : float
        Change of size: 0.25 is by a factor from 1 / 1.25 to 1.25; `scale` for all axes alike,
        `zoom` for each axis on its own.
    shear : float
        Degrees, in the planes that are rotated too.
    shift : float
        Share of the crop's side.
    elastic : float
        Length of a smooth random displacement, pixels of the finest axis.
    elastic_grid : float
        Distance of the points at which that is drawn, pixels of the finest axis.
    brightness : float
        Added to the intensities, which are about 0 to 1 after normalisation.
    contrast, gamma : float
        Factor on the distance to the mean, and exponent: 0.25 is from 1 / 1.25 to 1.25.
    noise : float
        Standard deviation of Gaussian noise.
    blur : float
        Standard deviation of a Gaussian filter, pixels of the finest axis.
    channel_dropout : float
        Probability that a channel is set to its mean; one channel always stays.
    chance : float
        Probability that each part except symmetries and dropout is applied: geometry, elastic
        displacement, and each change of intensities.

    Examples
    --------
    >>> Augment.model_validate("light").rotation
    30.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    symmetries: bool = False
    rotation: float = Field(default=0.0, ge=0, le=180)
    scale: float = Field(default=0.0, ge=0, le=3)
    zoom: float = Field(default=0.0, ge=0, le=3)
    shear: float = Field(default=0.0, ge=0, le=45)
    shift: float = Field(default=0.0, ge=0, le=0.5)
    elastic: float = Field(default=0.0, ge=0)
    elastic_grid: float = Field(default=24.0, gt=1)
    brightness: float = Field(default=0.0, ge=0)
    contrast: float = Field(default=0.0, ge=0)
    gamma: float = Field(default=0.0, ge=0)
    noise: float = Field(default=0.0, ge=0)
    blur: float = Field(default=0.0, ge=0)
    channel_dropout: float = Field(default=0.0, ge=0, le=1)
    chance: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in PRESETS:
            raise ValueError(f"no preset {value!r}; there are {', '.join(PRESETS)}")
        return PRESETS[value].__dict__

    @property
    def moves(self) -> bool:
        """Whether the crop has to be resampled."""
        return any((self.rotation, self.scale, self.zoom, self.shear, self.shift, self.elastic))

    def margin(self, crop: Sequence[int], spacing: Spacing) -> tuple[int, ...]:
        """Return how many pixels around a crop may come into view, on each side of each axis.

        Examples
        --------
        >>> Augment(rotation=10).margin((64, 64), (1.0, 1.0)), Augment().margin((64, 64), (1., 1.))
        ((6, 6), (0, 0))
        """
        turned = {axis for pair in _planes(spacing) for axis in pair}
        widest = []
        for axis, (size, step) in enumerate(zip(crop, spacing, strict=True)):
            share = 0.5 * ((1 + self.scale) * (1 + self.zoom) - 1) + self.shift
            if axis in turned:
                share += 0.5 * np.sin(np.deg2rad(min(self.rotation, 25.0)))
                share += 0.5 * np.tan(np.deg2rad(self.shear))
            pixels = share * size + self.elastic * min(spacing) / step
            widest.append(int(np.ceil(min(share and pixels, WIDEST_MARGIN * size))))
        return tuple(widest)

    def apply(
        self,
        image: Floats,
        labels: Labels,
        crop: Sequence[int],
        spacing: Spacing,
        rng: np.random.Generator,
    ) -> tuple[Floats, Labels]:
        """Turn a crop with its margin into one without.

        Parameters
        ----------
        image : (C, *(crop + 2 margin)) float32 ndarray
            Normalised.
        labels : (*(crop + 2 margin)) int32 ndarray
            0 background, -1 not annotated, -2 outside of the image.
        crop : sequence of int
            Size of the result.
        spacing : tuple of float
            Size of a pixel along each axis.
        rng : numpy.random.Generator
            Decides everything.

        Returns
        -------
        (C, *crop) float32 ndarray, (*crop) int32 ndarray
            Contiguous. A pixel of label k was one of label k before.

        Examples
        --------
        >>> image = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
        >>> turned, labels = Augment(symmetries=True).apply(
        ...     image, image[0].astype(np.int32), (2, 2), (1.0, 1.0), np.random.default_rng(0))
        >>> bool((turned[0] == labels).all())
        True
        """
        if self.symmetries:
            image, labels = _symmetric(image, labels, tuple(crop), spacing, rng)
        if self.moves:
            image, labels = self._moved(image, labels, tuple(crop), spacing, rng)
        image = self._recoloured(image, spacing, rng)
        return np.ascontiguousarray(image), np.ascontiguousarray(labels)

    def _moved(
        self,
        image: Floats,
        labels: Labels,
        crop: tuple[int, ...],
        spacing: Spacing,
        rng: np.random.Generator,
    ) -> tuple[Floats, Labels]:
        steps, size = np.asarray(spacing), np.asarray(crop)
        middle = (np.array(labels.shape) - 1) / 2
        linear, offset = np.eye(len(crop)), np.zeros(len(crop))
        bent = None
        if rng.random() < self.chance:
            linear = self._linear(spacing, rng)
            offset = rng.uniform(-self.shift, self.shift, len(crop)) * size * steps
        if self.elastic and rng.random() < self.chance:
            bent = self._displacement(crop, spacing, rng)
        if bent is None and not offset.any() and np.array_equal(linear, np.eye(len(crop))):
            inner = tuple(
                slice((n - m) // 2, (n - m) // 2 + m)
                for n, m in zip(labels.shape, crop, strict=True)
            )
            return image[:, *inner], labels[inner]
        # Where each pixel of the crop comes from, in pixels of what came in.
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
        if bent is not None:
            places += bent / steps.reshape(-1, *[1] * len(crop))
        warped = np.stack(
            [ndimage.map_coordinates(channel, places, order=1, mode="mirror") for channel in image]
        )
        return warped, _nearest(labels, places)

    def _linear(self, spacing: Spacing, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the linear part, which leads from the new crop to the old one in µm."""
        ndim = len(spacing)
        sizes = np.exp(
            rng.uniform(-1, 1) * np.log1p(self.scale)
            + rng.uniform(-1, 1, ndim) * np.log1p(self.zoom)
        )
        linear = np.diag(sizes)
        for one, other in _planes(spacing):
            angle, lean = np.deg2rad(rng.uniform(-1, 1, 2) * (self.rotation, self.shear))
            turn, shear = np.eye(ndim), np.eye(ndim)
            turn[one, one] = turn[other, other] = np.cos(angle)
            turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
            shear[one, other] = np.tan(lean)
            linear = linear @ turn @ shear
        return linear

    def _displacement(
        self, crop: tuple[int, ...], spacing: Spacing, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return a smooth displacement in µm, (ndim, *crop)."""
        finest = min(spacing)
        points = [
            int(np.ceil(n * step / finest / self.elastic_grid)) + 1
            for n, step in zip(crop, spacing, strict=True)
        ]
        # 95 % of what is drawn lies within the length asked for.
        drawn = rng.normal(0, 0.5 * self.elastic * finest, (len(crop), *points))
        for axis, (pixels, known) in enumerate(zip(crop, points, strict=True), 1):
            drawn = np.moveaxis(np.tensordot(_cubic(known, pixels), drawn, (1, axis)), 0, axis)
        return drawn

    def _recoloured(self, image: Floats, spacing: Spacing, rng: np.random.Generator) -> Floats:
        def drawn(widest: float) -> bool:
            return widest > 0 and bool(rng.random() < self.chance)

        if drawn(self.blur):
            sigma = rng.uniform(0, self.blur) * min(spacing) / np.asarray(spacing)
            image = ndimage.gaussian_filter(image, (0, *sigma), truncate=3.0)
        if drawn(self.gamma):
            low, high = image.min(), image.max()
            span = max(float(high - low), 1e-6)
            image = ((image - low) / span) ** _factor(self.gamma, rng) * span + low
        if drawn(self.contrast):
            mean = _means(image)
            image = (image - mean) * _factor(self.contrast, rng) + mean
        if drawn(self.brightness):
            image = image + np.float32(rng.uniform(-self.brightness, self.brightness))
        if drawn(self.noise):
            width = np.float32(rng.uniform(0, self.noise))
            image = image + width * rng.standard_normal(image.shape, np.float32)
        if self.channel_dropout and len(image) > 1:
            lost = rng.random(len(image)) < self.channel_dropout
            lost[rng.integers(len(image))] = False
            image = np.where(lost.reshape(-1, *[1] * (image.ndim - 1)), _means(image), image)
        return image.astype(np.float32, copy=False)


@cache
def _cubic(points: int, pixels: int) -> NDArray[np.float64]:
    """Return what makes cubic splines of values at points, (pixels, points), along one axis.

    An axis at a time, a pixel costs a product per point, of which there are few; `ndimage.zoom` of
    a volume costs 64.
    """
    zoomed = ndimage.zoom(
        np.eye(points), (pixels / points, 1), order=3, mode="nearest", grid_mode=True
    )
    return np.asarray(zoomed)


def _means(image: Floats) -> Floats:
    """Return the mean of each channel, (C, 1, ...)."""
    means: Floats = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
    return means


def _factor(widest: float, rng: np.random.Generator) -> np.float32:
    return np.float32(np.exp(rng.uniform(-1, 1) * np.log1p(widest)))


def _planes(spacing: Spacing) -> list[tuple[int, int]]:
    """Return the pairs of axes whose spacings are nearly the same."""
    ndim = len(spacing)
    return [
        (a, b)
        for a in range(ndim)
        for b in range(a + 1, ndim)
        if max(spacing[a], spacing[b]) <= ALIKE * min(spacing[a], spacing[b])
    ]


def _symmetric(
    image: Floats, labels: Labels, crop: tuple[int, ...], spacing: Spacing, rng: np.random.Generator
) -> tuple[Floats, Labels]:
    fitting = [
        s for s in symmetries(spacing) if tuple(crop[axis] for axis in s.permutation) == crop
    ]
    symmetry = fitting[rng.integers(len(fitting))]
    return symmetry.apply(image), symmetry.apply(labels)


def _nearest(labels: Labels, places: NDArray[np.float64]) -> Labels:
    """Return the labels at the pixels nearest to places."""
    found: Labels = ndimage.map_coordinates(labels, places, order=0, mode="constant", cval=OUTSIDE)
    return found


#: `paper` is what the publication does; `light` bears on nearly every microscope's images.
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
