"""Overlays of labels and errors in a page."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.plots import MATCHED_COLOUR, MISSED_COLOUR, SPURIOUS_COLOUR
from embedseg.types import Labels

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

#: Colours of split and merged objects: distinct from all others in every kind of colour vision.
SPLIT_COLOUR, MERGED_COLOUR = (230, 45, 180), (80, 240, 150)
#: Opacity of the areas of objects and of classes; lines are opaque.
AREA_ALPHA, CLASS_ALPHA = 105, 150
#: Above this number of objects no marks are drawn: they would hide the picture.
MAX_MARKS = 400


class LegendItem(NamedTuple):
    """An item of a legend: a type of error, or a class.

    Attributes
    ----------
    name : str
    colour : tuple of int
        Red, green, blue.
    mark : str
        Sign drawn in the middle of an object, for colour-blind readers.
    meaning : str
        Explanation in words.
    """

    name: str
    colour: Colour
    mark: str
    meaning: str

    @property
    def css(self) -> str:
        """Colour in CSS notation."""
        return "#" + bytes(self.colour).hex()


ERROR_KINDS = (
    LegendItem("matched", MATCHED_COLOUR, "", "paired one to one at an IoU of 0.5 or more"),
    LegendItem("missed", MISSED_COLOUR, "○", "a true object without a fitting prediction"),
    LegendItem(
        "split",
        SPLIT_COLOUR,
        "|",
        "a true object predicted as several pieces, its fragments; fragments may also lie "
        "beside a match",
    ),
    LegendItem("merged", MERGED_COLOUR, "+", "a true object predicted as one with another"),
    LegendItem(
        "spurious", SPURIOUS_COLOUR, "×", "predicted where no true object is, or hardly fitting one"
    ),
)
#: Names of predicted objects by type of error, as `embedseg.scoring.ErrorTypes` has them.
PREDICTED_NAMES = {
    "matched": "matched",
    "split": "fragments",
    "merged": "merging",
    "spurious": "spurious",
}
#: Pixels of the marks.
MARK_PIXELS = {
    "○": (
        "..####..",
        ".######.",
        "##....##",
        "##....##",
        "##....##",
        "##....##",
        ".######.",
        "..####..",
    ),
    "|": ("...##...",) * 8,
    "+": (*["...##..."] * 3, *["########"] * 2, *["...##..."] * 3),
    "×": (
        "##....##",
        "###..###",
        ".######.",
        "..####..",
        "..####..",
        ".######.",
        "###..###",
        "##....##",
    ),
}


def make_translucent(colours: Pixels) -> Pixels:
    """Add an alpha channel to colours, so that the image shows through."""
    alpha = np.full((*colours.shape[:-1], 1), CLASS_ALPHA, np.uint8)
    return np.concatenate([colours, alpha], axis=-1)


def paint_objects(labels: Labels, colours: Pixels) -> Pixels:
    """Paint objects translucent with opaque outlines; background is transparent."""
    alpha = np.where(labels > 0, AREA_ALPHA, 0).astype(np.uint8)
    alpha[find_outlines(labels)] = 255
    alpha[labels < 0] = CLASS_ALPHA
    painted: Pixels = np.concatenate([colours, alpha[..., np.newaxis]], axis=-1)
    # Equal colours where nothing is seen make files small.
    painted[alpha == 0] = 0
    return painted


def find_outlines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the pixels of objects that border on other labels, within each plane."""
    edge = np.zeros(labels.shape, bool)
    for axis in (1, 2):
        a, b = np.moveaxis(labels, axis, 0), np.moveaxis(edge, axis, 0)
        differs = a[1:] != a[:-1]
        b[1:] |= differs
        b[:-1] |= differs
    return edge & (labels > 0)


def draw_marks(painted: Pixels, labels: Labels, ids: NDArray[np.int64], item: LegendItem) -> None:
    """Draw a mark in the middle of objects, on each plane that shows them; in place."""
    from scipy import ndimage

    if not 0 < len(ids) <= MAX_MARKS:
        return
    shape = np.array([list(row) for row in MARK_PIXELS[item.mark]]) == "#"
    # White with a dark rim is visible on every colour.
    halo = ndimage.binary_dilation(np.pad(shape, 1), iterations=1)
    size = np.array(halo.shape)
    for z, plane in enumerate(labels):
        here = np.intersect1d(ids, plane)
        for middle in np.round(ndimage.center_of_mass(plane > 0, plane, here)).astype(int):
            first = np.clip(middle - size // 2, 0, np.maximum(plane.shape - size, 0))
            part = painted[z, first[0] : first[0] + size[0], first[1] : first[1] + size[1]]
            if part.shape[:2] == halo.shape:
                part[halo] = (0, 0, 0, 255)
                part[np.pad(shape, 1)] = 255
