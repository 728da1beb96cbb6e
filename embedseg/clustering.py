"""Decoding of the embedding method: pixels are grouped around seeds, the best seed first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from embedseg.types import ACTIVATIONS, DataError, UsageError

Floats = NDArray[np.float32]

#: A pixel is a member where the likelihood exp(-q) is at least 1/2.
LIMIT = np.float32(math.log(2))


@dataclass(frozen=True)
class Clusters:
    """Objects found, in order of acceptance: row k is label k + 1.

    Attributes
    ----------
    labels : (*space) int32 ndarray
        0 is background; objects are numbered 1 to n.
    position : (n, ndim) int64 ndarray
        Index of the seed pixel that the object grew from.
    centre : (n, ndim) float32 ndarray
        Embedding of the seed pixel, in µm.
    score : (n,) float32 ndarray
        Seed probability of the seed pixel.
    size : (n,) int64 ndarray
        Pixels that carry the label.
    """

    labels: NDArray[np.int32]
    position: NDArray[np.int64]
    centre: Floats
    score: Floats
    size: NDArray[np.int64]


def cluster(
    offset: NDArray[Any],
    bandwidth: NDArray[Any],
    seed: NDArray[Any],
    *,
    spacing: Sequence[float],
    unit: float,
    bandwidth_scale: float = 10.0,
    fg_threshold: float = 0.5,
    seed_threshold: float = 0.9,
    min_object_size: int = 0,
    seeds: Literal["greedy", "peaks"] = "greedy",
    max_radius: float | None = None,
) -> Clusters:
    """Group pixels into objects, seed by seed."""
    if seeds not in ("greedy", "peaks"):
        raise UsageError(f"seeds is {seeds!r}, expected 'greedy' or 'peaks'")
    for name, value in (("fg_threshold", fg_threshold), ("seed_threshold", seed_threshold)):
        if not 0 <= value <= 1:
            raise UsageError(f"{name} is {value}, expected a value from 0 to 1")
    offset = np.asarray(offset, np.float32)
    bandwidth = np.asarray(bandwidth, np.float32)
    seed = np.asarray(seed, np.float32)
    shape, ndim = seed.shape, len(spacing)
    if seed.ndim != ndim or offset.shape != (ndim, *shape) or bandwidth.shape != offset.shape:
        raise DataError(
            f"offset {offset.shape}, bandwidth {bandwidth.shape} and seed {shape} do not fit "
            f"spacing {tuple(spacing)}"
        )
    step = np.asarray(spacing, np.float32)
    grid = np.indices(shape, np.float32)
    with np.errstate(all="ignore"):
        embedding = (grid.reshape(ndim, -1) * step[:, None]
                     + np.float32(unit) * offset.reshape(ndim, -1))
    flat, widths = seed.ravel(), bandwidth.reshape(ndim, -1)
    fg = np.flatnonzero(
        (flat > np.float32(fg_threshold)) & np.isfinite(flat)
        & np.isfinite(embedding).all(0) & np.isfinite(widths).all(0)
    )
    embedding, score = embedding[:, fg], flat[fg]
    if seeds == "peaks":
        smooth = gaussian_filter(np.where(np.isfinite(seed), seed, np.float32(0)), 1.0)
        candidate = (smooth == maximum_filter(smooth, 3)).ravel()[fg]
    else:
        candidate = score >= np.float32(seed_threshold)
    order = np.flatnonzero(candidate)
    order = order[np.argsort(-score[order], kind="stable")]
    floor = np.zeros(ndim)
    if max_radius is not None:
        floor = math.log(2) / (max_radius * np.asarray(spacing, float)) ** 2
    assigned = np.zeros(len(fg), bool)
    labels = np.zeros(len(fg), np.int32)
    chosen: list[int] = []
    for k in order:
        if assigned[k]:
            continue
        before = assigned[k]
        assigned[k] = True
        with np.errstate(all="ignore"):
            weight = np.exp(bandwidth_scale * widths[:, fg[k]].astype(float)) / float(unit) ** 2
            weight = np.maximum(weight, floor).astype(np.float32)
            q = np.float32(0)
            for d in range(ndim):
                away = embedding[d] - embedding[d, k]
                q = q + weight[d] * (away * away)
            member = q <= LIMIT
        n, new = int(member.sum()), int((member & ~assigned).sum())
        if n > min_object_size and 2 * new > n:
            chosen.append(int(k))
            labels[member] = len(chosen)
            assigned |= member
        elif seeds == "greedy":
            assigned |= member
        else:
            assigned[k] = before
    size = np.bincount(labels, minlength=len(chosen) + 1)[1:]
    keep = size > min_object_size
    remap = np.zeros(len(chosen) + 1, np.int32)
    remap[1:][keep] = np.arange(1, keep.sum() + 1)
    image = np.zeros(seed.size, np.int32)
    image[fg] = remap[labels]
    kept = np.asarray(chosen, np.int64)[keep]
    position = np.stack(np.unravel_index(fg[kept], shape), axis=1).reshape(-1, ndim)
    return Clusters(
        image.reshape(shape), position.astype(np.int64),
        np.ascontiguousarray(embedding[:, kept].T), score[kept], size[keep].astype(np.int64),
    )


def cluster_raw(
    offset: NDArray[Any],
    bandwidth: NDArray[Any],
    seed: NDArray[Any],
    *,
    spacing: Sequence[float],
    unit: float,
    bandwidth_scale: float = 10.0,
    fg_threshold: float = 0.5,
    seed_threshold: float = 0.9,
    min_object_size: int = 0,
    seeds: Literal["greedy", "peaks"] = "greedy",
    max_radius: float | None = None,
) -> Clusters:
    """Group pixels into objects, from raw network output."""
    return cluster(
        ACTIVATIONS["tanh"](np.asarray(offset, np.float32)), bandwidth,
        ACTIVATIONS["sigmoid"](np.asarray(seed, np.float32)),
        spacing=spacing, unit=unit, bandwidth_scale=bandwidth_scale, fg_threshold=fg_threshold,
        seed_threshold=seed_threshold, min_object_size=min_object_size, seeds=seeds,
        max_radius=max_radius,
    )


def warm_up() -> None:
    """Compile the kernels, or load them from numba's cache."""
