"""Centres of objects: centroids, medoids, medians."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from embedseg.labels.numbering import object_pixels
from embedseg.types import Indices, Spacing

#: Relative difference of summed distances below which they tie; rounding errors are far smaller.
TIE = 1e-9


def centroids(labels: NDArray[Any], spacing: Spacing) -> NDArray[np.float64]:
    """Return the mean position of each object's pixels.

    Parameters
    ----------
    labels : (*space) integer ndarray
        Labels.
    spacing : tuple of float
        Size of a pixel along each axis, µm.

    Returns
    -------
    (n, ndim) float64 ndarray
        µm from the first pixel of the image, in the order of `object_ids`.

    Examples
    --------
    >>> centroids(np.array([[0, 7, 7], [3, 7, 7]]), (2.0, 0.5))
    array([[2.  , 0.  ], [1.  , 0.75]])
    """
    pixels, starts = object_pixels(labels)
    if len(starts) == 1:
        return np.zeros((0, labels.ndim))
    sums = np.add.reduceat(pixels, starts[:-1], axis=0)
    return sums / np.diff(starts)[:, np.newaxis] * np.asarray(spacing, np.float64)


def medoids(labels: NDArray[Any], spacing: Spacing) -> Indices:
    """Return each object's pixel with the least summed distance to the object's pixels.

    Parameters
    ----------
    labels : (*space) integer ndarray
        Labels.
    spacing : tuple of float
        Size of a pixel along each axis, µm: distances are Euclidean in µm.

    Returns
    -------
    (n, ndim) int64 ndarray
        Array indices, in the order of `object_ids`; of equal pixels the first in raster order.

    Notes
    -----
    Exact. The sum is a convex function of position, so its value and gradient at one pixel bound it
    from below at all others (Kelley's cutting planes, 1960, https://doi.org/10.1137/0108053); only
    pixels whose bound stays below the best sum so far are summed, mostly fewer than ten.

    Examples
    --------
    >>> medoids(np.array([[0, 7, 7, 7], [3, 0, 0, 0]]), (1.0, 1.0))
    array([[1, 0], [0, 2]])
    """
    pixels, starts = object_pixels(labels)
    chosen = _medoids(pixels * np.asarray(spacing, np.float64), starts)
    places: Indices = pixels[chosen].astype(np.int64)
    return places


def nearest_medians(labels: NDArray[Any], spacing: Spacing) -> Indices:
    """Return each object's pixel nearest to the median of its pixels along every axis.

    Parameters
    ----------
    labels : (*space) integer ndarray
        Labels.
    spacing : tuple of float
        Size of a pixel along each axis, µm.

    Returns
    -------
    (n, ndim) int64 ndarray
        Array indices, in the order of `object_ids`; of equal pixels the first in raster order.

    Examples
    --------
    >>> nearest_medians(np.array([[0, 7, 7, 7], [3, 0, 0, 0]]), (1.0, 1.0))
    array([[1, 0], [0, 2]])
    """
    pixels, starts = object_pixels(labels)
    chosen = np.zeros((len(starts) - 1, labels.ndim), np.int64)
    for k, (start, end) in enumerate(pairwise(starts)):
        own = pixels[start:end]
        apart = (own - np.median(own, axis=0)) * np.asarray(spacing, np.float64)
        chosen[k] = own[np.argmin((apart**2).sum(axis=1))]
    return chosen


@numba.njit(cache=True, nogil=True)
def _medoids(points: NDArray[np.float64], starts: Indices) -> Indices:
    chosen = np.empty(len(starts) - 1, np.int64)
    for k in range(len(chosen)):
        chosen[k] = starts[k] + _medoid(points[starts[k] : starts[k + 1]])
    return chosen


@numba.njit(cache=True, nogil=True)
def _medoid(points: NDArray[np.float64]) -> int:
    n, ndim = points.shape
    sums = np.full(n, np.inf)
    bounds = np.zeros(n)
    gradient = np.empty(ndim)
    best, here = np.inf, _nearest_to_mean(points)
    while True:
        total = 0.0
        gradient[:] = 0
        for k in range(n):
            squared = 0.0
            for d in range(ndim):
                squared += (points[here, d] - points[k, d]) ** 2
            distance = np.sqrt(squared)
            total += distance
            if distance > 0:
                for d in range(ndim):
                    gradient[d] += (points[here, d] - points[k, d]) / distance
        sums[here] = total
        best = min(best, total)
        lowest, there = np.inf, here
        for k in range(n):
            if sums[k] == np.inf:
                bound = total
                for d in range(ndim):
                    bound += gradient[d] * (points[k, d] - points[here, d])
                bounds[k] = max(bounds[k], bound)
                if bounds[k] < lowest:
                    lowest, there = bounds[k], k
        if lowest > best * (1 + TIE):
            break
        here = there
    return int(np.argmax(sums <= best * (1 + TIE)))


@numba.njit(cache=True, nogil=True)
def _nearest_to_mean(points: NDArray[np.float64]) -> int:
    n, ndim = points.shape
    nearest, chosen = np.inf, 0
    mean = np.array([points[:, d].mean() for d in range(ndim)])
    for k in range(n):
        squared = 0.0
        for d in range(ndim):
            squared += (points[k, d] - mean[d]) ** 2
        if squared < nearest:
            nearest, chosen = squared, k
    return chosen
