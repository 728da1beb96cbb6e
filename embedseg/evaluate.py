"""Scores per image and per data set."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from embedseg.data import Sample, frames, pair_files
from embedseg.io import Image, read_labels, stem, write_aside
from embedseg.metrics import MEAN_OVER, Scores, rate, score
from embedseg.types import DataError

if TYPE_CHECKING:
    from embedseg.model import Segmenter

#: Scores by IoU threshold, and single ones; both are means over the images.
BY_THRESHOLD = ("ap", "precision", "recall", "f1")
SINGLE = ("ap_mean", "pq", "sq", "rq", "seg", "aji", "rand", "voi_split", "voi_merge")


def score_folders(
    truth_dir: Path | str, predicted_dir: Path | str, *, axes: str | None = None,
    ignore_label: int | None = None,
) -> list[tuple[str, Scores]]:
    """Score a folder of predicted label images against one of true ones.

    Parameters
    ----------
    truth_dir, predicted_dir : path
        Folders; files are paired as `embedseg.data.pair_files` does.
    axes : str, optional
        Axes of the files, such as "ZYX". Default: those of the true file's metadata.
    ignore_label : int, optional
        Value of the true labels that means "not annotated", besides -1.

    Returns
    -------
    list of (str, Scores)
        Name and scores of each image; frames along a time axis are images of their own.

    Raises
    ------
    DataError
        For files without a partner, anything that is not a label image, or different shapes.
    """
    pairs, _ = pair_files(truth_dir, predicted_dir)
    return [result for truth, predicted in pairs
            for result in _score_files(truth, predicted, axes, ignore_label)]


def score_samples(
    segmenter: Segmenter, samples: Sequence[Sample], *, tta: bool | None = None,
    planes: bool | None = None, progress: bool = False,
) -> Iterator[tuple[Sample, NDArray[np.int32], Scores]]:
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

    Yields
    ------
    Sample, (*space) int32 ndarray, Scores
        The sample, its predicted labels, and their scores.
    """
    for sample in tqdm(samples, desc="segment", disable=not progress, leave=False):
        labels = segment_sample(segmenter, sample, tta=tta, planes=planes)
        yield sample, labels, score(sample.labels, labels)


def segment_sample(
    segmenter: Segmenter, sample: Sample, *, tta: bool | None = None, planes: bool | None = None,
) -> NDArray[np.int32]:
    """Return the labels that a model finds in a sample's image; see `score_samples`."""
    return segmenter.segment(sample.image, axes="C" + "ZYX"[-sample.labels.ndim:],
                             spacing=sample.spacing, tta=tta, planes=planes)


def summarise(results: Sequence[tuple[str, Scores]]) -> dict[str, Any]:
    """Put the scores of a data set into one JSON object.

    Parameters
    ----------
    results : sequence of (str, Scores)
        Name and scores of each image, with the same thresholds.

    Returns
    -------
    dict
        Means over the images: `ap`, `precision`, `recall`, `f1` by IoU threshold ("0.50" ...
        "0.95"), and `ap_mean`, `pq`, `sq`, `rq`, `seg`, `aji`, `rand`, `voi_split`, `voi_merge` as
        `Scores` explains them. Over the objects of all images together: `pooled`, AP by threshold,
        and `pooled_mean`, its mean over 0.50, 0.55 ... 0.90. Counts: `n_true`, `n_pred`,
        `n_images`.

    Raises
    ------
    DataError
        If there are no images.

    Examples
    --------
    >>> one, none = np.array([[0, 1]]), np.array([[0, 0]])
    >>> summary = summarise([("a", score(one, one)), ("b", score(none, none))])
    >>> summary["ap"]["0.50"], summary["pooled_mean"], summary["n_true"], summary["n_images"]
    (1.0, 1.0, 1, 2)
    """
    if not results:
        raise DataError("no images to score")
    scores = [found for _, found in results]
    keys = scores[0].tp
    n_true, n_pred = sum(s.n_true for s in scores), sum(s.n_pred for s in scores)
    tp = {key: sum(s.tp[key] for s in scores) for key in keys}
    pooled = {key: rate(n, n_true + n_pred - n, n_true + n_pred) for key, n in tp.items()}
    return {
        **{name: {key: _mean(getattr(s, name)[key] for s in scores) for key in keys}
           for name in BY_THRESHOLD},
        **{name: _mean(getattr(s, name) for s in scores) for name in SINGLE},
        "pooled": pooled, "pooled_mean": _mean(pooled[key] for key in MEAN_OVER),
        "n_true": n_true, "n_pred": n_pred, "n_images": len(scores),
    }


def table(summary: dict[str, Any]) -> str:
    """Lay a summary out for people.

    Examples
    --------
    >>> labels = np.array([[0, 1]])
    >>> print(table(summarise([("a", score(labels, labels))])))
    IoU       0.50  0.55  0.60  0.65  0.70  0.75  0.80  0.85  0.90  0.95 0.5-0.9
    AP       1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000   1.000
    ...
    1 image, 1 true and 1 predicted objects; means over images, but for the pooled row
    """
    keys = list(summary["ap"])
    rows = [("AP", "ap", "ap_mean"), ("AP pooled", "pooled", "pooled_mean"),
            ("precision", "precision", ""), ("recall", "recall", ""), ("F1", "f1", "")]
    lines = ["IoU".ljust(10) + "".join(f"{key:>6}" for key in keys) + " 0.5-0.9"]
    for title, name, mean in rows:
        cells = "".join(f"{summary[name][key]:6.3f}" for key in keys)
        lines.append(title.ljust(10) + cells + (f"{summary[mean]:8.3f}" if mean else ""))
    names = {"pq": "PQ", "sq": "SQ", "rq": "RQ", "seg": "SEG", "aji": "AJI", "rand": "Rand",
             "voi_split": "VOI split", "voi_merge": "VOI merge"}
    n = summary["n_images"]
    return "\n".join([
        *lines, "",
        "  ".join(f"{title} {summary[name]:.3f}" for name, title in names.items()),
        f"{n} image{'s' * (n != 1)}, {summary['n_true']} true and {summary['n_pred']} "
        "predicted objects; means over images, but for the pooled row",
    ])


def write_csv(path: Path | str, results: Sequence[tuple[str, Scores]]) -> None:
    """Write one row per image: its name, counts, and all scores ("ap_0.50" ...).

    Parameters
    ----------
    path : path
        Replaced if it is there.
    results : sequence of (str, Scores)
        As `summarise` takes them.
    """
    rows = [{"image": name, **_flat(scores)} for name, scores in results]

    def write(aside: Path) -> None:
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["image"])
            writer.writeheader()
            writer.writerows(rows)

    write_aside(Path(path), write)


def _flat(scores: Scores) -> dict[str, float]:
    columns: dict[str, float] = {"n_true": scores.n_true, "n_pred": scores.n_pred}
    columns |= {name: getattr(scores, name) for name in SINGLE}
    for name in BY_THRESHOLD:
        columns |= {f"{name}_{key}": value for key, value in getattr(scores, name).items()}
    return columns


def _score_files(
    truth_path: Path, predicted_path: Path, axes: str | None, ignore_label: int | None
) -> Iterator[tuple[str, Scores]]:
    truth = read_labels(truth_path, axes, ignore_label)
    # Both show one scene, so what the true file says of its axes holds for the other.
    predicted = read_labels(predicted_path, axes or truth.axes)
    if truth.data.shape != predicted.data.shape:
        raise DataError(f"{predicted_path}: labels of shape {predicted.data.shape}, but those of "
                        f"{truth_path} have {truth.data.shape}")
    name = stem(truth_path)
    for t, (true_frame, predicted_frame) in enumerate(zip(_labels(truth), _labels(predicted),
                                                          strict=True)):
        yield f"{name}_t{t:03d}" if "T" in truth.axes else name, score(true_frame, predicted_frame)


def _labels(image: Image) -> list[NDArray[Any]]:
    return [frame[0] for frame in frames(image)]


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
