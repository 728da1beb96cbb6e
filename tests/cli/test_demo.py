"""The command demo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import SCORES, shell


@pytest.mark.slow
@pytest.mark.parametrize("ndim", [2, 3])
def test_demo(ndim: int, tmp_path: Path) -> None:
    done = shell("demo", "--ndim", ndim, "-o", tmp_path / "demo", "--time-limit", "20s")
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "demo/scores.json").read_text())
    assert set(scores) >= SCORES
    assert len(list((tmp_path / "demo/overlays").glob("*.png"))) == scores["n_images"]
    assert len(list((tmp_path / "demo/labels").glob("*.tif"))) == scores["n_images"]
    assert "embedseg predict" in done.stdout


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = shell("demo", "-o", tmp_path, "--overwrite")
    assert done.returncode == 2
    assert "notes.txt, which embedseg did not write" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
