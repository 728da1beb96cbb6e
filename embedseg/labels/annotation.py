"""Partial annotation: axes along which an object is known whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.labels.numbering import object_ids


def known_axes(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell along which axes the whole of each object is annotated.

    Along an axis on which an object touches pixels that are not annotated (-1), its extent and its
    centre are unknown: it may go on there.

    Returns
    -------
    (n, ndim) bool ndarray
        In the order of `object_ids`.

    Examples
    --------
    >>> known_axes(np.array([[0, 7, 7, -1], [3, 0, 0, -1]]))
    array([[ True,  True],
           [ True, False]])
    """
    ids = object_ids(labels)
    known = np.ones((len(ids), labels.ndim), np.bool_)
    if not (labels == -1).any():
        return known
    for axis in range(labels.ndim):
        along = np.moveaxis(labels, axis, 0)
        for here, beside in ((along[:-1], along[1:]), (along[1:], along[:-1])):
            cut = here[(here > 0) & (beside == -1)]
            known[np.searchsorted(ids, np.unique(cut)), axis] = False
    return known
