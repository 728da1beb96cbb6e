"""Curves of scores, sizes and tuning trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.plots.figures import save_figure

DPI = 100


def save_profiles(
    path: Path | str,
    profiles: Mapping[str, Mapping[str, float]],
    axes: tuple[str, str],
    *,
    title: str = "",
) -> None:
    """Draw scores over a threshold as lines, or by class as bars, of one model or several.

    Parameters
    ----------
    path : path
        Image file; the suffix sets the format.
    profiles : mapping of str to mapping
        What `Scoring.profile` returns, by name of the model.
    axes : (str, str)
        Labels of x and y.
    title : str
    """
    figure, drawn = _figure(title)
    names = list(next(iter(profiles.values())))
    wide = 0.8 / len(profiles)
    for number, (name, profile) in enumerate(profiles.items()):
        values = [np.nan if value is None else float(value) for value in profile.values()]
        if _numeric(names):
            style = ["-", "--", "-.", ":"][number % 4]
            drawn.plot([float(key) for key in names], values, style, marker=".", label=name)
        else:
            places = np.arange(len(names)) + wide * (number - (len(profiles) - 1) / 2)
            drawn.bar(places, values, wide, label=name)
    if not _numeric(names):
        drawn.set_xticks(range(len(names)), names, rotation=30 * (len(names) > 5))
    drawn.set(xlabel=axes[0], ylabel=axes[1], ylim=(0, 1))
    drawn.legend()
    save_figure(figure, Path(path))


def save_sizes(
    path: Path | str,
    extents: NDArray[np.float64],
    *,
    unit: str,
    axes: str,
    title: str = "",
) -> None:
    """Draw histograms of the extents of objects along each axis.

    Parameters
    ----------
    path : path
    extents : (n, ndim) ndarray
        Extents of the bounding boxes of objects.
    unit : str
        Of the extents.
    axes : str
        A letter for each axis.
    title : str
    """
    figure, drawn = _figure(title)
    limits = max(float(extents.max(initial=0)), 1e-9)
    for number, (letter, values) in enumerate(zip(axes, extents.T, strict=True)):
        middle = float(np.median(values)) if len(values) else np.nan
        drawn.hist(
            values,
            bins=np.linspace(0, limits, 41),
            histtype="step",
            linewidth=1.5,
            linestyle=["-", "--", ":"][number % 3],
            label=f"along {letter}, median {middle:.3g}",
        )
    drawn.set(xlabel=f"extent of an object, {unit}", ylabel="objects")
    drawn.legend()
    save_figure(figure, Path(path))


def save_trials(
    path: Path | str,
    trials: Sequence[tuple[Mapping[str, Any], float]],
    primary: str,
    *,
    title: str = "",
) -> None:
    """Draw the scores of all tuning trials, one panel per option.

    The line is the best score with each value.

    Parameters
    ----------
    path : path
    trials : sequence of (mapping, float)
        Options and the score with them, as `embedseg.model.Tuned` holds them.
    primary : str
        Name of the score.
    title : str
    """
    from matplotlib.figure import Figure

    options = list(dict.fromkeys(name for settings, _ in trials for name in settings))
    figure = Figure(figsize=(3.2 * len(options) + 0.6, 3.6), dpi=DPI, layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, len(options), squeeze=False, sharey=True)[0]
    for name, drawn in zip(options, panels, strict=True):
        # None (option off) cannot be compared with numbers.
        values = sorted(
            {settings[name] for settings, _ in trials},
            key=lambda value: (
                (1, value, "") if isinstance(value, int | float) else (0, 0, str(value))
            ),
        )
        places = [values.index(settings[name]) for settings, _ in trials]
        scores = np.array([score for _, score in trials])
        best = [max(scores[np.equal(places, k)]) for k in range(len(values))]
        drawn.plot(places, scores, "o", color="0.6", markersize=4)
        drawn.plot(range(len(values)), best, "-")
        drawn.set_xticks(range(len(values)), [_short(value) for value in values], rotation=45)
        drawn.set(xlabel=name)
        drawn.grid(alpha=0.3)
    panels[0].set(ylabel=f"{primary} of validation images")
    save_figure(figure, Path(path))


def _figure(title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), dpi=DPI, layout="constrained")
    drawn = figure.subplots()
    drawn.grid(alpha=0.3)
    drawn.set_title(title)
    return figure, drawn


def _numeric(names: Sequence[str]) -> bool:
    return all(name.replace(".", "", 1).isdigit() for name in names)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
