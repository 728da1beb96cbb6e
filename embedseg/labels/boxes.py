"""Bounding boxes of objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.labels.numbering import object_ids, relabel
from embedseg.types import Box, Labels


def boxes_by_label(labels: NDArray[Any]) -> dict[int, Box]:
    """Return the bounding box of each object by its label, ascending.

    Examples
    --------
    >>> boxes_by_label(np.array([[0, 7], [-1, 3]]))
    {3: (slice(1, 2, None), slice(1, 2, None)), 7: (slice(0, 1, None), slice(1, 2, None))}
    """
    from scipy import ndimage

    ids = object_ids(labels)
    # The list of boxes is as long as the largest label, which may be any number.
    gaps = len(ids) and ids[-1] > 10 * len(ids)
    boxes = ndimage.find_objects(relabel(labels) if gaps else labels)
    return dict(zip(ids.tolist(), (box for box in boxes if box), strict=True))


def box_corners(labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the corners of each object's bounding box: its first index, and one past its last.

    Returns
    -------
    (n, ndim), (n, ndim) int64 ndarray
        In order of label.

    Examples
    --------
    >>> lower, upper = box_corners(np.array([[0, 0, 0], [0, 7, 7]], np.int32))
    >>> lower.tolist(), upper.tolist()
    ([[1, 1]], [[2, 3]])
    """
    table = [[(axis.start, axis.stop) for axis in box] for box in boxes_by_label(labels).values()]
    corners = np.array(table, np.int64).reshape(-1, labels.ndim, 2)
    return corners[..., 0], corners[..., 1]
