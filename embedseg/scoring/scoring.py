"""Scoring of predictions, by objects or by classes.

`ObjectScoring` scores methods that segment objects, `ClassScoring` those that segment classes;
each method names its scoring.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from numpy.typing import NDArray

from embedseg.scoring.class_tables import (
    CLASS_COLUMNS,
    class_rows,
    class_table,
    confusion_rows,
    flat_class_scores,
)
from embedseg.scoring.classes import DenseScores, score_classes, summarise_classes
from embedseg.scoring.object_tables import (
    BY_THRESHOLD,
    ROWS,
    SINGLE,
    object_table,
    split_titles,
    summarise_objects,
)
from embedseg.scoring.objects import Scores, score

Summary = dict[str, Any]


class Table(NamedTuple):
    """A table for people.

    Attributes
    ----------
    title : str
        Title above the table.
    columns : tuple of str
        Heads of the columns.
    rows : sequence of tuple of str
        Cells; the first one of each row is its name.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Scoring(ABC):
    """The interface of a scoring: scores, summaries and tables of predictions."""

    @abstractmethod
    def compare(self, truth: NDArray[Any], predicted: NDArray[Any]) -> Any:
        """Return the scores of one image."""

    @abstractmethod
    def summarise(self, results: Sequence[tuple[str, Any]]) -> Summary:
        """Summarise the names and scores of the images of a data set in one JSON object."""

    @abstractmethod
    def table(self, summary: Summary) -> str:
        """Format a summary as a table for people."""

    @abstractmethod
    def tables(self, summary: Summary) -> list[Table]:
        """Return the scores of a summary as tables of cells."""

    @abstractmethod
    def row(self, scores: Any) -> dict[str, float]:
        """Return the scores of one image by column of a table."""

    @abstractmethod
    def headline(self, summary: Summary) -> dict[str, float]:
        """Return the few scores by which models are compared; one of them is named in `main`."""

    @abstractmethod
    def profile(self, summary: Summary) -> dict[str, float]:
        """Return the scores that make a curve, by threshold or by class."""

    #: The main score in `headline`, and its meaning.
    main: ClassVar[tuple[str, str]]
    #: Names of the axes of `profile`.
    axes: ClassVar[tuple[str, str]]


@dataclass(frozen=True)
class ObjectScoring(Scoring):
    """Scoring of objects: AP over IoU thresholds and the other scores in `Scores`."""

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
        """Return tables of the scores by IoU threshold and of the single ones."""
        # A line for each threshold: the table fits the screen of a phone.
        by_threshold = [
            (key, *(f"{summary[name][key]:.3f}" for _, name, _ in ROWS)) for key in summary["ap"]
        ]
        means = (f"{summary[mean]:.3f}" if mean else "" for _, _, mean in ROWS)
        by_threshold.append((".50 to .90", *means))
        columns = ("IoU", *(title for title, _, _ in ROWS))
        first, others = (
            [(title, f"{summary[name]:.3f}") for name, title in titles.items()]
            for titles in split_titles(summary)
        )
        dense = f"Objects cover {summary.get('covered', 0):.0%} of the annotated pixels"
        return [
            *([Table(dense, ("score", "value"), first)] if first else []),
            Table("Scores by IoU threshold", columns, by_threshold),
            Table("Other scores", ("score", "value"), others),
        ]

    def row(self, scores: Scores) -> dict[str, float]:
        """Return counts and all scores of one image ("ap_0.50" ...)."""
        columns: dict[str, float] = {"n_true": scores.n_true, "n_pred": scores.n_pred}
        columns |= {name: getattr(scores, name) for name in SINGLE}
        for name in BY_THRESHOLD:
            columns |= {f"{name}_{key}": value for key, value in getattr(scores, name).items()}
        return columns

    def headline(self, summary: Summary) -> dict[str, float]:
        """Return AP at three thresholds, its mean, and PQ; first VOI, if objects fill the image."""
        ap, first = summary["ap"], split_titles(summary)[0]
        return {
            **{title: summary[name] for name, title in first.items()},
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
    """Scoring of classes: IoU, Dice and confusion; see `embedseg.scoring.classes`.

    Attributes
    ----------
    names : tuple of str
        Names of the classes, in their order.
    membrane : int, optional
        Class that separates regions, which are then scored too.
    planes : bool
        Whether the regions of a volume are those of its planes.
    """

    names: tuple[str, ...]
    membrane: int | None = None
    planes: bool = False
    main: ClassVar[tuple[str, str]] = ("mean IoU", "mean IoU over the classes")
    axes: ClassVar[tuple[str, str]] = ("class", "IoU")

    def compare(self, truth: NDArray[Any], predicted: NDArray[Any]) -> DenseScores:
        """Return `score_classes` of one image."""
        return score_classes(truth, predicted, len(self.names), self.membrane, self.planes)

    def summarise(self, results: Sequence[tuple[str, DenseScores]]) -> Summary:
        """Return `summarise_classes`."""
        return summarise_classes(results, self.names)

    def table(self, summary: Summary) -> str:
        """Return `class_table`."""
        return class_table(summary)

    def tables(self, summary: Summary) -> list[Table]:
        """Return tables of the scores by class, of the confusion, and of the regions."""
        regions = [(name, f"{value:.3f}") for name, value in (summary.get("regions") or {}).items()]
        return [
            Table("Scores by class", CLASS_COLUMNS, class_rows(summary)),
            Table(
                "Confusion: % of the true pixels of a class that are predicted as which",
                ("true class", *summary["iou"]),
                confusion_rows(summary),
            ),
            *([Table("Scores of regions", ("score", "value"), regions)] if regions else []),
        ]

    def row(self, scores: DenseScores) -> dict[str, float]:
        """Return `flat_class_scores`."""
        return flat_class_scores(scores, self.names)

    def headline(self, summary: Summary) -> dict[str, float]:
        """Return the means of IoU and Dice, the accuracy, and the scores of regions, if any."""
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
        """Return IoU by class; 0 for a class that is neither true nor predicted."""
        return {name: value or 0.0 for name, value in summary["iou"].items()}
