"""Baselines without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray

from embedseg.geometry import gaussian_smooth
from embedseg.labels import drop_small, relabel
from embedseg.types import Spacing

#: Names in tables.
OTSU, MOST_FREQUENT = "otsu-watershed", "most-frequent"


def otsu_watershed(
    image: NDArray[Any],
    spacing: Spacing,
    *,
    sigma: float = 1.0,
    distance: float = 5.0,
    min_object_size: int = 10,
) -> NDArray[np.int32]:
    """Segment bright objects: Otsu's threshold, then a watershed from peaks of the distance.

    Parameters
    ----------
    image : (C, *space) ndarray
        Channels are averaged.
    spacing : tuple of float
        µm per pixel along each axis of space.
    sigma : float
        Gaussian smoothing, pixels of the finest axis.
    distance : float
        Smallest distance between the middles of objects, along any axis, pixels.
    min_object_size : int
        Objects of fewer pixels are dropped.

    Returns
    -------
    (*space) int32 ndarray
        Numbered 1 to n; 0 is background.

    References
    ----------
    Otsu: A threshold selection method from gray-level histograms, IEEE Transactions on Systems,
    Man and Cybernetics 9, 1979.

    Examples
    --------
    >>> image = np.zeros((1, 20, 40))
    >>> image[0, 5:15, 5:15] = image[0, 5:15, 25:35] = 1.0
    >>> int(otsu_watershed(image, (1.0, 1.0)).max())
    2
    """
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_otsu
    from skimage.segmentation import watershed

    smooth = gaussian_smooth(np.asarray(image, np.float32).mean(axis=0), sigma, spacing)
    if smooth.min() == smooth.max():
        return np.zeros(smooth.shape, np.int32)
    inside = smooth > threshold_otsu(smooth)  # type: ignore[no-untyped-call]
    depth = edt.edt(inside, anisotropy=tuple(spacing)) / min(spacing)
    peaks = peak_local_max(  # type: ignore[no-untyped-call]
        depth, min_distance=round(distance), labels=inside.astype(np.int32), exclude_border=False
    )
    markers = np.zeros(inside.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-depth, markers, mask=inside)  # type: ignore[no-untyped-call]
    return relabel(drop_small(labels.astype(np.int32), min_object_size))


def predict_most_frequent(
    shape: tuple[int, ...], frequencies: Sequence[float]
) -> NDArray[np.int32]:
    """Assign the most frequent class to every pixel.

    Examples
    --------
    >>> predict_most_frequent((1, 3), (0.2, 0.5, 0.3))
    array([[1, 1, 1]], dtype=int32)
    """
    return np.full(shape, int(np.argmax(frequencies)), np.int32)
