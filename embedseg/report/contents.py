"""Contents of the pages, by command."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from embedseg.benchmark import KEYS, Record, comparison_cells, curve_label, group_records
from embedseg.common import __version__
from embedseg.data import Sample, compute_statistics, load_training
from embedseg.evaluation import find_sample
from embedseg.model import data_in_words, measured, read_tuned
from embedseg.report.charts import Chart, Series, histogram
from embedseg.report.gallery import BUDGET, Gallery
from embedseg.report.html import Page, Section
from embedseg.report.sections import (
    curve_chart,
    environment,
    options_table,
    profile_chart,
    reliability_chart,
    settings,
    split_words,
    training_charts,
    tuning_table,
)
from embedseg.scoring import Table

if TYPE_CHECKING:
    from embedseg.segmenter import Segmenter

#: Rows of the table of images.
ROWS = 300
#: Validation images that are looked at after a training, and seconds that may take.
LOOKED_AT, SECONDS = 24, 30.0


def training_page(
    segmenter: Segmenter, data: Path | str, *, folder: Path | None = None, command: str = ""
) -> Page:
    """Return the report of a training: curves, and what the model finds in validation images.

    Parameters
    ----------
    segmenter : Segmenter
        Trained.
    data : path
        The data folder.
    folder : Path, optional
        Of the model: says what was tuned.
    command : str
        What was typed.
    """
    options, history = segmenter.config.data, segmenter.history
    loaded = load_training(Path(data), options)
    stats = measured(loaded.train, segmenter.config.ndim, options)
    val = [sample for sample in loaded.val if (sample.labels >= 0).any()]
    gallery = _looked_at(segmenter, val)
    last = history[-1] if history else {}
    lead = (
        f"Trained on {data}"
        + (f" for {last['minutes']:.1f} minutes, {last['step']:.0f} steps" if last else "")
        + f", on {segmenter.device}. Scores and pictures below are of "
        f"{len(gallery.entries)} of {len(val)} validation images; training never saw them, but "
        "weights and thresholds were chosen by them."
    )
    return Page(
        f"Training of {folder.name if folder else 'a model'}",
        lead,
        _tiles(gallery),
        [
            Section("Training", charts=training_charts(history)),
            *_judged(gallery),
            Section("Data", facts=split_words([*data_in_words(stats), *loaded.words])),
            *_about(segmenter, folder),
            _again(segmenter.device, command),
        ],
        _footer(),
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
        _tiles(gallery),
        [
            *_judged(gallery),
            Section("Data", facts=split_words(data_in_words(stats))),
            Section("Training", charts=training_charts(segmenter.history)),
            *_about(segmenter, folder),
            _again(segmenter.device, command),
        ],
        _footer(),
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
    """Return the report of images whose truth is not known.

    Parameters
    ----------
    segmenter, gallery, title, folder, command
        As in `evaluation_page`.
    failed, skipped : int
        Images that could not be segmented, and that had been before.
    """
    n = len(gallery.entries)
    lead = f"{n} image{'s' * (n != 1)} segmented on {segmenter.device}; what is true is not known."
    words = [
        f"{count} {'was' if count == 1 else 'were'} {why}, and not counted here."
        for count, why in (
            (failed, "not segmented, as the errors of the command say"),
            (skipped, "there already and skipped"),
        )
        if count
    ]
    found = gallery.tallies.get("prediction", [])
    facts = [("images", _sizes(gallery)), ("found", gallery.view.amount(found))] if found else []
    return Page(
        title,
        " ".join([lead, *words]),
        {"images": str(n)},
        [
            Section("Found", facts=facts, charts=_amounts(gallery)),
            *_pictures(gallery),
            *_about(segmenter, folder),
            _again(segmenter.device, command),
        ],
        _footer(),
    )


def benchmark_page(records: Sequence[Record], *, title: str, command: str = "") -> Page:
    """Return the report of a benchmark.

    Parameters
    ----------
    records : sequence of dict
        As `embedseg.benchmark.run_benchmark` returns them.
    title, command : str
    """
    trained = [run for run in records if run["minutes"]]
    lengths = sorted({run["minutes"] for run in trained})
    name, meaning = records[0]["main"]
    # Of one run alone, luck would choose.
    best = max(
        float(np.mean([run["headline"][name] or 0 for run in group]))
        for group in group_records(records, KEYS).values()
    )
    longest = [run for run in records if run["minutes"] in (0, lengths[-1] if lengths else 0)]
    profiles = [
        (
            curve_label(key[:4]),
            dict(
                zip(
                    group[0]["profile"],
                    np.mean([list(run["profile"].values()) for run in group], axis=0).tolist(),
                    strict=True,
                )
            ),
        )
        for key, group in group_records(longest, KEYS).items()
    ]
    x_label, y_label = records[0]["axes"]
    charts = [
        curve_chart(
            profiles,
            x_label,
            y_label,
            "Means over the runs, "
            + (f"{lengths[-1]:g} minutes of training" if lengths else "no training"),
        )
    ]
    if len(lengths) > 1:
        charts.append(_against_time(trained, name, meaning))
    heads = list(dict.fromkeys(key for run in records for key in run["headline"]))
    runs = Table(
        "All runs",
        ("run", "seed", "minutes", "steps", *heads, "Mpx/s", "device"),
        [
            (
                curve_label((run["method"], run["net"], run["ndim"], run["preset"])),
                str(run["seed"]),
                f"{run['trained']:.1f}",
                str(run["steps"]),
                *(_cell(run["headline"].get(key)) for key in heads),
                f"{run['mpx_per_s']:.2f}",
                str(run["device"]),
            )
            for run in records
        ],
    )
    return Page(
        title,
        f"{len(trained)} trainings, compared by {meaning}; the first line needs no training.",
        {"trainings": str(len(trained)), f"best {name}": _cell(best)},
        [
            Section("Comparison", tables=[comparison_cells(records)], charts=charts),
            Section("Runs", tables=[runs]),
            _again("cpu", command),
        ],
        _footer(),
    )


# -- sections --------------------------------------------------------------------------------------
def _looked_at(segmenter: Segmenter, val: Sequence[Sample]) -> Gallery:
    """Segment validation images, evenly spaced ones, as long as that may take."""
    gallery, begun = Gallery(segmenter.config.method), time.monotonic()
    chosen = np.linspace(0, len(val) - 1, min(len(val), LOOKED_AT)).round().astype(int)
    for i in chosen:
        if time.monotonic() - begun > SECONDS:
            break
        sample = val[i]
        planes = segmenter.config.ndim < sample.labels.ndim or None
        gallery.add(
            sample.name,
            sample.image,
            find_sample(segmenter, sample, planes=planes),
            sample.labels,
            spacing=sample.spacing,
        )
    return gallery


def _judged(gallery: Gallery) -> list[Section]:
    """Return scores, errors, pictures and a row for each image."""
    if not gallery.results:
        return []
    scoring, n = gallery.scoring, len(gallery.results)
    summary = scoring.summarise(gallery.results)
    ranks = [entry.rank for entry in gallery.entries if np.isfinite(entry.rank)]
    rows = sorted(gallery.entries, key=lambda entry: (not np.isfinite(entry.rank), entry.rank))
    heads = list(dict.fromkeys(key for entry in rows for key in entry.columns))
    table = Table(
        "Images, the worst first",
        ("image", "size", "true", "found", *heads),
        [
            (
                entry.name,
                " x ".join(map(str, entry.shape)),
                entry.truth,
                entry.contents,
                *(entry.columns.get(key, "") for key in heads),
            )
            for entry in rows[:ROWS]
        ],
    )
    words = [f"The {ROWS} worst of {n} images."] if n > ROWS else []
    by_image = (
        [
            histogram(
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
        Section("Errors", tables=gallery.view.tables(gallery.judged), charts=_amounts(gallery)),
        *_pictures(gallery),
        Section("All images", words=words, tables=[table]),
    ]


def _pictures(gallery: Gallery) -> list[Section]:
    shown, n = gallery.pictured(), len(gallery.entries)
    if not shown:
        return []
    truth = bool(gallery.results)
    order = "the worst first" if truth else "evenly over all"
    words = [
        f"{len(shown)} of {n} images, {order}."
        if len(shown) < n
        else f"All {n} images, {order}."
        if truth and n > 1
        else ""
    ]
    if len(shown) < n:
        words.append(
            f"Pictures of the other {n - len(shown)} are left out, so that this file "
            f"stays below {(BUDGET + 2_000_000) // 10**6} MB."
        )
    if truth:
        words.append(gallery.view.hint)
    kinds = [*(gallery.view.kinds if truth else ()), *gallery.view.palette]
    return [Section("Images", [line for line in words if line], kinds=kinds, pictures=shown)]


def _amounts(gallery: Gallery) -> list[Chart]:
    """Draw sizes, or shares of classes; and how sure the model was."""
    charts = [gallery.view.distribution(gallery.tallies, gallery.unit)] if gallery.tallies else []
    if any(len(values) for each in gallery.sureness.values() for values in each):
        charts.append(
            histogram(
                "How sure the model was of objects",
                "score",
                [
                    (name, np.concatenate(values).tolist())
                    for name, values in gallery.sureness.items()
                ],
                limits=(0.0, 1.0),
                bins=20,
            )
        )
    if gallery.judged and len(gallery.sureness) == 2:
        chart = reliability_chart(*map(np.concatenate, gallery.sureness.values()))
        charts += [chart] if chart else []
    return charts


def _about(segmenter: Segmenter, folder: Path | None) -> list[Section]:
    held = read_tuned(folder) if folder else None
    return [
        Section("Settings", facts=settings(segmenter), tables=[options_table(segmenter)]),
        *([Section("Tuning", [held["words"]], tables=[tuning_table(held)])] if held else []),
    ]


def _again(device: torch.device | str, command: str) -> Section:
    return Section("How to get this again", facts=environment(device), command=command)


def _tiles(gallery: Gallery) -> dict[str, str]:
    if not gallery.results:
        return {}
    headline = gallery.scoring.headline(gallery.scoring.summarise(gallery.results))
    return {
        "images": str(len(gallery.results)),
        **{name: _cell(value) for name, value in headline.items()},
    }


def _sizes(gallery: Gallery) -> str:
    shapes = sorted({entry.shape for entry in gallery.entries}, key=lambda shape: np.prod(shape))
    first, last = (" x ".join(map(str, shape)) for shape in (shapes[0], shapes[-1]))
    return f"{len(gallery.entries)} of {first}" + (f" to {last}" if last != first else "") + " px"


def _against_time(trained: Sequence[Record], name: str, meaning: str) -> Chart:
    series = []
    for key, group in group_records(trained, KEYS[:4]).items():
        times = group_records(group, ("minutes",))
        points = sorted(times)
        series.append(
            Series(
                curve_label(key),
                [point[0] for point in points],
                [
                    float(np.mean([run["headline"][name] for run in times[point]]))
                    for point in points
                ],
            )
        )
    return Chart("Accuracy against time", "minutes of training", meaning, tuple(series), log_x=True)


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}"


def _footer() -> str:
    return (
        f"Written by embedseg {__version__} on {datetime.now():%Y-%m-%d %H:%M}. This file "
        "holds all that it shows."
    )
