"""Cleaning of label images: pieces, holes, small objects, the border."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from embedseg.labels.numbering import drop_small, object_ids, object_sizes, relabel
from embedseg.labels.pieces import fill_holes, split_pieces
from embedseg.types import Labels, Segmentation


class CleanOptions(BaseModel):
    """Options of `clean`, applied in this order.

    Attributes
    ----------
    largest_piece : bool
        Keep only the largest piece of each object, of equal ones the first.
    fill_holes : bool
        Make background that one object encloses part of it.
    min_size : int
        Remove objects of fewer pixels.
    clear_border : bool
        Remove objects that touch the border of the image.

    Examples
    --------
    >>> CleanOptions(min_size=20).fill_holes
    False
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    largest_piece: bool = False
    fill_holes: bool = False
    min_size: int = Field(0, ge=0, le=10**12)
    clear_border: bool = False


def clean(labels: Labels, options: CleanOptions) -> Labels:
    """Clean a label image; objects that stay keep their numbers, and -1 stays.

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


def clean_segmentation(
    segmentation: Segmentation, options: CleanOptions, frames: bool = False
) -> Segmentation:
    """Clean a segmentation; objects that stay are numbered anew, and keep their rows.

    Parameters
    ----------
    segmentation : Segmentation
    options : CleanOptions
    frames : bool
        Whether the first axis of the labels is time: frames are cleaned one by one.

    Examples
    --------
    >>> two = Segmentation(np.array([[1, 0, 2, 2]], np.int32), {"score": np.array([0.9, 0.8])})
    >>> one = clean_segmentation(two, CleanOptions(min_size=2))
    >>> one.labels.tolist(), one.objects["score"].tolist()
    ([[0, 0, 1, 1]], [0.8])
    """
    if options == CleanOptions():
        return segmentation
    if frames:
        cleaned = [relabel(clean(frame, options)) for frame in segmentation.labels]
        return Segmentation(np.stack(cleaned))
    labels = clean(segmentation.labels, options)
    rows = object_ids(labels) - 1
    table = segmentation.objects
    if table:
        table = {name: column[rows] for name, column in table.items()}
    return Segmentation(relabel(labels), table)


def keep_largest(labels: Labels) -> Labels:
    """Turn all but the largest connected piece of each object into background.

    Pixels of a piece are connected by faces, edges or corners.

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
    dropped = np.zeros(int(number.max(initial=0)) + 1, bool)
    dropped[number[order[~first]]] = True
    return np.where(dropped[np.maximum(pieces, 0)], np.int32(0), labels)


def _owners(pieces: Labels, labels: Labels) -> tuple[Labels, Labels]:
    """Return the numbers of all pieces, ascending, and the object of each."""
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
    at_border = find_border_objects(labels)
    return np.where(np.isin(labels, at_border), np.int32(0), labels) if len(at_border) else labels


def find_border_objects(labels: Labels) -> Labels:
    """Return the numbers of the objects that touch the border of the image, ascending.

    Examples
    --------
    >>> find_border_objects(np.array([[0, 0, 2, 0], [0, 3, 0, 0], [0, 0, 0, 9]], np.int32))
    array([2, 9], dtype=int32)
    """
    sides = [
        np.take(labels, side, axis).ravel()
        for axis, length in enumerate(labels.shape)
        for side in (0, -1)
        if length > 1
    ]
    return object_ids(np.concatenate([np.zeros(1, np.int32), *sides]))
