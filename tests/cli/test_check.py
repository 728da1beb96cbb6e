"""The command check."""

from __future__ import annotations

import json
from pathlib import Path

from commands import Run, broken


def test_check_prints_one_object(data: Path, tmp_path: Path, run: Run) -> None:
    done = run("check", data, "--json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["ok"] is True
    assert set(report["inventory"]) == {"train", "val", "test"}
    done = run("check", broken(data, tmp_path / "bad"), "--json")
    assert done.code == 1
    assert {f["severity"] for f in json.loads(done.out)["findings"]} >= {"error"}
