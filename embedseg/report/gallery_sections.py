"""Sections of a gallery: scores, errors, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from embedseg.common import format_shape
from embedseg.report.charts import Chart, make_histogram
from embedseg.report.gallery import MAX_CHARACTERS, Gallery
from embedseg.report.html import Section
from embedseg.report.sections import profile_chart, reliability_chart
from embedseg.scoring import Table

#: Rows of the table of images.
MAX_ROWS = 300


def score_sections(gallery: Gallery) -> list[Section]:
    """Return the sections of scores, errors, pictures and the table of images."""
    if not gallery.results:
        return []
    scoring, n = gallery.scoring, len(gallery.results)
    summary = scoring.summarise(gallery.results)
    ranks = [entry.rank for entry in gallery.entries if np.isfinite(entry.rank)]
    paragraphs = [f"The {MAX_ROWS} worst of {n} images."] if n > MAX_ROWS else []
    by_image = (
        [
            make_histogram(
                f"{scoring.main[1]} by image",
                scoring.main[0],
                [("images", ranks)],
                bins=20,
                limits=(0.0, 1.0),
            )
        ]
        if len(ranks) > 3
        else []
    )
    return [
        Section(
            "Scores",
            tables=scoring.tables(summary),
            charts=[
                profile_chart(
                    scoring, [("all images", summary)], f"{scoring.axes[1]} by {scoring.axes[0]}"
                ),
                *by_image,
            ],
        ),
        Section(
            "Errors",
            tables=gallery.view.tables(gallery.errors),
            charts=distribution_charts(gallery),
        ),
        *picture_sections(gallery),
        Section("All images", paragraphs, tables=[images_table(gallery)]),
    ]


def images_table(gallery: Gallery) -> Table:
    """Return a table with a row for each image: what was found, and how good it is if known."""
    truth = bool(gallery.results)
    rows = sorted(gallery.entries, key=lambda entry: (not np.isfinite(entry.rank), entry.rank))
    heads = list(dict.fromkeys(key for entry in rows for key in entry.columns))
    return Table(
        "Images, the worst first" if truth else "Images",
        ("image", "size", *(["true"] if truth else []), "found", *heads),
        [
            (
                entry.name,
                format_shape(entry.shape),
                *([entry.truth] if truth else []),
                entry.contents,
                *(entry.columns.get(key, "") for key in heads),
            )
            for entry in rows[:MAX_ROWS]
        ],
    )


def picture_sections(gallery: Gallery) -> list[Section]:
    """Return the section of pictures, if there are any."""
    shown, n = gallery.pictured_entries(), len(gallery.entries)
    if not shown:
        return []
    truth = bool(gallery.results)
    order = "the worst first" if truth else "evenly spaced"
    paragraphs = [
        f"{len(shown)} of {n} images, {order}."
        if len(shown) < n
        else f"All {n} images, {order}."
        if truth and n > 1
        else ""
    ]
    if len(shown) < n:
        paragraphs.append(
            f"Pictures of the other {n - len(shown)} are left out, so that this file "
            f"stays below {(MAX_CHARACTERS + 2_000_000) // 10**6} MB."
        )
    if truth:
        paragraphs.append(gallery.view.hint)
    legend = [*(gallery.view.legend if truth else ()), *gallery.view.palette]
    return [Section("Images", [line for line in paragraphs if line], legend=legend, pictures=shown)]


def distribution_charts(gallery: Gallery) -> list[Chart]:
    """Chart sizes of objects or shares of classes, and the scores of objects."""
    charts = [gallery.view.size_chart(gallery.sizes, gallery.unit)] if gallery.sizes else []
    if any(len(values) for each in gallery.object_scores.values() for values in each):
        charts.append(
            make_histogram(
                "Scores of objects",
                "score",
                [
                    (name, np.concatenate(values).tolist())
                    for name, values in gallery.object_scores.items()
                ],
                limits=(0.0, 1.0),
                bins=20,
            )
        )
    if gallery.errors and len(gallery.object_scores) == 2:
        chart = reliability_chart(*map(np.concatenate, gallery.object_scores.values()))
        charts += [chart] if chart else []
    return charts


def headline_tiles(gallery: Gallery) -> dict[str, str]:
    """Return the number of images and the main scores, by name."""
    if not gallery.results:
        return {}
    headline = gallery.scoring.headline(gallery.scoring.summarise(gallery.results))
    return {
        "images": str(len(gallery.results)),
        **{name: format_score(value) for name, value in headline.items()},
    }


def format_sizes(gallery: Gallery) -> str:
    """Format the number of images and the range of their sizes."""
    shapes = sorted({entry.shape for entry in gallery.entries}, key=lambda shape: np.prod(shape))
    first, last = (format_shape(shape) for shape in (shapes[0], shapes[-1]))
    return f"{len(gallery.entries)} of {first}" + (f" to {last}" if last != first else "") + " px"


def format_score(value: Any) -> str:
    """Format a score with three decimals.

    Examples
    --------
    >>> format_score(0.5), format_score(None)
    ('0.500', '–')
    """
    return "–" if value is None else f"{value:.3f}"
