"""Panels of classes: image, truth, prediction, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.plots.figures import (
    MISSED,
    NOT_ANNOTATED,
    PANEL,
    Colours,
    Panel,
    cut,
    grid,
    image_colours,
)
from embedseg.types import Spacing

#: How much of the image's brightness shows through a class's colour.
SHINES = 0.45


def class_colours(labels: NDArray[Any], classes: Mapping[str, str]) -> Colours:
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
    >>> class_colours(np.array([[1, -1]]), {"a": "#000000", "b": "#ff0000"}).tolist()
    [[[255, 0, 0], [110, 110, 110]]]
    """
    palette = [tuple(bytes.fromhex(colour[1:])) for colour in classes.values()]
    # The last one is where -1 leads.
    painted: Colours = np.array([*palette, NOT_ANNOTATED], np.uint8)[labels]
    return painted


def middle_views(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (axis, index) of the planes to show: the middle one, and a side view.

    Examples
    --------
    >>> middle_views((9, 9)), middle_views((8, 9, 9))
    ([(-1, 0)], [(0, 4), (1, 4)])
    """
    return [(-1, 0)] if len(shape) == 2 else [(axis, shape[axis] // 2) for axis in (0, 1)]


def class_panels(
    image: NDArray[Any],
    truth: NDArray[Any] | None,
    predicted: NDArray[Any],
    classes: Mapping[str, str],
    spacing: Spacing,
    view: tuple[int, int],
    limits: tuple[int, int] = PANEL,
) -> list[Panel]:
    """Return the panels of one view: image, truth, prediction, and what is wrong.

    Parameters
    ----------
    image : (C, *space) ndarray
    truth, predicted : (*space) integer ndarray
        Classes; no truth, no panels of it.
    classes : mapping of str to str
        Names and colours.
    spacing : tuple of float
        Of the volume.
    view : tuple of int
        Axis and index of the plane.
    limits : tuple of int
        Screen pixels of the longer side, at least and at most.
    """
    plane = tuple(size for axis, size in enumerate(spacing) if axis != view[0])
    found = cut(predicted, view)
    rows = grid(found.shape, plane, limits)
    grey = image_colours(cut(image, view, 1).astype(np.float32))[rows]
    where = "" if view[0] < 0 else f" ({'zyx'[view[0]]} = {view[1]})"

    def over(labels: NDArray[Any]) -> Colours:
        mixed = (1 - SHINES) * class_colours(labels[rows], classes) + SHINES * grey
        return mixed.astype(np.uint8)

    panels: list[Panel] = [(grey, f"image{where}", {})]
    if truth is None:
        return [*panels, (over(found), f"prediction{where}", {})]
    known = cut(truth, view)
    wrong = (known >= 0) & (known != found)
    marked = (grey * 0.75).astype(np.uint8)
    marked[wrong[rows]] = MISSED
    marked[(known < 0)[rows]] = NOT_ANNOTATED
    share = 100 * wrong.sum() / max(1, (known >= 0).sum())
    return [
        *panels,
        (over(known), f"truth{where}", {}),
        (over(found), f"prediction{where}", {}),
        (marked, f"wrong: {share:.1f} % of the pixels", {}),
    ]


def class_legend(classes: Mapping[str, str]) -> list[Any]:
    """Return a patch for each class."""
    from matplotlib.patches import Patch

    return [Patch(color=colour, label=name) for name, colour in classes.items()]
