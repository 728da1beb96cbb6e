"""Training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from embedseg.plots import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Columns of the history that are not parts of the loss.
NO_LOSS = ("epoch", "step", "minutes", "rate")


def save_history(path: Path | str, rows: Sequence[Mapping[str, float]]) -> None:
    """Draw loss parts, validation scores and learning rate over time into an image file.

    `rows` has one mapping per epoch, as `Segmenter.history` holds them.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4), dpi=100, layout="constrained")
    draw_history(figure, rows)
    save_figure(figure, Path(path))


def draw_history(
    figure: Figure, rows: Sequence[Mapping[str, float]], *, below: bool = False
) -> None:
    """Draw a history as `save_history` does into an empty figure; `below` puts panels in a column.

    In a column there is no learning rate.
    """
    losses, scores, *rest = figure.subplots(*((2, 1) if below else (1, 3)))
    rates = rest[0] if rest else None
    for name in dict.fromkeys(name for row in rows for name in row):
        if name in NO_LOSS and name != "rate":
            continue
        axes = rates if name == "rate" else scores if name.startswith("val_") else losses
        if axes is None:
            continue
        shown = [
            (row.get("minutes", row.get("epoch", i)), row[name])
            for i, row in enumerate(rows)
            if name in row
        ]
        style = ["-", "--", "-.", ":"][len(axes.lines) % 4]
        axes.plot(*zip(*shown, strict=True), style, marker=".", label=name.removeprefix("val_"))
    losses.set(title="loss", xlabel="minutes", yscale="log")
    scores.set(title="validation", xlabel="minutes", ylim=(0, 1))
    if rates is not None:
        rates.set(title="learning rate", xlabel="minutes", ylim=(0, None))
    for axes in (losses, scores, *rest):
        axes.grid(alpha=0.3)
        if axes.lines and axes is not rates:
            axes.legend()
