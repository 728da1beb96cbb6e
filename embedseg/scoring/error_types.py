"""Error types of objects: missed, split, merged, spurious."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.labels import Overlaps, assign_pairs, count_overlaps
from embedseg.types import Indices

#: Types of true objects; each has exactly one.
OF_TRUE = ("matched", "missed", "split", "merged")
#: Types of predicted objects; each one that counts has exactly one.
OF_PREDICTED = ("matched", "fragments", "merging", "spurious")


@dataclass(frozen=True)
class ErrorTypes:
    """Error type of each true and each predicted object.

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
        """Return the number of objects of each type."""
        return {name: len(getattr(self, name)) for name in dict.fromkeys(OF_TRUE + OF_PREDICTED)}


def classify_errors(
    truth: NDArray[Any], predicted: NDArray[Any], threshold: float = 0.5
) -> ErrorTypes:
    """Classify each true and each predicted object by its error.

    Parameters
    ----------
    truth, predicted : (*space) integer ndarray
        Labels, as `embedseg.scoring.score` takes them; predicted objects mostly outside annotated
        pixels do not count and are left out.
    threshold : float
        Lowest IoU of a match, at least 0.5.

    Returns
    -------
    ErrorTypes

    Notes
    -----
    All shares are of an object's pixels. Pairs of `match_objects` are *matched*; for other objects
    the first rule that fits holds:

    - a predicted object is *merging* if it holds more than half of each of two or more true ones;
    - a true object is *merged* if more than half of it lies in a predicted object that holds more
      than half of another one too, be that predicted object matched to the other or merging;
    - a true object is *split* if two or more predicted ones, merging ones excluded, lie in it by
      more than half, and together hold more than half of it; these are its *fragments*. A matched
      object may have fragments too, besides the one it is matched to;
    - other true objects are *missed*, other predicted ones *spurious*.

    So every merging object accounts for at least two merged ones, every split one for two
    fragments; missed, split and merged objects together are the false negatives of
    `embedseg.scoring.score`; fragments, merging and spurious objects its false positives.

    Examples
    --------
    >>> truth = np.array([[1, 1, 1, 1, 1, 0, 2, 2, 3, 3, 0, 0, 4]])
    >>> predicted = np.array([[5, 5, 0, 6, 6, 7, 7, 7, 7, 7, 0, 8, 0]])
    >>> types = classify_errors(truth, predicted)
    >>> types.split, types.fragments, types.merged, types.merging, types.missed, types.spurious
    (array([1]), array([5, 6]), array([2, 3]), array([7]), array([4]), array([8]))
    """
    if threshold < 0.5:
        raise ValueError(f"threshold {threshold}, expected 0.5 or more")
    overlaps = count_overlaps(truth, predicted)
    pairs = assign_pairs(overlaps.ious, threshold)
    free_true = np.ones(len(overlaps.true_ids), bool)
    free_pred = np.ones(len(overlaps.pred_ids), bool)
    free_true[pairs[:, 0]] = free_pred[pairs[:, 1]] = False
    merging, merged = _find_merged(overlaps, free_pred)
    split, fragments = _find_split(overlaps, merging)
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
        np.stack([overlaps.true_ids[pairs[:, 0]], overlaps.pred_ids[pairs[:, 1]]], axis=1),
        **{name: overlaps.true_ids[which] for name, which in true.items()},
        **{name: overlaps.pred_ids[which] for name, which in pred.items()},
    )


def _find_merged(
    overlaps: Overlaps, free_pred: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which predicted objects are merging, and which true ones share one with another."""
    entries = overlaps.shared[1:, 1:].tocoo()
    held = 2 * entries.data > overlaps.true_sizes[entries.row]
    holds = np.bincount(entries.col[held], minlength=len(overlaps.pred_ids))
    merged = np.zeros(len(overlaps.true_ids), bool)
    merged[entries.row[held & (holds[entries.col] > 1)]] = True
    return (holds > 1) & free_pred, merged


def _find_split(
    overlaps: Overlaps, merging: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which true objects are split, and which predicted ones are fragments."""
    entries = overlaps.shared[1:, 1:].tocoo()
    inside = (2 * entries.data > overlaps.pred_sizes[entries.col]) & ~merging[entries.col]
    n = len(overlaps.true_ids)
    pieces = np.bincount(entries.row[inside], minlength=n)
    covered = np.bincount(entries.row[inside], entries.data[inside], minlength=n)
    split = (pieces > 1) & (2 * covered > overlaps.true_sizes)
    fragments = np.zeros(len(overlaps.pred_ids), bool)
    fragments[entries.col[inside & split[entries.row]]] = True
    return split, fragments
