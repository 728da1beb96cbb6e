"""Scores of classes: IoU, Dice, confusion.

Class 0 is a class like any other. Where one class is a membrane, the regions that it divides an
image into are scored too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.scoring.regions import score_thinned_regions
from embedseg.types import NOT_ANNOTATED, DataError, Indices, Labels, check_labels

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class DenseScores:
    """Agreement of predicted classes with true ones, over the annotated pixels.

    Attributes
    ----------
    confusion : (n, n) int64 ndarray
        Pixels by true class (row) and predicted class (column).
    regions : mapping of str to float, or None
        Scores of regions, if a class is a membrane; see `score_classes`.

    Examples
    --------
    >>> scores = DenseScores(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    >>> scores.iou, scores.iou_mean, scores.accuracy
    (array([0.75, 0.8 , nan]), 0.775, 0.875)
    """

    confusion: Indices
    regions: Mapping[str, float] | None = None

    @property
    def iou(self) -> Doubles:
        """Intersection over union: (n,); nan for a class that is neither true nor predicted."""
        right, true, predicted = sum_confusion(self.confusion)
        return divide(right, true + predicted - right)

    @property
    def dice(self) -> Doubles:
        """Twice the intersection over the sum of both: (n,); nan where `iou` is."""
        right, true, predicted = sum_confusion(self.confusion)
        return divide(2 * right, true + predicted)

    @property
    def iou_mean(self) -> float:
        """Mean of `iou` over the classes that have one; nan without annotated pixels."""
        return _mean(self.iou)

    @property
    def dice_mean(self) -> float:
        """Mean of `dice` over the classes that have one; nan without annotated pixels."""
        return _mean(self.dice)

    @property
    def accuracy(self) -> float:
        """Share of pixels whose class is right; 1 - accuracy is the pixel error."""
        return float(divide(np.trace(self.confusion), self.confusion.sum()))

    @property
    def n_pixels(self) -> int:
        """Number of annotated pixels."""
        return int(self.confusion.sum())


def score_classes(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    classes: int,
    membrane: int | None = None,
    planes: bool = False,
) -> DenseScores:
    """Compare predicted classes with true ones.

    Parameters
    ----------
    truth : (*space) integer ndarray
        Classes 0 to classes - 1. Pixels with -1 are not annotated and ignored.
    predicted : (*space) integer ndarray
        Classes; ignored on pixels that are not annotated.
    classes : int
        Number of classes.
    membrane : int, optional
        Class that divides an image of 2 or 3 axes into regions: pieces of everything else,
        connected by the faces of their pixels: 4-connected in 2D, 6-connected in 3D.
    planes : bool
        Whether to score the planes of a volume as separate images and average their scores, as for
        stacks of thick sections, where one gap would join regions all over the volume.

    Raises
    ------
    DataError
        For different shapes, values that are not classes, a membrane that is not one of them, or
        regions in an image that has neither 2 nor 3 axes.

    Notes
    -----
    Regions are compared where the truth is annotated and no membrane, by `score_regions` after
    border thinning [1]_: all predicted regions grow over the membrane by faces, at the same speed,
    until no membrane is left. The thinning of the challenge leaves lines of one pixel, and a pixel
    of a line that lies beside the true membrane is a separate region. Here it belongs to the region
    that reached it first. So a membrane of any thickness scores 1 if it separates the same regions
    and its middle lies on the true one; a misplaced one costs a little less than in the challenge,
    and one that ends inside a region costs nothing. Each piece of membrane that no region reaches
    is a region. Pixels that are not annotated cut the regions of truth and prediction alike.

    `adapted_rand_error` is that of scikit-image on the same pixels without thinning: predicted
    membrane is one more region. Without pixels to compare every V is 1; without two pixels in one
    region the error is 0.

    References
    ----------
    .. [1] Arganda-Carreras et al. (2015), Crowdsourcing the creation of image segmentation
       algorithms for connectomics, Front. Neuroanat. 9:142. doi:10.3389/fnana.2015.00142

    Examples
    --------
    >>> truth, predicted = np.array([[0, 0, 1, 0, -1]]), np.array([[0, 0, 0, 0, 1]])
    >>> scores = score_classes(truth, predicted, classes=2, membrane=1)
    >>> scores.confusion.tolist(), scores.accuracy, scores.regions["v_rand_split"]
    ([[3, 0], [1, 0]], 0.75, 1.0)
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape:
        raise DataError(
            f"predicted classes of shape {predicted.shape}, expected that of the truth,"
            f" {truth.shape}"
        )
    truth = _check_classes(truth, classes, "truth", lowest=NOT_ANNOTATED)
    known = truth >= 0
    predicted = _check_classes(np.where(known, predicted, 0), classes, "predicted", lowest=0)
    cells = truth[known].astype(np.int64) * classes + predicted[known]
    counts = np.bincount(cells, minlength=classes**2).astype(np.int64)
    confusion = counts.reshape(classes, classes)
    if membrane is None:
        return DenseScores(confusion)
    if not 0 <= membrane < classes:
        raise DataError(f"membrane is class {membrane}, expected one of 0 to {classes - 1}")
    if truth.ndim not in (2, 3):
        raise DataError(f"classes of shape {truth.shape}, expected 2 or 3 axes to find regions")
    masks = (truth != membrane, predicted != membrane, known)
    if truth.ndim == 2 or not planes:
        return DenseScores(confusion, score_thinned_regions(*masks))
    each = [
        score_thinned_regions(*(mask[z] for mask in masks))
        for z in range(len(truth))
        if known[z].any()
    ]
    return DenseScores(
        confusion, {key: _mean(scores[key] for scores in each) for key in each[0]} if each else None
    )


def summarise_classes(
    results: Sequence[tuple[str, DenseScores]], names: Sequence[str]
) -> dict[str, Any]:
    """Summarise the scores of a data set in one JSON object.

    Parameters
    ----------
    results : sequence of (str, DenseScores)
        Name and scores of each image.
    names : sequence of str
        Names of the classes, in their order.

    Returns
    -------
    dict
        Over the pixels of all images together: `iou`, `dice` and `frequency` (share of the true
        pixels) by class, `iou_mean`, `dice_mean`, `accuracy`, `pixel_error`, `confusion`. Means
        over the images: `per_image` (`iou_mean`, `accuracy`), and `regions` if they are scored.
        Counts: `n_images`, `n_pixels`. Undefined scores are None.

    Raises
    ------
    DataError
        If there are no images, or the names do not fit the classes.

    Examples
    --------
    >>> half = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), classes=2)
    >>> summary = summarise_classes([("a", half)], ["cell", "membrane"])
    >>> summary["iou"], summary["pixel_error"]
    ({'cell': 0.5, 'membrane': 0.0}, 0.5)
    """
    if not results:
        raise DataError("no images to score")
    scores = [image for _, image in results]
    for image in scores:
        check_class_names(image, names)
    pooled = DenseScores(np.sum([image.confusion for image in scores], axis=0))
    frequency = divide(pooled.confusion.sum(axis=1), pooled.n_pixels)
    by_class = {"iou": pooled.iou, "dice": pooled.dice, "frequency": frequency}
    regions = [image.regions for image in scores if image.regions is not None]
    return {
        **{
            key: dict(zip(names, map(_number, values), strict=True))
            for key, values in by_class.items()
        },
        "iou_mean": _number(pooled.iou_mean),
        "dice_mean": _number(pooled.dice_mean),
        "accuracy": _number(pooled.accuracy),
        "pixel_error": _number(1 - pooled.accuracy),
        "confusion": pooled.confusion.tolist(),
        "per_image": {
            key: _number(_mean(getattr(image, key) for image in scores))
            for key in ("iou_mean", "accuracy")
        },
        **(
            {"regions": {key: _mean(image[key] for image in regions) for key in regions[0]}}
            if regions
            else {}
        ),
        "n_images": len(scores),
        "n_pixels": pooled.n_pixels,
    }


def _check_classes(labels: NDArray[Any], classes: int, name: str, lowest: int) -> Labels:
    numeric = labels.size and labels.dtype.kind in "biuf"
    if numeric and (labels.min() < lowest or labels.max() >= classes):
        raise DataError(
            f"{name}: values from {labels.min()} to {labels.max()}, expected classes "
            f"0 to {classes - 1}" + " or -1 (not annotated)" * (lowest < 0)
        )
    return check_labels(labels, name=name)


def check_class_names(scores: DenseScores, names: Sequence[str]) -> None:
    """Check that there is one name for each class, and none twice.

    Raises
    ------
    DataError
        If not.
    """
    n = len(scores.confusion)
    if len(names) != n or len(set(names)) != n:
        raise DataError(f"names of classes {list(names)}, expected {n} different ones")


def sum_confusion(confusion: Indices) -> tuple[Indices, Indices, Indices]:
    """Return the pixels of each class: right, true, predicted."""
    return np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)


def divide(part: Any, whole: Any) -> Doubles:
    """Return part / whole, nan where the whole is 0."""
    share: Doubles = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=share, where=np.asarray(whole) > 0)
    return share


def _mean(values: Iterable[float]) -> float:
    """Return the mean of the values that are not nan, nan without any."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
