"""Scores of samples and of folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from embedseg.common import write_rows
from embedseg.data import (
    ClassOptions,
    Sample,
    pair_folders,
    split_frames,
    to_class_indices,
    warn_of_unused,
)
from embedseg.images import Image, read_labels, stem
from embedseg.scoring import ObjectScoring, Scoring
from embedseg.types import NOT_ANNOTATED, DataError, Segmentation

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
        Folders; files are paired as by `embedseg.data.pair_folders`.
    axes : str, optional
        Axes of the files, such as "ZYX". Default: those of the true file's metadata.
    ignore_label : int, optional
        Value of the true labels that means "not annotated", besides -1.
    scoring : Scoring, optional
        Default: that of objects.
    classes : sequence of ClassOptions, optional
        Classes in the files.

    Returns
    -------
    list of (str, scores)
        Name and scores of each image; frames along a time axis are separate images.

    Raises
    ------
    DataError
        For files without a partner, anything that is not a label image, or different shapes.
    """
    pairs, _ = pair_folders(truth_dir, predicted_dir)
    results: list[tuple[str, Any]] = []
    ignored = False
    for truth, predicted in pairs:
        for name, known, found in _read_both(truth, predicted, axes, ignore_label, classes):
            ignored |= bool((known == NOT_ANNOTATED).any())
            results.append((name, (scoring or ObjectScoring()).compare(known, found)))
    if not ignored:
        warn_of_unused(ignore_label, (), truth_dir)
    return results


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
        Default: that of the model's method.

    Yields
    ------
    Sample, Segmentation, scores
        The sample, its segmentation, and its scores by `scoring`.
    """
    scoring = scoring or segmenter.config.method.scoring()
    for sample in tqdm(samples, desc="segment", disable=not progress, leave=False):
        segmentation = segment_sample_objects(segmenter, sample, tta=tta, planes=planes)
        yield sample, segmentation, scoring.compare(sample.labels, segmentation.labels)


def segment_sample(
    segmenter: Segmenter,
    sample: Sample,
    *,
    tta: bool | None = None,
    planes: bool | None = None,
) -> NDArray[np.int32]:
    """Segment a sample's image and return the labels; see `score_samples`."""
    return segment_sample_objects(segmenter, sample, tta=tta, planes=planes).labels


def segment_sample_objects(
    segmenter: Segmenter,
    sample: Sample,
    *,
    tta: bool | None = None,
    planes: bool | None = None,
) -> Segmentation:
    """Segment a sample's image and return labels and objects; see `score_samples`."""
    return segmenter.segment_objects(
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
        Overwritten if it exists.
    results : sequence of (str, scores)
        Name and scores of each image.
    scoring : Scoring, optional
        Default: that of objects.
    """
    scoring = scoring or ObjectScoring()
    rows = [{"image": name, **scoring.row(scores)} for name, scores in results]
    header = list(rows[0]) if rows else ["image"]
    write_rows(Path(path), header, ([row[name] for name in header] for row in rows))


def _read_both(
    truth_path: Path,
    predicted_path: Path,
    axes: str | None,
    ignore_label: int | None,
    classes: Sequence[ClassOptions] | None,
) -> Iterator[tuple[str, NDArray[np.int32], NDArray[np.int32]]]:
    """Yield name, true and predicted labels of each frame."""
    truth = read_labels(truth_path, axes, ignore_label)
    # Both show the same image, so both have the axes of the true file.
    predicted = read_labels(predicted_path, axes or truth.axes)
    if truth.data.shape != predicted.data.shape:
        raise DataError(
            f"{predicted_path}: labels of shape {predicted.data.shape}, but those of "
            f"{truth_path} have {truth.data.shape}"
        )
    name, both = stem(truth_path), zip(_labels(truth), _labels(predicted), strict=True)
    for t, (known, found) in enumerate(both):
        if classes:
            known = to_class_indices(known, classes, str(truth_path))
            found = to_class_indices(found, classes, str(predicted_path))
        yield f"{name}_t{t:03d}" if "T" in truth.axes else name, known, found


def _labels(image: Image) -> list[NDArray[Any]]:
    return [frame[0] for frame in split_frames(image)]
