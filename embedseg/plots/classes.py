"""Panels of classes: image, truth, prediction, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.plots.figures import (
    MISSED_COLOUR,
    NOT_ANNOTATED_COLOUR,
    PANEL_SIDE,
    Colours,
    Panel,
    paint_image,
    screen_indices,
    take_plane,
)
from embedseg.types import Spacing

#: Share of the image's brightness in a class's colour.
IMAGE_SHARE = 0.45


def paint_classes(labels: NDArray[Any], classes: Mapping[str, str]) -> Colours:
    """Paint classes in their colours.

    Parameters
    ----------
    labels : (*space) integer ndarray
        0 to n - 1; -1, not annotated, is grey.
    classes : mapping of str to str
        Names and colours, "#rrggbb".

    Returns
    -------
    (*space, 3) uint8 ndarray

    Examples
    --------
    >>> paint_classes(np.array([[1, -1]]), {"a": "#000000", "b": "#ff0000"}).tolist()
    [[[255, 0, 0], [110, 110, 110]]]
    """
    palette = [tuple(bytes.fromhex(colour[1:])) for colour in classes.values()]
    # Index -1 takes the last colour.
    painted: Colours = np.array([*palette, NOT_ANNOTATED_COLOUR], np.uint8)[labels]
    return painted


def middle_views(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (axis, index) of the planes shown: the middle one and, of a volume, a side view.

    Examples
    --------
    >>> middle_views((9, 9)), middle_views((8, 9, 9))
    ([(-1, 0)], [(0, 4), (1, 4)])
    """
    return [(-1, 0)] if len(shape) == 2 else [(axis, shape[axis] // 2) for axis in (0, 1)]


def make_class_panels(
    image: NDArray[Any],
    truth: NDArray[Any] | None,
    predicted: NDArray[Any],
    classes: Mapping[str, str],
    spacing: Spacing,
    view: tuple[int, int],
    limits: tuple[int, int] = PANEL_SIDE,
) -> list[Panel]:
    """Return the panels of one view: image, truth, prediction, wrong pixels.

    Parameters
    ----------
    image : (C, *space) ndarray
    truth, predicted : (*space) integer ndarray
        Classes; without truth only image and prediction are returned.
    classes : mapping of str to str
        Names and colours, "#rrggbb".
    spacing : tuple of float
        Size of a pixel along each axis.
    view : tuple of int
        Axis and index of the plane.
    limits : tuple of int
        Shortest and longest screen size of the longer side, pixels.
    """
    plane = tuple(size for axis, size in enumerate(spacing) if axis != view[0])
    found = take_plane(predicted, view)
    rows = screen_indices(found.shape, plane, limits)
    grey = paint_image(take_plane(image, view, 1).astype(np.float32))[rows]
    where = "" if view[0] < 0 else f" ({'zyx'[view[0]]} = {view[1]})"

    def over(labels: NDArray[Any]) -> Colours:
        mixed = (1 - IMAGE_SHARE) * paint_classes(labels[rows], classes) + IMAGE_SHARE * grey
        return mixed.astype(np.uint8)

    panels: list[Panel] = [(grey, f"image{where}", {})]
    if truth is None:
        return [*panels, (over(found), f"prediction{where}", {})]
    known = take_plane(truth, view)
    wrong = (known >= 0) & (known != found)
    marked = (grey * 0.75).astype(np.uint8)
    marked[wrong[rows]] = MISSED_COLOUR
    marked[(known < 0)[rows]] = NOT_ANNOTATED_COLOUR
    share = 100 * wrong.sum() / max(1, (known >= 0).sum())
    return [
        *panels,
        (over(known), f"truth{where}", {}),
        (over(found), f"prediction{where}", {}),
        (marked, f"wrong: {share:.1f} % of the pixels", {}),
    ]


def make_class_legend(classes: Mapping[str, str]) -> list[Any]:
    """Return a patch for each class."""
    from matplotlib.patches import Patch

    return [Patch(color=colour, label=name) for name, colour in classes.items()]
