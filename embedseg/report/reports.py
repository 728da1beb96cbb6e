"""Reports of a training, an evaluation, a prediction, a benchmark.

These functions write a file and never raise: a failed report must not cost the work it describes.
Images are collected one by one in a `Gallery`.

Examples
--------
>>> from embedseg.report.reports import Gallery, write_prediction_report
>>> gallery = Gallery(model.config.method)               # doctest: +SKIP
>>> gallery.add("a", image, model.segment_objects(image))           # doctest: +SKIP
>>> write_prediction_report("report.html", model, gallery)     # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedseg.report.contents import benchmark_page, evaluation_page, prediction_page, training_page
from embedseg.report.gallery import Gallery
from embedseg.report.html import write_page

if TYPE_CHECKING:
    from embedseg.benchmark import Record
    from embedseg.data import Sample
    from embedseg.segmenter import Segmenter


def write_training_report(
    path: Path | str,
    segmenter: Segmenter,
    data: Path | str,
    *,
    folder: Path | None = None,
    command: str = "",
) -> bool:
    """Write the report of a training; parameters as in `embedseg.report.contents.training_page`.

    Validation images are segmented for it, for at most half a minute.

    Returns
    -------
    bool
        Whether it was written; if not, the reason is logged.
    """
    return write_page(path, lambda: training_page(segmenter, data, folder=folder, command=command))


def write_evaluation_report(
    path: Path | str,
    segmenter: Segmenter,
    gallery: Gallery,
    samples: Sequence[Sample],
    *,
    title: str = "Evaluation",
    folder: Path | None = None,
    command: str = "",
) -> bool:
    """Write the report of an evaluation; see `write_training_report`."""
    return write_page(
        path,
        lambda: evaluation_page(
            segmenter, gallery, samples, title=title, folder=folder, command=command
        ),
    )


def write_prediction_report(
    path: Path | str,
    segmenter: Segmenter,
    gallery: Gallery,
    *,
    title: str = "Prediction",
    **known: Any,
) -> bool:
    """Write the report of images without truth; see `write_training_report`."""
    return write_page(path, lambda: prediction_page(segmenter, gallery, title=title, **known))


def write_benchmark_report(
    path: Path | str, records: Sequence[Record], *, title: str = "Benchmark", **known: Any
) -> bool:
    """Write the report of a benchmark; see `write_training_report`."""
    return write_page(path, lambda: benchmark_page(records, title=title, **known))
