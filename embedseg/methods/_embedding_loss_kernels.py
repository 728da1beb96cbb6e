"""Compiled parts of the embedding loss on a CPU.

Near is meant in embedding space, as a pixel from anywhere in the image may land on a centre. Runs
of pixels know the box that their embeddings span, and whole runs are passed over.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

#: Pixels in a run.
RUN = 32
#: Bits of a digit of the radix sort.
DIGIT = 11


@numba.njit(cache=True, nogil=True)
def members(labels: Any, count: int) -> Any:
    """List the pixels of each object: ends of its run in the second array."""
    ends = np.zeros(count + 1, np.int64)
    for label in labels:
        if label > 0:
            ends[label] += 1
    ends = np.cumsum(ends)
    pixels = np.empty(ends[-1], np.int64)
    fill = ends[:-1].copy()
    for i in range(labels.size):
        if labels[i] > 0:
            pixels[fill[labels[i] - 1]] = i
            fill[labels[i] - 1] += 1
    return ends, pixels


@numba.njit(cache=True, nogil=True)
def boxes(e: Any, labels: Any) -> Any:
    """Return the least and the greatest embedding of each run's annotated pixels."""
    ndim, pixels = e.shape
    runs = (pixels + RUN - 1) // RUN
    lower = np.full((runs, ndim), np.inf)
    upper = np.full((runs, ndim), -np.inf)
    for d in range(ndim):
        for run in range(runs):
            low, high = np.inf, -np.inf
            for i in range(run * RUN, min(pixels, (run + 1) * RUN)):
                if labels[i] >= 0:
                    low = min(low, e[d, i])
                    high = max(high, e[d, i])
            lower[run, d], upper[run, d] = low, high
    return lower, upper


@numba.njit(cache=True, nogil=True)
def near(
    e: Any,
    labels: Any,
    k: int,
    centre: Any,
    weight: Any,
    far: float,
    lower: Any,
    upper: Any,
    low: Any,
    high: Any,
    strides: Any,
    keys: Any,
    where: Any,
) -> int:
    """Collect q and place of the annotated pixels outside object k with q up to `far`.

    `low` and `high` bound where in the image they may lie.
    """
    ndim, pixels = e.shape
    bounded = False
    for d in range(ndim):
        bounded |= low[d] > 0 or high[d] < strides[d, 1] - 1
    count = 0
    for run in range(len(lower)):
        least = 0.0
        for d in range(ndim):
            away = max(lower[run, d] - centre[d], centre[d] - upper[run, d], 0.0)
            # A run without annotated pixels is infinitely far, also along an axis of weight 0.
            least += away * away * weight[d] if away < np.inf else np.inf
        if least > far:
            continue
        for i in range(run * RUN, min(pixels, (run + 1) * RUN)):
            q = (e[0, i] - centre[0]) ** 2 * weight[0]
            for d in range(1, ndim):
                q += (e[d, i] - centre[d]) ** 2 * weight[d]
            if q > far or labels[i] < 0 or labels[i] == k:
                continue
            if bounded:
                inside = True
                for d in range(ndim):
                    at = i // strides[d, 0] % strides[d, 1]
                    inside &= low[d] <= at <= high[d]
                if not inside:
                    continue
            keys[count] = q
            where[count] = i
            count += 1
    return count


@numba.njit(cache=True, nogil=True)
def sort(bits: Any, where: Any, count: int, spare_bits: Any, spare_where: Any) -> bool:
    """Sort non-negative floats, seen as integers, and what goes with them.

    Returns whether the result lies in the spare arrays.
    """
    size = 1 << DIGIT
    mask = size - 1
    moved = False
    buckets = np.empty(size + 1, np.int64)
    for shift in range(0, 8 * bits.itemsize, DIGIT):
        if moved:
            source, places, target, to = spare_bits, spare_where, bits, where
        else:
            source, places, target, to = bits, where, spare_bits, spare_where
        buckets[:] = 0
        for j in range(count):
            buckets[((source[j] >> shift) & mask) + 1] += 1
        if count == 0 or buckets[((source[0] >> shift) & mask) + 1] == count:
            continue
        for b in range(size):
            buckets[b + 1] += buckets[b]
        for j in range(count):
            digit = (source[j] >> shift) & mask
            at = buckets[digit]
            buckets[digit] = at + 1
            target[at] = source[j]
            to[at] = places[j]
        moved = not moved
    return moved


@numba.njit(cache=True, nogil=True)
def extent(own: Any, known: Any, strides: Any, low: Any, high: Any) -> int:
    """Bound the pixels that compete: along an axis that is not known, those beside the object.

    Returns how many axes are known.
    """
    count = 0
    for d in range(len(known)):
        low[d], high[d] = 0, strides[d, 1] - 1
        if known[d]:
            count += 1
            continue
        low[d], high[d] = strides[d, 1], -1
        for i in own:
            at = i // strides[d, 0] % strides[d, 1]
            low[d] = min(low[d], at)
            high[d] = max(high[d], at)
    return count


@numba.njit(cache=True, nogil=True)
def image_loss(
    e: Any,
    s: Any,
    labels: Any,
    centres: Any,
    known: Any,
    strides: Any,
    unit: float,
    scale: float,
    most: float,
    grad_e: Any,
    grad_s: Any,
    grad_v: Any,
    phi: Any,
    key_type: Any,
    bit_type: Any,
) -> Any:
    """Value of both parts for one image; gradients and likelihoods into the arrays for them."""
    ndim, pixels = e.shape
    total = max(0, labels.max())
    ends, listed = members(labels, total)
    present = 0
    for k in range(total):
        present += ends[k + 1] > ends[k]
    if present == 0:
        return 0.0, 0.0
    lower, upper = boxes(e, labels)
    keys, spare_keys = np.empty(pixels, key_type), np.empty(pixels, key_type)
    bits, spare_bits = keys.view(bit_type), spare_keys.view(bit_type)
    where, spare_where = np.empty(pixels, np.int32), np.empty(pixels, np.int32)
    weight, push = np.empty(ndim, np.float64), np.empty(ndim, np.float64)
    low, high = np.empty(ndim, np.int64), np.empty(ndim, np.int64)
    hinge, variance = 0.0, 0.0
    for k in range(total):
        own = listed[ends[k] : ends[k + 1]]
        n = own.size
        if n == 0:
            continue
        extent(own, known[k], strides, low, high)
        for d in range(ndim):
            mean = 0.0
            for i in own:
                mean += s[d, i]
            mean /= n
            weight[d] = np.exp(scale * mean) / unit**2 if known[k, d] else 0.0
            for i in own:
                variance += (s[d, i] - mean) ** 2 / (n * ndim * present)
                grad_v[d, i] = 2.0 * (s[d, i] - mean) / (n * ndim * present)
        # -- the object's own pixels, all of them
        least = np.inf
        for j in range(n):
            i = own[j]
            q = 0.0
            for d in range(ndim):
                q += (e[d, i] - centres[k, d]) ** 2 * weight[d]
            keys[j] = q
            where[j] = i
            least = min(least, q)
        moved = sort(bits, where, n, spare_bits, spare_where)
        mine = (spare_keys if moved else keys)[:n].copy()
        mine_at = (spare_where if moved else where)[:n].copy()
        # -- those outside whose error is above the least error inside
        error = 2.0 * (1.0 - np.exp(-least))
        far = most if error <= 0.0 else min(most, -np.log(0.5 * error))
        count = near(
            e, labels, k + 1, centres[k], weight, far, lower, upper, low, high, strides, keys, where
        )
        moved = sort(bits, where, count, spare_bits, spare_where)
        others, others_at = (spare_keys, spare_where) if moved else (keys, where)
        # -- both lists together in order of falling error
        push[:] = 0.0
        a, b, before = n - 1, 0, 0.0
        inside = 2.0 * (1.0 - np.exp(-mine[a]))
        outside = 2.0 * np.exp(-others[b]) if count else -1.0
        phi[mine_at[a]] = 1.0 - 0.5 * inside
        while a >= 0:
            # In this form what is not a number ends the loop, and shows in the loss.
            if not outside > inside:
                i, error, likelihood, sign = mine_at[a], inside, 1.0 - 0.5 * inside, 2.0
                a -= 1
                if a >= 0:
                    inside = 2.0 * (1.0 - np.exp(-mine[a]))
                    phi[mine_at[a]] = 1.0 - 0.5 * inside
            else:
                i, error, likelihood, sign = others_at[b], outside, 0.5 * outside, -2.0
                b += 1
                outside = 2.0 * np.exp(-others[b]) if b < count else -1.0
            jaccard = 1.0 - (a + 1) / (n + b)
            step = jaccard - before
            before = jaccard
            hinge += error * step / present
            pull = step * likelihood * sign / present
            for d in range(ndim):
                away = e[d, i] - centres[k, d]
                grad_e[d, i] += 2.0 * pull * weight[d] * away
                push[d] += pull * weight[d] * away * away
        for d in range(ndim):
            for i in own:
                grad_s[d, i] += push[d] * scale / n
    return hinge, variance
