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


def test_a_folder_to_start_from_has_to_hold_a_model(data: Path, tmp_path: Path, run: Run) -> None:
    for command in (("plan",), ("train", "-o", tmp_path / "model", "--epochs", 1, *TINY)):
        done = run(command[0], data, *command[1:], "--set", f"train.start={data}")
        assert done.code == 2 and f"{data}: no model here" in done.last
    assert not any(tmp_path.iterdir())


def test_an_ignored_label_that_no_mask_has_is_named(data: Path, run: Run) -> None:
    warning = "--ignore-label 77: no mask of"
    masks = data / "test/masks"
    assert "no mask has the value 77" in run("check", data, "--ignore-label", 77).out
    assert "no mask has the value" not in run("check", data, "--ignore-label", 1).out
    for command in (("plan", data), ("score", masks, masks)):
        assert warning in run(*command, "--ignore-label", 77).err
        assert "no mask" not in run(*command, "--ignore-label", 1).err
