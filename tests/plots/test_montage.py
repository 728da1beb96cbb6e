"""Montages of slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from embedseg.plots import paint_labels, save_montage
from image_files import volume_of_balls


@pytest.mark.parametrize("depth", [1, 2, 5, 30])
def test_montage(tmp_path: Path, depth: int) -> None:
    volume, labels = volume_of_balls(depth)
    save_montage(tmp_path / "m.png", volume, labels, title="balls")
    picture = np.round(255 * imread(tmp_path / "m.png")[..., :3]).astype(int)
    for label in (1, 2):  # outlines have the full colour
        assert (picture == paint_labels(np.array(label))).all(-1).sum() > 50
    assert picture.shape[0] * picture.shape[1] > 300 * 200


def test_montage_takes_channels_and_colours(tmp_path: Path) -> None:
    volume, labels = volume_of_balls(4)
    colours = np.array([[0, 0, 0], [255, 0, 0], [1, 2, 250]], np.uint8)
    save_montage(tmp_path / "m.png", np.stack([volume, volume[::-1]]), labels, colours)
    picture = np.round(255 * imread(tmp_path / "m.png")[..., :3]).astype(int)
    assert all((picture == colour).all(-1).sum() > 50 for colour in colours[1:])
