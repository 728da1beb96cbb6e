"""Validation: scores of images decoded as in prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from embedseg.common import pick_evenly
from embedseg.data import Sample
from embedseg.methods import Method
from embedseg.prediction import PredictOptions, predict
from embedseg.types import Spacing

#: Images kept for the preview.
SHOWN = 4


class ValidationResult(NamedTuple):
    """Scores and pictures of a validation.

    Attributes
    ----------
    scores : dict of str to float
        Means over images.
    shown : list of (Sample, (*space) int32 ndarray)
        A few images and their predicted labels.
    """

    scores: dict[str, float]
    shown: list[tuple[Sample, NDArray[np.int32]]]


def validate(
    net: nn.Module,
    method: Method,
    samples: Sequence[Sample],
    *,
    spacing: Spacing,
    most: int,
    device: torch.device,
) -> ValidationResult:
    """Score images at the best of a few values of the method's first decode option.

    Parameters
    ----------
    net : nn.Module
        On `device`.
    method : Method
    samples : sequence of Sample
        Normalised; at least one.
    spacing : tuple of float
        Of the net.
    most : int
        Samples that are scored at most, spread evenly over the list.
    device : torch.device
    """
    name, values = next(iter(method.search_space().items()))
    sweep = [method.model_copy(update={name: value}) for value in values]
    specs = method.maps(len(spacing))
    # Evenly, as neighbours in a list (planes of a volume, frames) are alike.
    chosen = pick_evenly(len(samples), most)
    rows: list[list[dict[str, float]]] = []
    shown: list[tuple[Sample, list[NDArray[np.int32]]]] = []
    for index in chosen:
        sample = samples[index]
        maps = predict(
            net, sample.image, specs=specs, spacing=spacing, options=PredictOptions(), device=device
        )
        labels = [method.decode(maps).labels for method in sweep]
        rows.append([method.score(sample.labels, found) for found in labels])
        if len(shown) < SHOWN:
            shown.append((sample, labels))
    means = [_mean([row[i] for row in rows]) for i in range(len(sweep))]
    best = max(range(len(sweep)), key=lambda i: means[i][method.primary])
    return ValidationResult(means[best], [(sample, labels[best]) for sample, labels in shown])


def _mean(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
