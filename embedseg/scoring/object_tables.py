"""Summaries and tables of object scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from embedseg.common import plural
from embedseg.scoring.objects import DENSE, MEAN_OVER, Scores, rate
from embedseg.types import DataError

#: Scores by IoU threshold: means over the images, as are the others.
BY_THRESHOLD = ("ap", "precision", "recall", "f1")
#: Titles of the scores of objects: those by threshold, with their mean, and the others.
ROWS = (
    ("AP", "ap", "ap_mean"),
    ("AP pooled", "pooled", "pooled_mean"),
    ("precision", "precision", ""),
    ("recall", "recall", ""),
    ("F1", "f1", ""),
)
TITLES = {
    "pq": "PQ",
    "sq": "SQ",
    "rq": "RQ",
    "seg": "SEG",
    "aji": "AJI",
    "rand": "Rand",
    "voi": "VOI",
    "voi_split": "VOI split",
    "voi_merge": "VOI merge",
}
#: Scores of a single value.
SINGLE = ("ap_mean", *TITLES)
#: Scores that come first where objects fill the image.
REGIONS = ("voi", "voi_split", "voi_merge", "rand")


def summarise_objects(results: Sequence[tuple[str, Scores]]) -> dict[str, Any]:
    """Summarise the scores of a data set in one JSON object.

    Parameters
    ----------
    results : sequence of (str, Scores)
        Name and scores of each image, with the same thresholds.

    Returns
    -------
    dict
        Means over the images: `ap`, `precision`, `recall`, `f1` by IoU threshold ("0.50" ...
        "0.95"), and `ap_mean`, `pq`, `sq`, `rq`, `seg`, `aji`, `rand`, `voi`, `voi_split`,
        `voi_merge`, `covered` of `Scores`. Over the objects of all images together: `pooled`, AP by
        threshold, and `pooled_mean`, its mean over 0.50, 0.55 ... 0.90. Counts: `n_true`, `n_pred`,
        `n_images`.

    Raises
    ------
    DataError
        If there are no images.

    Examples
    --------
    >>> from embedseg.scoring.objects import score
    >>> one, none = np.array([[0, 1]]), np.array([[0, 0]])
    >>> summary = summarise_objects([("a", score(one, one)), ("b", score(none, none))])
    >>> summary["ap"]["0.50"], summary["pooled_mean"], summary["n_true"], summary["n_images"]
    (1.0, 1.0, 1, 2)
    """
    if not results:
        raise DataError("no images to score")
    scores = [image for _, image in results]
    keys = scores[0].tp
    n_true, n_pred = sum(s.n_true for s in scores), sum(s.n_pred for s in scores)
    tp = {key: sum(s.tp[key] for s in scores) for key in keys}
    pooled = {key: rate(n, n_true + n_pred - n, n_true + n_pred) for key, n in tp.items()}
    return {
        **{
            name: {key: _mean(getattr(s, name)[key] for s in scores) for key in keys}
            for name in BY_THRESHOLD
        },
        **{name: _mean(getattr(s, name) for s in scores) for name in (*SINGLE, "covered")},
        "pooled": pooled,
        "pooled_mean": _mean(pooled[key] for key in MEAN_OVER),
        "n_true": n_true,
        "n_pred": n_pred,
        "n_images": len(scores),
    }


def split_titles(summary: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the titles of the single scores that come first, and those of the others.

    Examples
    --------
    >>> list(split_titles({"covered": 0.9})[0]), list(split_titles({"covered": 0.3})[0])
    (['voi', 'voi_split', 'voi_merge', 'rand'], [])
    """
    # Summaries of earlier versions have no `covered`.
    first = REGIONS if summary.get("covered", 0) > DENSE else ()
    return (
        {name: TITLES[name] for name in first},
        {name: title for name, title in TITLES.items() if name not in first},
    )


def object_table(summary: dict[str, Any]) -> str:
    """Format a summary as a table for people.

    Examples
    --------
    >>> from embedseg.scoring.objects import score
    >>> labels = np.array([[0, 1]])
    >>> print(object_table(summarise_objects([("a", score(labels, labels))])))
    IoU       0.50  0.55  0.60  0.65  0.70  0.75  0.80  0.85  0.90  0.95 0.5-0.9
    AP       1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000   1.000
    ...
    1 image, 1 true and 1 predicted objects; means over images, but for the pooled row
    """
    keys = list(summary["ap"])
    first, others = split_titles(summary)
    regions = [
        _single(summary, first),
        f"(first, as objects cover {summary['covered']:.0%} of the annotated pixels; "
        "VOI in bits, 0 is best)",
        "",
    ]
    lines = [
        *(regions if first else []),
        "IoU".ljust(10) + "".join(f"{key:>6}" for key in keys) + " 0.5-0.9",
    ]
    for title, name, mean in ROWS:
        cells = "".join(f"{summary[name][key]:6.3f}" for key in keys)
        lines.append(title.ljust(10) + cells + (f"{summary[mean]:8.3f}" if mean else ""))
    return "\n".join(
        [
            *lines,
            "",
            _single(summary, others),
            f"{plural(summary['n_images'], 'image')}, {summary['n_true']} true and "
            f"{summary['n_pred']} predicted objects; means over images, but for the pooled row",
        ]
    )


def _single(summary: dict[str, Any], titles: dict[str, str]) -> str:
    return "  ".join(f"{title} {summary[name]:.3f}" for name, title in titles.items())


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
