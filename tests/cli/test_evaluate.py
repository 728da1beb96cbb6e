"""The command evaluate."""

from __future__ import annotations

import json
from pathlib import Path

from commands import Run


def test_evaluate_is_predict_and_score(model: Path, data: Path, tmp_path: Path, run: Run) -> None:
    done = run("evaluate", model, data, "--json", "--device", "cpu")
    assert done.code == 0
    assert run("predict", model, data / "test/images", "-o", tmp_path / "out").code == 0
    scored = run("score", data / "test/masks", tmp_path / "out", "--json")
    assert json.loads(done.out) == json.loads(scored.out)
    assert run("evaluate", model, data, "--split", "nonsense").code != 0
