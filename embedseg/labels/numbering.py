"""Object numbers: listing, counting pixels, relabelling.

Nothing here loops over the objects of a whole image in Python; arrays have any number of axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.labels.overlaps import find_runs
from embedseg.types import OUTSIDE, Indices, Labels


def object_ids(labels: NDArray[Any]) -> Labels:
    """Return the numbers of the objects in an image, ascending: (n,) int32.

    Whatever is listed per object in this module is listed in this order.

    Examples
    --------
    >>> object_ids(np.array([[0, 7, 7], [-1, 3, 0]]))
    array([3, 7], dtype=int32)
    """
    flat = labels.ravel()
    values = flat[find_runs(flat)[0]]
    return np.unique(values[values > 0]).astype(np.int32)


def relabel(labels: NDArray[Any]) -> Labels:
    """Give the objects the numbers 1 to n in the order of their old numbers.

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


def _pixels(labels: NDArray[Any]) -> tuple[NDArray[np.float64], Indices]:
    """Return array indices of all objects' pixels, and where each object begins and the last ends.

    Objects follow each other as in `object_ids`, pixels of one object in raster order.
    """
    flat = labels.ravel()
    where = np.flatnonzero(flat > 0)
    where = where[np.argsort(flat[where], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(object_sizes(labels))]).astype(np.int64)
    pixels = np.stack(np.unravel_index(where, labels.shape), axis=1).astype(np.float64)
    return pixels, starts


def renumber(labels: Labels) -> Labels:
    """Return labels numbered 1 to n without gaps, in their order; what is negative stays.

    Examples
    --------
    >>> renumber(np.array([-2, 9, 0, 4, -1], np.int32)).tolist()
    [-2, 2, 0, 1, -1]
    """
    # By counting: sorting would take most of the time of a crop.
    there = np.bincount(labels.ravel() - OUTSIDE, minlength=1 - OUTSIDE) > 0
    there[: 1 - OUTSIDE] = False
    numbers = np.cumsum(there, dtype=np.int32)
    numbers[:-OUTSIDE] = np.arange(OUTSIDE, 0)
    return numbers[labels - OUTSIDE]
