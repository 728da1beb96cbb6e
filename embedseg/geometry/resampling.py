"""Grids: coordinates, padding, resampling, and the symmetries of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from embedseg.types import MapSpec, Spacing, channel_slices

#: Spacings that differ by no more than this share are taken to be the same.
SAME_SPACING = 0.01


def coordinates(shape: tuple[int, ...], spacing: Spacing) -> NDArray[np.float32]:
    """Return the position of every pixel, (ndim, *shape) float32, in µm.

    Examples
    --------
    >>> coordinates((2, 3), (10.0, 1.0))[:, 1, 2].tolist()
    [10.0, 2.0]
    """
    axes = (
        np.arange(n, dtype=np.float32) * np.float32(s) for n, s in zip(shape, spacing, strict=True)
    )
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def pad_to_multiple(
    array: NDArray[Any],
    divisor: tuple[int, ...],
    mode: Literal["reflect", "constant"] = "reflect",
    value: float = 0,
) -> tuple[NDArray[Any], tuple[slice, ...]]:
    """Pad the last axes of an array, at their ends, to multiples of a divisor.

    Parameters
    ----------
    array : (..., *space) ndarray
        Its axes in `space` may have any length, also one shorter than the padding.
    divisor : tuple of int
        One per axis of `space`.
    mode : {"reflect", "constant"}
    value : float
        What "constant" pads with.

    Returns
    -------
    padded : ndarray
        The array itself where nothing is missing.
    slices : tuple of slice
        `padded[(..., *slices)]` is the array.

    Examples
    --------
    >>> padded, cut = pad_to_multiple(np.array([[1, 2, 3, 4, 5]]), (1, 4))
    >>> padded.tolist(), padded[cut].tolist()
    ([[1, 2, 3, 4, 5, 4, 3, 2]], [[1, 2, 3, 4, 5]])
    """
    space = array.shape[array.ndim - len(divisor) :]
    missing = [-n % d for n, d in zip(space, divisor, strict=True)]
    slices = tuple(slice(n) for n in space)
    if not any(missing):
        return array, slices
    width = [(0, 0)] * (array.ndim - len(space)) + [(0, n) for n in missing]
    if mode == "constant":
        return np.pad(array, width, mode="constant", constant_values=value), slices
    return np.pad(array, width, mode="reflect"), slices


def resample(image: NDArray[np.float32], source: Spacing, target: Spacing) -> NDArray[np.float32]:
    """Bring an image to another spacing, by linear interpolation, smoothed where it shrinks.

    Axes whose spacings agree within 1 % are left alone. Pixels are boxes: the corners of the
    first and last box stay where they are.

    Parameters
    ----------
    image : (C, *space) float32 ndarray
    source, target : tuple of float
        Spacing of the image, and the one asked for, in µm.

    Returns
    -------
    (C, *space') float32 ndarray

    Examples
    --------
    >>> resample(np.zeros((1, 4, 6), np.float32), (2.0, 1.0), (1.0, 1.0)).shape
    (1, 8, 6)
    """
    return to_shape(
        image,
        tuple(
            n if same_spacing((s, t)) else max(1, round(n * s / t))
            for n, s, t in zip(image.shape[1:], source, target, strict=True)
        ),
    )


def to_shape(image: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Bring an image to another shape; see `resample`.

    Examples
    --------
    >>> to_shape(np.zeros((3, 4, 6), np.float32), (8, 3)).shape
    (3, 8, 3)
    """
    from skimage.transform import resize

    if shape == image.shape[1:]:
        return image.astype(np.float32, copy=False)
    resized = [
        resize(  # type: ignore[no-untyped-call]
            channel, shape, order=1, mode="edge", anti_aliasing=True, preserve_range=True
        )
        for channel in image.astype(np.float32, copy=False)
    ]
    return np.stack(resized).astype(np.float32, copy=False)


def resample_labels(labels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Bring labels to another shape: each pixel takes the label that lies at its centre.

    Examples
    --------
    >>> resample_labels(np.array([[1, 2]], np.uint8), (1, 4)).tolist()
    [[1, 1, 2, 2]]
    """
    nearest = (
        (2 * np.arange(m) + 1) * n // (2 * m) for n, m in zip(labels.shape, shape, strict=True)
    )
    return labels[np.ix_(*nearest)]


def smoothed(values: NDArray[Any], sigma: float, spacing: Spacing) -> NDArray[np.float32]:
    """Return values under a Gaussian of equal width in µm along all axes.

    Parameters
    ----------
    values : (*space) float ndarray
    sigma : float
        Standard deviation, pixels of the finest axis.
    spacing : tuple of float
        µm per pixel along each axis.

    Examples
    --------
    >>> smoothed(np.array([[0.0, 1.0, 0.0]]), 1.0, (1.0, 4.0)).round(2).tolist()
    [[0.0, 1.0, 0.0]]
    """
    from scipy import ndimage

    widths = sigma * min(spacing) / np.asarray(spacing)
    return np.asarray(ndimage.gaussian_filter(values, widths))


def same_spacing(spacing: Spacing) -> bool:
    """Tell whether all values agree within 1 %.

    Examples
    --------
    >>> same_spacing((0.5, 0.503)), same_spacing((2.0, 0.5))
    (True, False)
    """
    return max(spacing) <= min(spacing) * (1 + SAME_SPACING)


@dataclass(frozen=True)
class Symmetry:
    """A permutation of the axes followed by flips; acts on the last axes of an array.

    Attributes
    ----------
    permutation : tuple of int
        Axis d of the result is axis `permutation[d]` of what came in.
    flips : tuple of bool
        Which axes of the result are reversed.

    Examples
    --------
    >>> turn = Symmetry((1, 0), (True, False))
    >>> turn.apply(np.array([[1, 2], [3, 4]])).tolist()
    [[2, 4], [1, 3]]
    >>> turn.undo(turn.apply(np.array([[1, 2], [3, 4]]))).tolist()
    [[1, 2], [3, 4]]
    """

    permutation: tuple[int, ...]
    flips: tuple[bool, ...]

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the array, (..., *space), transformed."""
        return self._flipped(self._permuted(array, self.permutation))

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view that takes `apply` back."""
        inverse = tuple(int(axis) for axis in np.argsort(self.permutation))
        return self._permuted(self._flipped(array), inverse)

    def undo_maps(
        self, maps: NDArray[np.floating[Any]], specs: tuple[MapSpec, ...]
    ) -> NDArray[np.floating[Any]]:
        """Return maps of a transformed image, (M, *space), as maps of the image itself.

        Vectors change sign along flipped axes; vectors and extents exchange their channels as
        the axes are exchanged.
        """
        undone = self.undo(maps).copy()
        for spec, where in zip(specs, channel_slices(specs).values(), strict=True):
            if spec.kind == "scalar":
                continue
            part = undone[where].copy()
            for axis, (origin, flip) in enumerate(zip(self.permutation, self.flips, strict=True)):
                turned = flip and spec.kind == "vector"
                undone[where.start + origin] = -part[axis] if turned else part[axis]
        return undone

    def _permuted(self, array: NDArray[Any], order: tuple[int, ...]) -> NDArray[Any]:
        first = array.ndim - len(order)
        return array.transpose(*range(first), *(first + axis for axis in order))

    def _flipped(self, array: NDArray[Any]) -> NDArray[Any]:
        first = array.ndim - len(self.flips)
        axes = tuple(first + axis for axis, flip in enumerate(self.flips) if flip)
        return np.flip(array, axes)


def symmetries(spacing: Spacing) -> tuple[Symmetry, ...]:
    """Return the symmetries of a grid, the identity first.

    All flips, and where the last two axes have the same spacing also their exchange: 8 for an
    isotropic 2D grid, 16 for a 3D grid isotropic in YX.

    Examples
    --------
    >>> len(symmetries((1.0, 1.0))), len(symmetries((2.0, 0.5, 0.5))), len(symmetries((2.0, 1.0)))
    (8, 16, 4)
    """
    axes = tuple(range(len(spacing)))
    orders = [axes]
    if same_spacing(spacing[-2:]):
        orders.append((*axes[:-2], axes[-1], axes[-2]))
    flips = list(product((False, True), repeat=len(axes)))
    return tuple(Symmetry(order, flip) for order in orders for flip in flips)
