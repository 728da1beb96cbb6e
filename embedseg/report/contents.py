"""Contents of the pages, by command."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from embedseg.benchmark import (
    GROUP_KEYS,
    BenchmarkSetup,
    Record,
    comparison_cells,
    format_curve_label,
    group_records,
)
from embedseg.common import __version__, pick_evenly, plural
from embedseg.data import Sample, annotated_samples, compute_statistics, load_training
from embedseg.evaluation import segment_sample_objects
from embedseg.model import ModelFolder, describe_data, measure_data
from embedseg.report.benchmark_sections import run_sections
from embedseg.report.charts import Chart, Series
from embedseg.report.gallery import Gallery
from embedseg.report.gallery_sections import (
    MAX_ROWS,
    distribution_charts,
    format_score,
    format_sizes,
    headline_tiles,
    images_table,
    picture_sections,
    score_sections,
)
from embedseg.report.html import Page, Section
from embedseg.report.sections import (
    curve_chart,
    list_environment,
    list_settings,
    options_table,
    split_facts,
    training_charts,
    tuning_table,
)
from embedseg.scoring import Table

if TYPE_CHECKING:
    from embedseg.segmenter import Segmenter

#: Validation images segmented for the report of a training, and seconds for it, at most.
MAX_IMAGES, MAX_SECONDS = 24, 30.0


def training_page(
    segmenter: Segmenter, data: Path | str, *, folder: Path | None = None, command: str = ""
) -> Page:
    """Return the report of a training: curves, and predictions in validation images.

    Parameters
    ----------
    segmenter : Segmenter
        Trained.
    data : path
        The data folder.
    folder : Path, optional
        Of the model, with the results of tuning.
    command : str
        The command line.
    """
    options, history = segmenter.config.data, segmenter.history
    loaded = load_training(Path(data), options, segmenter.config.channels)
    stats = measure_data(loaded.train, segmenter.config.ndim, options)
    val = annotated_samples(loaded.val)
    gallery = _segment_some(segmenter, val)
    last = history[-1] if history else {}
    lead = (
        f"Trained on {data}"
        + (f" for {last['minutes']:.1f} minutes, {last['step']:.0f} steps" if last else "")
        + f", on {segmenter.device}. Scores and pictures below are of "
        f"{len(gallery.entries)} of {len(val)} validation images; the net was not trained "
        "on them, but weights and thresholds were chosen by them."
    )
    return Page(
        f"Training of {folder.name if folder else 'a model'}",
        lead,
        headline_tiles(gallery),
        [
            Section("Training", charts=training_charts(history)),
            *score_sections(gallery),
            Section("Data", facts=split_facts([*describe_data(stats), *loaded.messages])),
            *_model_sections(segmenter, folder),
            _reproduction_section(segmenter.device, command),
        ],
        _make_footer(),
    )


def evaluation_page(
    segmenter: Segmenter,
    gallery: Gallery,
    samples: Sequence[Sample],
    *,
    title: str,
    folder: Path | None = None,
    command: str = "",
) -> Page:
    """Return the report of an evaluation.

    Parameters
    ----------
    segmenter : Segmenter
    gallery : Gallery
        With all images, their truth and scores.
    samples : sequence of Sample
        The same images.
    title : str
    folder, command
        As in `training_page`.
    """
    stats = compute_statistics(samples, segmenter.config.data.classes)
    lead = f"{len(samples)} images, segmented on {segmenter.device} and compared with their masks."
    return Page(
        title,
        lead,
        headline_tiles(gallery),
        [
            *score_sections(gallery),
            Section("Data", facts=split_facts(describe_data(stats))),
            Section("Training", charts=training_charts(segmenter.history)),
            *_model_sections(segmenter, folder),
            _reproduction_section(segmenter.device, command),
        ],
        _make_footer(),
    )


def prediction_page(
    segmenter: Segmenter,
    gallery: Gallery,
    *,
    title: str,
    failed: int = 0,
    skipped: int = 0,
    folder: Path | None = None,
    command: str = "",
) -> Page:
    """Return the report of images without truth.

    Parameters
    ----------
    segmenter, gallery, title, folder, command
        As in `evaluation_page`.
    failed, skipped : int
        Number of images that failed, and of images skipped as segmented before.
    """
    n = len(gallery.entries)
    lead = f"{plural(n, 'image')} segmented on {segmenter.device}, without masks to compare with."
    notes = [
        f"{count} {'was' if count == 1 else 'were'} {why}, and not counted here."
        for count, why in (
            (failed, "not segmented, as the errors of the command say"),
            (skipped, "there already and skipped"),
        )
        if count
    ]
    sizes = gallery.sizes.get("prediction", [])
    facts = (
        [("images", format_sizes(gallery)), ("found", gallery.view.describe(sizes))]
        if sizes
        else []
    )
    return Page(
        title,
        " ".join([lead, *notes]),
        {"images": str(n)},
        [
            Section("Found", facts=facts, charts=distribution_charts(gallery)),
            *picture_sections(gallery),
            Section(
                "All images",
                [f"The first {MAX_ROWS} of {n}."] if n > MAX_ROWS else [],
                tables=[images_table(gallery)] if n else [],
            ),
            *_model_sections(segmenter, folder),
            _reproduction_section(segmenter.device, command),
        ],
        _make_footer(),
    )


def benchmark_page(
    records: Sequence[Record],
    *,
    title: str,
    command: str = "",
    setup: BenchmarkSetup | None = None,
) -> Page:
    """Return the report of a benchmark.

    Parameters
    ----------
    records : sequence of dict
        As `embedseg.benchmark.run_benchmark` returns them.
    title, command : str
    setup : BenchmarkSetup, optional
        Of the benchmark: errors and pictures are made from its folder and data.
    """
    trained = [run for run in records if run["minutes"]]
    name, meaning = records[0]["main"]
    # The best mean over seeds, not the luckiest run.
    best = max(
        float(np.mean([run["headline"][name] or 0 for run in group]))
        for group in group_records(records, GROUP_KEYS).values()
    )
    charts = [_mean_profiles(records)]
    if len({run["minutes"] for run in trained}) > 1:
        charts.append(_time_chart(trained, name, meaning))
    return Page(
        title,
        f"{len(trained)} trainings, compared by {meaning}; the first row is a baseline without "
        "training.",
        {"trainings": str(len(trained)), f"best {name}": format_score(best)},
        [
            Section("Comparison", tables=[comparison_cells(records)], charts=charts),
            Section("Runs", tables=[_runs_table(records)]),
            *(run_sections(setup, records) if setup else []),
            _reproduction_section("cpu", command),
        ],
        _make_footer(),
    )


# -- sections --------------------------------------------------------------------------------------
def _segment_some(segmenter: Segmenter, val: Sequence[Sample]) -> Gallery:
    """Segment evenly spaced validation images within the time limit."""
    gallery, begun = Gallery(segmenter.config.method), time.monotonic()
    chosen = pick_evenly(len(val), MAX_IMAGES)
    for i in chosen:
        if time.monotonic() - begun > MAX_SECONDS:
            break
        sample = val[i]
        planes = segmenter.config.ndim < sample.labels.ndim or None
        gallery.add(
            sample.name,
            sample.image,
            segment_sample_objects(segmenter, sample, planes=planes),
            sample.labels,
            spacing=sample.spacing,
        )
    return gallery


def _model_sections(segmenter: Segmenter, folder: Path | None) -> list[Section]:
    held = ModelFolder(folder).trials() if folder else None
    return [
        Section("Settings", facts=list_settings(segmenter), tables=[options_table(segmenter)]),
        *([Section("Tuning", [held["words"]], tables=[tuning_table(held)])] if held else []),
    ]


def _reproduction_section(device: torch.device | str, command: str) -> Section:
    return Section("How to get this again", facts=list_environment(device), command=command)


def _mean_profiles(records: Sequence[Record]) -> Chart:
    """Chart the mean profiles of the longest trainings, and that of the baseline."""
    longest = max(run["minutes"] for run in records)
    profiles = []
    for key, group in group_records(records, GROUP_KEYS).items():
        if key[-1] in (0, longest):
            means = np.mean([list(run["profile"].values()) for run in group], axis=0).tolist()
            profile = dict(zip(group[0]["profile"], means, strict=True))
            profiles.append((format_curve_label(key[:4]), profile))
    length = f"{longest:g} minutes of training" if longest else "no training"
    x_label, y_label = records[0]["axes"]
    return curve_chart(profiles, x_label, y_label, f"Means over the runs, {length}")


def _runs_table(records: Sequence[Record]) -> Table:
    """Return a table with a row for each run."""
    heads = list(dict.fromkeys(key for run in records for key in run["headline"]))
    rows = [
        (
            format_curve_label((run["method"], run["net"], run["ndim"], run["preset"])),
            str(run["seed"]),
            f"{run['trained']:.1f}",
            str(run["steps"]),
            *(format_score(run["headline"].get(key)) for key in heads),
            f"{run['mpx_per_s']:.2f}",
            str(run["device"]),
        )
        for run in records
    ]
    columns = ("run", "seed", "minutes", "steps", *heads, "Mpx/s", "device")
    return Table("All runs", columns, rows)


def _time_chart(trained: Sequence[Record], name: str, meaning: str) -> Chart:
    series = []
    for key, group in group_records(trained, GROUP_KEYS[:4]).items():
        times = group_records(group, ("minutes",))
        points = sorted(times)
        series.append(
            Series(
                format_curve_label(key),
                [point[0] for point in points],
                [
                    float(np.mean([run["headline"][name] for run in times[point]]))
                    for point in points
                ],
            )
        )
    return Chart("Accuracy against time", "minutes of training", meaning, tuple(series), log_x=True)


def _make_footer() -> str:
    return (
        f"Written by embedseg {__version__} on {datetime.now():%Y-%m-%d %H:%M}. This file "
        "holds all that it shows."
    )
