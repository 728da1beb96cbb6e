"""The command score, and the way from a data folder to scores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from commands import SCORES, Run, shell
from embedseg.images import write_blobs


def test_score_prints_one_object_and_nothing_else(data: Path, tmp_path: Path, run: Run) -> None:
    masks = data / "test/masks"
    done = run("score", masks, masks, "--json", "--csv", tmp_path / "scores.csv")
    assert done.code == 0
    summary = json.loads(done.out)
    assert set(summary) >= SCORES
    assert summary["ap"]["0.50"] == summary["pooled"]["0.95"] == summary["ap_mean"] == 1
    assert summary["n_images"] == len(list(masks.iterdir()))
    assert len((tmp_path / "scores.csv").read_text().splitlines()) > summary["n_images"]
    assert "1.0" in run("score", masks, masks).out


def test_score_of_unpaired_folders_is_1(data: Path, tmp_path: Path, run: Run) -> None:
    masks = shutil.copytree(data / "test/masks", tmp_path / "masks")
    next(masks.iterdir()).unlink()
    done = run("score", data / "test/masks", masks, "--json")
    assert (done.code, done.out) == (1, "")
    assert done.last.startswith("error: ")


@pytest.mark.slow
@pytest.mark.parametrize("ndim", [2, 3])
def test_from_blobs_to_scores(ndim: int, tmp_path: Path) -> None:
    data, model, labels = (tmp_path / name for name in ("data", "model", "labels"))
    write_blobs(data, ndim=ndim)
    assert shell("check", data).returncode == 0
    done = shell("train", data, "-o", model, "--time-limit", "60s", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    done = shell("predict", model, data / "test/images", "-o", labels)
    assert done.returncode == 0, done.stderr
    done = shell("score", data / "test/masks", labels, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ap"]["0.50"] > 0.9


@pytest.mark.slow
def test_a_2d_net_segments_volumes(tmp_path: Path) -> None:
    data, model, labels = (tmp_path / name for name in ("data", "model", "labels"))
    write_blobs(data, ndim=3)
    done = shell("train", data, "-o", model, "--ndim", "2", "--time-limit", "30s")
    assert done.returncode == 0, done.stderr
    done = shell("predict", model, data / "test/images", "-o", labels, "--planes")
    assert done.returncode == 0, done.stderr
    done = shell("score", data / "test/masks", labels, "--json")
    assert json.loads(done.stdout)["ap"]["0.50"] > 0.5
