"""Overlays of labels and errors in a page."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from embedseg.plots import MATCHED, MISSED, SPURIOUS
from embedseg.types import Labels

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

#: They differ from each other and from the other kinds for every kind of colour vision.
SPLIT, MERGED = (230, 45, 180), (80, 240, 150)
#: How opaque areas are; lines are entirely.
AREA, CLASS_AREA = 105, 150
#: So many marks at most; more would hide the picture.
MARKS = 400


class Kind(NamedTuple):
    """A kind of error, or of what is right.

    Attributes
    ----------
    name : str
    colour : tuple of int
        Red, green, blue.
    mark : str
        A sign drawn in the middle of an object, for whom colours are not enough.
    meaning : str
        For a person.
    """

    name: str
    colour: Colour
    mark: str
    meaning: str

    @property
    def css(self) -> str:
        """The colour as CSS has it."""
        return "#" + bytes(self.colour).hex()


KINDS = (
    Kind("matched", MATCHED, "", "paired one to one at an IoU of 0.5 or more"),
    Kind("missed", MISSED, "○", "a true object that nothing fitting was found for"),
    Kind(
        "split",
        SPLIT,
        "|",
        "a true object found as several pieces, its fragments; there may be "
        "fragments beside a match too",
    ),
    Kind("merged", MERGED, "+", "a true object that was found as one with another"),
    Kind("spurious", SPURIOUS, "×", "found where no true object is, or hardly fitting one"),
)
#: What the predicted objects of a kind are called, where it is not the kind itself.
PREDICTED = {
    "matched": "matched",
    "split": "fragments",
    "merged": "merging",
    "spurious": "spurious",
}
#: The marks as pixels.
STAMPS = {
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


def veil(colours: Pixels) -> Pixels:
    """Let something of the image shine through colours."""
    alpha = np.full((*colours.shape[:-1], 1), CLASS_AREA, np.uint8)
    return np.concatenate([colours, alpha], axis=-1)


def areas(labels: Labels, colours: Pixels) -> Pixels:
    """Paint objects, more opaque along their outlines; background stays open."""
    alpha = np.where(labels > 0, AREA, 0).astype(np.uint8)
    alpha[outlines(labels)] = 255
    alpha[labels < 0] = CLASS_AREA
    painted: Pixels = np.concatenate([colours, alpha[..., np.newaxis]], axis=-1)
    # What cannot be seen is alike everywhere, which makes files small.
    painted[alpha == 0] = 0
    return painted


def outlines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the pixels of objects beside pixels that are not, within each plane."""
    edge = np.zeros(labels.shape, bool)
    for axis in (1, 2):
        a, b = np.moveaxis(labels, axis, 0), np.moveaxis(edge, axis, 0)
        differs = a[1:] != a[:-1]
        b[1:] |= differs
        b[:-1] |= differs
    return edge & (labels > 0)


def stamp(painted: Pixels, labels: Labels, ids: NDArray[np.int64], kind: Kind) -> None:
    """Draw the mark of a kind in the middle of objects, on each plane where they are; in place."""
    if not 0 < len(ids) <= MARKS:
        return
    shape = np.array([list(row) for row in STAMPS[kind.mark]]) == "#"
    # White with a dark rim is seen on every colour.
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
