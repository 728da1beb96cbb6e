"""Confidence: the probability that an object is a true one.

The evidence of an object is a few numbers that grow with it. On validation images, logistic
regression separates objects that match a true one at IoU 0.5 from those that do not; from then on
the score of an object is the probability that it matches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.scoring import find_errors, match_objects
from embedseg.types import ACTIVATIONS, Segmentation

#: Fewest objects to learn from.
ENOUGH = 30
#: Ridge on the weights of standardised evidence: bounds them where objects are few.
RIDGE = 1.0


def log_odds(share: NDArray[Any]) -> NDArray[np.float32]:
    """Return ln(p / (1 - p)); shares are kept away from 0 and 1.

    Examples
    --------
    >>> [f"{odds:.1f}" for odds in log_odds(np.array([0.5, 1.0]))]
    ['0.0', '9.2']
    """
    safe = np.clip(np.asarray(share, np.float64), 1e-4, 1 - 1e-4)
    return np.asarray(np.log(safe / (1 - safe)), np.float32)


def probability(evidence: NDArray[Any], weights: Sequence[float]) -> NDArray[np.float32]:
    """Return the probability that objects match a true one.

    Parameters
    ----------
    evidence : (n, k) ndarray
    weights : sequence of k + 1 floats
        The constant comes first.

    Examples
    --------
    >>> [f"{share:.2f}" for share in probability(np.array([[0.0], [2.0]]), (0.0, 1.0))]
    ['0.50', '0.88']
    """
    constant, *slopes = weights
    # Not scipy's: importing that takes longer than decoding an image.
    raw = constant + np.asarray(evidence, np.float64) @ np.array(slopes)
    return np.asarray(ACTIVATIONS["sigmoid"](raw), np.float32)


def learn_weights(evidence: NDArray[Any], true: NDArray[np.bool_]) -> tuple[float, ...] | None:
    """Fit the weights of `probability`; return None if objects are too few.

    Parameters
    ----------
    evidence : (n, k) ndarray
    true : (n,) bool ndarray

    Examples
    --------
    >>> values = np.linspace(-3, 3, 100)[:, None]
    >>> weights = learn_weights(values, values[:, 0] > 0)
    >>> probability(np.array([[-2.0], [2.0]]), weights).round().tolist()
    [0.0, 1.0]
    """
    from scipy.optimize import minimize

    if len(evidence) < ENOUGH:
        return None
    values = np.asarray(evidence, np.float64)
    mean, spread = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
    scaled = np.column_stack([np.ones(len(values)), (values - mean) / spread])
    sign = np.where(true, 1.0, -1.0)

    def cost(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (scaled @ weights)
        ridge = np.concatenate([[0.0], RIDGE * weights[1:]])
        slope = -(sign * ACTIVATIONS["sigmoid"](-margin)) @ scaled + ridge
        return float(np.logaddexp(0, -margin).sum() + ridge @ weights / 2), slope

    # Laplace's rule for the constant: without any wrong object it would be infinite.
    start = np.zeros(scaled.shape[1])
    start[0] = np.log((true.sum() + 1) / ((~true).sum() + 1))
    fitted = minimize(
        cost,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(start[0] - 3, start[0] + 3), *[(None, None)] * values.shape[1]],
    ).x
    slopes = fitted[1:] / spread
    return tuple(round(float(w), 6) for w in (fitted[0] - slopes @ mean, *slopes))


def gather_evidence(
    segmentations: Sequence[Segmentation], truths: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the evidence of all objects of some images, and which of them match a true one.

    Objects that lie mostly outside annotated pixels are left out.
    """
    evidence, true = [], []
    for segmentation, truth in zip(segmentations, truths, strict=True):
        objects: Mapping[str, NDArray[Any]] = segmentation.objects or {}
        hits, wrong = (
            match_objects(truth, segmentation.labels)[:, 1],
            find_errors(truth, segmentation.labels)[1],
        )
        rows = np.concatenate([hits, wrong]) - 1
        evidence.append(np.asarray(objects["evidence"], np.float64)[rows])
        true.append(np.arange(len(rows)) < len(hits))
    return np.concatenate(evidence), np.concatenate(true)


class Bin(NamedTuple):
    """Objects of similar scores: their number, mean score, and share of true ones."""

    objects: int
    score: float
    true: float


def reliability(score: NDArray[Any], true: NDArray[np.bool_], bins: int = 10) -> list[Bin]:
    """Return how often objects of a score are true: the reliability curve.

    Bins hold equally many objects.

    Examples
    --------
    >>> reliability(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1], bool), bins=2)
    [Bin(objects=2, score=0.15, true=0.0), Bin(objects=2, score=0.85, true=1.0)]
    """
    order = np.argsort(score, kind="stable")
    return [
        Bin(len(part), round(float(np.mean(score[part])), 4), float(np.mean(true[part])))
        for part in np.array_split(order, bins)
        if len(part)
    ]
