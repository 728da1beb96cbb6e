"""The command info."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from commands import Run
from embedseg.model import ModelFolder
from embedseg.nets import NETS, WEIGHTS, net_options, save_weights
from embedseg.segmenter import Segmenter


def test_info_says_first_what_a_model_is_for(model: Path, data: Path, run: Run) -> None:
    done = run("info", model)
    assert done.code == 0
    first, pixels, net, *more = done.out.splitlines()
    assert first.startswith(f"{model}: finds objects in 2D images of 1 channel")
    assert (
        "embedding" in first and pixels.startswith("pixel size: ") and net.startswith("net: unet")
    )
    assert more[0].startswith(f"data: {data.name}, ") and "for validation; 20" in more[0]
    assert more[1].startswith("trained: 10 steps")
    assert more[2].startswith("scores: ap_mean ")
    assert "method.seed_threshold = " not in done.out


def test_info_shows_all_settings_if_asked_for(model: Path, run: Run) -> None:
    done = run("info", model, "--all")
    assert "method.seed_threshold = " in done.out and "predict.tta = False" in done.out


def test_info_as_json_is_complete(model: Path, data: Path, run: Run) -> None:
    found = json.loads(run("info", model, "--json").out)
    loaded = Segmenter.load(model, "cpu")
    assert found["config"] == loaded.config.model_dump(mode="json")
    assert found["config"]["trained"]["data"] == data.name
    assert date.fromisoformat(found["config"]["trained"]["date"]) <= date.today()
    assert len(found["history"]) == 2
    assert found["parameters"] == sum(weight.numel() for weight in loaded.net.parameters())


@pytest.mark.parametrize("name", list(NETS))
def test_parameters_are_counted_without_the_net(name: str, tmp_path: Path) -> None:
    options = net_options({"type": name})
    net = options.build(3, 1, (5, 1), (1.0,) * 3, (32,) * 3)
    save_weights(net.state_dict(), tmp_path / WEIGHTS)
    assert ModelFolder(tmp_path).parameters() == sum(each.numel() for each in net.parameters())


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 20, b"\2\0\0\0\0\0\0\0[]"])
def test_info_of_a_model_without_readable_weights(
    model: Path, tmp_path: Path, run: Run, content: bytes | None
) -> None:
    (tmp_path / "config.json").write_bytes((model / "config.json").read_bytes())
    if content is not None:
        (tmp_path / WEIGHTS).write_bytes(content)
    done = run("info", tmp_path)
    assert (done.code, "no weights yet" in done.out) == (0, True)
    assert json.loads(run("info", tmp_path, "--json").out)["parameters"] is None


def test_info_of_a_configuration_that_is_none(tmp_path: Path, run: Run) -> None:
    (tmp_path / "config.json").write_text('{"ndim": 5}')
    done = run("info", tmp_path)
    assert (done.code, "config.json" in done.last) == (2, True)
    assert "ndim" in done.last
