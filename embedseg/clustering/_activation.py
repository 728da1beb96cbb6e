"""Activation of raw maps, float16 by a table."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.types import ACTIVATIONS, Floats, Mask, PerAxis


@cache
def activation_table(activation: str) -> Floats:
    """Return the activated value of each float16, by its bits."""
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    return activate(activation, values.astype(np.float32))


@cache
def ascending_values(activation: str) -> Floats:
    """Return the activated values of all float16 numbers, ascending."""
    keys = np.arange(-0x7C01, 0x7C01)
    bits = (keys ^ ((keys >> 15) & 0x7FFF)) & 0xFFFF
    return np.asarray(activation_table(activation)[bits])


def activate(activation: str, values: Floats, out: Floats | None = None) -> Floats:
    """Return activated values, written into `out` if that is given."""
    with np.errstate(all="ignore"):
        if activation == "none":
            return values
        function: Any = ACTIVATIONS[activation]
        return np.asarray(function(values, out=out), np.float32)


def background_cutoff(seed: NDArray[Any], activation: str, threshold: np.float32) -> Any:
    """Return a bound below which stored seeds are surely background.

    For float16 seeds it is the rank of their bits in ascending order of value, as the kernels
    compare them; else a value.
    """
    if seed.dtype == np.int16:
        return int(np.searchsorted(ascending_values(activation), threshold, side="right")) - 0x7C02
    if activation == "none":
        return threshold
    # Lower than the exact logit by far more than the sigmoid's rounding; `embed_tile` is exact.
    share = float(threshold) * (1 - 1e-6)
    return np.float32(math.log(share / (1 - share)) - 1e-3 if share > 0 else -math.inf)


def find_peaks(seed: NDArray[Any], activation: str, shape: PerAxis) -> Mask:
    """Mark the local maxima of the seed map, smoothed by 1 px: (pixels,)."""
    from scipy.ndimage import gaussian_filter, maximum_filter

    if seed.dtype == np.int16:
        values = activation_table(activation)[seed.view(np.uint16)]
    else:
        values = activate(activation, seed)
    values = np.where(np.isfinite(values), values, np.float32(0)).reshape(shape)
    smooth = gaussian_filter(values, 1.0)
    return np.asarray(smooth == maximum_filter(smooth, 3)).ravel()
