"""predict on whole-slide images: the level that fits the model, its labels and their place."""

from pathlib import Path

import numpy as np
import pytest
from slides import write_ndpi, write_svs

from embedseg.images import open_lazy, read_labels, write_blobs
from embedseg.model import plan
from embedseg.segmenter import Segmenter

PIXELS = np.random.default_rng(0).normal(120, 30, (520, 640, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model of colours with pixels of 1 µm."""
    folder = tmp_path_factory.mktemp("model")
    write_blobs(folder / "data", 2, splits={"train": 2, "val": 1})
    loose = {"seed_threshold": 0.1, "fg_threshold": 0.08, "min_object_size": 0}
    more = {"net.width": 8, "net.depth": 2, "train.crop": [32, 32], "channels": 3}
    changes = more | {f"method.{name}": value for name, value in loose.items()}
    config = plan(folder / "data").changed(changes | {"spacing": [1.0] * 2, "spacing_known": True})
    Segmenter.new(config, "cpu").save(folder / "m")
    return folder / "m"


def test_a_slide_is_segmented_at_the_level_that_fits(model, tmp_path, run):
    slide = write_svs(tmp_path / "a.svs", PIXELS, 0.25)
    whole = run("predict", model, slide, "-o", tmp_path / "out")
    parts = run("predict", model, slide, "-o", tmp_path / "cells.zarr", "--block", "64,64")
    assert whole.code == parts.code == 0, whole.err + parts.err
    assert "a.svs: level 1 of 0 to 2 is read, pixels of 1 x 1 µm" in whole.err
    one, other = read_labels(tmp_path / "out/a.tif"), open_lazy(tmp_path / "cells.zarr")
    assert one.data.shape == other.shape == (130, 160) and one.data.max() > 5
    assert one.spacing == other.spacing == (1.0, 1.0)
    # Where the first pixel of the level lies in the slide.
    assert [each.start for each in other.scales] == [0.375, 0.375]
    assert (one.data > 0).mean() == pytest.approx((other.load().data > 0).mean(), abs=0.02)
    again = run("predict", model, slide, "-o", tmp_path / "out")
    assert again.code == 0 and "1 of 1 have labels already and are skipped" in again.err


def test_a_level_of_a_slide_can_be_asked_for(model, tmp_path, run):
    slide = write_svs(tmp_path / "a.svs", PIXELS, 1.0)
    options = ["--level", "1", "--set", "predict.any_spacing=true", "--also", "geojson"]
    found = run("predict", model, slide, "-o", tmp_path / "out", *options)
    assert found.code == 0 and "level 1 of 0 to 2" in found.err, found.err
    labels = read_labels(tmp_path / "out/a.tif")
    assert labels.data.shape == (130, 160) and labels.spacing == (4.0, 4.0)
    assert (tmp_path / "out/a.geojson").is_file()
    refused = run("predict", model, slide, "-o", tmp_path / "none", "--level", "7")
    assert refused.code == 1 and "a.svs: has no level 7, there are 0 to 2" in refused.err


def test_a_slide_too_large_for_the_memory_is_segmented_at_the_same_level(
    model, tmp_path, run, monkeypatch
):
    slide = write_ndpi(tmp_path / "a.ndpi", PIXELS, 0.25)
    monkeypatch.setattr("embedseg.nets.available_memory", lambda device: 10**6)
    found = run("predict", model, slide, "-o", tmp_path / "out")
    assert found.code == 0 and "so it is segmented in blocks" in found.err, found.err
    labels = read_labels(tmp_path / "out/a.tif")
    assert labels.data.shape == (130, 160) and labels.spacing == (1.0, 1.0)
    # Its finest level takes 16 times as much.
    monkeypatch.setattr("embedseg.nets.available_memory", lambda device: 10**7)
    found = run("predict", model, slide, "-o", tmp_path / "other")
    assert found.code == 0 and "in blocks" not in found.err
