"""Scores of samples and of folders."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from embedseg.common import shorten, write_rows
from embedseg.data import (
    ClassOptions,
    Sample,
    annotated_samples,
    find_grey,
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

log = logging.getLogger("embedseg")

#: Images that a message names.
SHOWN = 3


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
        Name and scores of each image; frames along a time axis are separate images. Images of which
        nothing is annotated are left out, with a warning.

    Raises
    ------
    DataError
        For files without a partner, anything that is not a label image, different shapes, or if
        nothing is annotated in any image.
    """
    pairs, _ = pair_folders(truth_dir, predicted_dir)
    results: list[tuple[str, Any]] = []
    names: list[str] = []
    ignored = False
    for truth, predicted in pairs:
        for name, known, found in _read_both(truth, predicted, axes, ignore_label, classes):
            ignored |= bool((known == NOT_ANNOTATED).any())
            if not (known > NOT_ANNOTATED).any():
                names.append(name)
                continue
            if not classes and (grey := find_grey(found)):
                log.warning("%s: is it a label image? %s: %s", predicted, *grey)
            results.append((name, (scoring or ObjectScoring()).compare(known, found)))
    _warn_of_unannotated(names, len(results), truth_dir)
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
        The sample, its segmentation, and its scores by `scoring`. Samples of which nothing is
        annotated are left out, with a warning.

    Raises
    ------
    DataError
        If nothing is annotated in any sample.
    """
    scoring = scoring or segmenter.config.method.scoring()
    scored = choose_scored(samples)
    for sample in tqdm(scored, desc="segment", disable=not progress, leave=False):
        segmentation = segment_sample_objects(segmenter, sample, tta=tta, planes=planes)
        yield sample, segmentation, scoring.compare(sample.labels, segmentation.labels)


def choose_scored(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples of which anything is annotated, with a warning of the others.

    Raises
    ------
    DataError
        If nothing is annotated in any of them.
    """
    scored = annotated_samples(samples)
    names = [sample.name for sample in samples if not sample.annotated]
    _warn_of_unannotated(names, len(scored), "the masks")
    return scored


def _warn_of_unannotated(names: Sequence[str], scored: int, where: Path | str) -> None:
    """Warn of images of which nothing is annotated: they say nothing about a segmentation.

    Raises
    ------
    DataError
        If no other ones are scored.
    """
    if names and not scored:
        raise DataError(
            f"{where}: nothing to score, as all pixels of {shorten(names, SHOWN)} are -1, not "
            "annotated; expected some of 0, background, or above"
        )
    if names:
        log.warning("%s: not annotated at all (-1), not scored", shorten(names, SHOWN))


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
