"""Partial annotation: axes along which an object is known whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.labels.numbering import object_ids
from embedseg.types import NOT_ANNOTATED


def complete_axes(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the axes along which each object is known whole.

    Along an axis on which an object touches pixels that are not annotated (-1), its extent and its
    centre are unknown: it may continue there.

    Returns
    -------
    (n, ndim) bool ndarray
        In the order of `object_ids`.

    Examples
    --------
    >>> complete_axes(np.array([[0, 7, 7, -1], [3, 0, 0, -1]]))
    array([[ True,  True],
           [ True, False]])
    """
    ids = object_ids(labels)
    known = np.ones((len(ids), labels.ndim), np.bool_)
    if not (labels == NOT_ANNOTATED).any():
        return known
    for axis in range(labels.ndim):
        along = np.moveaxis(labels, axis, 0)
        for here, beside in ((along[:-1], along[1:]), (along[1:], along[:-1])):
            cut = here[(here > 0) & (beside == NOT_ANNOTATED)]
            known[np.searchsorted(ids, np.unique(cut)), axis] = False
    return known
