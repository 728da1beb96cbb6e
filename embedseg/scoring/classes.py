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

from embedseg.scoring.regions import thinned_scores
from embedseg.types import DataError, Indices, check_labels

Doubles = NDArray[np.float64]

#: What is said of each class.
CLASS_COLUMNS = ("class", "IoU", "Dice", "precision", "recall", "share")


@dataclass(frozen=True)
class DenseScores:
    """How well predicted classes agree with true ones, over the annotated pixels.

    Attributes
    ----------
    confusion : (n, n) int64 ndarray
        Pixels by true class (row) and predicted class (column).
    regions : mapping of str to float, or None
        Where a class is a membrane: scores of regions, as `score_classes` explains them.

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
        hits, true, predicted = _sums(self.confusion)
        return _ratio(hits, true + predicted - hits)

    @property
    def dice(self) -> Doubles:
        """Twice the intersection over the sum of both: (n,); nan where `iou` is."""
        hits, true, predicted = _sums(self.confusion)
        return _ratio(2 * hits, true + predicted)

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
        return float(_ratio(np.trace(self.confusion), self.confusion.sum()))

    @property
    def n_pixels(self) -> int:
        """Annotated pixels."""
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
        Classes 0 to classes - 1. Pixels with -1 are not annotated and take part in nothing.
    predicted : (*space) integer ndarray
        Classes; what is on pixels that are not annotated does not matter.
    classes : int
        Number of classes.
    membrane : int, optional
        Class that divides an image of 2 or 3 axes into regions: pieces of everything else that
        hang together by the faces of their pixels, 4-connected in 2D and 6-connected in 3D.
    planes : bool
        Whether the planes of a volume are images of their own, as in stacks of thick sections,
        where one gap would join regions all over the volume; their scores are averaged.

    Raises
    ------
    DataError
        For different shapes, values that are no classes, a membrane that is not one of them, or
        regions in an image that has neither 2 nor 3 axes.

    Notes
    -----
    Regions are compared where the truth is annotated and no membrane, by
    `region_scores` after border thinning [1]_: all predicted regions grow over the
    membrane by faces, at one pace, until
    none is left. The thinning of the challenge leaves lines of one pixel, and a pixel of a line
    that lies beside the true membrane is a region of its own. Here it belongs to the region that
    reached it first. So a membrane of any thickness scores 1 if it parts the same regions and its
    middle lies on the true one; one out of place costs a little less than there, and one that ends
    inside a region costs nothing. Membrane that no region reaches is a region, piece by piece.
    Pixels that are not annotated cut the regions of truth and prediction alike.

    `adapted_rand_error` is that of scikit-image on the same pixels without thinning: predicted
    membrane is one region more. Without pixels to compare every V is 1; without two pixels in one
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
    truth = _check_classes(truth, classes, "truth", lowest=-1)
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
        return DenseScores(confusion, thinned_scores(*masks))
    each = [
        thinned_scores(*(mask[z] for mask in masks)) for z in range(len(truth)) if known[z].any()
    ]
    return DenseScores(
        confusion, {key: _mean(scores[key] for scores in each) for key in each[0]} if each else None
    )


def summarise_classes(
    results: Sequence[tuple[str, DenseScores]], names: Sequence[str]
) -> dict[str, Any]:
    """Put the scores of a data set into one JSON object.

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
        over the images: `per_image` (`iou_mean`, `accuracy`), and `regions` if there are such
        scores. Counts: `n_images`, `n_pixels`. What has no value is None.

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
    scores = [found for _, found in results]
    for found in scores:
        _check_names(found, names)
    pooled = DenseScores(np.sum([found.confusion for found in scores], axis=0))
    frequency = _ratio(pooled.confusion.sum(axis=1), pooled.n_pixels)
    by_class = {"iou": pooled.iou, "dice": pooled.dice, "frequency": frequency}
    regions = [found.regions for found in scores if found.regions is not None]
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
            key: _number(_mean(getattr(found, key) for found in scores))
            for key in ("iou_mean", "accuracy")
        },
        **(
            {"regions": {key: _mean(found[key] for found in regions) for key in regions[0]}}
            if regions
            else {}
        ),
        "n_images": len(scores),
        "n_pixels": pooled.n_pixels,
    }


def class_table(summary: dict[str, Any]) -> str:
    """Lay a summary out for people; names of classes are cut to fit.

    Examples
    --------
    >>> half = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), classes=2)
    >>> print(class_table(summarise_classes([("a", half)], ["cell", "membrane"])))
    class               IoU      Dice precision    recall     share
    cell              0.500     0.667     0.500     1.000     50.0%
    membrane          0.000     0.000         -     0.000     50.0%
    mean              0.250     0.333
    ...
    """
    lines = [_row(row[0], row[1:]) for row in (CLASS_COLUMNS, *class_rows(summary))]
    lines.append(_row("mean", map(_text, (summary["iou_mean"], summary["dice_mean"]))))
    n, accuracy = summary["n_images"], summary["accuracy"]
    lines += [
        "",
        f"pixel accuracy {_text(accuracy)}, IoU of an image "
        f"{_text(summary['per_image']['iou_mean'])}; {n} image{'s' * (n != 1)}, "
        f"{summary['n_pixels']} pixels",
    ]
    if found := summary.get("regions"):
        parts = (
            f"{title} {found[key]:.3f} (split {found[f'{key}_split']:.3f}, merge "
            f"{found[f'{key}_merge']:.3f})"
            for key, title in (("v_rand", "V_rand"), ("v_info", "V_info"))
        )
        lines.append("  ".join((*parts, f"Rand error {found['adapted_rand_error']:.3f}")))
    lines += ["", _row("% of the true", summary["iou"])]
    lines += [_row(row[0], row[1:]) for row in confusion_rows(summary)]
    return "\n".join(lines)


def class_rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each class of a summary, with the cells that `CLASS_COLUMNS` names.

    Examples
    --------
    >>> half = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), classes=2)
    >>> class_rows(summarise_classes([("a", half)], ["cell", "membrane"]))[0]
    ('cell', '0.500', '0.667', '0.500', '1.000', '50.0%')
    """
    hits, true, predicted = _sums(np.array(summary["confusion"]))
    columns = (
        summary["iou"].values(),
        summary["dice"].values(),
        _ratio(hits, predicted),
        _ratio(hits, true),
        summary["frequency"].values(),
    )
    return [
        (name, *map(_text, scores), _text(share, ".1%"))
        for name, *scores, share in zip(summary["iou"], *columns, strict=True)
    ]


def confusion_rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each true class: of 100 of its pixels, how many are predicted as which.

    Examples
    --------
    >>> half = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), classes=2)
    >>> confusion_rows(summarise_classes([("a", half)], ["cell", "membrane"]))[1]
    ('membrane', '100.0', '0.0')
    """
    confusion = np.array(summary["confusion"])
    parts = _ratio(confusion, confusion.sum(axis=1, keepdims=True))
    return [
        (name, *(_text(100 * share, ".1f") for share in row))
        for name, row in zip(summary["iou"], parts, strict=True)
    ]


def flat_class_scores(scores: DenseScores, names: Sequence[str]) -> dict[str, float]:
    """Return the scores of an image as one row of a table: "iou_<name>", "dice_<name>", ...

    Examples
    --------
    >>> scores = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), classes=2)
    >>> flat_class_scores(scores, ["a", "b"])["iou_a"]
    0.5
    """
    _check_names(scores, names)
    by_class = {"iou": scores.iou, "dice": scores.dice}
    return {
        **{
            f"{key}_{name}": float(value)
            for key, values in by_class.items()
            for name, value in zip(names, values, strict=True)
        },
        **{key: getattr(scores, key) for key in ("iou_mean", "dice_mean", "accuracy")},
        **(scores.regions or {}),
    }


def _check_classes(labels: NDArray[Any], classes: int, name: str, lowest: int) -> NDArray[np.int32]:
    numbers = labels.size and labels.dtype.kind in "biuf"
    if numbers and (labels.min() < lowest or labels.max() >= classes):
        raise DataError(
            f"{name}: values from {labels.min()} to {labels.max()}, expected classes "
            f"0 to {classes - 1}" + " or -1 (not annotated)" * (lowest < 0)
        )
    return check_labels(labels, name=name)


def _check_names(scores: DenseScores, names: Sequence[str]) -> None:
    n = len(scores.confusion)
    if len(names) != n or len(set(names)) != n:
        raise DataError(f"names of classes {list(names)}, expected {n} different ones")


def _sums(confusion: Indices) -> tuple[Indices, Indices, Indices]:
    """Return pixels by class: right, true, predicted."""
    return np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)


def _ratio(part: Any, whole: Any) -> Doubles:
    """Return part / whole, nan where there is no whole."""
    share: Doubles = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=share, where=np.asarray(whole) > 0)
    return share


def _mean(values: Iterable[float]) -> float:
    """Return the mean of the values that are not nan, nan without any."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _text(value: float | None, style: str = ".3f") -> str:
    return "-" if value is None or np.isnan(value) else format(value, style)


def _row(title: str, cells: Iterable[str]) -> str:
    """Lay out a line: 13 columns for its title, 10 for each cell."""
    return f"{_cut(title, 13):<13}" + "".join(f"{_cut(cell, 9):>10}" for cell in cells)


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"
