"""Views of labels: objects or classes.

There is one way for objects and one for classes; `view_of` asks the method which it reads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg import labels as lab
from embedseg.methods import Method
from embedseg.plots import MISSED, NOT_ANNOTATED, class_colours, label_colours
from embedseg.report.charts import Chart, Series, histogram
from embedseg.report.overlays import (
    AREA,
    CLASS_AREA,
    KINDS,
    PREDICTED,
    Colour,
    Kind,
    Pixels,
    areas,
    outlines,
    stamp,
    veil,
)
from embedseg.scoring import ErrorTypes, Table, classify_errors
from embedseg.types import Labels, Segmentation


class Judged(NamedTuple):
    """What is wrong with an image: numbers by name, and what a view knows beyond them."""

    counts: Mapping[str, float]
    detail: Any


class View(ABC):
    """How labels of a kind are shown; `colours` are those of the method."""

    #: What the layer of errors shows, and what the others do.
    kinds: Sequence[Kind]
    palette: Sequence[Kind]
    #: What has to be known to read the pictures.
    hint: ClassVar[str] = ""

    def __init__(self, colours: Mapping[str, str]) -> None:
        self.colours = colours

    @abstractmethod
    def judge(self, truth: Labels, predicted: Labels) -> Judged:
        """Compare the labels of an image."""

    @abstractmethod
    def columns(self, judged: Judged) -> dict[str, str]:
        """Return what a table of images says of one, by column."""

    @abstractmethod
    def tables(self, judged: Sequence[Judged]) -> list[Table]:
        """Sum up what is wrong with all images."""

    @abstractmethod
    def paint(
        self, truth: Labels | None, predicted: Labels, judged: Judged | None
    ) -> dict[str, Pixels]:
        """Paint thumbnails (Z, Y, X): (Z, Y, X, 4) by layer; without truth the prediction alone."""

    @abstractmethod
    def tally(self, labels: Labels) -> NDArray[np.int64]:
        """Count the pixels of each object, or of each class."""

    @abstractmethod
    def amount(self, tallies: Sequence[NDArray[Any]]) -> str:
        """Say how much there is in images of which these are the tallies."""

    @abstractmethod
    def distribution(self, tallies: Mapping[str, Sequence[NDArray[Any]]], unit: str) -> Chart:
        """Draw tallies of images by series: "truth", "prediction"."""

    @abstractmethod
    def sureness(self, found: Segmentation, judged: Judged | None) -> dict[str, NDArray[Any]]:
        """Return the scores that a model gave to what it found, by what came of it."""


class ObjectView(View):
    """Objects, each in a colour of its own; errors by their types."""

    kinds = KINDS
    palette = ()
    hint = "A predicted object has the colour of the true one that it matches."

    def judge(self, truth: Labels, predicted: Labels) -> Judged:
        """Tell objects that are matched, missed, split, merged or spurious."""
        found = classify_errors(truth, predicted)
        return Judged(found.counts(), found)

    def columns(self, judged: Judged) -> dict[str, str]:
        """Return the number of each kind."""
        return {kind.name: str(judged.counts[kind.name]) for kind in KINDS}

    def tables(self, judged: Sequence[Judged]) -> list[Table]:
        """Count true and predicted objects of each kind."""
        total = {name: sum(int(each.counts[name]) for each in judged) for name in judged[0].counts}
        rows = []
        for kind in KINDS:
            other = PREDICTED.get(kind.name, "")
            found = f"{total[other]} {other}" if other else ""
            true = "" if kind.name == "spurious" else str(total[kind.name])
            rows.append((f"{kind.mark} {kind.name}".strip(), true, found, kind.meaning))
        return [
            Table(
                "Objects by type of error",
                ("type", "true objects", "predicted objects", "meaning"),
                rows,
            )
        ]

    def paint(
        self, truth: Labels | None, predicted: Labels, judged: Judged | None
    ) -> dict[str, Pixels]:
        """Paint a predicted object in the colour of its match."""
        if truth is None or judged is None:
            return {"prediction": areas(predicted, label_colours(predicted))}
        kinds: ErrorTypes = judged.detail
        numbers = np.arange(
            max(int(predicted.max(initial=0)), 0, int(kinds.matched[:, 1].max(initial=0))) + 1
        )
        numbers[1:] += max(int(truth.max(initial=0)), 0)
        numbers[kinds.matched[:, 1]] = kinds.matched[:, 0]
        recoloured = numbers[np.maximum(predicted, 0)]
        return {
            "truth": areas(truth, label_colours(truth)),
            "prediction": areas(predicted, label_colours(recoloured)),
            "errors": self._errors(truth, predicted, kinds),
        }

    def _errors(self, truth: Labels, predicted: Labels, kinds: ErrorTypes) -> Pixels:
        colour = {kind.name: kind.colour for kind in KINDS}
        painted = np.zeros((*truth.shape, 4), np.uint8)
        painted[truth < 0] = (*NOT_ANNOTATED, CLASS_AREA)
        for labels, ids, name, area in (
            (predicted, kinds.matched[:, 1], "matched", 0),
            (truth, kinds.split, "split", 0),
            (truth, kinds.merged, "merged", 0),
            (predicted, kinds.fragments, "split", AREA),
            (predicted, kinds.merging, "merged", AREA),
            (truth, kinds.missed, "missed", AREA),
            (predicted, kinds.spurious, "spurious", AREA),
        ):
            kept = np.where(np.isin(labels, ids), labels, 0)
            if area:
                painted[kept > 0] = (*colour[name], area)
            painted[outlines(kept)] = (*colour[name], 255)
        for kind in KINDS:
            if kind.mark:
                labels = predicted if kind.name == "spurious" else truth
                stamp(painted, labels, getattr(kinds, kind.name), kind)
        return painted

    def tally(self, labels: Labels) -> NDArray[np.int64]:
        """Return the size of each object."""
        return lab.object_sizes(labels)

    def amount(self, tallies: Sequence[NDArray[Any]]) -> str:
        """Say how many objects there are."""
        counts = [len(sizes) for sizes in tallies]
        return (
            f"{sum(counts):,} objects, {np.median(counts):g} in an image (median; "
            f"{min(counts)} to {max(counts)})"
        )

    def distribution(self, tallies: Mapping[str, Sequence[NDArray[Any]]], unit: str) -> Chart:
        """Draw how large objects are."""
        joined = [(name, np.concatenate([np.zeros(0), *sizes])) for name, sizes in tallies.items()]
        return histogram(
            "How large objects are",
            f"size, {unit}",
            [(name, sizes.tolist()) for name, sizes in joined],
            log=True,
        )

    def sureness(self, found: Segmentation, judged: Judged | None) -> dict[str, NDArray[Any]]:
        """Return the scores of objects that are matched and of the others."""
        if found.objects is None or "score" not in found.objects:
            return {}
        scores = np.asarray(found.objects["score"])
        if judged is None:
            return {"found": scores}
        detail: ErrorTypes = judged.detail
        wrong = np.concatenate([detail.fragments, detail.merging, detail.spurious])
        return {"matched": scores[detail.matched[:, 1] - 1], "not matched": scores[wrong - 1]}


class ClassView(View):
    """Classes in their colours; errors are pixels of another class."""

    def __init__(self, colours: Mapping[str, str]) -> None:
        super().__init__(colours)
        self.kinds = (Kind("wrong pixels", MISSED, "", "of another class than the true one"),)
        self.palette = [Kind(name, _rgb(colour), "", "") for name, colour in colours.items()]

    def judge(self, truth: Labels, predicted: Labels) -> Judged:
        """Count wrong pixels among the annotated ones."""
        known = truth >= 0
        return Judged(
            {"wrong": int(((truth != predicted) & known).sum()), "pixels": int(known.sum())}, None
        )

    def columns(self, judged: Judged) -> dict[str, str]:
        """Return the share of wrong pixels."""
        return {"wrong pixels": f"{_share(judged.counts):.1f} %"}

    def tables(self, judged: Sequence[Judged]) -> list[Table]:
        """Count wrong pixels."""
        total = {name: sum(each.counts[name] for each in judged) for name in ("wrong", "pixels")}
        return [
            Table(
                "Wrong pixels",
                ("pixels", "how many", "share"),
                [
                    ("annotated", f"{total['pixels']:,}", "100 %"),
                    (
                        "of another class than the true one",
                        f"{total['wrong']:,}",
                        f"{_share(total):.2f} %",
                    ),
                ],
            )
        ]

    def paint(
        self, truth: Labels | None, predicted: Labels, judged: Judged | None
    ) -> dict[str, Pixels]:
        """Paint classes, and wrong pixels."""
        found = veil(class_colours(predicted, self.colours))
        if truth is None:
            return {"prediction": found}
        wrong = np.zeros((*truth.shape, 4), np.uint8)
        wrong[(truth >= 0) & (truth != predicted)] = (*MISSED, 200)
        wrong[truth < 0] = (*NOT_ANNOTATED, CLASS_AREA)
        return {
            "truth": veil(class_colours(truth, self.colours)),
            "prediction": found,
            "errors": wrong,
        }

    def tally(self, labels: Labels) -> NDArray[np.int64]:
        """Return the pixels of each class."""
        return np.bincount(labels[labels >= 0], minlength=len(self.colours)).astype(np.int64)

    def amount(self, tallies: Sequence[NDArray[Any]]) -> str:
        """Say which share of the pixels belongs to each class."""
        total = np.sum(tallies, axis=0)
        return ", ".join(
            f"{name} {100 * count / max(total.sum(), 1):.1f} %"
            for name, count in zip(self.colours, total, strict=True)
        )

    def distribution(self, tallies: Mapping[str, Sequence[NDArray[Any]]], unit: str) -> Chart:
        """Draw which share of the pixels belongs to each class."""
        series = []
        for name, counts in tallies.items():
            total = np.sum(counts, axis=0)
            series.append(
                Series(name, list(range(len(total))), (100 * total / max(total.sum(), 1)).tolist())
            )
        return Chart(
            "How much of the images belongs to each class",
            "class",
            "% of the pixels",
            tuple(series),
            "bars",
            names=tuple(self.colours),
        )

    def sureness(self, found: Segmentation, judged: Judged | None) -> dict[str, NDArray[Any]]:
        """Return nothing: pixels have no scores here."""
        return {}


#: By what the masks hold that a method reads.
VIEWS: dict[str, Callable[[Mapping[str, str]], View]] = {
    "objects": ObjectView,
    "classes": ClassView,
}


def view_of(method: Method) -> View:
    """Return how the labels of a method are shown."""
    return VIEWS[method.reads](method.colours)


def _rgb(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _share(counts: Mapping[str, float]) -> float:
    return 100 * counts["wrong"] / max(counts["pixels"], 1)
