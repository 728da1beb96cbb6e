"""Masks that are images: folders swapped, or one given twice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.labels import measure_pieces
from embedseg.types import Labels

#: A mask with more objects of `FEW_PIXELS` or less than other ones, and at least `MANY_SPECKS` of
#: them, holds no objects: a few small spots among larger objects are fine.
FEW_PIXELS, MANY_SPECKS = 3, 100
#: A mask with more than `MANY_VALUES` values, each on average in more than `TORN` pieces of fewer
#: than `SMALL_PIECE` pixels, is grey. Real masks have up to 1.5 pieces per object, of 60 pixels or
#: more; images have pieces of 1 to 14.
MANY_VALUES, TORN, SMALL_PIECE = 20, 2.0, 20


def find_swap(image: NDArray[Any], labels: Labels, *, objects: bool) -> tuple[str, str] | None:
    """Return the problem if a mask looks like an image, and what shows it; else None.

    Parameters
    ----------
    image : (C, *space) ndarray
    labels : (*space) int32 ndarray
        As in the file; -1 is not annotated.
    objects : bool
        Whether the mask holds objects, not classes.

    Returns
    -------
    (str, str), optional
        A key of `embedseg.data.problems.PROBLEMS` and details.

    Examples
    --------
    >>> image = np.arange(6400).reshape(1, 80, 80)
    >>> find_swap(image, image[0].astype(np.int32), objects=True)
    ('mask equals image', 'the same values in both')
    >>> find_swap(image, (image[0] % 1000).astype(np.int32), objects=True)
    ('grey mask', '999 values, each in 6 pieces of 1 pixels on average')
    """
    varied = labels.size and labels.min() != labels.max()
    if varied and any(np.array_equal(channel, labels) for channel in image):
        return "mask equals image", "the same values in both"
    return find_grey(labels) if objects else None


def find_grey(labels: Labels) -> tuple[str, str] | None:
    """Return the problem if labels look like an image, and what shows it; see `find_swap`."""
    _, piece_sizes, owners = measure_pieces(labels)
    _, owner = np.unique(owners, return_inverse=True)
    sizes = np.bincount(owner, piece_sizes)
    count, torn = len(sizes), len(piece_sizes) / max(1, len(sizes))
    if count > MANY_VALUES and torn > TORN and piece_sizes.mean() < SMALL_PIECE:
        return (
            "grey mask",
            f"{count} values, each in {torn:.0f} pieces of {piece_sizes.mean():.0f} pixels "
            "on average",
        )
    specks = int((sizes <= FEW_PIXELS).sum())
    if specks >= MANY_SPECKS and 2 * specks > count:
        return "objects of a few pixels", f"{specks} of {count} objects have {FEW_PIXELS} or fewer"
    return None
