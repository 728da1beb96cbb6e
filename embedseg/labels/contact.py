"""Forms of objects: width, elongation, and the share of their surface that touches others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embedseg.labels.boxes import box_corners
from embedseg.labels.numbering import object_ids
from embedseg.types import Labels, Spacing

#: Objects touch if at most this many pixels less one lie between them: masks often leave a line of
#: background.
REACH = 3


def object_widths(labels: Labels, spacing: Spacing) -> NDArray[np.float64]:
    """Return the width of each object: the diameter of the largest ball inside of it.

    Parameters
    ----------
    labels : (*space) int ndarray
        Values up to 0 are no objects.
    spacing : tuple of float
        Size of a pixel along each axis, µm.

    Returns
    -------
    (n,) float64 ndarray
        µm, in the order of the labels; right to one pixel. A row of single pixels is one wide.

    Examples
    --------
    >>> object_widths(np.array([[1, 1, 1, 1, 1], [2, 2, 2, 2, 0]] + 2 * [[2, 2, 2, 2, 0]]), (2, 2))
    array([2., 6.])
    """
    import edt
    from scipy import ndimage

    objects = np.pad(np.maximum(labels, 0), 1).astype(np.uint32)
    depth = edt.edt(objects, anisotropy=tuple(spacing))
    deepest = np.asarray(ndimage.maximum(depth, objects, object_ids(labels)), np.float64)
    # Distances end at the middle of the first pixel outside, half a pixel beyond the surface.
    return np.maximum(2 * deepest.reshape(-1) - min(spacing), min(spacing))


def object_elongations(
    labels: Labels, spacing: Spacing, widths: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return how many times as long as wide each object is.

    Parameters
    ----------
    labels, spacing
        As of `object_widths`.
    widths : (n,) float64 ndarray, optional
        Its result, if it is known already.

    Returns
    -------
    (n,) float64 ndarray
        Longest side of the bounding box over the width, in the order of the labels: about 1 for a
        ball or a cube, more for what is long, flat, bent or branched.

    Examples
    --------
    >>> object_elongations(np.array([[1] * 9] * 3 + [[0] * 9] + [[2] * 3 + [0] * 6] * 3), (1, 1))
    array([3., 1.])
    """
    lower, upper = box_corners(labels)
    longest = ((upper - lower) * np.asarray(spacing)).max(axis=1, initial=0)
    return np.asarray(longest / (object_widths(labels, spacing) if widths is None else widths))


def contact_share(labels: Labels) -> float:
    """Return the share of the surface of all objects at which another object begins.

    Parameters
    ----------
    labels : (*space) int ndarray
        Values up to 0 are no objects. Surfaces at pixels that are not annotated (-1) and at the
        border of the image do not count.

    Returns
    -------
    float
        0 to 1; 0 without surface. Another object is met if it begins less than `REACH` pixels
        behind the surface.

    Examples
    --------
    >>> contact_share(np.array([[1, 1, 2, 2, 0, 0, 0, 0, 3]]))
    0.5
    """
    surface = touching = 0
    for axis in range(labels.ndim):
        for line in (np.moveaxis(labels, axis, 0), np.moveaxis(labels, axis, 0)[::-1]):
            own = line[:-1]
            ends = (own > 0) & (line[1:] != own) & (line[1:] >= 0)
            met = np.zeros_like(ends)
            for step in range(1, min(REACH, len(line) - 1) + 1):
                other = line[step:]
                met[: len(other)] |= (other > 0) & (other != own[: len(other)])
            surface += int(ends.sum())
            touching += int((ends & met).sum())
    return touching / surface if surface else 0.0
