"""Cleaning of label images: pieces, holes, small objects, the border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from embedseg.labels.numbering import drop_small, object_ids, object_sizes, relabel
from embedseg.labels.pieces import fill_holes, split_pieces
from embedseg.types import Labels, Segmentation


class CleanOptions(BaseModel):
    """What is done to labels, in this order.

    Attributes
    ----------
    largest_piece : bool
        Of an object in several pieces only the largest stays, of equal ones the first.
    fill_holes : bool
        Background that one object encloses becomes part of it.
    min_size : int
        Objects of fewer pixels go.
    clear_border : bool
        Objects that touch the border of the image go.

    Examples
    --------
    >>> CleanOptions(min_size=20).fill_holes
    False
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    largest_piece: bool = False
    fill_holes: bool = False
    min_size: int = Field(0, ge=0)
    clear_border: bool = False


def clean(labels: Labels, options: CleanOptions) -> Labels:
    """Tidy a label image; objects that stay keep their numbers, and -1 stays.

    Parameters
    ----------
    labels : (*space) int32 ndarray
        Labels of one image, or of one frame.
    options : CleanOptions

    Returns
    -------
    (*space) int32 ndarray
        A copy, unless there is nothing to do.

    Examples
    --------
    >>> labels = np.array([[7, 0, 0, 0, 0], [0, 3, 3, 3, 0], [7, 3, 0, 3, 0], [7, 0, 0, 0, 0]])
    >>> clean(labels.astype(np.int32), CleanOptions(min_size=2, largest_piece=True))
    array([[0, 0, 0, 0, 0], [0, 3, 3, 3, 0], [7, 3, 0, 3, 0], [7, 0, 0, 0, 0]], dtype=int32)
    """
    if options.largest_piece:
        labels = keep_largest(labels)
    if options.fill_holes:
        labels = fill_holes(labels)
    if options.min_size > 1:
        labels = drop_small(labels, options.min_size)
    return clear_border(labels) if options.clear_border else labels


def tidied(found: Segmentation, options: CleanOptions, frames: bool = False) -> Segmentation:
    """Tidy what was found; objects that stay are numbered anew, and keep their rows of the table.

    Parameters
    ----------
    found : Segmentation
    options : CleanOptions
    frames : bool
        Whether the first axis of the labels is time: frames are tidied one by one.

    Examples
    --------
    >>> found = Segmentation(np.array([[1, 0, 2, 2]], np.int32), {"score": np.array([0.9, 0.8])})
    >>> left = tidied(found, CleanOptions(min_size=2))
    >>> left.labels.tolist(), left.objects["score"].tolist()
    ([[0, 0, 1, 1]], [0.8])
    """
    if options == CleanOptions():
        return found
    if frames:
        return Segmentation(np.stack([relabel(clean(frame, options)) for frame in found.labels]))
    labels = clean(found.labels, options)
    rows = object_ids(labels) - 1
    table = found.objects and {name: column[rows] for name, column in found.objects.items()}
    return Segmentation(relabel(labels), table)


def keep_largest(labels: Labels) -> Labels:
    """Turn all but the largest connected piece of each object into background.

    Pixels of a piece hang together by faces, edges or corners.

    Examples
    --------
    >>> keep_largest(np.array([[4, 0, 0, 4], [4, 0, 2, 0]], np.int32))
    array([[4, 0, 0, 0], [4, 0, 2, 0]], dtype=int32)
    """
    pieces = split_pieces(labels)
    number, owner = _owners(pieces, labels)
    # By owner, then the largest first, then the first in raster order.
    order = np.lexsort((number, -object_sizes(pieces), owner))
    first = np.ones(len(order), bool)
    first[1:] = owner[order][1:] != owner[order][:-1]
    goes = np.zeros(int(number.max(initial=0)) + 1, bool)
    goes[number[order[~first]]] = True
    return np.where(goes[np.maximum(pieces, 0)], np.int32(0), labels)


def _owners(pieces: Labels, labels: Labels) -> tuple[Labels, NDArray[np.int32]]:
    """Return the numbers of all pieces, ascending, and which object each belongs to."""
    number = object_ids(pieces)
    lookup = np.zeros(int(number.max(initial=0)) + 1, np.int32)
    inside = pieces > 0
    lookup[pieces[inside]] = labels[inside]
    return number, lookup[number]


def clear_border(labels: Labels) -> Labels:
    """Turn objects that touch the border of the image into background.

    An axis of length 1 has no border.

    Examples
    --------
    >>> clear_border(np.array([[0, 0, 2, 0], [0, 3, 0, 0], [0, 0, 0, 0]], np.int32))
    array([[0, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 0]], dtype=int32)
    """
    at_border = bordering(labels)
    return np.where(np.isin(labels, at_border), np.int32(0), labels) if len(at_border) else labels


def bordering(labels: NDArray[np.int32]) -> Labels:
    """Return the numbers of the objects that touch the border of the image, ascending.

    Examples
    --------
    >>> bordering(np.array([[0, 0, 2, 0], [0, 3, 0, 0], [0, 0, 0, 9]], np.int32))
    array([2, 9], dtype=int32)
    """
    sides = [
        np.take(labels, side, axis).ravel()
        for axis, length in enumerate(labels.shape)
        for side in (0, -1)
        if length > 1
    ]
    return object_ids(np.concatenate([np.zeros(1, np.int32), *sides]))
