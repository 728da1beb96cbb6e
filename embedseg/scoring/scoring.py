"""Scores of images and data sets, summarised and tabulated.

Methods that find objects are scored by `ObjectScoring`, those that tell classes apart by
`ClassScoring`; a method names its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.scoring import classes as dense
from embedseg.scoring.objects import MEAN_OVER, Scores, rate, score
from embedseg.types import DataError

Summary = dict[str, Any]

#: Scores by IoU threshold, and single ones; both are means over the images.
BY_THRESHOLD = ("ap", "precision", "recall", "f1")
SINGLE = ("ap_mean", "pq", "sq", "rq", "seg", "aji", "rand", "voi_split", "voi_merge")
#: What scores of objects are called: those by threshold, with their mean, and the others.
ROWS = (
    ("AP", "ap", "ap_mean"),
    ("AP pooled", "pooled", "pooled_mean"),
    ("precision", "precision", ""),
    ("recall", "recall", ""),
    ("F1", "f1", ""),
)
TITLES = {
    "pq": "PQ",
    "sq": "SQ",
    "rq": "RQ",
    "seg": "SEG",
    "aji": "AJI",
    "rand": "Rand",
    "voi_split": "VOI split",
    "voi_merge": "VOI merge",
}


class Table(NamedTuple):
    """A table for people.

    Attributes
    ----------
    title : str
        Stands above it.
    columns : tuple of str
        Heads of the columns.
    rows : sequence of tuple of str
        The first cell of each says what the row is.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Scoring(ABC):
    """How predictions of a kind are scored."""

    @abstractmethod
    def compare(self, truth: NDArray[Any], predicted: NDArray[Any]) -> Any:
        """Return the scores of one image."""

    @abstractmethod
    def summarise(self, results: Sequence[tuple[str, Any]]) -> Summary:
        """Put the names and scores of the images of a data set into one JSON object."""

    @abstractmethod
    def table(self, summary: Summary) -> str:
        """Lay a summary out for people."""

    @abstractmethod
    def tables(self, summary: Summary) -> list[Table]:
        """Return what `class_table` says, cell by cell."""

    @abstractmethod
    def row(self, scores: Any) -> dict[str, float]:
        """Return the scores of one image by column of a table."""

    @abstractmethod
    def headline(self, summary: Summary) -> dict[str, float]:
        """Return the few scores by which models are compared; the name in `main` is one of them."""

    @abstractmethod
    def profile(self, summary: Summary) -> dict[str, float]:
        """Return the scores that make a curve, by threshold or by class."""

    #: Of the scores in `headline` the one that counts, and what it is; axes of `profile`.
    main: ClassVar[tuple[str, str]]
    axes: ClassVar[tuple[str, str]]


@dataclass(frozen=True)
class ObjectScoring(Scoring):
    """Objects: AP over IoU thresholds and what else `embedseg.scoring.objects.Scores` holds."""

    main: ClassVar[tuple[str, str]] = ("mean .50-.90", "mean AP over IoU .50 to .90")
    axes: ClassVar[tuple[str, str]] = ("IoU threshold", "AP")

    def compare(self, truth: NDArray[Any], predicted: NDArray[Any]) -> Scores:
        """Return `embedseg.scoring.score` of one image."""
        return score(truth, predicted)

    def summarise(self, results: Sequence[tuple[str, Scores]]) -> Summary:
        """Return `summarise_objects`."""
        return summarise_objects(results)

    def table(self, summary: Summary) -> str:
        """Return `object_table`."""
        return object_table(summary)

    def tables(self, summary: Summary) -> list[Table]:
        """Return scores by IoU threshold, and single ones."""
        by_threshold = [
            (
                title,
                *(f"{value:.3f}" for value in summary[name].values()),
                f"{summary[mean]:.3f}" if mean else "",
            )
            for title, name, mean in ROWS
        ]
        columns = ("score", *summary["ap"], ".50 to .90")
        return [
            Table("Scores by IoU threshold", columns, by_threshold),
            Table(
                "Other scores",
                ("score", "value"),
                [(title, f"{summary[name]:.3f}") for name, title in TITLES.items()],
            ),
        ]

    def row(self, scores: Scores) -> dict[str, float]:
        """Return counts and all scores of one image ("ap_0.50" ...)."""
        columns: dict[str, float] = {"n_true": scores.n_true, "n_pred": scores.n_pred}
        columns |= {name: getattr(scores, name) for name in SINGLE}
        for name in BY_THRESHOLD:
            columns |= {f"{name}_{key}": value for key, value in getattr(scores, name).items()}
        return columns

    def headline(self, summary: Summary) -> dict[str, float]:
        """Return AP at three thresholds, its mean, and PQ."""
        ap = summary["ap"]
        return {
            "AP50": ap["0.50"],
            "AP70": ap["0.70"],
            "AP90": ap["0.90"],
            "mean .50-.90": summary["ap_mean"],
            "PQ": summary["pq"],
        }

    def profile(self, summary: Summary) -> dict[str, float]:
        """Return AP by IoU threshold."""
        return dict(summary["ap"])


@dataclass(frozen=True)
class ClassScoring(Scoring):
    """Classes: IoU, Dice and confusion; see `embedseg.scoring.classes`.

    Attributes
    ----------
    names : tuple of str
        Of the classes, in their order.
    membrane : int, optional
        Which of them separates the pieces of the others, whose regions are then scored too.
    planes : bool
        Whether regions of a volume are those of its planes.
    """

    names: tuple[str, ...]
    membrane: int | None = None
    planes: bool = False
    main: ClassVar[tuple[str, str]] = ("mean IoU", "mean IoU over the classes")
    axes: ClassVar[tuple[str, str]] = ("class", "IoU")

    def compare(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dense.DenseScores:
        """Return `embedseg.scoring.classes.score_classes` of one image."""
        return dense.score_classes(truth, predicted, len(self.names), self.membrane, self.planes)

    def summarise(self, results: Sequence[tuple[str, dense.DenseScores]]) -> Summary:
        """Return `embedseg.scoring.classes.summarise_classes`."""
        return dense.summarise_classes(results, self.names)

    def table(self, summary: Summary) -> str:
        """Return `embedseg.scoring.classes.class_table`."""
        return dense.class_table(summary)

    def tables(self, summary: Summary) -> list[Table]:
        """Return scores by class, and of 100 pixels of a class how many are found as which."""
        regions = [(name, f"{value:.3f}") for name, value in (summary.get("regions") or {}).items()]
        return [
            Table("Scores by class", dense.CLASS_COLUMNS, dense.class_rows(summary)),
            Table(
                "Confusion: % of the true pixels of a class that are predicted as which",
                ("true class", *summary["iou"]),
                dense.confusion_rows(summary),
            ),
            *([Table("Scores of regions", ("score", "value"), regions)] if regions else []),
        ]

    def row(self, scores: dense.DenseScores) -> dict[str, float]:
        """Return `embedseg.scoring.classes.flat_class_scores`."""
        return dense.flat_class_scores(scores, self.names)

    def headline(self, summary: Summary) -> dict[str, float]:
        """Return the means of IoU and Dice, the accuracy, and what is known of regions."""
        regions = summary.get("regions") or {}
        return {
            "mean IoU": summary["iou_mean"],
            "mean Dice": summary["dice_mean"],
            "accuracy": summary["accuracy"],
            **{
                name: regions[key]
                for name, key in (("V_rand", "v_rand"), ("V_info", "v_info"))
                if key in regions
            },
        }

    def profile(self, summary: Summary) -> dict[str, float]:
        """Return IoU by class; 0 where a class neither occurs nor is found."""
        return {name: value or 0.0 for name, value in summary["iou"].items()}


def summarise_objects(results: Sequence[tuple[str, Scores]]) -> dict[str, Any]:
    """Put the scores of a data set into one JSON object.

    Parameters
    ----------
    results : sequence of (str, Scores)
        Name and scores of each image, with the same thresholds.

    Returns
    -------
    dict
        Means over the images: `ap`, `precision`, `recall`, `f1` by IoU threshold ("0.50" ...
        "0.95"), and `ap_mean`, `pq`, `sq`, `rq`, `seg`, `aji`, `rand`, `voi_split`, `voi_merge` as
        `Scores` explains them. Over the objects of all images together: `pooled`, AP by threshold,
        and `pooled_mean`, its mean over 0.50, 0.55 ... 0.90. Counts: `n_true`, `n_pred`,
        `n_images`.

    Raises
    ------
    DataError
        If there are no images.

    Examples
    --------
    >>> one, none = np.array([[0, 1]]), np.array([[0, 0]])
    >>> summary = summarise_objects([("a", score(one, one)), ("b", score(none, none))])
    >>> summary["ap"]["0.50"], summary["pooled_mean"], summary["n_true"], summary["n_images"]
    (1.0, 1.0, 1, 2)
    """
    if not results:
        raise DataError("no images to score")
    scores = [found for _, found in results]
    keys = scores[0].tp
    n_true, n_pred = sum(s.n_true for s in scores), sum(s.n_pred for s in scores)
    tp = {key: sum(s.tp[key] for s in scores) for key in keys}
    pooled = {key: rate(n, n_true + n_pred - n, n_true + n_pred) for key, n in tp.items()}
    return {
        **{
            name: {key: _mean(getattr(s, name)[key] for s in scores) for key in keys}
            for name in BY_THRESHOLD
        },
        **{name: _mean(getattr(s, name) for s in scores) for name in SINGLE},
        "pooled": pooled,
        "pooled_mean": _mean(pooled[key] for key in MEAN_OVER),
        "n_true": n_true,
        "n_pred": n_pred,
        "n_images": len(scores),
    }


def object_table(summary: dict[str, Any]) -> str:
    """Lay a summary out for people.

    Examples
    --------
    >>> labels = np.array([[0, 1]])
    >>> print(object_table(summarise_objects([("a", score(labels, labels))])))
    IoU       0.50  0.55  0.60  0.65  0.70  0.75  0.80  0.85  0.90  0.95 0.5-0.9
    AP       1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000   1.000
    ...
    1 image, 1 true and 1 predicted objects; means over images, but for the pooled row
    """
    keys = list(summary["ap"])
    lines = ["IoU".ljust(10) + "".join(f"{key:>6}" for key in keys) + " 0.5-0.9"]
    for title, name, mean in ROWS:
        cells = "".join(f"{summary[name][key]:6.3f}" for key in keys)
        lines.append(title.ljust(10) + cells + (f"{summary[mean]:8.3f}" if mean else ""))
    n = summary["n_images"]
    return "\n".join(
        [
            *lines,
            "",
            "  ".join(f"{title} {summary[name]:.3f}" for name, title in TITLES.items()),
            f"{n} image{'s' * (n != 1)}, {summary['n_true']} true and {summary['n_pred']} "
            "predicted objects; means over images, but for the pooled row",
        ]
    )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
