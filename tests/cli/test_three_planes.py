"""Volumes of three planes, as tifffile writes them unasked, in all commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from commands import Run
from embedseg.images import read_labels

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with volumes of three planes, images and masks."""
    labels = np.zeros((3, 64, 64), np.uint16)
    labels[:, 5:20, 5:20], labels[1, 30:40, 30:40] = 1, 2
    for name in ("train", "val"):
        for place in range(2):
            for kind in ("images", "masks"):
                path = tmp_path / name / kind / f"{place}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                image = RNG.integers(0, 4000, labels.shape).astype(np.uint16)
                tifffile.imwrite(path, labels if kind == "masks" else image)
    return tmp_path


def test_axes_make_them_volumes(folder: Path, model: Path, run: Run) -> None:
    images, masks, mask = folder / "val/images", folder / "val/masks", folder / "val/masks/0.tif"
    sliced = ["--planes", "--spacing", "0.5,0.5,0.5"]
    commands = {
        "check": ["check", folder],
        "plan": ["plan", folder],
        "train": ["train", folder, "-o", folder / "model"],
        "predict": ["predict", model, images, "-o", folder / "out", *sliced],
        "blocks": ["predict", model, images / "0.tif", "-o", folder / "blocks.tif", *sliced],
        "score": ["score", masks, masks],
        "mesh": ["mesh", mask, "-o", folder / "a.stl"],
        "convert": ["convert", mask, "-o", folder / "b.csv", "--image", images / "0.tif"],
    }
    for name, command in commands.items():
        asked = run(*command)
        assert asked.code == 1, name
        question = "3 separate planes of unknown meaning; pass --axes: ZYX"
        assert question in asked.out + asked.err, name
        # Training reads as planning does.
        if name not in ("train", "blocks"):
            assert run(*command, "--axes", "ZYX").code == 0, name
    assert read_labels(folder / "out/0.tif").data.shape == (3, 64, 64)
    assert (folder / "b.csv").read_text().count("\n") == 3
