"""Objects decoded from boundary maps: their table, and the evidence for each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from embedseg.labels import centroids
from embedseg.methods.confidence import log_odds
from embedseg.types import Floats, Spacing


def measure_objects(
    labels: NDArray[np.int32], foreground: Floats, boundary: Floats, spacing: Spacing
) -> dict[str, NDArray[Any]]:
    """Return the table of the objects that were decoded from boundary maps.

    Parameters
    ----------
    labels : (*space) int32 ndarray
        Objects 1 to n.
    foreground, boundary : (*space) float32 ndarray
        Maps, 0 to 1.
    spacing : tuple of float
        µm per pixel along each axis.

    Returns
    -------
    dict of str to ndarray
        One row per object, as in `embedseg.types.Segmentation`; its `position` is the pixel of the
        highest confidence, its `centre` is relative to the first pixel, its `score` the mean
        foreground.

    Examples
    --------
    >>> labels = np.array([[0, 1, 1, 2]], np.int32)
    >>> foreground = np.array([[0.1, 0.6, 1.0, 0.7]], np.float32)
    >>> table = measure_objects(labels, foreground, 0 * foreground, (1.0, 1.0))
    >>> table["position"].tolist(), table["score"].round(2).tolist(), table["size"].tolist()
    ([[0, 2], [0, 3]], [0.8..., 0.69...], [2, 1])
    """
    numbers = np.arange(1, int(labels.max(initial=0)) + 1)
    surest = ndimage.maximum_position(foreground - boundary, labels, numbers)
    sizes = np.bincount(labels.ravel(), minlength=len(numbers) + 1)[1:].astype(np.int64)
    inside, edge = (
        np.array(ndimage.mean(values, labels, numbers), np.float32).reshape(-1)
        for values in (foreground, boundary)
    )
    most = np.array(ndimage.maximum(foreground - boundary, labels, numbers)).reshape(-1)
    return {
        "position": np.array(surest, np.int64).reshape(-1, labels.ndim),
        "centre": centroids(labels, spacing).astype(np.float32),
        "score": inside,
        "size": sizes,
        # Mean foreground, lack of boundary inside, highest confidence, size.
        "evidence": np.stack(
            [
                log_odds(inside),
                -log_odds(edge),
                log_odds((most + 1) / 2),
                np.log(np.maximum(sizes, 1)),
            ],
            axis=1,
        ).astype(np.float32),
    }
