"""Charts as inline SVG.

A chart is data; `draw_svg` draws it. Series differ in dashes or filling too, not in colour alone,
and a chart has a description with its numbers for screen readers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from markupsafe import Markup

from embedseg.common import pick_evenly
from embedseg.scoring import Table

#: Size of the drawing, and its margins for tick labels and axis labels.
WIDTH, HEIGHT = 600, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 46
#: Points of a line and rows of the table below a chart, at most.
MAX_POINTS, MAX_ROWS = 400, 60
DASHES = ("", "7 3", "2 3", "9 3 2 3", "1 4", "12 4")
#: Number of colours for series in `page.css`.
COLOUR_COUNT = 6


@dataclass(frozen=True)
class Series:
    """A series of a chart: a y for each x; of a histogram n + 1 edges for n counts."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """A chart: series of numbers with labels.

    Attributes
    ----------
    title, x_label, y_label : str
    series : tuple of Series
    kind : {"lines", "steps", "bars"}
        Steps are histograms; the x of bars are indices of `names`.
    log_x, log_y : bool
        Whether an axis is logarithmic; values that are not positive are left out.
    limits : tuple of float, optional
        Of y; default: the range of the values, of histograms and bars from 0.
    names : tuple of str
        Labels of the bars.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    kind: Literal["lines", "steps", "bars"] = "lines"
    log_x: bool = False
    log_y: bool = False
    limits: tuple[float, float] | None = None
    names: tuple[str, ...] = ()

    def describe(self) -> str:
        """Describe the chart in words, with its numbers.

        Examples
        --------
        >>> Chart("AP", "IoU", "AP", (Series("all", [0.5, 0.9], [0.8, 0.25]),)).describe()
        'AP. all: 0.8 at IoU 0.5 to 0.25 at 0.9, highest 0.8.'
        """
        return f"{self.title}. " + " ".join(map(self._describe_series, self.series))

    def table(self) -> Table:
        """Return the numbers as a table; of a long chart evenly spaced rows.

        Examples
        --------
        >>> Chart("AP", "IoU", "AP", (Series("all", [0.5, 0.9], [0.8, 0.25]),)).table().rows
        [('0.5', '0.8'), ('0.9', '0.25')]
        """
        columns = [dict(zip(each.x, each.y, strict=False)) for each in self.series]
        places = sorted({x for column in columns for x in column})
        places = [places[i] for i in pick_evenly(len(places), MAX_ROWS)]
        rows = [
            (
                self._format_x(x),
                *(format_number(column[x]) if x in column else "" for column in columns),
            )
            for x in places
        ]
        return Table(self.title, (self.x_label, *(each.name for each in self.series)), rows)

    def _format_x(self, x: float) -> str:
        return self.names[int(x)] if self.kind == "bars" else format_number(x)

    def _describe_series(self, series: Series) -> str:
        if not len(series.y):
            return f"{series.name}: nothing."
        x, y = list(series.x), [format_number(value) for value in series.y]
        if self.kind == "bars":
            values = [f"{self._format_x(place)} {text}" for place, text in zip(x, y, strict=True)]
            return f"{series.name}: {', '.join(values)}."
        first, last = format_number(x[0]), format_number(x[-1])
        top = int(np.argmax(series.y))
        if self.kind == "steps":
            return (
                f"{series.name}: {format_number(sum(series.y))} from {first} to {last}, "
                f"most between {format_number(x[top])} and {format_number(x[top + 1])}."
            )
        return (
            f"{series.name}: {y[0]} at {self.x_label} {first} to {y[-1]} at {last}, highest "
            f"{format_number(max(series.y))}."
        )


def format_number(value: float) -> str:
    """Format a number with three significant digits, or thousands with commas.

    Examples
    --------
    >>> format_number(0.123456), format_number(12345.6), format_number(3.0), format_number(1e-5)
    ('0.123', '12,346', '3', '1e-05')
    """
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def choose_ticks(low: float, high: float, most: int = 6, log: bool = False) -> list[float]:
    """Return at most `most` round numbers from low to high; of a logarithmic axis 1, 2 and 5.

    Examples
    --------
    >>> choose_ticks(0.0, 1.0), choose_ticks(3, 700, log=True)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0])
    """
    if log:
        first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
        for steps in ((1, 2, 5), (1,)):
            found = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            found = [value for value in found if low * 0.999 <= value <= high * 1.001]
            if len(found) <= most + 2:
                break
        if len(found) > 2:
            return found[:: 1 + len(found) // (most + 3)]
    rough = (high - low) / max(most - 1, 1)
    scale = 10.0 ** np.floor(np.log10(rough))
    step = next(scale * part for part in (1, 2, 5, 10) if scale * part >= rough * 0.999)
    count = int(np.floor(high / step + 1e-9)) - int(np.ceil(low / step - 1e-9)) + 1
    return [float(round((np.ceil(low / step - 1e-9) + k) * step, 12)) for k in range(count)]


def make_histogram(
    title: str,
    x_label: str,
    values: Sequence[tuple[str, Sequence[float]]],
    *,
    log: bool = False,
    bins: int = 24,
    limits: tuple[float, float] | None = None,
) -> Chart:
    """Return a histogram of series with common bins.

    Parameters
    ----------
    title, x_label : str
    values : sequence of (str, sequence of float)
        Name and values of each series.
    log : bool
        Whether bins are equally wide on a logarithmic axis; values must be positive.
    bins : int
        Number of bins.
    limits : tuple of float, optional
        Of the bins; default: those of the values.

    Examples
    --------
    >>> chart = make_histogram("sizes", "px", [("true", [1, 1, 8])], log=True, bins=3)
    >>> [round(x, 1) for x in chart.series[0].x], chart.series[0].y
    ([1.0, 2.0, 4.0, 8.0], [2, 0, 1])
    """
    joined = np.concatenate([np.asarray(each, float) for _, each in values] + [np.zeros(0)])
    low, high = limits or ((joined.min(), joined.max()) if len(joined) else (1.0, 2.0))
    high = high if high > low else low + 1
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)
    # Rounding must not exclude the smallest or the largest value.
    edges[0], edges[-1] = low, high
    series = tuple(
        Series(name, edges.tolist(), np.histogram(each, edges)[0].tolist()) for name, each in values
    )
    return Chart(title, x_label, "how many", series, "steps", log_x=log)


def draw_svg(chart: Chart) -> Markup:
    """Draw a chart as SVG.

    Examples
    --------
    >>> draw_svg(Chart("<AP>", "IoU", "AP", (Series("all", [0.5, 0.9], [0.8, 0.25]),)))[:58]
    Markup('<svg viewBox="0 0 600 300" role="img" aria-label="&lt;AP&g')
    """
    low, high = _find_range([x for each in chart.series for x in each.x], chart.log_x)
    if chart.kind == "bars":
        low, high = -0.5, len(chart.names) - 0.5
    across = _make_scale(low, high, LEFT, WIDTH - RIGHT, chart.log_x)
    bottom, top = chart.limits or _find_range(
        [y for each in chart.series for y in each.y] + [0.0] * (chart.kind != "lines"), chart.log_y
    )
    up = _make_scale(bottom, top, HEIGHT - BOTTOM, TOP, chart.log_y)
    draw = {"lines": _draw_line, "steps": _draw_steps, "bars": _draw_bars}[chart.kind]
    parts = [_draw_axes(chart, across, up, (low, high), (bottom, top))]
    parts += [draw(chart, i, across, up) for i in range(len(chart.series))]
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, chart.describe(), Markup("").join(parts)
    )


# -- parts of a drawing ----------------------------------------------------------------------------
Scale = Callable[[float], float]


def _find_range(values: Sequence[float], log: bool) -> tuple[float, float]:
    kept = [value for value in values if np.isfinite(value) and (value > 0 or not log)]
    low, high = (min(kept), max(kept)) if kept else (1.0, 2.0)
    if high > low:
        return low, high
    return (low / 2, high * 2) if log else (low - 0.5, high + 0.5)


def _make_scale(low: float, high: float, first: float, last: float, log: bool) -> Scale:
    if log:
        return lambda v: (
            first + (last - first) * float(np.log(max(v, low * 1e-9) / low) / np.log(high / low))
        )
    return lambda v: first + (last - first) * (v - low) / (high - low)


def _draw_axes(
    chart: Chart, across: Scale, up: Scale, x: tuple[float, float], y: tuple[float, float]
) -> Markup:
    """Draw the axes: labels, and a line and a number for each tick."""
    marks = (
        [(place, name) for place, name in enumerate(chart.names)]
        if chart.names
        else [(value, format_number(value)) for value in choose_ticks(*x, 8, chart.log_x)]
    )
    parts = [
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            across(value), HEIGHT - BOTTOM + 17, name
        )
        for value, name in marks
    ]
    parts += [
        Markup(
            '<path class="grid" d="M{} {:.1f}H{}"/><text x="{}" y="{:.1f}" '
            'text-anchor="end">{}</text>'
        ).format(LEFT, up(value), WIDTH - RIGHT, LEFT - 6, up(value) + 4, format_number(value))
        for value in choose_ticks(*y, 6, chart.log_y)
        if chart.kind != "steps" or value == int(value)
    ]  # counts are whole numbers
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        Markup(
            '<path class="axis" d="M{} {}V{}H{}"/>'
            '<text x="{}" y="{}" text-anchor="middle">{}</text>'
            '<text transform="translate(13 {}) rotate(-90)" text-anchor="middle">{}</text>'
        ).format(
            LEFT,
            TOP,
            HEIGHT - BOTTOM,
            WIDTH - RIGHT,
            (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - 8,
            chart.x_label,
            middle,
            chart.y_label,
        )
    )
    return Markup("").join(parts)


def _draw_line(chart: Chart, i: int, across: Scale, up: Scale) -> Markup:
    series = chart.series[i]
    points = [
        (x, y)
        for x, y in zip(series.x, series.y, strict=True)
        if np.isfinite(y) and (y > 0 or not chart.log_y)
    ]
    if len(points) > MAX_POINTS:
        points = [points[k] for k in np.linspace(0, len(points) - 1, MAX_POINTS).astype(int)]
    if not points:
        return Markup("")
    path = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in points)
    dots = Markup("").join(
        Markup('<circle class="s{}" cx="{:.1f}" cy="{:.1f}" r="2.5"/>').format(
            i % COLOUR_COUNT, across(x), up(y)
        )
        for x, y in points
        if len(points) <= 40
    )
    return Markup('<path class="line s{}" stroke-dasharray="{}" d="M{}"/>{}').format(
        i % COLOUR_COUNT, DASHES[i % len(DASHES)], path, dots
    )


def _draw_steps(chart: Chart, i: int, across: Scale, up: Scale) -> Markup:
    series = chart.series[i]
    path = "".join(
        f"V{up(y):.1f}H{across(x):.1f}" for x, y in zip(series.x[1:], series.y, strict=True)
    )
    style = i % 2, i % COLOUR_COUNT, DASHES[i % len(DASHES)]
    return Markup(
        '<path class="line fill{} s{}" stroke-dasharray="{}" d="M{:.1f} {:.1f}{}V{:.1f}"/>'
    ).format(*style, across(series.x[0]), up(0), path, up(0))


def _draw_bars(chart: Chart, i: int, across: Scale, up: Scale) -> Markup:
    series, share = chart.series[i], 0.8 / len(chart.series)
    left = -0.4 + i * share
    return Markup("").join(
        Markup(
            '<path class="line bar fill{} s{}" d="M{:.1f} {:.1f}V{:.1f}H{:.1f}V{:.1f}"/>'
        ).format(
            i % 2, i % COLOUR_COUNT, across(x + left), up(0), up(y), across(x + left + share), up(0)
        )
        for x, y in zip(series.x, series.y, strict=True)
    )
