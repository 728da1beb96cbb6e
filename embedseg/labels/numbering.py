"""Label images: 0 is background, -1 not annotated, objects are the positive numbers.

Nothing here loops over the objects of a whole image in Python; arrays have any number of axes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from skimage import measure

from embedseg.overlaps import Indices, assign, iou, overlap_table, runs
from embedseg.types import Spacing

Labels = NDArray[np.int32]

#: Summed distances this close, relatively, are a tie; rounding of the sums is far smaller.
TIE = 1e-9


def present(labels: NDArray[Any]) -> Labels:
    """Return the numbers of the objects in an image, ascending: (n,) int32.

    Whatever is listed per object in this module is listed in this order.

    Examples
    --------
    >>> present(np.array([[0, 7, 7], [-1, 3, 0]]))
    array([3, 7], dtype=int32)
    """
    flat = labels.ravel()
    values = flat[runs(flat)[0]]
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
    starts, lengths = runs(flat)
    values = flat[starts]
    ids = np.unique(values[values > 0])
    codes = np.where(values > 0, np.searchsorted(ids, values) + 1, values).astype(np.int32)
    return np.repeat(codes, lengths).reshape(labels.shape)


def sizes(labels: NDArray[Any]) -> Indices:
    """Return the number of pixels of each object: (n,) int64, in the order of `present`.

    Examples
    --------
    >>> sizes(np.array([[0, 7, 7], [-1, 3, 7]]))
    array([1, 3])
    """
    flat = labels.ravel()
    starts, lengths = runs(flat)
    values = flat[starts]
    objects = values > 0
    _, owner = np.unique(values[objects], return_inverse=True)
    return np.bincount(owner, lengths[objects]).astype(np.int64)


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
        µm from the first pixel of the image, in the order of `present`.

    Examples
    --------
    >>> centroids(np.array([[0, 7, 7], [3, 7, 7]]), (2.0, 0.5))
    array([[2.  , 0.  ], [1.  , 0.75]])
    """
    pixels, starts = _pixels(labels)
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
        Array indices, in the order of `present`; of several best pixels the first in raster order.

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
    pixels, starts = _pixels(labels)
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
        Array indices, in the order of `present`; of several nearest the first in raster order.

    Examples
    --------
    >>> nearest_medians(np.array([[0, 7, 7, 7], [3, 0, 0, 0]]), (1.0, 1.0))
    array([[1, 0], [0, 2]])
    """
    pixels, starts = _pixels(labels)
    chosen = np.zeros((len(starts) - 1, labels.ndim), np.int64)
    for k, (start, end) in enumerate(pairwise(starts)):
        own = pixels[start:end]
        apart = (own - np.median(own, axis=0)) * np.asarray(spacing, np.float64)
        chosen[k] = own[np.argmin((apart**2).sum(axis=1))]
    return chosen


def known_axes(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell along which axes the whole of each object is annotated.

    Along an axis on which an object touches pixels that are not annotated (-1), its extent and its
    centre are unknown: it may go on there.

    Returns
    -------
    (n, ndim) bool ndarray
        In the order of `present`.

    Examples
    --------
    >>> known_axes(np.array([[0, 7, 7, -1], [3, 0, 0, -1]]))
    array([[ True,  True],
           [ True, False]])
    """
    ids = present(labels)
    known = np.ones((len(ids), labels.ndim), np.bool_)
    if not (labels == -1).any():
        return known
    for axis in range(labels.ndim):
        along = np.moveaxis(labels, axis, 0)
        for here, beside in ((along[:-1], along[1:]), (along[1:], along[:-1])):
            cut = here[(here > 0) & (beside == -1)]
            known[np.searchsorted(ids, np.unique(cut)), axis] = False
    return known


def drop_small(labels: Labels, min_size: int) -> Labels:
    """Turn objects of fewer than `min_size` pixels into background; the others keep their numbers.

    Examples
    --------
    >>> drop_small(np.array([[0, 7, 7], [-1, 3, 0]], np.int32), 2)
    array([[ 0,  7,  7], [-1,  0,  0]], dtype=int32)
    """
    small = present(labels)[sizes(labels) < min_size]
    return np.where(np.isin(labels, small), np.int32(0), labels) if len(small) else labels.copy()


def fill_holes(labels: Labels) -> Labels:
    """Give background that one object encloses entirely to that object.

    Background at the border of the image, between two objects or next to pixels that are not
    annotated is not a hole. Pixels of background hang together by their faces.

    Parameters
    ----------
    labels : (*space) int32 ndarray
        Labels.

    Returns
    -------
    (*space) int32 ndarray
        A copy.

    Examples
    --------
    >>> fill_holes(np.array([[5, 5, 5, 0], [5, 0, 5, 0], [5, 5, 5, 0]], np.int32))
    array([[5, 5, 5, 0], [5, 5, 5, 0], [5, 5, 5, 0]], dtype=int32)
    """
    holes = measure.label(labels == 0, connectivity=1)  # type: ignore[no-untyped-call]
    lowest = np.full(holes.max(initial=0) + 1, np.iinfo(np.int32).max, np.int32)
    highest = np.full(lowest.shape, -1, np.int32)
    for axis in range(labels.ndim):
        hole, label = np.moveaxis(holes, axis, 0), np.moveaxis(labels, axis, 0)
        for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
            edge = (hole[here] > 0) & (hole[there] == 0)
            np.minimum.at(lowest, hole[here][edge], label[there][edge])
            np.maximum.at(highest, hole[here][edge], label[there][edge])
        if len(hole) > 1:  # a single plane has its border within the plane only
            lowest[hole[[0, -1]]] = -1
    filling = np.where(lowest == highest, np.maximum(lowest, 0), 0)
    return np.where(labels == 0, filling[holes], labels).astype(np.int32)


def split_pieces(labels: NDArray[Any]) -> Labels:
    """Make every connected piece an object of its own, numbered in raster order.

    Pixels of a piece hang together by faces, edges or corners; -1 stays.

    Examples
    --------
    >>> split_pieces(np.array([[4, 0, 4], [4, 0, -1], [0, 4, 2]]))
    array([[ 1,  0,  2], [ 1,  0, -1], [ 0,  1,  3]], dtype=int32)
    """
    objects = np.maximum(labels, 0)
    found = measure.label(objects, connectivity=labels.ndim)  # type: ignore[no-untyped-call]
    split: Labels = found.astype(np.int32)
    split[labels < 0] = -1
    return split


def pieces(labels: NDArray[Any]) -> Indices:
    """Return in how many connected pieces each object lies: (n,) int64, ordered as `present`.

    Examples
    --------
    >>> pieces(np.array([[4, 0, 4], [4, 0, -1], [0, 4, 2]]))
    array([1, 2])
    """
    table, ids, _ = overlap_table(labels, split_pieces(labels))
    counts: Indices = np.diff(table.indptr)[ids > 0].astype(np.int64)
    return counts


def link_slices(labels: NDArray[Any], min_overlap: float = 0.25) -> Labels:
    """Make objects of a volume from objects of its planes.

    Objects of neighbouring planes are linked one to one where their IoU is at least `min_overlap`.

    Parameters
    ----------
    labels : (Z, Y, X) integer ndarray
        Labels of each plane; numbers of different planes have nothing to do with each other.
    min_overlap : float
        IoU, in (0, 1].

    Returns
    -------
    (Z, Y, X) int32 ndarray
        Sequential labels; -1 stays.

    Examples
    --------
    >>> link_slices(np.array([[[1, 1, 0, 2]], [[3, 3, 0, 0]], [[0, 0, 0, 4]]]))[:, 0]
    array([[1, 1, 0, 2], [1, 1, 0, 0], [0, 0, 0, 3]], dtype=int32)
    """
    linked: Labels = np.minimum(labels, 0).astype(np.int32)
    count = 0
    for z, plane in enumerate(labels):
        ids = present(plane)
        numbers = np.zeros(len(ids), np.int32)
        if z:
            table, above, below = overlap_table(linked[z - 1], plane)
            shared = table[above > 0][:, below > 0]
            pairs = assign(iou(shared, sizes(linked[z - 1]), sizes(plane)), min_overlap)
            numbers[pairs[:, 1]] = above[above > 0][pairs[:, 0]]
        new = numbers == 0
        numbers[new] = count + 1 + np.arange(new.sum())
        count += int(new.sum())
        linked[z][plane > 0] = numbers[np.searchsorted(ids, plane[plane > 0])]
    return linked


def _pixels(labels: NDArray[Any]) -> tuple[NDArray[np.float64], Indices]:
    """Return array indices of all objects' pixels, and where each object begins and the last ends.

    Objects follow each other as in `present`, pixels of one object in raster order.
    """
    flat = labels.ravel()
    where = np.flatnonzero(flat > 0)
    where = where[np.argsort(flat[where], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(sizes(labels))]).astype(np.int64)
    pixels = np.stack(np.unravel_index(where, labels.shape), axis=1).astype(np.float64)
    return pixels, starts


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
    best, here = np.inf, _central(points)
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
def _central(points: NDArray[np.float64]) -> int:
    """Return the point nearest to the mean."""
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
