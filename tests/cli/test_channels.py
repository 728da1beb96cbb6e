"""Channels of images, chosen by --channel or as in training."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from stores import write_store

from commands import Run
from embedseg.images import open_lazy, read_labels, write_blobs
from embedseg.model import load_config, plan
from embedseg.segmenter import Segmenter

#: Seeds of a net that has learnt nothing are all about 0.12.
LOOSE = {"method.seed_threshold": 0.1, "method.fg_threshold": 0.08, "method.min_object_size": 0}
CROPS = {2: [32, 32], 3: [8, 24, 24]}
SHAPES = {2: (64, 80), 3: (20, 40, 48)}
BLOCKS = {2: "48,48", 3: "16,32,32"}


def untrained(folder: Path, ndim: int, **more: object) -> Path:
    write_blobs(folder / "data", ndim, splits={"train": 2, "val": 1})
    changes = {"net.width": 8, "net.depth": 2, "train.crop": CROPS[ndim], "spacing": [1.0] * ndim}
    config = plan(folder / "data").changed(changes | LOOSE | more)
    Segmenter.new(config, "cpu").save(folder / "m")
    return folder / "m"


@pytest.fixture(scope="module", params=[2, 3], ids=["2d", "3d"])
def stained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the channel DAPI."""
    folder = tmp_path_factory.mktemp("stained")
    return untrained(folder, request.param, **{"data.channels": "DAPI"})


def ndim_of(model: Path) -> int:
    return load_config(model / "config.json").ndim


def noise(model: Path, channels: int) -> NDArray[np.uint16]:
    shape = (channels, *SHAPES[ndim_of(model)])
    return np.random.default_rng(0).normal(1000, 200, shape).astype(np.uint16)


def write(path: Path, data: NDArray[np.uint16], names: tuple[str, ...]) -> Path:
    if path.suffix == ".zarr":
        write_store(path, data, "CZYX"[-data.ndim :] if data.ndim == 4 else "CYX", levels=1)
        listed = [{"label": name} for name in names]
        zarr.open_group(path, mode="r+").attrs["omero"] = {"channels": listed}
    else:
        metadata = {"axes": "CYX" if data.ndim == 3 else "CZYX", "Channel": {"Name": list(names)}}
        tifffile.imwrite(path, data, photometric="minisblack", metadata=metadata, ome=True)
    return path


def whole(path: Path) -> NDArray[np.int32]:
    image = open_lazy(path)
    return image.read((slice(None),) * len(image.shape))


def test_a_model_takes_the_channels_of_its_training(
    stained: Path, tmp_path: Path, run: Run
) -> None:
    data, block = noise(stained, 3), ["--block", BLOCKS[ndim_of(stained)]]
    names = ("GFP", "DAPI", "BF")
    image = write(tmp_path / "a.ome.tif", data, names)
    store = write(tmp_path / "b.zarr", data, names)
    expected = {
        name: Segmenter.load(stained, "cpu").segment(channel)
        for name, channel in zip(names, data, strict=True)
    }
    assert not np.array_equal(expected["DAPI"], expected["BF"])
    for number, (options, name) in enumerate((([], "DAPI"), (["--channel", "2"], "BF"))):
        out = tmp_path / str(number)
        found = run("predict", stained, image, "-o", out, "--device", "cpu", *options)
        assert found.code == 0, found.err
        labels = read_labels(out / "a.tif").data
        np.testing.assert_array_equal(labels, expected[name])
        for source in (image, store):
            target = tmp_path / f"{number}{source.stem}.zarr"
            found = run(
                "predict", stained, source, "-o", target, "--device", "cpu", *options, *block
            )
            assert found.code == 0, found.err
            agree = (whole(target) > 0) == (expected[name] > 0)
            assert agree.mean() > 0.98, (name, source)


def test_channels_that_a_file_has_are_offered(stained: Path, tmp_path: Path, run: Run) -> None:
    data = noise(stained, 2)
    image = write(tmp_path / "a.ome.tif", data, ("CFP", "YFP"))
    store = write(tmp_path / "b.zarr", data, ("CFP", "YFP"))
    for source, out in ((image, "labels"), (store, "c.zarr")):
        told = run("predict", stained, source, "-o", tmp_path / out, "--device", "cpu")
        words = "2 channel(s), the model has 1; --channel chooses from 0 CFP, 1 YFP"
        assert told.code == 1 and words in told.err
        told = run(
            *("predict", stained, source, "-o", tmp_path / out, "--device", "cpu"),
            *("--channel", "DAPI"),
        )
        assert told.code == 1 and "expected some of 0 CFP, 1 YFP, each once" in told.err
        told = run(
            *("predict", stained, source, "-o", tmp_path / out, "--device", "cpu"),
            *("--channel", "CFP,YFP"),
        )
        assert told.code == 1 and "2 channel(s) are chosen (CFP, YFP), the model has 1" in told.err


def test_a_run_resumes_only_with_the_same_channel(
    stained: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write(tmp_path / "b.zarr", noise(stained, 2), ("GFP", "DAPI"))
    command = ["predict", stained, store, "-o", tmp_path / "c.zarr", "--device", "cpu"]

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("embedseg.blockwise.segment.find_objects", stop)
        assert run(*command).code
    told = run(*command, "--channel", "GFP")
    assert told.code == 2 and "interrupted run with another channels" in told.last
    assert run(*command, "--channel", "DAPI").code == 0


def test_dry_run_and_info_know_the_channels(stained: Path, tmp_path: Path, run: Run) -> None:
    store = write(tmp_path / "b.zarr", noise(stained, 2), ("GFP", "DAPI"))
    command = ["predict", stained, store, "-o", tmp_path / "c.zarr", "--device", "cpu", "--dry-run"]
    for options in ([], ["--channel", "GFP"]):
        found = run(*command, *options)
        assert found.code == 0 and "blocks: " in found.out, found.err
    shown = run("info", stained, "--all").out
    assert "1 channel(s) (DAPI)" in shown and "data.channels = DAPI" in shown


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_grey_image_saved_as_colours_is_grey_in_blocks(
    ndim: int, tmp_path: Path, run: Run
) -> None:
    model = untrained(tmp_path, ndim)
    grey = noise(model, 1)[0]
    axes = "ZYX"[-ndim:]
    np.save(tmp_path / "grey.npy", grey)
    full = np.stack([grey, grey, grey, np.full_like(grey, 255)])
    np.save(tmp_path / "full.npy", full)
    for name, given in (("grey", axes), ("full", "C" + axes)):
        found = run(
            *("predict", model, tmp_path / f"{name}.npy", "-o", tmp_path / f"{name}.zarr"),
            *("--axes", given, "--block", BLOCKS[ndim], "--device", "cpu"),
        )
        assert found.code == 0, found.err
    assert "its 4 channels are equal colours, read as grey" in found.err
    np.testing.assert_array_equal(whole(tmp_path / "full.zarr"), whole(tmp_path / "grey.zarr"))


def test_train_evaluate_and_predict_one_of_two_channels(tmp_path: Path, run: Run) -> None:
    write_blobs(tmp_path / "data", 2, splits={"train": 3, "val": 1, "test": 1})
    for path in sorted((tmp_path / "data").glob("*/images/*")):
        image = tifffile.imread(path)
        image = np.clip(image / max(image.max(), 1e-6) * 60000, 0, 60000).astype(np.uint16)
        path.unlink()
        write(path.with_suffix(".tif"), np.stack([image[::-1], image]), ("GFP", "DAPI"))
    small = [
        *("--set", "net.width=8", "--set", "net.depth=2", "--set", "train.batch=2"),
        *("--set", "train.crop=32,32", "--set", "train.steps_per_epoch=5", "--device", "cpu"),
    ]
    data, model = tmp_path / "data", tmp_path / "m"
    assert "channels: DAPI of each image" in run("plan", data, "--channel", "DAPI", *small).out
    found = run("train", data, "-o", model, "--channel", "DAPI", "--epochs", "1", *small)
    assert found.code == 0, found.err
    config = load_config(model / "config.json")
    assert (config.channels, config.data.channels) == (1, ("DAPI",))
    plain = run("evaluate", model, data, "--json", "--device", "cpu")
    same = run("evaluate", model, data, "--json", "--device", "cpu", "--channel", "1")
    assert plain.code == 0 and plain.out == same.out
    told = run("evaluate", model, data, "--device", "cpu", "--channel", "Cy5")
    assert told.code == 1 and "0 GFP, 1 DAPI" in told.last


def test_intensities_of_one_channel(tmp_path: Path, run: Run) -> None:
    labels = np.zeros((20, 30), np.uint16)
    labels[3:9, 4:12] = 1
    tifffile.imwrite(tmp_path / "labels.tif", labels, metadata={"axes": "YX"})
    data = np.stack([np.full((20, 30), value, np.uint16) for value in (5, 9)])
    image = write(tmp_path / "a.ome.tif", data, ("GFP", "DAPI"))
    command = ["convert", tmp_path / "labels.tif", "-o", tmp_path / "a.csv", "--channel", "DAPI"]
    assert run(*command, "--image", image).code == 0
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert float(row["mean_DAPI"]) == 9 and "mean_GFP" not in row
    told = run(*command, "--overwrite")
    assert told.code == 2 and "--channel is for the image of --image" in told.last
