"""Montages: slices of a volume with objects over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import pick_evenly
from embedseg.plots.figures import (
    Colours,
    Panel,
    lay_out_panels,
    paint_image,
    save_figure,
    screen_indices,
)
from embedseg.plots.overlays import paint_labels

#: Slices of a montage at most, and slices side by side.
MAX_SLICES, COLUMNS = 12, 4
#: Screen pixels of the longer side of a slice in a montage.
SLICE_SIDE = (300, 300)
#: Share of the image in the colour of an object.
IMAGE_SHARE = 0.6


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
        Image file; the suffix sets the format.
    volume : (Z, Y, X) or (C, Z, Y, X) ndarray
        Any range of values.
    labels : (Z, Y, X) integer ndarray
    colours : (n, 3) uint8 ndarray, optional
        Colours of the labels 0 to n - 1; default: those of `embedseg.plots.paint_labels`.
    title : str
        Title of the figure.
    """
    volume = volume if volume.ndim == 4 else volume[np.newaxis]
    depth = len(labels)
    places = pick_evenly(depth, MAX_SLICES)
    painted = paint_image(volume[:, places].astype(np.float32))
    chosen = labels[places]
    filled = paint_labels(chosen) if colours is None else colours[np.maximum(chosen, 0)]
    panels: list[Panel] = [
        (_paint_over(*planes), f"slice {place + 1} of {depth}", {})
        for place, *planes in zip(places, painted, chosen, filled, strict=True)
    ]
    rows = [panels[i : i + COLUMNS] for i in range(0, len(panels), COLUMNS)]
    save_figure(lay_out_panels(rows, [], title), Path(path))


def _paint_over(image: Colours, labels: NDArray[Any], colours: Colours) -> Colours:
    """Paint the objects of a slice over it, translucent with opaque outlines."""
    from skimage.segmentation import find_boundaries

    rows = screen_indices(labels.shape, (1.0, 1.0), SLICE_SIDE)
    image, labels, colours = image[rows], labels[rows], colours[rows]
    mixed = np.where(
        (labels != 0)[..., np.newaxis], IMAGE_SHARE * image + (1 - IMAGE_SHARE) * colours, image
    )
    line = find_boundaries(labels, mode="inner")  # type: ignore[no-untyped-call]
    return np.where(line[..., np.newaxis], colours, mixed).astype(np.uint8)
