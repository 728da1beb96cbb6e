"""The command tune."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from commands import Run


def test_tune_keeps_the_rest_of_the_model(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    copy = shutil.copytree(model, tmp_path / "copy")
    done = run("tune", copy, data, "--device", "cpu")
    assert done.code == 0
    assert done.out.startswith("tune: ")
    assert {p.name for p in copy.iterdir()} == {p.name for p in model.iterdir()} | {"tuning.json"}
    before, after = (json.loads((m / "config.json").read_text()) for m in (model, copy))
    assert before | {"method": after["method"]} == after
