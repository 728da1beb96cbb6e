"""The command evaluate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from commands import Run


def test_evaluate_is_predict_and_score(model: Path, data: Path, tmp_path: Path, run: Run) -> None:
    done = run("evaluate", model, data, "--json", "--device", "cpu")
    assert done.code == 0
    assert run("predict", model, data / "test/images", "-o", tmp_path / "out").code == 0
    scored = run("score", data / "test/masks", tmp_path / "out", "--json")
    assert json.loads(done.out) == json.loads(scored.out)
    assert run("evaluate", model, data, "--split", "nonsense").code != 0


def test_only_the_split_is_found_fault_with(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    shutil.copytree(data / "test", tmp_path / "test")
    done = run("evaluate", model, tmp_path, "--split", "more")
    assert done.code == 1 and "no folder more/images; there are test" in done.last
    assert "train" not in done.err.replace(str(tmp_path), "")
