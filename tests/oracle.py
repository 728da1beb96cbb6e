"""Reference for `embedseg.clustering`: its rules, word for word and slow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

LN2 = np.float32(math.log(2))


def weights(
    bandwidth: NDArray[np.float32], scale: float, unit: float, floor: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Weight per axis of one pixel; a radius beyond the longest allowed is the longest allowed."""
    values = []
    for s, least in zip(bandwidth, floor, strict=True):
        try:
            grown = math.exp(scale * float(s))
        except OverflowError:
            grown = math.inf
        values.append(max(grown / (unit * unit), least))
    return np.array(values).astype(np.float32)


def candidates(
    seed: NDArray[np.float32], foreground: NDArray[np.bool_], threshold: float, seeds: str
) -> NDArray[np.bool_]:
    if seeds == "greedy":
        return foreground & (seed >= np.float32(threshold))
    smooth = gaussian_filter(np.where(np.isfinite(seed), seed, np.float32(0)), 1.0)
    return foreground & (smooth == maximum_filter(smooth, 3))


def refined(
    labels: NDArray[np.int32],
    count: int,
    e: NDArray[np.float32],
    bandwidth: NDArray[np.float32],
    foreground: NDArray[np.bool_],
    min_object_size: int,
    likelihood: float,
    rules: tuple[Any, ...],
) -> NDArray[np.int32]:
    """Pixels go to the object whose mean embedding is nearest in terms of its mean bandwidth."""
    best = np.full(labels.shape, np.inf, np.float32)
    out = np.zeros_like(labels)
    for number in range(1, count + 1):
        member = labels == number
        if member.sum() <= min_object_size:
            continue
        centre = e[:, member].mean(axis=1, dtype=np.float64).astype(np.float32)
        w = weights(bandwidth[:, member].mean(axis=1, dtype=np.float64), *rules)
        q = np.zeros(labels.shape, np.float32)
        for d in range(len(e)):
            away = e[d] - centre[d]
            q += w[d] * (away * away)
        nearer = foreground & (q <= np.float32(-math.log(likelihood))) & (q < best)
        best[nearer], out[nearer] = q[nearer], number
    return out


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
    seeds: str = "greedy",
    max_radius: float | None = None,
    refine: float | None = None,
) -> tuple[NDArray[np.int32], list[tuple[int, ...]]]:
    """Return labels, and the seed pixel of each object, from activated maps."""
    ndim, shape = len(spacing), seed.shape
    offset, bandwidth, seed = (np.asarray(m, np.float32) for m in (offset, bandwidth, seed))
    step = np.asarray(spacing, np.float32).reshape(ndim, *(1,) * ndim)
    floor = np.zeros(ndim)
    if max_radius is not None:
        floor = math.log(2) / (max_radius * np.asarray(spacing, np.float64)) ** 2
    with np.errstate(all="ignore"):
        e = np.indices(shape).astype(np.float32) * step + np.float32(unit) * offset
        foreground = seed > np.float32(fg_threshold)
        for finite in (seed[None], e, bandwidth):
            foreground &= np.isfinite(finite).all(axis=0)
        assigned = ~foreground
        labels, accepted = np.zeros(shape, np.int32), []
        is_seed = candidates(seed, foreground, seed_threshold, seeds)
        order = np.argsort(-np.where(is_seed, seed, np.float32(0)).ravel(), kind="stable")
        for flat in order[: is_seed.sum()]:
            at = tuple(int(i) for i in np.unravel_index(flat, shape))
            if assigned[at]:
                continue
            assigned[at] = True
            w = weights(bandwidth[(slice(None), *at)], bandwidth_scale, unit, floor)
            q = np.zeros(shape, np.float32)
            for d in range(ndim):
                away = e[d] - e[(d, *at)]
                q += w[d] * (away * away)
            member = foreground & (q <= LN2)
            n, free = int(member.sum()), int((member & ~assigned).sum())
            if n > min_object_size and 2 * free > n:
                accepted.append(at)
                labels[member] = len(accepted)
                assigned |= member
            elif seeds == "greedy":
                assigned |= member
            else:
                assigned[at] = False
        if refine is not None:
            labels = refined(
                labels,
                len(accepted),
                e,
                bandwidth,
                foreground,
                min_object_size,
                refine,
                (bandwidth_scale, unit, floor),
            )
    kept = [k for k in range(len(accepted)) if (labels == k + 1).sum() > min_object_size]
    out = np.zeros(shape, np.int32)
    for number, k in enumerate(kept, start=1):
        out[labels == k + 1] = number
    return out, [accepted[k] for k in kept]
