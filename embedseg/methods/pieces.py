"""Tables of objects that are pieces of a foreground."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from embedseg.labels import centroids
from embedseg.methods.confidence import log_odds
from embedseg.types import Floats, Maps


def describe_pieces(
    labels: NDArray[np.int32], foreground: Floats, boundary: Floats, maps: Maps
) -> dict[str, NDArray[Any]]:
    """Return the table of objects, see `embedseg.types.Segmentation`.

    Parameters
    ----------
    labels : (*space) int32 ndarray
        Numbered from 1 to n.
    foreground, boundary : (*space) float32 ndarray
        Probabilities of objects, and of their boundary.
    maps : Maps
        For spacing and place.

    Returns
    -------
    dict of str to ndarray
        One row per object; its position is the pixel of the highest confidence.

    Examples
    --------
    >>> from embedseg.types import MapSpec
    >>> maps = Maps(np.zeros((1, 1, 4), np.float16), (MapSpec("a", "scalar", 1, "none"),), (1, 1))
    >>> labels, ones = np.array([[0, 1, 1, 2]], np.int32), np.ones((1, 4), np.float32)
    >>> table = describe_pieces(labels, ones, 0 * ones, maps)
    >>> table["position"].tolist(), table["score"].tolist(), table["size"].tolist()
    ([[0, 2], [0, 3]], [1.0, 1.0], [2, 1])
    """
    spacing = maps.spacing
    numbers = np.arange(1, int(labels.max(initial=0)) + 1)
    surest = ndimage.maximum_position(foreground - boundary, labels, numbers)
    sizes = np.bincount(labels.ravel(), minlength=len(numbers) + 1)[1:].astype(np.int64)
    inside, edge = (
        np.array(ndimage.mean(values, labels, numbers), np.float32).reshape(-1)
        for values in (foreground, boundary)
    )
    most = np.array(ndimage.maximum(foreground - boundary, labels, numbers)).reshape(-1)
    start = np.multiply(maps.origin or (0,) * labels.ndim, spacing)
    return {
        "position": np.array(surest, np.int64).reshape(-1, labels.ndim),
        "centre": (centroids(labels, spacing).astype(np.float32) + start).astype(np.float32),
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
