"""Tuning of decode options on cached maps."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from embedseg.methods import Method
from embedseg.scoring import DENSE, object_cover, score
from embedseg.types import Maps

log = logging.getLogger("embedseg")


class Goal(NamedTuple):
    """What tuning maximises.

    Attributes
    ----------
    name : str
        Name of the score.
    score : callable
        Returns it, of a truth and a prediction.
    reason : str
        Why it is not the method's own; empty if it is.
    """

    name: str
    score: Callable[[NDArray[Any], NDArray[Any]], float]
    reason: str = ""


def find_goal(method: Method, truths: Sequence[NDArray[Any]]) -> Goal:
    """Return the primary score of a method, or -VOI where objects fill the images.

    Examples
    --------
    >>> from embedseg.methods import as_method
    >>> method = as_method({"type": "boundary"})
    >>> find_goal(method, [np.array([[1, 1, 1, 2, 0]])]).name
    '-VOI'
    >>> find_goal(method, [np.array([[1, 0, 0, 2, 0]])]).name
    'ap_mean'
    """
    if method.reads == "objects" and (cover := object_cover(truths)) > DENSE:
        return Goal(
            "-VOI",
            lambda truth, predicted: -score(truth, predicted).voi,
            f"objects cover {cover:.0%} of the annotated pixels",
        )
    primary = method.primary
    return Goal(primary, lambda truth, predicted: method.score(truth, predicted)[primary])


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes
    ----------
    method : Method
        With the better options, or the one that came in where the gain was within the spread.
    before, after : float
        Mean primary score with the options that came in, and with those of `method`; NaN where no
        image could tell.
    spread : float
        Standard error of the gain over the images.
    tried : int
        Number of settings tried.
    message : str
        The outcome, for a person.
    trials : tuple of (dict, float)
        The options that were varied, and the mean primary score with them, in the order tried.
    goal : str
        Name of that score: the method's `primary`, or "-VOI" where objects fill the images.
    """

    method: Method
    before: float
    after: float
    spread: float
    tried: int
    message: str
    trials: tuple[tuple[dict[str, Any], float], ...] = ()
    goal: str = ""


def tune(
    method: Method,
    maps: Sequence[Maps],
    truths: Sequence[NDArray[Any]],
    *,
    budget: float | None = None,
    progress: bool = False,
) -> Tuned:
    """Search the method's decode options one after the other, twice around; then learn its scores.

    A setting is taken over only if its mean gain over the images exceeds the standard error of
    that gain, so a small validation set does not move the defaults by chance. Where true objects
    cover most of the annotated pixels, -VOI is maximised instead of the method's score.

    Parameters
    ----------
    method : Method
        Its options are the start, its `search_space` what may vary.
    maps : sequence of Maps
        One per validation image.
    truths : sequence of (*space) ndarray
        Labels of the same images.
    budget : float, optional
        Seconds after which the search ends with what it has.
    progress : bool
        Whether to show a progress bar.
    """
    if method.reads == "objects" and not any((truth > 0).any() for truth in truths):
        # Any option that finds nothing would be perfect.
        message = "tune: decode options kept, as no validation image holds an object"
        return Tuned(method, math.nan, math.nan, math.nan, 0, message, goal=method.primary)
    goal = find_goal(method, truths)
    if goal.reason:
        log.info("tuning maximises %s: %s", goal.name, goal.reason)
    space = method.search_space()
    begun = time.monotonic()
    seen: dict[str, NDArray[np.float64]] = {}

    def scores(candidate: Method) -> NDArray[np.float64]:
        key = candidate.model_dump_json()
        if key not in seen:
            seen[key] = np.array(
                [
                    goal.score(truth, candidate.decode(m).labels)
                    for m, truth in zip(maps, truths, strict=True)
                ]
            )
        return seen[key]

    start = scores(method)
    best = method
    settings = [(name, value) for _ in range(2) for name in space for value in space[name]]
    for name, value in tqdm(settings, desc="tune", disable=not progress, leave=False):
        if budget is not None and time.monotonic() - begun > budget:
            log.info(
                "tuning stopped after %.0f s with %d settings tried", max(budget, 0), len(seen)
            )
            break
        if not best.matters(name):
            continue
        candidate = best.model_copy(update={name: value})
        if scores(candidate).mean() > scores(best).mean():
            best = candidate
    gains = scores(best) - start
    spread = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0
    gain = float(gains.mean())
    trials = tuple(
        ({name: json.loads(key)[name] for name in space}, float(values.mean()))
        for key, values in seen.items()
    )
    if gain <= spread:
        message = (
            f"tune: decode options kept ({goal.name} {start.mean():.3f}; the best gain, "
            f"{gain:.3f}, is within the spread of {spread:.3f} over {len(gains)} images)"
        )
        return Tuned(
            _calibrated(method, maps, truths),
            float(start.mean()),
            float(start.mean()),
            spread,
            len(seen),
            message,
            trials,
            goal.name,
        )
    changes = ", ".join(
        f"{name} {getattr(method, name)} -> {getattr(best, name)}"
        for name in space
        if getattr(method, name) != getattr(best, name)
    )
    message = (
        f"tune: {goal.name} {start.mean():.3f} -> {scores(best).mean():.3f} "
        f"on {len(gains)} validation images with {changes}"
    )
    return Tuned(
        _calibrated(best, maps, truths),
        float(start.mean()),
        float(scores(best).mean()),
        spread,
        len(seen),
        message,
        trials,
        goal.name,
    )


def _calibrated(method: Method, maps: Sequence[Maps], truths: Sequence[NDArray[Any]]) -> Method:
    """Return a method that has learned its scores from the truth."""
    return method.calibrated([method.decode(m) for m in maps], truths)
