"""Boxes drawn in a shapes layer: the part of an image to segment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.images import to_microns
from embedseg.types import UsageError

Box = tuple[slice, ...]

#: Fewest pixels of a box along Y and X, if the image is as large.
LEAST = 8
#: Part of a pixel by which a corner may be off.
ROUNDING = 1e-3


def find_box(shapes: Any, layer: Any, axes: str) -> Box:
    """Return the part of an image that a drawn rectangle names: the pixels centred in it.

    A rectangle is flat: along the axis across it, all planes are taken. If several rectangles are
    selected, the box around them is: two, drawn on the first plane and on the last, name the planes
    between. Channels are always all taken.

    Parameters
    ----------
    shapes, layer : layer of napari
        The shapes, and the image.
    axes : str
        Of the image.

    Returns
    -------
    tuple of slice
        One per axis.

    Raises
    ------
    UsageError
        If no rectangle is meant, or it is outside of the image or too small.
    """
    corners = [_find_corners(shapes.data[number], shapes, layer) for number in _choose(shapes)]
    lowest = np.array([each.min(axis=0) for each in corners])
    highest = np.array([each.max(axis=0) for each in corners])
    # Colours are no axis of a layer.
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    box = []
    for place, (axis, count) in enumerate(zip(axes, shape, strict=True)):
        if axis == "C" or place >= layer.ndim or _is_flat(lowest[:, place], highest[:, place]):
            box.append(slice(0, count))
            continue
        start = int(np.ceil(lowest[:, place].min() - ROUNDING))
        stop = int(np.floor(highest[:, place].max() + ROUNDING)) + 1
        box.append(_check_side(shapes.name, layer.name, axis, start, stop, count))
    return tuple(box)


def _choose(shapes: Any) -> list[int]:
    """Return the numbers of the rectangles that are meant: the selected ones, or the only one."""
    drawn = [n for n, kind in enumerate(shapes.shape_type) if kind == "rectangle"]
    if not drawn:
        raise UsageError(f"{shapes.name}: holds no rectangle; draw one around the part to segment")
    selected = [number for number in drawn if number in shapes.selected_data]
    if not selected and len(drawn) > 1:
        raise UsageError(
            f"{shapes.name}: holds {len(drawn)} rectangles; select the one around the part to "
            "segment, or two to name the planes of a volume"
        )
    return selected or drawn


def _find_corners(drawn: NDArray[Any], shapes: Any, layer: Any) -> NDArray[np.float64]:
    """Return the corners of a shape in pixels of a layer, (corners, axes of the layer)."""
    number = min(shapes.ndim, layer.ndim)
    factor = np.array(
        [
            _convert(str(ours), str(theirs))
            for ours, theirs in zip(shapes.units[-number:], layer.units[-number:], strict=True)
        ]
    )
    world = [np.asarray(shapes.data_to_world(corner))[-number:] * factor for corner in drawn]
    return np.array([layer.world_to_data(corner) for corner in world])


def _convert(unit: str, into: str) -> float:
    """Return how many of one unit another has; 1 for what are no lengths, as napari does."""
    ours, theirs = to_microns(1, unit), to_microns(1, into)
    return ours / theirs if ours and theirs else 1.0


def _is_flat(lowest: NDArray[np.float64], highest: NDArray[np.float64]) -> bool:
    """Return whether rectangles lie in one plane across an axis."""
    return bool(highest.max() - lowest.min() < ROUNDING)


def _check_side(name: str, image: str, axis: str, start: int, stop: int, count: int) -> slice:
    """Return the pixels from start to stop that are in the image."""
    # A side within one pixel has none centred in it.
    if start >= count or stop <= 0:
        raise UsageError(
            f"{name}: the rectangle is outside of {image}: it spans {axis} {start} to {stop - 1}, "
            f"expected some of 0 to {count - 1}"
        )
    side = slice(max(start, 0), min(stop, count))
    least = min(LEAST, count) if axis in "YX" else 1
    if side.stop - side.start < least:
        raise UsageError(
            f"{name}: the rectangle is too small: along {axis} it holds "
            f"{max(side.stop - side.start, 0)} pixels of {image}, expected {least} or more"
        )
    return side
