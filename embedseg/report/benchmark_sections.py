"""Sections of a benchmark: errors of each kind of run, and pictures of the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from embedseg.benchmark import (
    GROUP_KEYS,
    BenchmarkSetup,
    Record,
    format_curve_label,
    group_records,
    read_predicted,
    run_config,
)
from embedseg.common import pick_evenly
from embedseg.data import Sample, annotated_samples, load_split
from embedseg.report.gallery import Gallery
from embedseg.report.gallery_sections import picture_sections
from embedseg.report.html import Section
from embedseg.types import Segmentation

#: Images in which errors are counted, those with pictures, and kinds of runs shown, at most.
MAX_IMAGES, MAX_PICTURES, MAX_RUNS = 24, 3, 8


def run_sections(setup: BenchmarkSetup, records: Sequence[Record]) -> list[Section]:
    """Return two sections for each kind of run: its errors, and pictures.

    Shown is the first seed of the longest training of each kind, and the baseline. Runs whose label
    images are not there are left out.

    Parameters
    ----------
    setup : BenchmarkSetup
        Of the benchmark.
    records : sequence of dict
        Of its runs.
    """
    longest = max(run["minutes"] for run in records)
    shown = [
        (format_curve_label(key[:4]), group[0])
        for key, group in group_records(records, GROUP_KEYS).items()
        if key[-1] in (0, longest) and _is_kept(setup, group[0])
    ][:MAX_RUNS]
    config = next((run_config(setup, run) for _, run in shown if run["minutes"]), None)
    if config is None:
        return []
    # As a model reads the data: classes have names there.
    method, setup = config.method, replace(setup, options=config.data)
    samples = annotated_samples(load_split(setup.data, setup.split, setup.options))
    counted = [samples[i] for i in pick_evenly(len(samples), MAX_IMAGES)]
    pictured = [counted[i] for i in pick_evenly(len(counted), MAX_PICTURES)]
    sections: list[Section] = []
    for label, run in shown:
        folder = setup.predicted(run["name"])
        errors = _fill(Gallery(method), setup, folder, counted)
        sections.append(
            Section(
                f"Errors: {label}",
                [f"In {len(errors.entries)} of {len(samples)} images."],
                tables=errors.view.tables(errors.errors),
            )
        )
        for section in picture_sections(_fill(Gallery(method), setup, folder, pictured)):
            sections.append(
                Section(
                    f"Images: {label}",
                    ["The same images for each kind of run.", *section.paragraphs],
                    legend=section.legend,
                    pictures=section.pictures,
                )
            )
    return sections


def _is_kept(setup: BenchmarkSetup, run: Record) -> bool:
    """Return whether the label images of a run are there; those of earlier versions are not."""
    return "name" in run and setup.predicted(run["name"]).is_dir()


def _fill(
    gallery: Gallery, setup: BenchmarkSetup, folder: Path, samples: Sequence[Sample]
) -> Gallery:
    """Add samples with the label images that a run made of them."""
    for sample in samples:
        labels = read_predicted(setup, folder, sample.name)
        if labels is not None and labels.shape == sample.labels.shape:
            gallery.add(
                sample.name,
                sample.image,
                Segmentation(labels),
                sample.labels,
                spacing=sample.spacing,
            )
    return gallery
