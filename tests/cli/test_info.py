"""The command info."""

from __future__ import annotations

import json
from pathlib import Path

from commands import Run


def test_info(model: Path, run: Run) -> None:
    done = run("info", model)
    assert done.code == 0
    assert "method.seed_threshold = " in done.out
    assert "trained: 10 steps" in done.out
    found = json.loads(run("info", model, "--json").out)
    assert found["config"]["ndim"] == 2
    assert len(found["history"]) == 2 and found["parameters"] > 1000
