"""Images resampled box by box, and labels brought back."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from embedseg.blockwise.block_objects import ObjectTable
from embedseg.geometry import mask_along, spacings_agree
from embedseg.images import LazyImage
from embedseg.types import Box, Floats, Indices, PerAxis, Spacing, missing_pixels

#: Standard deviations beyond which Gaussian weights are left out, as in scipy.
TRUNCATE = 4.0


@dataclass(frozen=True)
class Resampled:
    """An image in another spacing, as by `embedseg.geometry.resample`, read box by box.

    Attributes
    ----------
    image : LazyImage
        With channels first if there are any.
    shape : tuple of int
        Along the axes of the image, in the new spacing.
    spacing : tuple of float
    fill : tuple of float
        Value that NaN of each channel counts as: the one that normalisation makes 0.
    """

    image: LazyImage
    shape: PerAxis
    spacing: Spacing
    fill: tuple[float, ...] = (0.0,)

    @property
    def axes(self) -> str:
        """Axes of the image."""
        return self.image.axes

    @property
    def source(self) -> str:
        """Path or URL of the image."""
        return self.image.source

    def read(self, box: Box) -> Floats:
        """Return a box as float32."""
        first = len(self.shape) - len(self.spacing)
        space = zip(box[first:], self.image.shape[first:], self.shape[first:], strict=True)
        plans = [_AxisPlan.of(side, n, m) for side, n, m in space]
        data = self.image.read((*box[:first], *(plan.read for plan in plans)))
        values = data.astype(np.float32)
        missing = np.isnan(values)
        if missing.any():
            level = np.reshape(self.fill, (-1, *[1] * len(plans)))[box[0] if first else 0]
            values = np.where(missing, level.astype(np.float32), values)
        for axis, plan in enumerate(plans, first):
            values = plan.apply(values, axis)
        if missing.any():
            mask = missing_pixels(data.reshape(-1, *data.shape[first:]))
            for axis, (plan, side) in enumerate(zip(plans, box[first:], strict=True)):
                lengths = (shape[first + axis] for shape in (self.image.shape, self.shape))
                mask = mask_along(mask, axis, *zip((plan.read, side), lengths, strict=True))
            values[..., mask] = np.nan
        return np.ascontiguousarray(values)


@dataclass(frozen=True)
class _AxisPlan:
    """Interpolation of a stretch of one axis from the stretch that is read for it."""

    read: slice
    lower: Indices  # of the two neighbours in the stretch that is read
    share: Floats  # of the upper one
    sigma: float

    @classmethod
    def of(cls, side: slice, n: int, m: int) -> _AxisPlan:
        """Plan a stretch of an axis that is resampled from length n to length m."""
        sigma = max(0.0, (n / m - 1) / 2)
        place = np.clip((np.arange(side.start, side.stop) + 0.5) * n / m - 0.5, 0, n - 1)
        lower = np.minimum(place.astype(np.int64), max(n - 2, 0))
        reach = int(TRUNCATE * sigma + 0.5)
        start, stop = max(0, int(lower[0]) - reach), min(n, int(lower[-1]) + 2 + reach)
        return cls(slice(start, stop), lower - start, (place - lower).astype(np.float32), sigma)

    def apply(self, values: Floats, axis: int) -> Floats:
        """Return values along the new axis."""
        if self.sigma:
            values = gaussian_filter1d(values, self.sigma, axis, mode="nearest", truncate=TRUNCATE)
        below = np.take(values, self.lower, axis)
        above = np.take(values, np.minimum(self.lower + 1, values.shape[axis] - 1), axis)
        share = self.share.reshape([-1 if d == axis else 1 for d in range(values.ndim)])
        return np.asarray(below + share * (above - below), np.float32)


def resample_lazily(
    image: LazyImage, spacing: Spacing, fill: tuple[float, ...] = (0.0,)
) -> LazyImage | Resampled:
    """Return an image in another spacing; itself where that is the same within 1 %, or unknown.

    Parameters
    ----------
    image : LazyImage
    spacing : tuple of float
        One value for each of its space axes, µm.
    fill : tuple of float
        See `Resampled`.
    """
    if image.spacing is None:
        return image
    first = len(image.shape) - len(spacing)
    lengths = tuple(
        n if spacings_agree((s, t)) else max(1, round(n * s / t))
        for n, s, t in zip(image.shape[first:], image.spacing, spacing, strict=True)
    )
    if lengths == image.shape[first:]:
        return image
    return Resampled(image, image.shape[:first] + lengths, spacing, fill)


# -- labels on the grid of the image ---------------------------------------------------------------
def target_pixels(side: slice, n: int, m: int) -> tuple[slice, Indices]:
    """Return which of m pixels take their label from a stretch of n, and their source in it.

    As in `embedseg.geometry.resample_labels`: each takes the label that lies at its centre.

    Examples
    --------
    >>> target_pixels(slice(1, 2), n=2, m=5)
    (slice(2, 5, None), array([0, 0, 0]))
    """
    # Pixel i takes the label (2 i + 1) n // (2 m).
    start, stop = (max(0, min(m, ceil((2 * m * at / n - 1) / 2))) for at in (side.start, side.stop))
    places = (2 * np.arange(start, stop) + 1) * n // (2 * m)
    return slice(start, stop), places - side.start


def labels_on_grid(
    labels: NDArray[Any], inner: Box, shape: PerAxis, grid: PerAxis
) -> tuple[Box, NDArray[Any]]:
    """Return the box of an image that a block's labels belong to, and the labels in it.

    Parameters
    ----------
    labels : (*inner) ndarray
    inner : tuple of slice
        Where they lie on a grid of `shape`.
    shape, grid : tuple of int
        Of the grid that was decoded, and of the image.
    """
    if shape == grid:
        return inner, labels
    both = [target_pixels(side, n, m) for side, n, m in zip(inner, shape, grid, strict=True)]
    return tuple(box for box, _ in both), labels[np.ix_(*(places for _, places in both))]


def table_on_grid(table: ObjectTable, shape: PerAxis, grid: PerAxis) -> ObjectTable:
    """Return a table of objects with boxes and sizes in pixels of the image."""
    if shape == grid:
        return table
    boxes = {}
    for name in ("lower", "upper"):
        boxes[name] = np.stack(
            [
                _starts(table[name][:, d], n, m)
                for d, (n, m) in enumerate(zip(shape, grid, strict=True))
            ],
            axis=1,
        )
    return table | boxes | {"size": table["written"]}


def centres_in_image(
    centres: NDArray[Any], image: LazyImage | Resampled, spacing: Spacing
) -> NDArray[np.float64]:
    """Return positions in µm as an image places its pixels: with its translation.

    Parameters
    ----------
    centres : (n, ndim) ndarray
        µm from the middle of the first pixel of the grid that was decoded.
    image : LazyImage or Resampled
        On that grid.
    spacing : tuple of float
        Of that grid.
    """
    own, ndim = image.image if isinstance(image, Resampled) else image, len(spacing)
    zoom = np.divide(own.shape[-ndim:], image.shape[-ndim:])
    # The grids have their edges in common, not the middles of their first pixels.
    pixels = (np.asarray(centres, np.float64) / spacing + 0.5) * zoom - 0.5
    return np.asarray((pixels + own.offset) * (own.spacing or spacing), np.float64)


def _starts(places: Indices, n: int, m: int) -> Indices:
    return np.clip(np.ceil((2 * m * places / n - 1) / 2), 0, m).astype(np.int64)
