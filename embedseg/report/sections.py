"""Sections beside images: settings, curves, tuning, environment."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from embedseg.common import __version__
from embedseg.methods import ENOUGH, reliability
from embedseg.model import describe_settings
from embedseg.report.charts import Chart, Series, format_number
from embedseg.scoring import Scoring, Summary, Table
from embedseg.training import NO_LOSS

if TYPE_CHECKING:
    from embedseg.segmenter import Segmenter

Facts = list[tuple[str, str]]

#: Packages whose versions may change results.
PACKAGES = ("torch", "numpy", "scipy", "numba", "scikit-image", "tifffile")


def split_facts(lines: Sequence[str]) -> Facts:
    """Split lines such as "net: unet" into names and values.

    Examples
    --------
    >>> split_facts(["net: a: b", "all of it"])
    [('net', 'a: b'), ('', 'all of it')]
    """
    parts = (line.partition(": ") for line in lines)
    return [(name, value) if value else ("", name) for name, _, value in parts]


def list_settings(segmenter: Segmenter) -> Facts:
    """List the settings of a model."""
    config = segmenter.config
    if members := segmenter.predictor.members:
        names = ", ".join(
            f"{each.folder.name} ({'lead, ' if each.lead else ''}weight {each.weight:g})"
            for each in members
        )
        unit = "µm" if config.spacing_known else "px"
        return [("ensemble", names), *split_facts(config.method.reasons(unit))]
    weights = sum(each.numel() for each in segmenter.net.parameters())
    return split_facts(describe_settings(config, weights))


def options_table(segmenter: Segmenter) -> Table:
    """Return the decode options of a model."""
    method = segmenter.config.method
    return Table(
        "Decode options, which tuning may change",
        ("option", "value"),
        [
            (f"method.{name}", _format_value(getattr(method, name)))
            for name in method.search_space()
        ],
    )


def training_charts(history: Sequence[Mapping[str, float]]) -> list[Chart]:
    """Chart the parts of the loss and the validation scores over the minutes of a training.

    Examples
    --------
    >>> rows = [{"minutes": 1.0, "total": 2.0}, {"minutes": 2.0, "total": 1.0, "val_ap": 0.5}]
    >>> [(chart.title, [series.name for series in chart.series]) for chart in training_charts(rows)]
    [('Loss', ['total']), ('Scores of validation images', ['ap'])]
    """
    names = [
        name
        for name in dict.fromkeys(name for row in history for name in row)
        if name not in NO_LOSS
    ]
    series: dict[bool, list[Series]] = {False: [], True: []}
    for name in names:
        rows = [(i, row) for i, row in enumerate(history) if name in row]
        # Minutes, as an epoch of a long training may last many of them.
        series[name.startswith("val_")].append(
            Series(
                name.removeprefix("val_"),
                [row.get("minutes", row.get("epoch", i)) for i, row in rows],
                [row[name] for _, row in rows],
            )
        )
    charts = []
    if series[False]:
        charts.append(Chart("Loss", "minutes", "loss", tuple(series[False]), log_y=True))
    if series[True]:
        charts.append(
            Chart(
                "Scores of validation images",
                "minutes",
                "score",
                tuple(series[True]),
                limits=(0, 1),
            )
        )
    return charts


def profile_chart(scoring: Scoring, profiles: Sequence[tuple[str, Summary]], title: str) -> Chart:
    """Chart the profile of summaries: over a threshold as lines, over classes as bars."""
    x_label, y_label = scoring.axes
    found = [(name, scoring.profile(summary)) for name, summary in profiles]
    return curve_chart(found, x_label, y_label, title)


def curve_chart(
    profiles: Sequence[tuple[str, Mapping[str, float]]], x_label: str, y_label: str, title: str
) -> Chart:
    """Chart values by name: as lines if the names are numbers, else as bars.

    Examples
    --------
    >>> curve_chart([("a", {"0.50": 1.0, "0.55": 0.5})], "IoU", "AP", "AP").kind
    'lines'
    >>> curve_chart([("a", {"cell": 1.0})], "class", "IoU", "IoU").names
    ('cell',)
    """
    keys = list(profiles[0][1])
    names: tuple[str, ...] = ()
    try:
        places = [float(key) for key in keys]
    except ValueError:
        places, names = [float(i) for i in range(len(keys))], tuple(keys)
    series = tuple(Series(name, places, list(values.values())) for name, values in profiles)
    return Chart(
        title, x_label, y_label, series, "bars" if names else "lines", limits=(0, 1), names=names
    )


def reliability_chart(matched: NDArray[Any], others: NDArray[Any]) -> Chart | None:
    """Chart the share of true objects over the score; None with too few objects.

    Parameters
    ----------
    matched, others : (n,) ndarray
        Scores of the objects that match a true one, and of those that do not.

    Examples
    --------
    >>> scores = np.linspace(0, 1, 101)
    >>> chart = reliability_chart(scores[50:], scores[:50])
    >>> [series.name for series in chart.series], max(chart.series[0].y)
    (['predicted objects', 'if scores were exact'], 1.0)
    """
    score = np.concatenate([matched, others])
    if len(score) < ENOUGH:
        return None
    true = np.arange(len(score)) < len(matched)
    found = reliability(score, true, bins=min(10, len(score) // 10))
    exact = [0.0, 0.5, 1.0]
    return Chart(
        "Whether scores can be trusted",
        "score",
        "share that matches a true object",
        (
            Series(
                "predicted objects", [each.score for each in found], [each.true for each in found]
            ),
            Series("if scores were exact", exact, exact),
        ),
        limits=(0, 1),
    )


def tuning_table(tuned: Mapping[str, Any]) -> Table:
    """Return the settings that tuning tried, as `ModelFolder.trials` gives them."""
    columns = list(dict.fromkeys(name for trial in tuned["trials"] for name in trial))
    rows = [
        (str(i), *(_format_value(trial.get(name, "")) for name in columns))
        for i, trial in enumerate(tuned["trials"], 1)
    ]
    return Table("Settings that were tried", ("try", *columns), rows)


def list_environment(device: torch.device | str = "cpu") -> Facts:
    """List versions and machine.

    Examples
    --------
    >>> dict(list_environment())["embedseg"].count(".")
    2
    """
    device = torch.device(device)
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    on = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    memory = _memory()
    return [
        ("embedseg", __version__),
        ("Python", f"{platform.python_version()}, {platform.platform()}"),
        ("libraries", versions),
        ("device", f"{device} ({on})"),
        (
            "machine",
            f"{_processor()}, {os.cpu_count()} cores"
            + (f", {memory / 1e9:.0f} GB of memory" if memory else ""),
        ),
    ]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return 0


def _format_value(value: Any) -> str:
    return format_number(value) if isinstance(value, float) else str(value)
