"""Layers as arrays with axes and spacing, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.images import Image, microns
from embedseg.types import Spacing, UsageError

#: What the axes of a layer may be, by their number; colours come last.
AXES = {2: ("YX",), 3: ("ZYX", "TYX", "CYX"), 4: ("TZYX", "CZYX", "ZCYX", "TCYX"), 5: ("TCZYX",)}


def possible_axes(layer: Any) -> list[str]:
    """Return what the axes of an image or labels layer may be; what the layer says comes first."""
    colours = bool(getattr(layer, "rgb", False))
    found = [
        axes + "C" * colours for axes in AXES.get(layer.ndim, ()) if not (colours and "C" in axes)
    ]
    said = "".join(layer.axis_labels).upper() + "C" * colours
    return sorted(found, key=lambda axes: axes != said)


def fits(axes: str, ndim: int, channels: int) -> bool:
    """Tell whether a model may be applied to an image with these axes.

    A 2D model takes volumes plane by plane, and any model films frame by frame.
    """
    space = sum(axis in "ZYX" for axis in axes)
    return ("C" in axes) == (channels > 1) and space in (ndim, 3)


def pixels(layer: Any) -> NDArray[Any]:
    """Return the values of a layer in full size, in memory."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return np.asarray(data)


def spacing_of(layer: Any, axes: str) -> Spacing | None:
    """Return the size of a pixel along the axes of space, µm, from the layer's scale.

    A scale without a unit is taken to be µm; where it is 1 throughout, nothing is known.
    """
    # Colours have no scale.
    own = axes if len(axes) == layer.ndim else axes.replace("C", "")
    return _known(
        [
            (float(step), str(unit))
            for axis, step, unit in zip(own, layer.scale, layer.units, strict=True)
            if axis in "ZYX"
        ]
    )


def _known(steps: Sequence[tuple[float, str]]) -> Spacing | None:
    """Return lengths and their units in µm; None where any is not known."""
    if all(step == 1 and unit == "pixel" for step, unit in steps):
        return None
    sizes = [abs(step) if unit == "pixel" else microns(abs(step), unit) for step, unit in steps]
    return tuple(size for size in sizes if size) if all(sizes) else None


def as_image(layer: Any, axes: str) -> Image:
    """Return a layer as it would be read from a file: axes in the order (T, C, Z, Y, X).

    Raises
    ------
    UsageError
        If the layer has another number of axes.
    """
    data = pixels(layer)
    if data.ndim != len(axes):
        raise UsageError(
            f"{layer.name}: shape {data.shape} has {data.ndim} axes, not those of {axes}"
        )
    order = "".join(axis for axis in "TCZYX" if axis in axes)
    data = data.transpose([axes.index(axis) for axis in order])
    if getattr(layer, "rgb", False):
        data = np.moveaxis(np.moveaxis(data, order.index("C"), 0)[:3], 0, order.index("C"))
    return Image(data, order, spacing_of(layer, axes))


def placed_like(layer: Any, axes: str) -> dict[str, Any]:
    """Return where labels of a layer belong: its scale and the like, without channels."""
    own = axes if len(axes) == layer.ndim else axes.replace("C", "")
    kept = [index for index, axis in enumerate(own) if axis != "C"]
    known: dict[str, Any] = {
        name: [getattr(layer, name)[index] for index in kept]
        for name in ("scale", "translate", "units")
    }
    if len(kept) == layer.ndim:
        known["affine"] = layer.affine
    return known | {"axis_labels": [own[index] for index in kept]}


def placement(axes: str, spacing: Spacing | None) -> dict[str, Any]:
    """Return scale, units and names of axes, (T, Z, Y, X) as far as they occur, for a layer.

    Examples
    --------
    >>> placement("TYX", (0.5, 0.25))["scale"]
    [1.0, 0.5, 0.25]
    """
    steps = dict(zip((axis for axis in axes if axis in "ZYX"), spacing or (), strict=bool(spacing)))
    return {
        "scale": [steps.get(axis, 1.0) for axis in axes],
        "units": ["um" if axis in steps else "pixel" for axis in axes],
        "axis_labels": list(axes),
    }


def spacing_in(attributes: Mapping[str, Any], ndim: int) -> Spacing | None:
    """Return the size of a pixel, µm, that the attributes of a layer to write tell of."""
    scale: Sequence[float] = attributes.get("scale", (1.0,) * ndim)
    units = attributes.get("units") or ("pixel",) * ndim
    names = attributes.get("axis_labels") or ("",) * ndim
    return _known(
        [
            (abs(float(step)), str(unit))
            for step, unit, name in zip(scale, units, names, strict=True)
            if name != "T"
        ]
    )


def free_name(taken: Sequence[str], name: str) -> str:
    """Return a name that is not taken: itself, or with a number behind.

    Examples
    --------
    >>> free_name(["a", "a 2"], "a"), free_name([], "a")
    ('a 3', 'a')
    """
    base = re.sub(r" \d+$", "", name)
    tries = [name, *(f"{base} {number}" for number in range(2, len(taken) + 3))]
    return next(each for each in tries if each not in taken)
