"""Montages: slices of a volume with objects over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.plots.figures import Colours, Panel, grid, image_colours, lay_out, save_figure
from embedseg.plots.overlays import label_colours

#: Slices of a montage at most, and how many of them side by side.
SHOWN, BESIDE = 12, 4
#: Screen pixels of the longer side of a slice in a montage.
SLICE = (300, 300)
#: How much of the image shows through the objects.
THROUGH = 0.6


def save_montage(
    path: Path | str,
    volume: NDArray[Any],
    labels: NDArray[Any],
    colours: NDArray[np.uint8] | None = None,
    *,
    title: str = "",
) -> None:
    """Draw slices spread evenly over a volume with the objects over them, into one image file.

    Parameters
    ----------
    path : path
        The name's ending says which kind of file.
    volume : (Z, Y, X) or (C, Z, Y, X) ndarray
        Any range of values.
    labels : (Z, Y, X) integer ndarray
    colours : (n, 3) uint8 ndarray, optional
        Of the labels 0 to n - 1; default: as `embedseg.plots.label_colours` paints them.
    title : str
        Stands above the slices.
    """
    volume = volume if volume.ndim == 4 else volume[np.newaxis]
    depth = len(labels)
    places = np.unique(np.linspace(0, depth - 1, min(depth, SHOWN)).round().astype(int))
    painted = image_colours(volume[:, places].astype(np.float32))
    chosen = labels[places]
    filled = label_colours(chosen) if colours is None else colours[np.maximum(chosen, 0)]
    panels: list[Panel] = [
        (_over(*planes), f"slice {place + 1} of {depth}", {})
        for place, *planes in zip(places, painted, chosen, filled, strict=True)
    ]
    rows = [panels[i : i + BESIDE] for i in range(0, len(panels), BESIDE)]
    save_figure(lay_out(rows, [], title), Path(path))


def _over(image: Colours, labels: NDArray[Any], colours: Colours) -> Colours:
    """Paint the objects of a slice over it: outlines, and inside of them a veil."""
    from skimage.segmentation import find_boundaries

    rows = grid(labels.shape, (1.0, 1.0), SLICE)
    image, labels, colours = image[rows], labels[rows], colours[rows]
    veiled = np.where(
        (labels != 0)[..., np.newaxis], THROUGH * image + (1 - THROUGH) * colours, image
    )
    line = find_boundaries(labels, mode="inner")  # type: ignore[no-untyped-call]
    return np.where(line[..., np.newaxis], colours, veiled).astype(np.uint8)
