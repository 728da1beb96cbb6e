"""Object numbers: listing, counting pixels, relabelling.

Nothing here loops over the objects of an image in Python; arrays have any number of axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.labels.overlaps import find_runs
from embedseg.types import OUTSIDE, Indices, Labels


def object_ids(labels: NDArray[Any]) -> Labels:
    """Return the numbers of the objects in an image, ascending: (n,) int32.

    All other functions that return a row per object use this order.

    Examples
    --------
    >>> object_ids(np.array([[0, 7, 7], [-1, 3, 0]]))
    array([3, 7], dtype=int32)
    """
    flat = labels.ravel()
    values = flat[find_runs(flat)[0]]
    return np.unique(values[values > 0]).astype(np.int32)


def relabel(labels: NDArray[Any]) -> Labels:
    """Renumber the objects 1 to n in the order of their old numbers.

    Parameters
    ----------
    labels : (*space) integer ndarray
        Labels with any gaps.

    Returns
    -------
    (*space) int32 ndarray
        0 and -1 stay.

    Examples
    --------
    >>> relabel(np.array([[0, 7, 7], [-1, 3, 0]]))
    array([[ 0,  2,  2], [-1,  1,  0]], dtype=int32)
    """
    flat = labels.ravel()
    starts, lengths = find_runs(flat)
    values = flat[starts]
    ids = np.unique(values[values > 0])
    codes = np.where(values > 0, np.searchsorted(ids, values) + 1, values).astype(np.int32)
    return np.repeat(codes, lengths).reshape(labels.shape)


def relabel_crop(labels: Labels) -> Labels:
    """Renumber the objects of a crop 1 to n, as `relabel` does; -1 and -2 stay.

    Examples
    --------
    >>> relabel_crop(np.array([-2, 9, 0, 4, -1], np.int32)).tolist()
    [-2, 2, 0, 1, -1]
    """
    # By counting: sorting would take most of the time of drawing a crop.
    occurs = np.bincount(labels.ravel() - OUTSIDE, minlength=1 - OUTSIDE) > 0
    occurs[: 1 - OUTSIDE] = False
    numbers = np.cumsum(occurs, dtype=np.int32)
    numbers[:-OUTSIDE] = np.arange(OUTSIDE, 0)
    return numbers[labels - OUTSIDE]


def object_sizes(labels: NDArray[Any]) -> Indices:
    """Return the number of pixels of each object: (n,) int64, in the order of `object_ids`.

    Examples
    --------
    >>> object_sizes(np.array([[0, 7, 7], [-1, 3, 7]]))
    array([1, 3])
    """
    flat = labels.ravel()
    starts, lengths = find_runs(flat)
    values = flat[starts]
    objects = values > 0
    _, owner = np.unique(values[objects], return_inverse=True)
    return np.bincount(owner, lengths[objects]).astype(np.int64)


def drop_small(labels: Labels, min_size: int) -> Labels:
    """Turn objects of fewer than `min_size` pixels into background; the others keep their numbers.

    Examples
    --------
    >>> drop_small(np.array([[0, 7, 7], [-1, 3, 0]], np.int32), 2)
    array([[ 0,  7,  7], [-1,  0,  0]], dtype=int32)
    """
    small = object_ids(labels)[object_sizes(labels) < min_size]
    return np.where(np.isin(labels, small), np.int32(0), labels) if len(small) else labels.copy()


def object_pixels(labels: NDArray[Any]) -> tuple[NDArray[np.float64], Indices]:
    """Return the pixels of all objects, object by object.

    Objects follow each other as in `object_ids`, pixels of one object in raster order.

    Returns
    -------
    (m, ndim) float64 ndarray, (n + 1,) int64 ndarray
        Array indices of the pixels, and the start of each object in them, with the end of the last.

    Examples
    --------
    >>> pixels, starts = object_pixels(np.array([[0, 7, 7], [-1, 3, 0]]))
    >>> pixels.tolist(), starts
    ([[1.0, 1.0], [0.0, 1.0], [0.0, 2.0]], array([0, 1, 3]))
    """
    flat = labels.ravel()
    where = np.flatnonzero(flat > 0)
    where = where[np.argsort(flat[where], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(object_sizes(labels))]).astype(np.int64)
    pixels = np.stack(np.unravel_index(where, labels.shape), axis=1).astype(np.float64)
    return pixels, starts
