"""Views of labels: objects or classes.

`make_view` returns the view that suits the labels which a method reads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg import labels as lab
from embedseg.methods import Method
from embedseg.plots import MISSED_COLOUR, NOT_ANNOTATED_COLOUR, paint_classes, paint_labels
from embedseg.report.charts import Chart, Series, make_histogram
from embedseg.report.overlays import (
    AREA_ALPHA,
    CLASS_ALPHA,
    ERROR_KINDS,
    PREDICTED_NAMES,
    Colour,
    LegendItem,
    Pixels,
    draw_marks,
    find_outlines,
    make_translucent,
    paint_objects,
)
from embedseg.scoring import ErrorTypes, Table, classify_errors
from embedseg.types import Labels, Segmentation


class ImageErrors(NamedTuple):
    """Errors in an image: counts by name, and details of the view."""

    counts: Mapping[str, float]
    detail: Any


class View(ABC):
    """Presentation of labels in a report; `colours` are those of the method."""

    #: Legends of the layer of errors, and of the other layers.
    legend: Sequence[LegendItem]
    palette: Sequence[LegendItem]
    #: Explanation of the pictures.
    hint: ClassVar[str] = ""

    def __init__(self, colours: Mapping[str, str]) -> None:
        self.colours = colours

    @abstractmethod
    def compare(self, truth: Labels, predicted: Labels) -> ImageErrors:
        """Return the errors in the labels of an image."""

    @abstractmethod
    def columns(self, errors: ImageErrors) -> dict[str, str]:
        """Return the cells of an image in the table of images, by column."""

    @abstractmethod
    def tables(self, errors: Sequence[ImageErrors]) -> list[Table]:
        """Return tables of the errors in all images."""

    @abstractmethod
    def paint(
        self, truth: Labels | None, predicted: Labels, errors: ImageErrors | None
    ) -> dict[str, Pixels]:
        """Paint thumbnails (Z, Y, X): (Z, Y, X, 4) by layer; without truth the prediction alone."""

    @abstractmethod
    def count_pixels(self, labels: Labels) -> NDArray[np.int64]:
        """Count the pixels of each object, or of each class."""

    @abstractmethod
    def describe(self, sizes: Sequence[NDArray[Any]]) -> str:
        """Describe the contents of images from their pixel counts."""

    @abstractmethod
    def size_chart(self, sizes: Mapping[str, Sequence[NDArray[Any]]], unit: str) -> Chart:
        """Chart the pixel counts of images by series: "truth", "prediction"."""

    @abstractmethod
    def object_scores(
        self, segmentation: Segmentation, errors: ImageErrors | None
    ) -> dict[str, NDArray[Any]]:
        """Return the scores of predicted objects by series: "matched", "not matched"."""


class ObjectView(View):
    """Objects, each in a different colour; errors by type."""

    legend = ERROR_KINDS
    palette = ()
    hint = "A predicted object has the colour of the true one that it matches."

    def compare(self, truth: Labels, predicted: Labels) -> ImageErrors:
        """Find objects that are matched, missed, split, merged or spurious."""
        types = classify_errors(truth, predicted)
        return ImageErrors(types.counts(), types)

    def columns(self, errors: ImageErrors) -> dict[str, str]:
        """Return the number of objects of each type."""
        return {item.name: str(errors.counts[item.name]) for item in ERROR_KINDS}

    def tables(self, errors: Sequence[ImageErrors]) -> list[Table]:
        """Count true and predicted objects of each type."""
        total = {name: sum(int(each.counts[name]) for each in errors) for name in errors[0].counts}
        rows = []
        for item in ERROR_KINDS:
            other = PREDICTED_NAMES.get(item.name, "")
            predicted = f"{total[other]} {other}" if other else ""
            true = "" if item.name == "spurious" else str(total[item.name])
            rows.append((f"{item.mark} {item.name}".strip(), true, predicted, item.meaning))
        return [
            Table(
                "Objects by type of error",
                ("type", "true objects", "predicted objects", "meaning"),
                rows,
            )
        ]

    def paint(
        self, truth: Labels | None, predicted: Labels, errors: ImageErrors | None
    ) -> dict[str, Pixels]:
        """Paint a predicted object in the colour of its match."""
        if truth is None or errors is None:
            return {"prediction": paint_objects(predicted, paint_labels(predicted))}
        types: ErrorTypes = errors.detail
        numbers = np.arange(
            max(int(predicted.max(initial=0)), 0, int(types.matched[:, 1].max(initial=0))) + 1
        )
        numbers[1:] += max(int(truth.max(initial=0)), 0)
        numbers[types.matched[:, 1]] = types.matched[:, 0]
        recoloured = numbers[np.maximum(predicted, 0)]
        return {
            "truth": paint_objects(truth, paint_labels(truth)),
            "prediction": paint_objects(predicted, paint_labels(recoloured)),
            "errors": self._errors(truth, predicted, types),
        }

    def _errors(self, truth: Labels, predicted: Labels, types: ErrorTypes) -> Pixels:
        colour = {item.name: item.colour for item in ERROR_KINDS}
        painted = np.zeros((*truth.shape, 4), np.uint8)
        painted[truth < 0] = (*NOT_ANNOTATED_COLOUR, CLASS_ALPHA)
        for labels, ids, name, area in (
            (predicted, types.matched[:, 1], "matched", 0),
            (truth, types.split, "split", 0),
            (truth, types.merged, "merged", 0),
            (predicted, types.fragments, "split", AREA_ALPHA),
            (predicted, types.merging, "merged", AREA_ALPHA),
            (truth, types.missed, "missed", AREA_ALPHA),
            (predicted, types.spurious, "spurious", AREA_ALPHA),
        ):
            kept = np.where(np.isin(labels, ids), labels, 0)
            if area:
                painted[kept > 0] = (*colour[name], area)
            painted[find_outlines(kept)] = (*colour[name], 255)
        for item in ERROR_KINDS:
            if item.mark:
                labels = predicted if item.name == "spurious" else truth
                draw_marks(painted, labels, getattr(types, item.name), item)
        return painted

    def count_pixels(self, labels: Labels) -> NDArray[np.int64]:
        """Return the size of each object, pixels."""
        return lab.object_sizes(labels)

    def describe(self, sizes: Sequence[NDArray[Any]]) -> str:
        """Return the number of objects, in total and per image."""
        counts = [len(of_image) for of_image in sizes]
        return (
            f"{sum(counts):,} objects, {np.median(counts):g} in an image (median; "
            f"{min(counts)} to {max(counts)})"
        )

    def size_chart(self, sizes: Mapping[str, Sequence[NDArray[Any]]], unit: str) -> Chart:
        """Chart the sizes of objects."""
        joined = [(name, np.concatenate([np.zeros(0), *values])) for name, values in sizes.items()]
        return make_histogram(
            "How large objects are",
            f"size, {unit}",
            [(name, values.tolist()) for name, values in joined],
            log=True,
        )

    def object_scores(
        self, segmentation: Segmentation, errors: ImageErrors | None
    ) -> dict[str, NDArray[Any]]:
        """Return the scores of matched objects and of the others."""
        if segmentation.objects is None or "score" not in segmentation.objects:
            return {}
        scores = np.asarray(segmentation.objects["score"])
        if errors is None:
            return {"found": scores}
        detail: ErrorTypes = errors.detail
        wrong = np.concatenate([detail.fragments, detail.merging, detail.spurious])
        return {"matched": scores[detail.matched[:, 1] - 1], "not matched": scores[wrong - 1]}


class ClassView(View):
    """Classes in their colours; errors are pixels of another class."""

    def __init__(self, colours: Mapping[str, str]) -> None:
        super().__init__(colours)
        self.legend = (
            LegendItem("wrong pixels", MISSED_COLOUR, "", "of another class than the true one"),
        )
        self.palette = [
            LegendItem(name, _parse_colour(colour), "", "") for name, colour in colours.items()
        ]

    def compare(self, truth: Labels, predicted: Labels) -> ImageErrors:
        """Count wrong pixels among the annotated ones."""
        known = truth >= 0
        return ImageErrors(
            {"wrong": int(((truth != predicted) & known).sum()), "pixels": int(known.sum())}, None
        )

    def columns(self, errors: ImageErrors) -> dict[str, str]:
        """Return the share of wrong pixels."""
        return {"wrong pixels": f"{_wrong_share(errors.counts):.1f} %"}

    def tables(self, errors: Sequence[ImageErrors]) -> list[Table]:
        """Count wrong pixels."""
        total = {name: sum(each.counts[name] for each in errors) for name in ("wrong", "pixels")}
        return [
            Table(
                "Wrong pixels",
                ("pixels", "how many", "share"),
                [
                    ("annotated", f"{total['pixels']:,}", "100 %"),
                    (
                        "of another class than the true one",
                        f"{total['wrong']:,}",
                        f"{_wrong_share(total):.2f} %",
                    ),
                ],
            )
        ]

    def paint(
        self, truth: Labels | None, predicted: Labels, errors: ImageErrors | None
    ) -> dict[str, Pixels]:
        """Paint classes, and wrong pixels."""
        prediction = make_translucent(paint_classes(predicted, self.colours))
        if truth is None:
            return {"prediction": prediction}
        wrong = np.zeros((*truth.shape, 4), np.uint8)
        wrong[(truth >= 0) & (truth != predicted)] = (*MISSED_COLOUR, 200)
        wrong[truth < 0] = (*NOT_ANNOTATED_COLOUR, CLASS_ALPHA)
        return {
            "truth": make_translucent(paint_classes(truth, self.colours)),
            "prediction": prediction,
            "errors": wrong,
        }

    def count_pixels(self, labels: Labels) -> NDArray[np.int64]:
        """Return the pixels of each class."""
        return np.bincount(labels[labels >= 0], minlength=len(self.colours)).astype(np.int64)

    def describe(self, sizes: Sequence[NDArray[Any]]) -> str:
        """Return the share of the pixels of each class."""
        total = np.sum(sizes, axis=0)
        return ", ".join(
            f"{name} {100 * count / max(total.sum(), 1):.1f} %"
            for name, count in zip(self.colours, total, strict=True)
        )

    def size_chart(self, sizes: Mapping[str, Sequence[NDArray[Any]]], unit: str) -> Chart:
        """Chart the share of the pixels of each class."""
        series = []
        for name, counts in sizes.items():
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

    def object_scores(
        self, segmentation: Segmentation, errors: ImageErrors | None
    ) -> dict[str, NDArray[Any]]:
        """Return nothing: classes have no object scores."""
        return {}


#: Views by the kind of labels that a method reads.
VIEWS: dict[str, Callable[[Mapping[str, str]], View]] = {
    "objects": ObjectView,
    "classes": ClassView,
}


def make_view(method: Method) -> View:
    """Return the view of the labels of a method."""
    return VIEWS[method.reads](method.colours)


def _parse_colour(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _wrong_share(counts: Mapping[str, float]) -> float:
    return 100 * counts["wrong"] / max(counts["pixels"], 1)
