"""Scores per image and per data set."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from embedseg.common import write_aside
from embedseg.data import ClassOptions, Sample, frames, pair_files, to_indices
from embedseg.images import Image, read_labels, stem
from embedseg.scoring import ObjectScoring, Scoring
from embedseg.types import DataError, Segmentation

if TYPE_CHECKING:
    from embedseg.segmenter import Segmenter


def score_folders(
    truth_dir: Path | str,
    predicted_dir: Path | str,
    *,
    axes: str | None = None,
    ignore_label: int | None = None,
    scoring: Scoring | None = None,
    classes: Sequence[ClassOptions] | None = None,
) -> list[tuple[str, Any]]:
    """Score a folder of predicted label images against one of true ones.

    Parameters
    ----------
    truth_dir, predicted_dir : path
        Folders; files are paired as `embedseg.data.samples.pair_files` does.
    axes : str, optional
        Axes of the files, such as "ZYX". Default: those of the true file's metadata.
    ignore_label : int, optional
        Value of the true labels that means "not annotated", besides -1.
    scoring : Scoring, optional
        Default: that of objects.
    classes : sequence of ClassOptions, optional
        The files hold these classes.

    Returns
    -------
    list of (str, scores)
        Name and scores of each image; frames along a time axis are images of their own.

    Raises
    ------
    DataError
        For files without a partner, anything that is not a label image, or different shapes.
    """
    pairs, _ = pair_files(truth_dir, predicted_dir)
    return [
        (name, (scoring or ObjectScoring()).compare(*both))
        for truth, predicted in pairs
        for name, *both in _read_both(truth, predicted, axes, ignore_label, classes)
    ]


def score_samples(
    segmenter: Segmenter,
    samples: Sequence[Sample],
    *,
    tta: bool | None = None,
    planes: bool | None = None,
    progress: bool = False,
    scoring: Scoring | None = None,
) -> Iterator[tuple[Sample, Segmentation, Any]]:
    """Segment images and score them against their labels, one by one.

    Parameters
    ----------
    segmenter : Segmenter
        A trained model.
    samples : sequence of Sample
        Images with labels.
    tta, planes
        As for `Segmenter.segment`.
    progress : bool
        Whether to show a progress bar.
    scoring : Scoring, optional
        How they are compared; default: as the model's method has it.

    Yields
    ------
    Sample, Segmentation, scores
        The sample, what was found in it, and its scores as `scoring` has them.
    """
    scoring = scoring or segmenter.config.method.scoring()
    for sample in tqdm(samples, desc="segment", disable=not progress, leave=False):
        found = find_sample(segmenter, sample, tta=tta, planes=planes)
        yield sample, found, scoring.compare(sample.labels, found.labels)


def segment_sample(
    segmenter: Segmenter,
    sample: Sample,
    *,
    tta: bool | None = None,
    planes: bool | None = None,
) -> NDArray[np.int32]:
    """Return the labels that a model finds in a sample's image; see `score_samples`."""
    return find_sample(segmenter, sample, tta=tta, planes=planes).labels


def find_sample(
    segmenter: Segmenter,
    sample: Sample,
    *,
    tta: bool | None = None,
    planes: bool | None = None,
) -> Segmentation:
    """Return what a model finds in a sample's image; see `score_samples`."""
    return segmenter.find(
        sample.image,
        axes="C" + "ZYX"[-sample.labels.ndim :],
        spacing=sample.spacing,
        tta=tta,
        planes=planes,
    )


def write_csv(
    path: Path | str, results: Sequence[tuple[str, Any]], scoring: Scoring | None = None
) -> None:
    """Write one row per image: its name and all scores.

    Parameters
    ----------
    path : path
        Replaced if it is there.
    results : sequence of (str, scores)
        Of each image, as `scoring` compares them; default: that of objects.
    """
    scoring = scoring or ObjectScoring()
    rows = [{"image": name, **scoring.row(scores)} for name, scores in results]

    def write(aside: Path) -> None:
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["image"])
            writer.writeheader()
            writer.writerows(rows)

    write_aside(Path(path), write)


def _read_both(
    truth_path: Path,
    predicted_path: Path,
    axes: str | None,
    ignore_label: int | None,
    classes: Sequence[ClassOptions] | None,
) -> Iterator[tuple[str, NDArray[np.int32], NDArray[np.int32]]]:
    """Yield name, true and predicted labels of each frame."""
    truth = read_labels(truth_path, axes, ignore_label)
    # Both show one scene, so what the true file says of its axes holds for the other.
    predicted = read_labels(predicted_path, axes or truth.axes)
    if truth.data.shape != predicted.data.shape:
        raise DataError(
            f"{predicted_path}: labels of shape {predicted.data.shape}, but those of "
            f"{truth_path} have {truth.data.shape}"
        )
    name, both = stem(truth_path), zip(_labels(truth), _labels(predicted), strict=True)
    for t, (known, found) in enumerate(both):
        if classes:
            known = to_indices(known, classes, str(truth_path))
            found = to_indices(found, classes, str(predicted_path))
        yield f"{name}_t{t:03d}" if "T" in truth.axes else name, known, found


def _labels(image: Image) -> list[NDArray[Any]]:
    return [frame[0] for frame in frames(image)]
