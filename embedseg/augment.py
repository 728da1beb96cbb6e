"""Augmentation of a crop and its labels; one code for any number of dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.geometry import symmetries
from embedseg.types import Spacing


def augment(
    image: NDArray[np.float32], labels: NDArray[np.int32], spacing: Spacing,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Flip and turn a crop by a random symmetry of its grid.

    Parameters
    ----------
    image : (C, *space) float32 ndarray
    labels : (*space) int32 ndarray
    spacing : tuple of float
        Axes are swapped only where their spacing, and the crop's size, agree.
    rng : numpy.random.Generator

    Returns
    -------
    image, labels : ndarray
        Contiguous, of the shapes that came in.

    Examples
    --------
    >>> image = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    >>> turned, labels = augment(image, image[0].astype(np.int32), (1.0, 1.0),
    ...                          np.random.default_rng(0))
    >>> bool((turned[0] == labels).all())
    True
    """
    shape = labels.shape
    fitting = [s for s in symmetries(spacing) if _permuted(shape, s.permutation) == shape]
    symmetry = fitting[rng.integers(len(fitting))]
    return (
        np.ascontiguousarray(symmetry.apply(image)),
        np.ascontiguousarray(symmetry.apply(labels)),
    )


def _permuted(shape: tuple[int, ...], permutation: Any) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in permutation)
