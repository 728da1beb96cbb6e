"""The command train: a model, resumed, fine-tuned, interrupted."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from commands import TINY, Run, shell


def test_train_leaves_a_model_and_refuses_to_replace_it(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    assert {"config.json", "weights.safetensors", "history.csv", "history.png"} <= {
        path.name for path in model.iterdir()
    }
    copy = shutil.copytree(model, tmp_path / "copy")
    assert run("train", data, "-o", copy, *TINY).code == 2
    done = run("train", data, "-o", copy, "--resume", "--epochs", "3", "--no-tune")
    assert done.code == 0
    assert len((copy / "history.csv").read_text().splitlines()) == 1 + 3
    refused = run("train", data, "-o", copy, "--resume", "--set", "train.batch=1")
    assert refused.code == 2 and "--resume uses" in refused.err
    assert (
        run(
            "train",
            data,
            "-o",
            copy,
            "--overwrite",
            "--epochs",
            "1",
            "--plot",
            tmp_path / "history.svg",
            *TINY,
        ).code
        == 0
    )
    assert "<!-- learning rate -->" in (tmp_path / "history.svg").read_text()
    assert len((copy / "history.csv").read_text().splitlines()) == 1 + 1


def test_one_score_is_given_and_finding_nothing_is_said(
    data: Path, tmp_path: Path, run: Run
) -> None:
    import embedseg.cli.train as module

    # It finds no object that is right.
    done = run("train", data, "-o", tmp_path / "m", "--epochs", "1", "--no-tune", *TINY)
    assert done.code == 0 and "ap_mean 0.000" in done.out
    assert "warning: the model finds nothing" in done.err
    tuned = SimpleNamespace(before=0.431, after=0.478)
    model: Any = SimpleNamespace(tuned=tuned, history=[{"val_ap_mean": 0.451}])
    assert module._last_score(model, "ap_mean") == (
        0.478,
        "ap_mean 0.478 on validation images, 0.431 before tuning",
    )
    model.tuned = None
    assert module._last_score(model, "ap_mean") == (0.451, "ap_mean 0.451 on validation images")


def test_fine_tuning_begins_with_a_model(model: Path, data: Path, tmp_path: Path, run: Run) -> None:
    done = run(
        "train",
        data,
        "-o",
        tmp_path / "m",
        "--from",
        model,
        "--epochs",
        "1",
        "--no-tune",
        "--set",
        "train.steps_per_epoch=2",
        "--set",
        "train.crop=32,32",
    )
    assert done.code == 0
    assert f"from {model}: 100 % of the weights kept" in done.err
    first, second = (json.loads((m / "config.json").read_text()) for m in (model, tmp_path / "m"))
    assert second["net"] == first["net"] and second["train"]["start"] == str(model)
    copy = shutil.copytree(model, tmp_path / "copy")
    other = run("train", data, "-o", tmp_path / "m", "--resume", "--from", copy)
    assert other.code == 2 and "--resume uses" in other.err


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_so_far(data: Path, tmp_path: Path) -> None:
    # A process started in the background may have been told to ignore Ctrl-C.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from embedseg.cli import main; main()"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "train",
        data,
        "-o",
        tmp_path / "model",
        "--time-limit",
        "60s",
        *TINY,
    ]
    with subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "model/weights.safetensors").exists():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert shell("info", tmp_path / "model").returncode == 0
