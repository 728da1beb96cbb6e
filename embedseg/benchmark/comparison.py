"""Comparison of runs: table and curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedseg.benchmark.records import GROUP_KEYS, Record, format_curve_label, group_records
from embedseg.common import write_text
from embedseg.plots import save_figure
from embedseg.scoring import Table

#: Columns of the table before and after the scores.
LEFT_COLUMNS = (*GROUP_KEYS, "runs", "steps")
RIGHT_COLUMNS = ("parameters, M", "Mpx/s", "peak memory, GB")


def save_comparison(folder: Path, records: Sequence[Record]) -> None:
    """Write `benchmark.md`, the table, and `benchmark.png`, the curves, into a folder."""
    write_text(folder / "benchmark.md", "\n".join(comparison_table(records)) + "\n")
    save_curves(folder / "benchmark.png", records)


def comparison_table(records: Sequence[Record]) -> list[str]:
    """Return the lines of a Markdown table: mean and standard deviation over the seeds.

    Examples
    --------
    >>> run = {"method": "m", "net": "n", "ndim": 2, "preset": "default", "minutes": 1.0,
    ...        "parameters": 10**6, "mpx_per_s": 2.0, "peak_memory": 10**9, "steps": 9,
    ...        "headline": {"AP50": 1.0, "PQ": 0.5}}
    >>> print(comparison_table([run, run])[-1])
    | m | n | 2 | default | 1 | 2 | 9 | 1.000 ± .000 | .500 ± .000 | 1.00 | 2.00 | 1.00 |
    """
    columns, rows = comparison_cells(records)[1:]
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def comparison_cells(records: Sequence[Record]) -> Table:
    """Return the cells of `comparison_table`."""
    scores = list(dict.fromkeys(name for run in records for name in run["headline"]))
    rows = []
    for (method, net, ndim, preset, minutes), group in group_records(records, GROUP_KEYS).items():
        peaks = [run["peak_memory"] for run in group if run["peak_memory"] is not None]
        row = (
            method,
            net or "",
            ndim,
            preset,
            f"{minutes:g}",
            len(group),
            f"{np.mean([run['steps'] for run in group]):,.0f}",
            *(
                _spread(
                    [
                        run["headline"][name]
                        for run in group
                        if run["headline"].get(name) is not None
                    ]
                )
                for name in scores
            ),
            f"{group[0]['parameters'] / 1e6:.2f}",
            f"{np.mean([run['mpx_per_s'] for run in group]):.2f}",
            f"{max(peaks) / 1e9:.2f}" if peaks else "",
        )
        rows.append(tuple(map(str, row)))
    return Table(
        "Mean and standard deviation over the runs", (*LEFT_COLUMNS, *scores, *RIGHT_COLUMNS), rows
    )


def save_curves(path: Path, records: Sequence[Record]) -> None:
    """Draw AP over the IoU threshold or IoU by class, and the score over minutes of training."""
    from matplotlib.figure import Figure

    trained = [run for run in records if run["minutes"]]
    lengths = sorted({run["minutes"] for run in trained})
    figure = Figure(figsize=(7 * (1 + (len(lengths) > 1)), 5), dpi=100, layout="constrained")
    axes = figure.subplots(1, 1 + (len(lengths) > 1), squeeze=False)[0]
    longest = [run for run in records if run["minutes"] in (0, lengths[-1] if lengths else 0)]
    # The same colours in both plots.
    numbers = {key: number for number, key in enumerate(group_records(records, GROUP_KEYS[:4]))}
    for key, group in group_records(longest, GROUP_KEYS).items():
        values = np.array([list(run["profile"].values()) for run in group])
        _curve(axes[0], list(group[0]["profile"]), values, key[:4], numbers[key[:4]])
    axes[0].set(
        xlabel=records[0]["axes"][0],
        ylabel=records[0]["axes"][1],
        ylim=(0, 1),
        title=f"{lengths[-1]:g} minutes of training" if lengths else "no training",
    )
    if len(lengths) > 1:
        for key, group in group_records(trained, GROUP_KEYS[:4]).items():
            shown = group_records(group, ("minutes",))
            points = sorted(shown)
            most = max(len(runs) for runs in shown.values())
            values = np.full((most, len(points)), np.nan)
            for column, point in enumerate(points):
                found = [run["headline"][run["main"][0]] for run in shown[point]]
                values[: len(found), column] = found
            _curve(axes[1], [point[0] for point in points], values, key, numbers[key])
        axes[1].set(
            xlabel="minutes of training",
            ylabel=records[0]["main"][1],
            title="accuracy against time",
            xscale="log",
        )
        axes[1].set_xticks(lengths, [f"{length:g}" for length in lengths])
        axes[1].minorticks_off()
    for one in axes:
        one.grid(alpha=0.3)
        one.legend()
    save_figure(figure, path)


def _curve(axes: Any, x: Sequence[Any], values: Any, key: tuple[Any, ...], number: int) -> None:
    """Draw the mean over runs, and a band from the lowest to the highest."""
    style = ["-", "--", "-.", ":"][number // 10 % 4]
    (line,) = axes.plot(
        x,
        np.nanmean(values, axis=0),
        style,
        marker=".",
        color=f"C{number % 10}",
        label=format_curve_label(key),
    )
    axes.fill_between(
        x,
        np.nanmin(values, axis=0),
        np.nanmax(values, axis=0),
        color=line.get_color(),
        alpha=0.15,
        linewidth=0,
    )


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = f"{np.mean(values):.3f}".removeprefix("0")
    if len(values) < 2:
        return mean
    return f"{mean} ± " + f"{np.std(values, ddof=1):.3f}".removeprefix("0")
