"""The command plan."""

from __future__ import annotations

import json
from pathlib import Path

from commands import TINY, Run


def test_plan_is_a_file_that_train_takes(data: Path, tmp_path: Path, run: Run) -> None:
    file = tmp_path / "config.json"
    done = run(
        "plan",
        data,
        "-o",
        file,
        "--spacing",
        "0.25,0.25",
        "--set",
        "train.epochs=7",
        "--set",
        "data.fill_holes=true",
        *TINY,
    )
    assert done.code == 0
    assert "crop" in done.out
    config = json.loads(file.read_text())
    assert config["spacing"] == [0.25, 0.25]
    assert config["train"]["epochs"] == 7
    assert config["data"]["fill_holes"] is True
    assert json.loads(run("plan", data, "--json", *TINY).out)["spacing"] == [0.5, 0.5]
    assert run("plan", data, "-o", file, *TINY).code == 2
    done = run(
        "train",
        data,
        "-o",
        tmp_path / "model",
        "--config",
        file,
        "--epochs",
        "1",
        "--no-tune",
        "--seed",
        "3",
        *TINY,
    )
    assert done.code == 0
    kept = json.loads((tmp_path / "model/config.json").read_text())
    assert kept["spacing"] == [0.25, 0.25]
    assert (kept["train"]["seed"], kept["train"]["epochs"]) == (3, 1)
    assert run("train", data, "-o", tmp_path / "m", "--config", file, "--net", "unet").code == 2


def test_memory_is_a_limit_to_plan_with(data: Path, run: Run) -> None:
    free, tight = (
        json.loads(run("plan", data, "--json", *more).out) for more in ([], ["--memory", "540MB"])
    )
    assert tight["train"]["batch"] < free["train"]["batch"]
    assert tight["train"]["accumulate"] > free["train"]["accumulate"]
