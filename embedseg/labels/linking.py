"""Objects of a volume linked from those of its planes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.labels.numbering import object_ids, object_sizes
from embedseg.labels.overlaps import assign_pairs, iou, overlap_table
from embedseg.types import Labels


def link_slices(labels: NDArray[Any], min_overlap: float = 0.25) -> Labels:
    """Link objects of planes to objects of a volume.

    Objects of neighbouring planes are linked one to one where their IoU is at least `min_overlap`.

    Parameters
    ----------
    labels : (Z, Y, X) integer ndarray
        Labels of each plane; numbers of different planes are unrelated.
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
        ids = object_ids(plane)
        numbers = np.zeros(len(ids), np.int32)
        if z:
            table, above, below = overlap_table(linked[z - 1], plane)
            shared = table[above > 0][:, below > 0]
            pairs = assign_pairs(
                iou(shared, object_sizes(linked[z - 1]), object_sizes(plane)), min_overlap
            )
            numbers[pairs[:, 1]] = above[above > 0][pairs[:, 0]]
        new = numbers == 0
        numbers[new] = count + 1 + np.arange(new.sum())
        count += int(new.sum())
        linked[z][plane > 0] = numbers[np.searchsorted(ids, plane[plane > 0])]
    return linked
