"""Training, saving, loading and segmenting, end to end on synthetic images."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from embedseg.data import DataOptions, load_split
from embedseg.images import blobs, read_labels, write_blobs, write_labels
from embedseg.methods import METHODS
from embedseg.model import Config, parse_duration, plan, trained_net as inference
from embedseg.scoring import score
from embedseg.segmenter import Segmenter
from embedseg.types import DataError, UsageError, arrange

FAST = {
    "net.width": 8,
    "net.depth": 2,
    "train.batch": 2,
    "train.steps_per_epoch": 3,
    "train.precision": "32-true",
    "data.seed": 1,
}
CROPS = {2: "32,32", 3: "8,24,24"}
#: Objects as one class.
CLASSES = "ground=0,object=" + "+".join(map(str, range(1, 60)))


@pytest.fixture(scope="module", params=[2, 3], ids=["2d", "3d"])
def data(request, tmp_path_factory) -> Path:
    return blob_folder(tmp_path_factory.mktemp("blobs"), request.param)


def blob_folder(folder: Path, ndim: int) -> Path:
    write_blobs(folder, ndim, splits={"train": 4, "val": 2, "test": 1})
    return folder


def tiny(data: Path, **more) -> Config:
    config = plan(data)
    return config.changed(FAST | {"train.crop": CROPS[config.ndim]} | more)


def same_weights(one: Segmenter, other: Segmenter) -> bool:
    pairs = zip(one.net.state_dict().values(), other.net.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_model_is_a_folder(data, tmp_path):
    model = Segmenter.new(tiny(data), "cpu").fit(
        data, epochs=2, folder=tmp_path / "model", progress=False
    )
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names >= {"config.json", "weights.safetensors", "history.csv", "last.ckpt"}
    again = Segmenter.load(tmp_path / "model", "cpu")
    assert again.config == model.config and same_weights(model, again)
    assert [row["epoch"] for row in model.history] == [1, 2]
    assert {"instance", "smoothness", "seed", "total", "val_ap_mean"} <= set(model.history[-1])
    header = (tmp_path / "model" / "history.csv").read_text().splitlines()[0]
    assert header.startswith("epoch,step,minutes,rate,instance")
    with pytest.raises(UsageError, match="exists and is not empty"):
        model.save(data)


def test_loading_leaves_the_random_numbers_of_its_caller_alone(data, tmp_path):
    Segmenter.new(tiny(data), "cpu").save(tmp_path / "m")
    before = torch.get_rng_state()
    Segmenter.load(tmp_path / "m", "cpu")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_trained_tuned_and_applied(data, method, tmp_path):
    reading = DataOptions(classes=CLASSES if METHODS[method].reads == "classes" else None)
    config = plan(data, method=method, options=reading).changed(
        FAST | {"train.crop": CROPS[plan(data).ndim], "data.min_foreground": 0.01}
    )
    model = Segmenter.new(config, "cpu").fit(data, epochs=1, folder=tmp_path / "m", progress=False)
    again = Segmenter.load(tmp_path / "m", "cpu")
    assert again.config.method == model.config.method and again.config.method.type == method
    (sample,) = load_split(data, "test", again.config.data)
    np.testing.assert_array_equal(*(m.segment(sample.image[0]) for m in (model, again)))
    assert model.segment(sample.image[0]).shape == sample.labels.shape


def test_a_resumed_run_ends_in_the_same_weights(data, tmp_path, monkeypatch):
    config = tiny(data)
    whole = Segmenter.new(config, "cpu").fit(data, epochs=4, tune=False, progress=False)

    def stop(run, *rest):
        if run.state.step == 7:
            raise RuntimeError("the power is out")
        return step(run, *rest)

    from embedseg.training import loop

    step = loop.train_step
    monkeypatch.setattr(loop, "train_step", stop)
    with pytest.raises(RuntimeError, match="power"):
        Segmenter.new(config, "cpu").fit(
            data, epochs=4, folder=tmp_path / "m", tune=False, progress=False
        )
    monkeypatch.setattr(loop, "train_step", step)
    resumed = Segmenter.new(config, "cpu").fit(
        data, epochs=4, folder=tmp_path / "m", resume=True, tune=False, progress=False
    )
    assert same_weights(whole, resumed)
    assert [row["step"] for row in resumed.history] == [3, 6, 9, 12]


def test_ctrl_c_keeps_the_best_so_far(data, tmp_path, monkeypatch):
    from embedseg.training import loop

    step = loop.train_step

    def interrupted(run, *rest):
        if run.state.step == 5:
            raise KeyboardInterrupt
        return step(run, *rest)

    monkeypatch.setattr(loop, "train_step", interrupted)
    model = Segmenter.new(tiny(data), "cpu").fit(
        data, epochs=9, folder=tmp_path / "m", progress=False
    )
    assert len(model.history) == 1
    assert same_weights(model, Segmenter.load(tmp_path / "m", "cpu"))


def test_a_time_limit_bounds_the_run(data):
    config = tiny(data)
    Segmenter.new(config, "cpu").fit(data, epochs=1, progress=False)  # compiles what is compiled
    model = Segmenter.new(config, "cpu").fit(data, time_limit="8s", progress=False)
    assert model.history[-1]["minutes"] * 60 < 16
    assert model.history[-1]["rate"] < model.history[0]["rate"] <= config.train.learning_rate
    assert "val_ap_mean" in model.history[-1]


def test_seeds_decide_everything(data):
    def fitted(seed):
        return Segmenter.new(tiny(data, **{"train.seed": seed}), "cpu").fit(
            data, epochs=1, tune=False, progress=False
        )

    assert same_weights(fitted(3), fitted(3))
    assert not same_weights(fitted(3), fitted(4))


def test_each_stage_can_be_looked_at(data):
    config = tiny(data)
    model = Segmenter.new(config, "cpu").with_options(
        {"method.seed_threshold": 0.0, "method.fg_threshold": 0.0}
    )
    image = blobs({2: (41, 37), 3: (9, 26, 23)}[config.ndim], 4, seed=1)[0]
    maps = model.predict(image)
    assert maps.shape == image.shape and maps.data.dtype == np.float16
    found = model.decode(maps)
    labels = model.segment(image)
    np.testing.assert_array_equal(found.labels, labels)
    assert labels.dtype == np.int32 and labels.max() == len(found.objects["score"]) > 0
    again = model.segment_objects(image)
    np.testing.assert_array_equal(again.labels, labels)
    np.testing.assert_array_equal(again.objects["score"], found.objects["score"])
    frames = model.segment_objects(np.stack([image, image]), axes="T" + "ZYX"[3 - config.ndim :])
    np.testing.assert_array_equal(frames.labels[1], labels)
    assert frames.objects is None
    with pytest.raises(DataError, match="name them with axes"):
        model.segment(image[None])


def test_labels_come_back_in_the_grid_of_the_image(tmp_path):
    model = Segmenter.new(tiny(blob_folder(tmp_path, 3)), "cpu")
    assert model.config.spacing == (1.0, 0.5, 0.5) and model.config.spacing_known
    image = np.zeros((9, 40, 30), np.float32)
    assert model.predict(image, spacing=(1.0, 0.25, 0.5)).shape == (9, 20, 30)
    assert model.segment(image, spacing=(1.0, 0.25, 0.5)).shape == image.shape
    with pytest.raises(UsageError, match="2 values"):
        model.segment(image, spacing=(1.0, 1.0))


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 1.0)])
def test_a_2d_model_segments_volumes_by_planes(tmp_path, spacing):
    data = blob_folder(tmp_path, 3)
    config = plan(data, ndim=2).changed(FAST | {"train.crop": CROPS[2]})
    model = Segmenter.new(config, "cpu").fit(data, epochs=1, tune=False, progress=False)
    volume = blobs((10, 32, 32), 3, seed=5)[0]
    assert model.segment(volume, planes=True, spacing=spacing).shape == volume.shape
    with pytest.raises(DataError, match="3 axes"):
        model.segment(volume)


@pytest.mark.parametrize(
    ("spacing", "directions", "steps"),
    [
        (None, (0,), (1.0, 1.0, 1.0)),
        ((8.0, 2.0, 2.0), (0,), (4.0, 1.0, 1.0)),
        ((2.0, 2.0, 2.0), (0, 1, 2), (1.0, 1.0, 1.0)),
    ],
)
def test_scalars_of_planes_are_decoded_as_a_volume(
    tmp_path, monkeypatch, spacing, directions, steps
):
    config = plan(blob_folder(tmp_path, 3), ndim=2, method="boundary").changed(
        FAST | {"train.crop": CROPS[2], "spacing": "1,1", "spacing_known": False}
    )
    model, seen = Segmenter.new(config, "cpu"), []
    real = inference.predict_planes
    monkeypatch.setattr(
        inference,
        "predict_planes",
        lambda *a, **k: (seen.append(k["directions"]), real(*a, **k))[1],
    )
    volume = blobs((8, 32, 32), 3, seed=5)[0]
    maps = model.predict(volume, planes=True, spacing=spacing)
    assert (seen, maps.spacing, maps.shape) == ([directions], steps, volume.shape)
    assert np.array_equal(
        model.decode(maps).labels, model.segment(volume, planes=True, spacing=spacing)
    )


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no model here"):
        Segmenter.load(tmp_path)
    data = blob_folder(tmp_path / "data", 2)
    config = tiny(data)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_text(config.model_dump_json())
    with pytest.raises(UsageError, match="no weights yet"):
        Segmenter.load(tmp_path / "half")
    with pytest.raises(UsageError, match="net of a trained model cannot be changed"):
        Segmenter.new(config, "cpu").with_options({"net.width": 4})


def test_a_model_is_saved_where_it_was_fitted(tmp_path):
    data = blob_folder(tmp_path / "data", 2)
    Segmenter.new(tiny(data), "cpu").fit(
        data, epochs=1, folder=tmp_path / "m", tune=False, progress=False
    ).save(tmp_path / "m")
    model = Segmenter.load(tmp_path / "m", "cpu")
    assert [row["epoch"] for row in model.history] == [1]
    model.save(tmp_path / "m")
    assert (tmp_path / "m" / "last.ckpt").is_file()
    assert Segmenter.load(tmp_path / "m", "cpu").history == model.history


def test_bad_data_leaves_no_folder_behind(tmp_path):
    data = blob_folder(tmp_path / "data", 2)
    config = tiny(data)
    next((data / "train" / "masks").iterdir()).unlink()
    with pytest.raises(DataError):
        Segmenter.new(config, "cpu").fit(data, epochs=1, folder=tmp_path / "m", progress=False)
    assert not (tmp_path / "m").exists()


def test_epochs_end_a_run_before_its_time_limit(data):
    model = Segmenter.new(tiny(data), "cpu").fit(data, time_limit="10m", epochs=2, progress=False)
    assert model.history[-1]["step"] == 6


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("1h2m3s", 3723), (4, 4), ("1.5m", 90), ("0.5h", 1800)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0s", "-5m", "5m4h", "1.m"])
def test_what_is_no_duration(text):
    with pytest.raises(UsageError, match="no duration"):
        parse_duration(text)


def test_axes_are_put_in_order():
    image = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(arrange(image, "XYC", 2, 4), image.transpose(2, 1, 0))
    with pytest.raises(DataError, match="'ZYX' do not fit"):
        arrange(image, "ZYX", 2, 1)


@pytest.mark.slow
def test_learns_blobs_and_says_the_same_in_another_process(data, tmp_path):
    model = Segmenter.new(plan(data), "cpu").fit(
        data, time_limit="60s", folder=tmp_path / "m", progress=False
    )
    (sample,) = load_split(data, "test")
    image = sample.image[0]
    labels = model.segment(image)
    assert score(sample.labels, labels).ap["0.50"] > 0.9
    np.save(tmp_path / "image.npy", image)
    code = (
        "import sys, numpy as np, embedseg; folder = sys.argv[1]; "
        "model = embedseg.Segmenter.load(folder + '/m', device='cpu'); "
        "np.save(folder + '/labels.npy', model.segment(np.load(folder + '/image.npy')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), labels)


@pytest.mark.slow
@pytest.mark.parametrize(("kept", "least"), [("slices", 0.3), ("box", 0.6)])
def test_a_part_of_each_volume_is_enough(kept, least, tmp_path):
    data = blob_folder(tmp_path, 3)
    for path in sorted(data.glob("*/masks/*.tif")):
        mask = read_labels(path, "ZYX")
        part = np.full_like(mask.data, -1)
        shown = np.s_[1::4] if kept == "slices" else np.s_[2:14, 4:40, 4:40]
        part[shown] = mask.data[shown]
        if "test" not in str(path):
            write_labels(path, part, mask.spacing, "ZYX")
    config = plan(data).changed({"train.precision": "32-true", "net.width": 16})
    model = Segmenter.new(config, "cpu").fit(data, epochs=8, progress=False)
    assert max(row["val_ap_50"] for row in model.history) > 0.5
    (sample,) = load_split(data, "test")
    labels = model.segment(sample.image[0], spacing=sample.spacing)
    assert score(sample.labels, labels).ap["0.50"] > least
