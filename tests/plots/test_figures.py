"""Figures written to files."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from embedseg.plots import figures


def test_names_in_other_scripts_are_drawn_without_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "SCRIPTS", ("No Such Font", "STIXGeneral"))
    figure = Figure()
    other, plain = figure.suptitle("画像が 3"), figure.text(0, 0, "image 3")
    before = plain.get_fontfamily()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.save_figure(figure, tmp_path / "a.png")
    assert other.get_fontfamily() == [*before, "STIXGeneral"]
    assert plain.get_fontfamily() == before
    assert (tmp_path / "a.png").stat().st_size
