"""Measures of objects: place, size, shape, neighbours, intensity.

Numbers are those of `skimage.measure.regionprops`, for all objects at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from embedseg.export._measuring_kernels import convex_areas, deviations, intensities, moments
from embedseg.export.objects import Objects
from embedseg.images import first_pixel
from embedseg.labels import find_border_objects
from embedseg.types import DataError

Column = NDArray[Any]
#: Pixels that are read at once.
BATCH = 2**22
#: How far outside of a hull a pixel's middle may lie, for rounding.
NEAR = 1e-9
#: From the middle of a voxel to those of its faces, in halves of a voxel.
STEPS = np.concatenate([np.eye(3, dtype=np.int64), -np.eye(3, dtype=np.int64)])


def measure(objects: Objects) -> dict[str, Column]:
    """Measure objects.

    Parameters
    ----------
    objects : Objects

    Returns
    -------
    mapping of str to (n,) ndarray
        One row per object, in the order of labels: `label`; `centre_*_um` from the middle of the
        first pixel, or where `scales` place it; box in pixels, from its first one to the one after
        its last; `size_px`, `area_um2` or `volume_um3`; diameter of the circle or ball of that
        size; axes of the ellipse or ellipsoid of the same moments; in an image its orientation
        (from Y, anticlockwise) and eccentricity;
        solidity, the share of the convex hull that is filled; whether it touches the border;
        number of others that it shares edges, or faces, of pixels with; `score`, if known;
        and of each channel of the image mean, least, largest value and deviation, `mean_DAPI` or,
        where channels have no distinct names, `mean_c1`, of the pixels that are not NaN; if some
        are, `missing_DAPI` counts them. Where the spacing is not known, `px`
        stands for `um` in the names, and lengths are in pixels: `area_px2`, `axis_major_px`.

    Examples
    --------
    >>> table = measure(Objects(np.array([[0, 7, 3], [7, 7, 3]], np.int32), (0.5, 0.5)))
    >>> table["label"].tolist(), table["area_um2"].tolist(), table["neighbours"].tolist()
    ([3, 7], [0.5, 0.75], [1, 1])
    """
    ids = np.array(list(objects.boxes), np.int32)
    lower, upper = _corners(objects)
    axes, unit = "zyx"[-objects.ndim :], objects.unit
    size = np.array(list(objects.sizes.values()), np.int64)
    shape = _shape(objects, ids, lower, size)
    table: dict[str, Column] = {"label": ids}
    table |= {f"centre_{axis}_{unit}": shape.pop(axis) for axis in axes}
    for name, corners in (("start", lower), ("stop", upper)):
        table |= {f"box_{axis}_{name}": corners[:, i] for i, axis in enumerate(axes)}
    scaled = size * float(np.prod(objects.spacing))
    table |= {
        "size_px": size,
        f"{objects.quantity}_{unit}{objects.ndim}": scaled,
        f"equivalent_diameter_{unit}": (2 * objects.ndim * scaled / np.pi) ** (1 / objects.ndim),
    }
    table |= shape | {
        "solidity": size / np.maximum(_convex(objects, ids, lower, upper), 1),
        "touches_border": np.isin(ids, find_border_objects(objects.labels)),
        "neighbours": _neighbours(objects.labels, ids),
    }
    if objects.scores:
        table["score"] = np.array([objects.scores.get(label, math.nan) for label in ids.tolist()])
    return table | _intensities(objects, ids, size)


def _corners(objects: Objects) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = np.array(
        [[(part.start, part.stop) for part in box] for box in objects.boxes.values()], np.int64
    ).reshape(-1, objects.ndim, 2)
    return table[..., 0], table[..., 1]


# -- places and shapes -----------------------------------------------------------------------------
def _shape(
    objects: Objects, ids: NDArray[np.int32], lower: NDArray[np.int64], size: NDArray[np.int64]
) -> dict[str, Column]:
    """Return centres by axis, and axes of the ellipse or ellipsoid."""
    ndim, spacing = objects.ndim, np.asarray(objects.spacing, np.float64)
    first = first_pixel(objects.scales, ndim)
    volume = objects.labels.reshape((1,) * (3 - ndim) + objects.labels.shape)
    origin = np.concatenate([np.zeros((len(ids), 3 - ndim), np.int64), lower], axis=1)
    sums, products = moments(volume, ids, origin)
    mean = sums[:, -ndim:] / size[:, None]
    half = products[:, -ndim:, -ndim:] / size[:, None, None]
    square = np.tril(half) + np.tril(half, -1).transpose(0, 2, 1)
    spread = (square - mean[:, :, None] * mean[:, None]) * spacing[:, None] * spacing
    return {
        axis: (first[i] + lower[:, i] + mean[:, i]) * spacing[i]
        for i, axis in enumerate("zyx"[-ndim:])
    } | _ellipse(spread, objects.unit)


def _ellipse(spread: NDArray[np.float64], unit: str) -> dict[str, Column]:
    """Return the axes of ellipses or ellipsoids with these covariances, (n, ndim, ndim)."""
    values = np.maximum(np.linalg.eigvalsh(spread)[:, ::-1], 0) if len(spread) else spread[:, 0]
    if spread.shape[1] == 3:
        return {
            f"axis_major_{unit}": 2 * np.sqrt(5 * values[:, 0]),
            f"axis_minor_{unit}": 2 * np.sqrt(5 * values[:, 2]),
        }
    across = 1 - np.divide(
        values[:, 1], values[:, 0], out=np.ones(len(values)), where=values[:, 0] > 0
    )
    yy, yx, xx = spread[:, 0, 0], spread[:, 0, 1], spread[:, 1, 1]
    angle = 0.5 * np.arctan2(2 * yx, yy - xx)
    return {
        f"axis_major_{unit}": 4 * np.sqrt(values[:, 0]),
        f"axis_minor_{unit}": 4 * np.sqrt(values[:, 1]),
        "orientation_rad": np.where(yy == xx, np.where(yx > 0, np.pi / 4, -np.pi / 4), angle),
        "eccentricity": np.sqrt(np.maximum(across, 0)),
    }


def _convex(
    objects: Objects, ids: NDArray[np.int32], lower: NDArray[np.int64], upper: NDArray[np.int64]
) -> Column:
    """Return the number of pixels in the convex hull of each object."""
    if objects.ndim == 2:
        areas: Column = convex_areas(objects.labels, ids, lower, upper)
        return areas
    return np.array(
        [_convex_volume(objects.labels[box] == label) for label, box in objects.boxes.items()],
        np.int64,
    )


def _convex_volume(mask: NDArray[np.bool_]) -> int:
    """Return the voxels whose middle lies in the hull of the middles of all faces of voxels."""
    z, y = np.nonzero(mask.any(2))
    rows = mask[z, y]
    ends = [rows.argmax(1), rows.shape[1] - 1 - rows[:, ::-1].argmax(1)]
    # Coordinates are doubled and moved by one, so that they are natural numbers.
    voxels = 2 * np.concatenate([np.stack([z, y, x], 1) for x in ends]) + 1
    middles = (voxels[:, np.newaxis] + STEPS).reshape(-1, 3)
    sides = tuple(2 * n + 1 for n in mask.shape)
    each = np.unique(np.ravel_multi_index(tuple(middles.T), sides))
    hull = ConvexHull((np.stack(np.unravel_index(each, sides), 1) - 1) / 2)
    # Along each row of voxels the facets leave an interval.
    beside = np.indices(mask.shape[:2]).reshape(2, -1).T @ hull.equations[:, :2].T
    room, slope = NEAR - hull.equations[:, 3] - beside, hull.equations[:, 2]
    low, flat, high = slope < -NEAR, np.abs(slope) <= NEAR, slope > NEAR
    first = np.ceil((room[:, low] / slope[low]).max(1))
    last = np.floor((room[:, high] / slope[high]).min(1))
    counts = np.where((room[:, flat] < 0).any(1), 0, last - first + 1)
    return int(np.maximum(counts, 0).sum())


# -- neighbours and intensities --------------------------------------------------------------------
def _neighbours(labels: NDArray[np.int32], ids: NDArray[np.int32]) -> Column:
    """Return the number of others that each object shares edges or faces of pixels with."""
    pairs = touching(labels)
    return np.bincount(np.searchsorted(ids, pairs.ravel()), minlength=len(ids))


def touching(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the pairs of objects whose pixels share an edge or a face: (n, 2), each once.

    Examples
    --------
    >>> touching(np.array([[1, 1, 5], [0, 3, 5]], np.int32)).tolist()
    [[1, 3], [1, 5], [3, 5]]
    """
    step = max(1, BATCH // max(1, labels[:1].size))
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(labels), step):
        part = labels[start : start + step + 1]
        for axis in range(labels.ndim):
            along = np.moveaxis(part if axis == 0 else part[:step], axis, 0)
            a, b = along[:-1], along[1:]
            differ = (a != b) & (a > 0) & (b > 0)
            a, b = a[differ].astype(np.int64), b[differ].astype(np.int64)
            found.append(np.unique(np.minimum(a, b) << 32 | np.maximum(a, b)))
    codes = np.unique(np.concatenate(found))
    return np.stack([codes >> 32, codes & (2**32 - 1)], axis=1)


def _intensities(
    objects: Objects, ids: NDArray[np.int32], size: NDArray[np.int64]
) -> dict[str, Column]:
    image = objects.image
    if image is None:
        return {}
    if image.shape[1:] != objects.labels.shape:
        raise DataError(
            f"{objects.name}: labels of shape {objects.labels.shape} do not belong to "
            f"an image of shape {image.shape[1:]}"
        )
    flat, table = objects.labels.reshape(-1), {}
    for key, channel in zip(_keys(objects.channels, len(image)), image, strict=True):
        values = channel.reshape(-1)
        parts = [slice(at, at + BATCH) for at in range(0, len(flat), BATCH)]
        found = np.tile([0.0, np.inf, -np.inf, 0.0], (len(ids), 1))
        squares = np.zeros(len(ids))
        for part in parts:
            intensities(flat[part], values[part].astype(np.float64), ids, found)
        missing = found[:, 3].astype(np.int64)
        known = np.where(missing < size, size - missing, np.nan)
        found[missing == size, 1:3] = np.nan
        means = found[:, 0] / known
        for part in parts:
            deviations(flat[part], values[part].astype(np.float64), ids, means, squares)
        columns = (means, found[:, 1], found[:, 2], np.sqrt(squares / known))
        for name, column in zip(("mean", "min", "max", "std"), columns, strict=True):
            table[f"{name}_{key}"] = column
        if missing.any():
            table[f"missing_{key}"] = missing
    return table


def _keys(channels: Sequence[str], count: int) -> list[str]:
    """Return the names of channels in columns.

    Examples
    --------
    >>> _keys(["Alexa 488", "DAPI"], 2), _keys(["a", "a"], 2)
    (['Alexa_488', 'DAPI'], ['c1', 'c2'])
    """
    keys = [re.sub(r"\W+", "_", name).strip("_") for name in channels]
    known = len(keys) == count and all(keys) and len(set(keys)) == count
    return keys if known else [f"c{number}" for number in range(1, count + 1)]
