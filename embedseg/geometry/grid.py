"""Pixel coordinates and padding."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from embedseg.types import Floats, Spacing


def coordinates(shape: tuple[int, ...], spacing: Spacing) -> Floats:
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
        Its axes in `space` may be shorter than the padding.
    divisor : tuple of int
        One per axis of `space`.
    mode : {"reflect", "constant"}
    value : float
        Value of constant padding.

    Returns
    -------
    padded : ndarray
        The array itself if no padding is needed.
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
