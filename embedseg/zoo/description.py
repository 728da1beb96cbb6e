"""Description of a model in the terms of the BioImage Model Zoo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embedseg.images import Absolute, Fixed, Percentile, ZScore
from embedseg.model import Config
from embedseg.types import MapSpec, PerAxis
from embedseg.zoo.example import smallest_sizes
from embedseg.zoo.onnx_export import INPUT, OUTPUT

Step = dict[str, Any]
#: Against division by zero; so small that images of small values do not change.
EPS = 1e-12
#: Steps after the net, by activation; where others are needed, none is described.
POSTPROCESSING: dict[str, list[Step]] = {
    "none": [],
    "sigmoid": [{"id": "sigmoid"}],
    "softmax": [{"id": "softmax", "kwargs": {"axis": "channel"}}],
}


# -- values ----------------------------------------------------------------------------------------
def _percentile(normal: Percentile, space: str) -> list[Step]:
    scale = {
        "id": "scale_range",
        "kwargs": {
            "axes": list(space),
            "min_percentile": normal.low,
            "max_percentile": normal.high,
            "eps": EPS,
        },
    }
    return [scale, *_clip(normal.clip)]


def _zscore(normal: ZScore, space: str) -> list[Step]:
    return [{"id": "zero_mean_unit_variance", "kwargs": {"axes": list(space), "eps": EPS}}]


def _absolute(normal: Absolute, space: str) -> list[Step]:
    gain, offset = _linear(normal.low, normal.high)
    # A step that changes nothing is not allowed.
    return (
        []
        if (gain, offset) == (1, 0)
        else [{"id": "scale_linear", "kwargs": {"gain": gain, "offset": offset}}]
    )


def _fixed(normal: Fixed, space: str) -> list[Step]:
    lines = [_linear(*limits) for limits in normal.limits]
    scale = {
        "id": "scale_linear",
        "kwargs": {
            "axis": "channel",
            "gain": [gain for gain, _ in lines],
            "offset": [offset for _, offset in lines],
        },
    }
    return [*([] if set(lines) == {(1, 0)} else [scale]), *_clip(normal.clip)]


def _linear(low: float, high: float) -> tuple[float, float]:
    """Return gain and offset that bring two values to 0 and 1, or to 0 if they are equal."""
    return (1 / (high - low), 0 - low / (high - low)) if high > low else (0.0, 0.0)


def _clip(clip: bool) -> list[Step]:
    return [{"id": "clip", "kwargs": {"min": 0.0, "max": 1.0}}] if clip else []


#: Descriptions by kind of normalisation.
PREPROCESSING: dict[str, Callable[[Any, str], list[Step]]] = {
    "percentile": _percentile,
    "zscore": _zscore,
    "absolute": _absolute,
    "fixed": _fixed,
}


def activation_of(specs: tuple[MapSpec, ...]) -> str:
    """Return the activation of all of a net's output, as it is described.

    The standard has no tanh and no activation of some channels only: then it is "none".

    Examples
    --------
    >>> one = MapSpec("foreground", "scalar", 1, "sigmoid")
    >>> activation_of((one, one)), activation_of((one, MapSpec("b", "vector", 2, "tanh")))
    ('sigmoid', 'none')
    """
    names = {spec.activation for spec in specs}
    # Of several maps, each has its own softmax.
    fits = (
        len(names) == 1
        and names <= {*POSTPROCESSING}
        and (len(specs) == 1 or "softmax" not in names)
    )
    return names.pop() if fits else "none"


# -- axes ------------------------------------------------------------------------------------------
def inputs(config: Config, divisor: PerAxis, test: str) -> list[dict[str, Any]]:
    """Return the description of the input; `test` is the file of the example."""
    space = "zyx"[-config.ndim :]
    sizes = smallest_sizes(config, divisor)
    axes = [
        {"type": "space", "id": name, "size": {"min": least, "step": step}, **unit}
        for name, least, step, unit in zip(space, sizes, divisor, _units(config), strict=True)
    ]
    names = [f"channel{k}" for k in range(config.channels)]
    return [
        {
            "id": INPUT,
            "description": "image as it was measured",
            "axes": [{"type": "batch"}, {"type": "channel", "channel_names": names}, *axes],
            "preprocessing": PREPROCESSING[config.normalize.type](config.normalize, space),
            "data": {"type": "float32"},
            "test_tensor": {"source": test},
        }
    ]


def outputs(config: Config, test: str) -> list[dict[str, Any]]:
    """Return the description of the output; `test` is the file of the example."""
    specs = config.method.maps(config.ndim)
    axes = [
        {"type": "space", "id": name, "size": {"tensor_id": INPUT, "axis_id": name}, **unit}
        for name, unit in zip("zyx"[-config.ndim :], _units(config), strict=True)
    ]
    return [
        {
            "id": OUTPUT,
            "description": "maps from which embedseg makes labels",
            "axes": [
                {"type": "batch"},
                {"type": "channel", "channel_names": channel_names(specs)},
                *axes,
            ],
            "postprocessing": POSTPROCESSING[activation_of(specs)],
            "data": {"type": "float32"},
            "test_tensor": {"source": test},
        }
    ]


def _units(config: Config) -> list[dict[str, Any]]:
    """Return the size of a pixel along each axis, with a unit if it is known."""
    unit = {"unit": "micrometer"} if config.spacing_known else {}
    return [{"scale": size, **unit} for size in config.spacing]


def channel_names(specs: tuple[MapSpec, ...]) -> list[str]:
    """Return a name for each channel of maps.

    Examples
    --------
    >>> channel_names((MapSpec("offset", "vector", 2, "tanh"),
    ...                MapSpec("seed", "scalar", 1, "sigmoid")))
    ['offset0', 'offset1', 'seed']
    """
    return [
        spec.name + (str(k) if spec.channels > 1 else "")
        for spec in specs
        for k in range(spec.channels)
    ]
