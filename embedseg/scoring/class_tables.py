"""Tables of class scores, for people and for CSV files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from embedseg.common import plural
from embedseg.scoring.classes import DenseScores, check_class_names, divide, sum_confusion

#: Columns of `class_rows`.
CLASS_COLUMNS = ("class", "IoU", "Dice", "precision", "recall", "share")


def class_table(summary: dict[str, Any]) -> str:
    """Format a summary as a table for people; long names of classes are shortened.

    Examples
    --------
    >>> from embedseg.scoring.classes import score_classes, summarise_classes
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
    lines += [
        "",
        f"pixel accuracy {_text(summary['accuracy'])}, IoU of an image "
        f"{_text(summary['per_image']['iou_mean'])}; {plural(summary['n_images'], 'image')}, "
        f"{summary['n_pixels']} pixels",
    ]
    if regions := summary.get("regions"):
        parts = (
            f"{title} {regions[key]:.3f} (split {regions[f'{key}_split']:.3f}, merge "
            f"{regions[f'{key}_merge']:.3f})"
            for key, title in (("v_rand", "V_rand"), ("v_info", "V_info"))
        )
        lines.append("  ".join((*parts, f"Rand error {regions['adapted_rand_error']:.3f}")))
    lines += ["", _row("% of the true", summary["iou"])]
    lines += [_row(row[0], row[1:]) for row in confusion_rows(summary)]
    return "\n".join(lines)


def class_rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each class of a summary, with the columns of `CLASS_COLUMNS`.

    Examples
    --------
    >>> from embedseg.scoring.classes import score_classes, summarise_classes
    >>> half = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), classes=2)
    >>> class_rows(summarise_classes([("a", half)], ["cell", "membrane"]))[0]
    ('cell', '0.500', '0.667', '0.500', '1.000', '50.0%')
    """
    right, true, predicted = sum_confusion(np.array(summary["confusion"]))
    columns = (
        summary["iou"].values(),
        summary["dice"].values(),
        divide(right, predicted),
        divide(right, true),
        summary["frequency"].values(),
    )
    return [
        (name, *map(_text, scores), _text(share, ".1%"))
        for name, *scores, share in zip(summary["iou"], *columns, strict=True)
    ]


def confusion_rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each true class: the percentage of its pixels predicted as each class.

    Examples
    --------
    >>> from embedseg.scoring.classes import score_classes, summarise_classes
    >>> half = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), classes=2)
    >>> confusion_rows(summarise_classes([("a", half)], ["cell", "membrane"]))[1]
    ('membrane', '100.0', '0.0')
    """
    confusion = np.array(summary["confusion"])
    parts = divide(confusion, confusion.sum(axis=1, keepdims=True))
    return [
        (name, *(_text(100 * share, ".1f") for share in row))
        for name, row in zip(summary["iou"], parts, strict=True)
    ]


def flat_class_scores(scores: DenseScores, names: Sequence[str]) -> dict[str, float]:
    """Return the scores of an image as one row of a table: "iou_<name>", "dice_<name>", ...

    Examples
    --------
    >>> from embedseg.scoring.classes import score_classes
    >>> scores = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), classes=2)
    >>> flat_class_scores(scores, ["a", "b"])["iou_a"]
    0.5
    """
    check_class_names(scores, names)
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


def _text(value: float | None, style: str = ".3f") -> str:
    return "-" if value is None or np.isnan(value) else format(value, style)


def _row(title: str, cells: Iterable[str]) -> str:
    """Format a row: 13 characters for its title, 10 for each cell."""
    return f"{_fit(title, 13):<13}" + "".join(f"{_fit(cell, 9):>10}" for cell in cells)


def _fit(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"
