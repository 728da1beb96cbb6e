"""Layers as arrays with axes and spacing, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.images import Image, Scale, first_pixel, label_axes, space_axes, to_microns
from embedseg.types import Spacing, UsageError

#: Pixels, attributes and type of a layer.
Layer = tuple[Any, dict[str, Any], str]
#: Possible axes of a layer by their number; colours come last.
AXES = {2: ("YX",), 3: ("ZYX", "TYX", "CYX"), 4: ("TZYX", "CZYX", "ZCYX", "TCYX"), 5: ("TCZYX",)}


def list_axes(layer: Any) -> list[str]:
    """Return the possible axes of an image or labels layer, first those of its axis labels."""
    colours = bool(getattr(layer, "rgb", False))
    possible = [
        axes + "C" * colours for axes in AXES.get(layer.ndim, ()) if not (colours and "C" in axes)
    ]
    labelled = "".join(layer.axis_labels).upper() + "C" * colours
    return sorted(possible, key=lambda axes: axes != labelled)


def accepts_axes(axes: str, ndim: int, channels: int) -> bool:
    """Return whether a model can be applied to an image with these axes.

    A 2D model takes volumes plane by plane, and any model films frame by frame.
    """
    space = len(space_axes(axes))
    return ("C" in axes) == (channels > 1) and space in (ndim, 3)


def read_pixels(layer: Any, box: tuple[slice, ...] = ()) -> NDArray[Any]:
    """Return the pixels of a layer, or of a box of it, at full size, in memory."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return np.asarray(data[box])


def read_spacing(layer: Any, axes: str) -> Spacing | None:
    """Return the size of a pixel along the axes of space, µm, from the layer's scale.

    A scale without a unit is taken as µm; if it is 1 throughout, the size is unknown.
    """
    # Colours have no scale.
    own = axes if len(axes) == layer.ndim else label_axes(axes)
    return _to_microns(
        [
            (float(step), str(unit))
            for axis, step, unit in zip(own, layer.scale, layer.units, strict=True)
            if axis in space_axes(axes)
        ]
    )


def _to_microns(steps: Sequence[tuple[float, str]]) -> Spacing | None:
    """Return lengths with units in µm; None if any is unknown."""
    if all(step == 1 and unit == "pixel" for step, unit in steps):
        return None
    sizes = [abs(step) if unit == "pixel" else to_microns(abs(step), unit) for step, unit in steps]
    return tuple(size for size in sizes if size) if all(sizes) else None


def layer_to_image(layer: Any, axes: str, box: tuple[slice, ...] = ()) -> Image:
    """Return a layer, or a box of it, as an image, with axes in the order (T, C, Z, Y, X).

    Raises
    ------
    UsageError
        If the layer has another number of axes.
    """
    data = read_pixels(layer, box)
    if data.ndim != len(axes):
        raise UsageError(
            f"{layer.name}: shape {data.shape} has {data.ndim} axes, not those of {axes}"
        )
    order = "".join(axis for axis in "TCZYX" if axis in axes)
    data = data.transpose([axes.index(axis) for axis in order])
    if getattr(layer, "rgb", False):
        data = np.moveaxis(np.moveaxis(data, order.index("C"), 0)[:3], 0, order.index("C"))
    return Image(data, order, read_spacing(layer, axes))


def copy_placement(layer: Any, axes: str, box: tuple[slice, ...] = ()) -> dict[str, Any]:
    """Return scale, translation, units and axis labels of a layer or a box, without channels."""
    own = axes if len(axes) == layer.ndim else label_axes(axes)
    kept = [index for index, axis in enumerate(own) if axis != "C"]
    known: dict[str, Any] = {
        name: [getattr(layer, name)[index] for index in kept]
        for name in ("scale", "translate", "units")
    }
    if box:
        steps = zip(known["translate"], known["scale"], kept, strict=True)
        known["translate"] = [at + step * box[index].start for at, step, index in steps]
    if len(kept) == layer.ndim:
        known["affine"] = layer.affine
    return known | {"axis_labels": [own[index] for index in kept]}


def make_placement(
    axes: str, spacing: Spacing | None, scales: Sequence[Scale] = ()
) -> dict[str, Any]:
    """Return scale, translation, units and axis labels for a layer, axes in the order (T, Z, Y, X).

    Examples
    --------
    >>> make_placement("TYX", (0.5, 0.25))["scale"]
    [1.0, 0.5, 0.25]
    """
    steps = dict(zip(space_axes(axes), spacing or (), strict=bool(spacing)))
    starts = dict(zip(space_axes(axes), first_pixel(scales, len(space_axes(axes))), strict=True))
    return {
        "scale": [steps.get(axis, 1.0) for axis in axes],
        "translate": [starts.get(axis, 0.0) * steps.get(axis, 1.0) for axis in axes],
        "units": ["um" if axis in steps else "pixel" for axis in axes],
        "axis_labels": list(axes),
    }


def parse_spacing(attributes: Mapping[str, Any], ndim: int) -> Spacing | None:
    """Return the size of a pixel, µm, from the attributes of a layer to write."""
    scale: Sequence[float] = attributes.get("scale", (1.0,) * ndim)
    units = attributes.get("units") or ("pixel",) * ndim
    names = attributes.get("axis_labels") or ("",) * ndim
    return _to_microns(
        [
            (abs(float(step)), str(unit))
            for step, unit, name in zip(scale, units, names, strict=True)
            if name != "T"
        ]
    )


def find_free_name(taken: Sequence[str], name: str) -> str:
    """Return a name that is not taken, with a number appended if needed.

    Examples
    --------
    >>> find_free_name(["a", "a 2"], "a"), find_free_name([], "a")
    ('a 3', 'a')
    """
    base = re.sub(r" \d+$", "", name)
    tries = [name, *(f"{base} {number}" for number in range(2, len(taken) + 3))]
    return next(each for each in tries if each not in taken)


def parse_scales(attributes: Mapping[str, Any], spacing: Spacing | None) -> tuple[Scale, ...]:
    """Return the place of a layer to write, given its pixel size; none if that is not known.

    Examples
    --------
    >>> parse_scales({"scale": (500.0,), "translate": (1000.0,)}, (0.5,))
    (Scale(size=0.5, start=1.0, unit='micrometer'),)
    """
    translation = attributes.get("translate")
    if spacing is None or translation is None or len(translation) != len(spacing):
        return ()
    return tuple(
        Scale(step, float(start) / abs(float(scale)) * step, "micrometer")
        for step, start, scale in zip(spacing, translation, attributes["scale"], strict=True)
    )
