"""Connected components and holes."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from skimage import measure

from embedseg.labels.overlaps import overlap_table
from embedseg.types import NOT_ANNOTATED, Indices, Labels, Mask


def label_pieces(mask: Mask | Labels) -> Labels:
    """Label the pieces of a mask, or of each object, whose pixels are connected by faces.

    Examples
    --------
    >>> label_pieces(np.array([[True, False, True], [False, True, True]]))
    array([[1, 0, 2], [0, 2, 2]], dtype=int32)
    """
    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    pieces = cc3d.connected_components(mask, connectivity=4 if mask.ndim == 2 else 6)
    return np.asarray(pieces, np.int32)


def fill_holes(labels: Labels) -> Labels:
    """Fill background that one object encloses entirely.

    Background at the border of the image, between two objects or next to pixels that are not
    annotated is not a hole. Pixels of background are connected by faces.

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
    """Make every connected piece a separate object, numbered in raster order.

    Pixels of a piece are connected by faces, edges or corners; -1 stays.

    Examples
    --------
    >>> split_pieces(np.array([[4, 0, 4], [4, 0, -1], [0, 4, 2]]))
    array([[ 1,  0,  2], [ 1,  0, -1], [ 0,  1,  3]], dtype=int32)
    """
    objects = np.maximum(labels, 0)
    pieces = measure.label(objects, connectivity=labels.ndim)  # type: ignore[no-untyped-call]
    split: Labels = pieces.astype(np.int32)
    split[labels < 0] = NOT_ANNOTATED
    return split


def measure_pieces(labels: NDArray[Any]) -> tuple[Labels, Indices, Indices]:
    """Return the pieces of `split_pieces`, and the size in pixels and the label of each.

    Examples
    --------
    >>> _, sizes, owners = measure_pieces(np.array([[4, 0, 4], [4, 0, -1], [0, 4, 2]]))
    >>> sizes, owners
    (array([3, 1, 1]), array([4, 4, 2]))
    """
    pieces = split_pieces(labels)
    inside = np.maximum(pieces, 0).ravel()
    sizes = np.bincount(inside)[1:]
    owners = np.zeros(len(sizes) + 1, np.int64)
    owners[inside] = labels.ravel()
    return pieces, sizes, owners[1:]


def count_pieces(labels: NDArray[Any]) -> Indices:
    """Count the connected pieces of each object: (n,) int64, in the order of `object_ids`.

    Examples
    --------
    >>> count_pieces(np.array([[4, 0, 4], [4, 0, -1], [0, 4, 2]]))
    array([1, 2])
    """
    table, ids, _ = overlap_table(labels, split_pieces(labels))
    counts: Indices = np.diff(table.indptr)[ids > 0].astype(np.int64)
    return counts
