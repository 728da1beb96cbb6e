"""Figures of maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedseg.geometry import to_shape
from embedseg.plots.classes import middle_views
from embedseg.plots.figures import (
    PANEL,
    Colours,
    Panel,
    cut,
    grid,
    image_colours,
    lay_out,
    save_figure,
)
from embedseg.types import Maps, MapSpec, Spacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Channels of a scalar map that are shown, the first ones.
CHANNELS = 8
#: Panels side by side.
COLUMNS = 4
#: Radius of the disc of directions, as a share of a panel's shorter side.
DISC = 0.08


def plot_maps(maps: Maps, image: NDArray[Any] | None = None, *, title: str = "") -> Figure:
    """Draw all maps of an image; of a volume a plane from the middle, and a side view.

    A vector is painted by its direction (hue, as the disc in the corner shows) and its length
    (brightness); of an extent the mean of its channels is shown; both, and other maps, from dark
    (the least in the picture) to bright (the most); the numbers are in the titles.

    Parameters
    ----------
    maps : Maps
    image : (C, *space) or (*space) ndarray, optional
        Stands before the maps; brought to their grid.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> spec = MapSpec("offset", "vector", 2, "tanh")
    >>> maps = Maps(np.ones((2, 8, 9), np.float16), (spec,), (1.0, 1.0))
    >>> [axes.get_title() for axes in plot_maps(maps, np.eye(8, 9)).axes]
    ['image', 'offset, length 1.1 to 1.1']
    """
    rows = []
    for view in middle_views(maps.shape):
        spacing = tuple(s for axis, s in enumerate(maps.spacing) if axis != view[0])
        panels: list[Panel] = []
        if image is not None:
            known = image if image.ndim > len(maps.shape) else image[np.newaxis]
            shown = image_colours(cut(to_shape(known.astype(np.float32), maps.shape), view, 1))
            panels.append((_stretched(shown, spacing), "image", {}))
        for spec in maps.specs:
            panels += [
                (_stretched(colours, spacing), name, {})
                for colours, name in _painted(maps, spec, view)
            ]
        rows += [panels[i : i + COLUMNS] for i in range(0, len(panels), COLUMNS)]
    return lay_out(rows, [], title)


def save_maps(
    path: Path | str, maps: Maps, image: NDArray[Any] | None = None, *, title: str = ""
) -> None:
    """Write `plot_maps` as an image file; the name's ending says which kind."""
    save_figure(plot_maps(maps, image, title=title), Path(path))


def _painted(maps: Maps, spec: MapSpec, view: tuple[int, int]) -> list[tuple[Colours, str]]:
    values = cut(maps[spec.name], view, 1)
    if spec.kind == "vector":
        flat = values if view[0] < 0 else np.delete(values, view[0], axis=0)
        length = np.linalg.norm(flat, axis=0)
        return [(directions(flat), f"{spec.name}, length {_range(length)}")]
    if spec.kind == "extent":
        mean = values.mean(axis=0)
        return [(_shades(mean), f"{spec.name}, {_range(mean)}")]
    names = [spec.name if spec.channels == 1 else f"{spec.name} {k}" for k in range(spec.channels)]
    return [
        (_shades(channel), f"{name}, {_range(channel)}")
        for name, channel in zip(names[:CHANNELS], values, strict=False)
    ]


def directions(vectors: NDArray[np.float32]) -> Colours:
    """Paint vectors by their direction (hue) and length (brightness).

    Parameters
    ----------
    vectors : (2, Y, X) ndarray
        Down and right.

    Returns
    -------
    (Y, X, 3) uint8 ndarray
        Dark where they are short; with a disc in a corner that shows the colour of each direction.

    Examples
    --------
    >>> directions(np.array([[[0.0, 0.0]], [[1.0, -1.0]]], np.float32)).tolist()
    [[[255, 0, 0], [0, 255, 255]]]
    """
    longest = max(float(np.percentile(np.linalg.norm(vectors, axis=0), 99)), 1e-9)
    colours = _hues(vectors / longest)
    radius = int(DISC * min(colours.shape[:2]))
    if radius >= 4:
        disc = np.mgrid[-radius : radius + 1, -radius : radius + 1] / radius
        inside = np.linalg.norm(disc, axis=0) <= 1
        corner = colours[2 : 2 * radius + 3, 2 : 2 * radius + 3]
        corner[inside] = _hues(disc)[inside]
    return colours


def _hues(vectors: NDArray[Any]) -> Colours:
    from matplotlib.colors import hsv_to_rgb

    hue = np.arctan2(vectors[0], vectors[1]) / (2 * np.pi) % 1
    bright = np.clip(np.linalg.norm(vectors, axis=0), 0, 1)
    return np.round(255 * hsv_to_rgb(np.stack([hue, np.ones_like(hue), bright], -1))).astype(
        np.uint8
    )


def _shades(values: NDArray[np.float32]) -> Colours:
    from matplotlib import colormaps

    low, high = float(values.min()), float(values.max())
    shares = (values - low) / max(high - low, 1e-9)
    return np.asarray(np.round(255 * colormaps["viridis"](shares)[..., :3]), np.uint8)


def _range(values: NDArray[np.float32]) -> str:
    return f"{values.min():.2g} to {values.max():.2g}"


def _stretched(colours: Colours, spacing: Spacing) -> Colours:
    return colours[grid(colours.shape[:2], spacing, PANEL)]
