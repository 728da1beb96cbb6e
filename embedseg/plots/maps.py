"""Figures of maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedseg.geometry import resample_to_shape
from embedseg.plots.classes import middle_views
from embedseg.plots.figures import (
    PANEL_SIDE,
    Colours,
    Panel,
    lay_out_panels,
    paint_image,
    save_figure,
    screen_indices,
    take_plane,
)
from embedseg.types import Maps, MapSpec, Spacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Channels of a scalar map that are shown at most.
MAX_CHANNELS = 8
#: Panels side by side.
COLUMNS = 4
#: Radius of the disc of directions, as a share of a panel's shorter side.
DISC_SHARE = 0.08


def plot_maps(maps: Maps, image: NDArray[Any] | None = None, *, title: str = "") -> Figure:
    """Draw all maps of an image; of a volume the middle plane and a side view.

    Vectors are painted by direction (hue, as on the disc in the corner) and length (brightness).
    Of an extent the mean over its channels is shown. Values range from dark (the lowest in the
    picture) to bright (the highest); the titles give the numbers.

    Parameters
    ----------
    maps : Maps
    image : (C, *space) or (*space) ndarray, optional
        Drawn before the maps, resampled to their grid.
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
            shown = paint_image(
                take_plane(resample_to_shape(known.astype(np.float32), maps.shape), view, 1)
            )
            panels.append((_stretch(shown, spacing), "image", {}))
        for spec in maps.specs:
            panels += [
                (_stretch(colours, spacing), name, {})
                for colours, name in _paint_maps(maps, spec, view)
            ]
        rows += [panels[i : i + COLUMNS] for i in range(0, len(panels), COLUMNS)]
    return lay_out_panels(rows, [], title)


def save_maps(
    path: Path | str, maps: Maps, image: NDArray[Any] | None = None, *, title: str = ""
) -> None:
    """Write the figure of `plot_maps` as an image file; the suffix sets the format."""
    save_figure(plot_maps(maps, image, title=title), Path(path))


def _paint_maps(maps: Maps, spec: MapSpec, view: tuple[int, int]) -> list[tuple[Colours, str]]:
    values = take_plane(maps[spec.name], view, 1)
    if spec.kind == "vector":
        flat = values if view[0] < 0 else np.delete(values, view[0], axis=0)
        length = np.linalg.norm(flat, axis=0)
        return [(paint_directions(flat), f"{spec.name}, length {_format_range(length)}")]
    if spec.kind == "extent":
        mean = values.mean(axis=0)
        return [(_paint_values(mean), f"{spec.name}, {_format_range(mean)}")]
    names = [spec.name if spec.channels == 1 else f"{spec.name} {k}" for k in range(spec.channels)]
    return [
        (_paint_values(channel), f"{name}, {_format_range(channel)}")
        for name, channel in zip(names[:MAX_CHANNELS], values, strict=False)
    ]


def paint_directions(vectors: NDArray[np.float32]) -> Colours:
    """Paint vectors by their direction (hue) and length (brightness).

    Parameters
    ----------
    vectors : (2, Y, X) ndarray
        Components along y and x.

    Returns
    -------
    (Y, X, 3) uint8 ndarray
        Dark where vectors are short. A disc in the corner shows the colour of each direction.

    Examples
    --------
    >>> paint_directions(np.array([[[0.0, 0.0]], [[1.0, -1.0]]], np.float32)).tolist()
    [[[255, 0, 0], [0, 255, 255]]]
    """
    longest = max(float(np.percentile(np.linalg.norm(vectors, axis=0), 99)), 1e-9)
    colours = _paint_hues(vectors / longest)
    radius = int(DISC_SHARE * min(colours.shape[:2]))
    if radius >= 4:
        disc = np.mgrid[-radius : radius + 1, -radius : radius + 1] / radius
        inside = np.linalg.norm(disc, axis=0) <= 1
        corner = colours[2 : 2 * radius + 3, 2 : 2 * radius + 3]
        corner[inside] = _paint_hues(disc)[inside]
    return colours


def _paint_hues(vectors: NDArray[Any]) -> Colours:
    from skimage.color import hsv2rgb

    hue = np.arctan2(vectors[0], vectors[1]) / (2 * np.pi) % 1
    bright = np.clip(np.linalg.norm(vectors, axis=0), 0, 1)
    colours = hsv2rgb(np.stack([hue, np.ones_like(hue), bright], -1))
    return np.asarray(np.round(255 * colours), np.uint8)


def _paint_values(values: NDArray[np.float32]) -> Colours:
    from matplotlib import colormaps

    low, high = float(values.min()), float(values.max())
    shares = (values - low) / max(high - low, 1e-9)
    return np.asarray(np.round(255 * colormaps["viridis"](shares)[..., :3]), np.uint8)


def _format_range(values: NDArray[np.float32]) -> str:
    return f"{values.min():.2g} to {values.max():.2g}"


def _stretch(colours: Colours, spacing: Spacing) -> Colours:
    return colours[screen_indices(colours.shape[:2], spacing, PANEL_SIDE)]
