"""Reports of a training, an evaluation, a prediction, a benchmark.

`training_report` and its like write a file and never raise: a report must not cost the work that it
is about. Images are collected one by one in a `Gallery`.

Examples
--------
>>> from embedseg.report.reports import Gallery, prediction_report
>>> gallery = Gallery(model.config.method)               # doctest: +SKIP
>>> gallery.add("a", image, model.find(image))           # doctest: +SKIP
>>> prediction_report("report.html", model, gallery)     # doctest: +SKIP
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


def training_report(
    path: Path | str,
    segmenter: Segmenter,
    data: Path | str,
    *,
    folder: Path | None = None,
    command: str = "",
) -> bool:
    """Write the report of a training; parameters as in `embedseg.report.contents.training_page`.

    Validation images are segmented for it, at most half a minute long.

    Returns
    -------
    bool
        Whether it was written; if not, the log says why.
    """
    return write_page(path, lambda: training_page(segmenter, data, folder=folder, command=command))


def evaluation_report(
    path: Path | str,
    segmenter: Segmenter,
    gallery: Gallery,
    samples: Sequence[Sample],
    *,
    title: str = "Evaluation",
    folder: Path | None = None,
    command: str = "",
) -> bool:
    """Write the report of an evaluation; see `training_report`."""
    return write_page(
        path,
        lambda: evaluation_page(
            segmenter, gallery, samples, title=title, folder=folder, command=command
        ),
    )


def prediction_report(
    path: Path | str,
    segmenter: Segmenter,
    gallery: Gallery,
    *,
    title: str = "Prediction",
    **known: Any,
) -> bool:
    """Write the report of images whose truth is not known; see `training_report`."""
    return write_page(path, lambda: prediction_page(segmenter, gallery, title=title, **known))


def benchmark_report(
    path: Path | str, records: Sequence[Record], *, title: str = "Benchmark", command: str = ""
) -> bool:
    """Write the report of a benchmark; see `training_report`."""
    return write_page(path, lambda: benchmark_page(records, title=title, command=command))
