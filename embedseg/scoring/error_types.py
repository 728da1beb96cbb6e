"""Error types of objects: missed, split, merged, spurious."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from embedseg.labels import Compared, assign, compared, iou
from embedseg.types import Indices

#: What becomes of true objects; every one is exactly one of these.
OF_TRUE = ("matched", "missed", "split", "merged")
#: What predicted objects are; every one that counts is exactly one of these.
OF_PREDICTED = ("matched", "fragments", "merging", "spurious")


@dataclass(frozen=True)
class ErrorTypes:
    """What became of each true object, and what each predicted one is.

    Attributes
    ----------
    matched : (k, 2) int64 ndarray
        True and predicted label of each pair.
    split, merged, missed : (n,) int64 ndarray
        The other true labels, ascending.
    fragments, merging, spurious : (n,) int64 ndarray
        The other predicted labels, ascending.

    Examples
    --------
    >>> classify_errors(np.array([[1, 1, 0, 2]]), np.array([[5, 5, 0, 0]])).counts()
    {'matched': 1, 'missed': 1, 'split': 0, 'merged': 0,
     'fragments': 0, 'merging': 0, 'spurious': 0}
    """

    matched: Indices
    missed: Indices
    split: Indices
    merged: Indices
    fragments: Indices
    merging: Indices
    spurious: Indices

    def counts(self) -> dict[str, int]:
        """Return how many there are of each."""
        return {name: len(getattr(self, name)) for name in dict.fromkeys(OF_TRUE + OF_PREDICTED)}


def classify_errors(
    truth: NDArray[Any], predicted: NDArray[Any], threshold: float = 0.5
) -> ErrorTypes:
    """Say of each true and each predicted object what it is.

    Parameters
    ----------
    truth, predicted : (*space) integer ndarray
        Labels, as `embedseg.scoring.score` takes them; predicted objects that do not count, for
        lying on pixels that are not annotated, are left out.
    threshold : float
        IoU from which on objects match, at least 0.5.

    Returns
    -------
    ErrorTypes

    Notes
    -----
    All shares are of an object's pixels. After the pairs of `match_objects`, which are
    `matched`, the first that fits of the following holds:

    - a predicted object is *merging* if it holds more than half of each of two or more true ones;
    - a true object is *merged* if more than half of it lies in a predicted object that holds more
      than half of another one too, be that predicted object matched to the other or merging;
    - a true object is *split* if the predicted ones of which more than half lies in it, merging
      ones aside, are two or more and together hold more than half of it; these are its *fragments*.
      A matched object may have fragments too, besides the one it is matched to;
    - other true objects are *missed*, other predicted ones *spurious*.

    So every merging object accounts for two merged ones at least, every split one for two
    fragments; missed, split and merged objects together are the false negatives of
    `embedseg.scoring.score`; fragments, merging and spurious objects its false positives.

    Examples
    --------
    >>> truth = np.array([[1, 1, 1, 1, 1, 0, 2, 2, 3, 3, 0, 0, 4]])
    >>> found = np.array([[5, 5, 0, 6, 6, 7, 7, 7, 7, 7, 0, 8, 0]])
    >>> kinds = classify_errors(truth, found)
    >>> kinds.split, kinds.fragments, kinds.merged, kinds.merging, kinds.missed, kinds.spurious
    (array([1]), array([5, 6]), array([2, 3]), array([7]), array([4]), array([8]))
    """
    if threshold < 0.5:
        raise ValueError(f"threshold {threshold}, expected 0.5 or more")
    found = compared(truth, predicted)
    pairs = assign(iou(found.shared[1:, 1:], found.true_sizes, found.pred_sizes), threshold)
    free_true, free_pred = np.ones(len(found.true_ids), bool), np.ones(len(found.pred_ids), bool)
    free_true[pairs[:, 0]] = free_pred[pairs[:, 1]] = False
    merging, merged = _merged(found, free_pred)
    split, fragments = _split(found, merging)
    true = {
        "split": split & free_true,
        "merged": merged & free_true,
        "missed": free_true & ~merged & ~split,
    }
    pred = {
        "fragments": fragments & free_pred,
        "merging": merging,
        "spurious": free_pred & ~merging & ~fragments,
    }
    return ErrorTypes(
        np.stack([found.true_ids[pairs[:, 0]], found.pred_ids[pairs[:, 1]]], axis=1),
        **{name: found.true_ids[which] for name, which in true.items()},
        **{name: found.pred_ids[which] for name, which in pred.items()},
    )


def _merged(
    found: Compared, free_pred: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which predicted objects are merging, and which true ones lie in one with another."""
    entries = sparse.coo_array(found.shared[1:, 1:])
    held = 2 * entries.data > found.true_sizes[entries.row]
    holds = np.bincount(entries.col[held], minlength=len(found.pred_ids))
    merged = np.zeros(len(found.true_ids), bool)
    merged[entries.row[held & (holds[entries.col] > 1)]] = True
    return (holds > 1) & free_pred, merged


def _split(
    found: Compared, merging: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which true objects are held by several predicted ones, and which these are."""
    entries = sparse.coo_array(found.shared[1:, 1:])
    inside = (2 * entries.data > found.pred_sizes[entries.col]) & ~merging[entries.col]
    n = len(found.true_ids)
    pieces = np.bincount(entries.row[inside], minlength=n)
    covered = np.bincount(entries.row[inside], entries.data[inside], minlength=n)
    split = (pieces > 1) & (2 * covered > found.true_sizes)
    fragments = np.zeros(len(found.pred_ids), bool)
    fragments[entries.col[inside & split[entries.row]]] = True
    return split, fragments
