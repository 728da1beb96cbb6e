"""Label images that the runs of a benchmark made."""

from __future__ import annotations

from pathlib import Path

from embedseg.benchmark.entries import BenchmarkSetup
from embedseg.benchmark.records import Record
from embedseg.data import Sample, to_class_indices, to_mask_values
from embedseg.images import read_labels, write_labels
from embedseg.model import Config, ModelFolder
from embedseg.types import Labels


def write_predicted(setup: BenchmarkSetup, run: str, sample: Sample, labels: Labels) -> None:
    """Write the labels that a run made of a sample; classes get the values of masks."""
    classes, axes = setup.options.classes, "ZYX"[-labels.ndim :]
    values = to_mask_values(labels, classes) if classes else labels
    write_labels(setup.predicted(run) / f"{sample.name}.tif", values, sample.spacing, axes)


def read_predicted(setup: BenchmarkSetup, folder: Path, name: str) -> Labels | None:
    """Read labels that `write_predicted` wrote; None if there are none."""
    path = folder / f"{name}.tif"
    if not path.is_file():
        return None
    labels, classes = read_labels(path).data, setup.options.classes
    return to_class_indices(labels, classes, str(path)) if classes else labels


def run_config(setup: BenchmarkSetup, run: Record) -> Config:
    """Return the settings of the model of a run."""
    return ModelFolder(setup.folder / "runs" / str(run["name"])).config()
