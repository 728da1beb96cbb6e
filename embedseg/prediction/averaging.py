"""Averages of maps over symmetries and planes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.types import ACTIVATIONS, MapSpec, channel_slices

#: The largest number that float16, in which maps are kept, can hold.
LARGEST = float(np.finfo(np.float16).max)
#: Keeps the inverses of activations finite.
EPSILON = 1e-6


def _logit(mean: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import logit

    return np.asarray(logit(np.clip(mean, EPSILON, 1 - EPSILON)))


#: Inverses of `embedseg.types.ACTIVATIONS`.
INVERSES: Mapping[str, Callable[[Any], Any]] = {
    "none": lambda mean: mean,
    "tanh": lambda mean: np.arctanh(np.clip(mean, EPSILON - 1, 1 - EPSILON)),
    "sigmoid": _logit,
    "softmax": lambda mean: np.log(np.maximum(mean, EPSILON)),
}


def to_average(raw: NDArray[np.float32], specs: tuple[MapSpec, ...]) -> NDArray[np.float32]:
    """Return the quantity to average of raw maps, (M, *space): some of them activated.

    Examples
    --------
    >>> spec = MapSpec("seed", "scalar", 1, "sigmoid", average="activated")
    >>> to_average(np.zeros((1, 2), np.float32), (spec,)).tolist()
    [[0.5, 0.5]]
    """
    return _convert(raw, specs, ACTIVATIONS)


def from_average(mean: NDArray[np.float32], specs: tuple[MapSpec, ...]) -> NDArray[np.float32]:
    """Return the raw maps, (M, *space), of a mean of such quantities.

    Examples
    --------
    >>> spec = MapSpec("seed", "scalar", 1, "sigmoid", average="activated")
    >>> from_average(np.full((1, 2), 0.5, np.float32), (spec,)).tolist()
    [[0.0, 0.0]]
    """
    return _convert(mean, specs, INVERSES)


def to_float16(raw: NDArray[np.float32]) -> NDArray[np.float16]:
    """Round raw maps to float16; values beyond its range become its largest.

    Examples
    --------
    >>> to_float16(np.array([1e6, -1e6, 0.5], np.float32)).tolist()
    [65504.0, -65504.0, 0.5]
    """
    return np.clip(raw, -LARGEST, LARGEST).astype(np.float16)


def _convert(
    maps: NDArray[np.float32],
    specs: tuple[MapSpec, ...],
    functions: Mapping[str, Callable[[Any], Any]],
) -> NDArray[np.float32]:
    converted = maps.copy()
    for spec, where in zip(specs, channel_slices(specs).values(), strict=True):
        if spec.average == "activated":
            converted[where] = functions[spec.activation](maps[where])
    return converted
