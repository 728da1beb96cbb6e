"""Ensembles: averaged one member at a time, refused with the reason, kept in one folder."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from embedseg.data import DataOptions, Sample
from embedseg.geometry import resample_to_shape
from embedseg.images import write_blobs
from embedseg.methods.embedding import Embedding
from embedseg.model import ensemble as ensemble_module, join_models, load_trained_net, plan
from embedseg.model.ensemble import Ensemble, difference, tune_ensemble
from embedseg.model.folder import Member
from embedseg.prediction import from_average, to_average
from embedseg.segmenter import Segmenter
from embedseg.types import Maps, UsageError

CLASSES = DataOptions(classes="ground=0,object=" + "+".join(map(str, range(1, 60))))
CROPS = {2: [32, 32], 3: [8, 24, 24]}


def saved(folder, data, *, method="semantic", ndim=None, net="unet", seed=0, **settings):
    """Save an untrained model."""
    options = CLASSES if method == "semantic" else DataOptions()
    config = plan(data, method=method, ndim=ndim, net=net, options=options)
    config = config.changed(
        {"net.width": 8, "net.depth": 2, "train.seed": seed, "train.crop": CROPS[config.ndim]}
        | settings
    )
    Segmenter.new(config, "cpu").save(folder)
    return folder


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    write_blobs(folder, 3, splits={"train": 2, "val": 1, "test": 1})
    return folder


@pytest.fixture(scope="module")
def three(volumes, tmp_path_factory):
    """A 2D, a hybrid and a 3D model."""
    folder = tmp_path_factory.mktemp("models")
    return [
        saved(folder / "flat", volumes, ndim=2),
        saved(folder / "hybrid", volumes, net="unet2d3d", seed=1),
        saved(folder / "solid", volumes, seed=2),
    ]


def image_of(volumes):
    from embedseg.images import read_image

    (path,) = (volumes / "test/images").iterdir()
    return read_image(path)


# -- what is averaged ------------------------------------------------------------------------------
def test_probabilities_of_all_members_are_averaged(three, volumes, tmp_path):
    folder = join_models(three, tmp_path / "both")
    image = image_of(volumes)
    whole = Segmenter.load(folder, "cpu").predict(image.data, spacing=image.spacing)
    parts = []
    for path in three:
        model = Segmenter.load(path, "cpu")
        found = model.predict(image.data, spacing=image.spacing, planes=model.config.ndim == 2)
        # The planes of the 2D model are those of a volume with cubic voxels.
        parts.append(resample_to_shape(found["probability"], whole.shape))
    np.testing.assert_allclose(whole["probability"], np.mean(parts, axis=0), atol=2e-3)
    labels = Segmenter.load(folder, "cpu").segment(image.data, spacing=image.spacing)
    assert labels.shape == image.data.shape
    np.testing.assert_array_equal(labels, np.mean(parts, axis=0).argmax(axis=0))


def test_weights_count(three, volumes, tmp_path):
    folder = join_models(three, tmp_path / "both")
    members = json.loads((folder / "ensemble.json").read_text())
    for each in members:
        each["weight"] = float(each["name"].endswith("solid"))
    (folder / "ensemble.json").write_text(json.dumps(members))
    image = image_of(volumes)
    alone = Segmenter.load(three[2], "cpu").predict(image.data, spacing=image.spacing)
    found = Segmenter.load(folder, "cpu").predict(image.data, spacing=image.spacing)
    np.testing.assert_allclose(found["probability"], alone["probability"], atol=2e-3)


def test_one_member_is_in_memory_at_a_time(three, volumes, tmp_path, monkeypatch):
    folder = join_models(three, tmp_path / "both")
    alive = []

    def counting(*args):
        import gc
        import weakref

        gc.collect()
        assert not any(ref() is not None for ref in alive)
        applied = load_trained_net(*args)
        alive.append(weakref.ref(applied.net))
        return applied

    monkeypatch.setattr(ensemble_module, "load_trained_net", counting)
    image = image_of(volumes)
    Segmenter.load(folder, "cpu").segment(image.data, spacing=image.spacing)
    assert len(alive) == 3


def test_members_of_another_pixel_size_meet_on_the_grid_of_the_first(volumes, tmp_path):
    one = saved(tmp_path / "one", volumes)
    other = saved(tmp_path / "other", volumes, spacing=[2.0, 1.0, 1.0])
    image = image_of(volumes)
    found = Segmenter.load(join_models([one, other], tmp_path / "both"), "cpu").predict(
        image.data, spacing=image.spacing
    )
    assert found.shape == image.data.shape and found.spacing == image.spacing


def test_lengths_mean_the_same_whatever_the_unit():
    one, other = Embedding(unit=20.0), Embedding(unit=10.0, bandwidth_scale=5.0)
    rng = np.random.default_rng(0)
    specs = one.maps(2)
    raw = rng.normal(scale=0.3, size=(5, 6, 7)).astype(np.float16)
    maps = Maps(raw, specs, (1.0, 1.0))
    there = one.transfer.translate(maps, other, one)
    np.testing.assert_allclose(20 * there["offset"], 10 * maps["offset"], atol=0.02)
    widths = [
        np.exp(m.bandwidth_scale * x["bandwidth"]) / m.unit**2
        for m, x in ((one, there), (other, maps))
    ]
    np.testing.assert_allclose(*widths, rtol=0.02)
    assert one.transfer.translate(maps, one, one) is maps
    assert one.differs(other) is None


@pytest.mark.parametrize("method", ["embedding", "boundary"])
def test_objects_are_found_by_models_of_any_size_together(method, volumes, tmp_path):
    extra = {"method.unit": 9.0} if method == "embedding" else {}
    paths = [
        saved(tmp_path / "a", volumes, method=method),
        saved(tmp_path / "b", volumes, method=method, seed=3, **extra),
        saved(tmp_path / "c", volumes, method=method, ndim=2),
    ]
    model = Segmenter.load(join_models(paths, tmp_path / "all"), "cpu")
    image = image_of(volumes)
    assert model.segment(image.data, spacing=image.spacing).shape == image.data.shape


# -- tuning ----------------------------------------------------------------------------------------
class Says(Ensemble):
    """Members that say what is in a table."""

    def member_maps(self, member, image, spacing, tta=None, progress=False):
        sure = np.where(image[0] > 0.5, 4.0, -4.0)
        raw = np.stack([-sure, sure]) * (1 if member.folder.name == "good" else -2)
        return Maps(raw.astype(np.float16), self.config.method.maps(2), (1.0, 1.0))


def samples(count):
    rng = np.random.default_rng(0)
    labels = [(rng.random((8, 9)) > 0.5).astype(np.int32) for _ in range(count)]
    return [
        Sample(str(k), each[None].astype(np.float32), each, semantic=True)
        for k, each in enumerate(labels)
    ]


@pytest.mark.parametrize(("count", "weights"), [(9, True), (3, False)])
def test_weights_are_searched_only_on_images_enough(count, weights, tmp_path):
    write_blobs(tmp_path, 2)
    config = plan(tmp_path, method="semantic", options=CLASSES)
    members = tuple(Member(Path(name), 1.0, name == "bad") for name in ("good", "bad"))
    both = Says(config, members, torch.device("cpu"))
    found, tuned = tune_ensemble(both, samples(count))
    assert (found.members[0].weight > found.members[1].weight) == weights
    assert tuned.after >= tuned.before
    if weights:
        assert tuned.after == 1


def test_averages_are_of_what_the_maps_say():
    specs = (replace(Embedding().maps(2)[2]),)
    raw = np.array([[[2.0, -2.0]]], np.float32)
    np.testing.assert_allclose(from_average(to_average(raw, specs), specs), raw, atol=1e-5)


# -- files and words -------------------------------------------------------------------------------
def test_from_the_command_line(three, volumes, tmp_path, run):
    both = tmp_path / "both"
    done = run(
        "ensemble", ",".join(map(str, three)), "-o", both, "--tune", volumes, "--device", "cpu"
    )
    assert done.code == 0 and "ensemble of 3 models" in done.out
    code, table, _ = run("evaluate", both, volumes, "--device", "cpu")
    assert code == 0
    assert all(name in table for name in ("1-flat", "2-hybrid", "3-solid", "both", "mean IoU"))
    done = run("evaluate", both, volumes, "--json", "--device", "cpu")
    assert done.code == 0
    found = json.loads(done.out)
    assert list(found["members"]) == ["1-flat", "2-hybrid", "3-solid", "both"]
    assert found["members"]["both"]["iou_mean"] == found["iou_mean"]
    code, words, _ = run("info", both)
    assert code == 0
    assert "ensemble of 3 nets" in words and "1-flat: unet in 2D" in words
    assert (
        run(
            "predict", both, volumes / "test/images", "-o", tmp_path / "out", "--device", "cpu"
        ).code
        == 0
    )
    done = run("train", volumes, "-o", tmp_path / "more", "--from", both)
    assert done.code == 2 and "no weights" in done.err


def test_members_keep_their_order_and_the_lead_is_marked(three, volumes, tmp_path, run):
    folder, names = join_models(three, tmp_path / "both"), ["1-flat", "2-hybrid", "3-solid"]
    assert [each["name"] for each in json.loads((folder / "ensemble.json").read_text())] == names
    _, words, _ = run("info", folder)
    lines = [line for line in words.splitlines() if line.startswith("  ") and "weight" in line]
    assert [line.split(":")[0].strip() for line in lines[:3]] == names
    assert ["lead" in line for line in lines[:3]] == [False, True, False]
    found = json.loads(run("info", folder, "--json").out)["members"]
    assert [(each["name"], each["lead"]) for each in found] == list(
        zip(names, (False, True, False), strict=True)
    )
    # Tuning and copies keep both, and maps are those of the lead's grid.
    model = Segmenter.load(folder, "cpu")
    model.tune(volumes, progress=False)
    model.save(folder)
    members = Segmenter.load(folder, "cpu").predictor.members
    assert [(each.folder.name, each.lead) for each in members] == list(
        zip(names, (False, True, False), strict=True)
    )
    image = image_of(volumes)
    maps = Segmenter.load(folder, "cpu").predict(image.data, spacing=image.spacing)
    assert maps.shape == image.data.shape


def test_ensembles_without_a_mark_are_led_by_the_first(three, tmp_path):
    folder = join_models(three[1:], tmp_path / "both")
    listed = json.loads((folder / "ensemble.json").read_text())
    for each in listed:
        del each["lead"]
    (folder / "ensemble.json").write_text(json.dumps(listed))
    assert [each.lead for each in Segmenter.load(folder, "cpu").predictor.members] == [True, False]


def test_regions_of_all_members_are_those_of_planes_or_of_the_volume(
    volumes, tmp_path, run, monkeypatch
):
    from embedseg.data import load_split

    named = "membrane=0,object=" + "+".join(map(str, range(1, 60)))
    monkeypatch.setattr(f"{__name__}.CLASSES", DataOptions(classes=named))
    models = [
        saved(tmp_path / "flat", volumes, ndim=2, **{"method.regions": "volume"}),
        saved(tmp_path / "solid", volumes, **{"method.regions": "planes"}),
    ]
    both = join_models(models, tmp_path / "both")
    flat, solid = (Segmenter.load(model, "cpu") for model in models)
    assert not flat.config.method.scoring().planes and solid.config.method.scoring().planes
    (sample,) = load_split(volumes, "test", solid.config.data)
    labels = flat.segment(sample.image, axes="CZYX", spacing=sample.spacing, planes=True)
    expected = solid.config.method.scoring().compare(sample.labels, labels).regions
    done = run("evaluate", both, volumes, "--json", "--device", "cpu")
    assert json.loads(done.out)["members"]["1-flat"]["regions"] == pytest.approx(expected)


def test_what_cannot_be_averaged_is_refused_with_the_reason(volumes, tmp_path):
    one = saved(tmp_path / "one", volumes)
    boundary = saved(tmp_path / "boundary", volumes, method="boundary")
    for path, reason in [
        (boundary, "its method is boundary, not semantic"),
        (tmp_path / "nothing", "no model here"),
    ]:
        with pytest.raises(UsageError, match=reason):
            join_models([one, path], tmp_path / "both")
    with pytest.raises(UsageError, match="1 model given"):
        join_models([one], tmp_path / "both")
    config = Segmenter.load(one, "cpu").config
    other = config.changed({"data.classes": "ground=0,thing=1", "method.names": "ground,thing"})
    assert difference(config, other) == "its classes are ground, thing, not ground, object"
    assert "2 channel" in difference(config, config.changed({"channels": 2}))
    lengths = plan(volumes)
    assert "lengths are in pixels, not in µm" in difference(
        lengths, lengths.changed({"spacing_known": False})
    )
    assert difference(config, config.changed({"spacing_known": False})) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boundary", "one"]


def test_an_ensemble_is_one_folder(three, tmp_path, volumes):
    copies = [shutil.copytree(path, tmp_path / path.name) for path in three]
    folder = join_models(copies, tmp_path / "both")
    with pytest.raises(UsageError, match="exists and is not empty"):
        join_models(copies, folder)
    (folder / "mine.txt").write_text("kept")
    join_models(copies[:2], folder, overwrite=True)
    assert (folder / "mine.txt").is_file() and len(list((folder / "members").iterdir())) == 2
    join_models(copies, folder, overwrite=True)
    for path in copies:
        shutil.rmtree(path)
    moved = folder.rename(tmp_path / "moved")
    model = Segmenter.load(moved, "cpu")
    image = image_of(volumes)
    assert model.segment(image.data, spacing=image.spacing).shape == image.data.shape
    with pytest.raises(UsageError, match="is not trained"):
        model.fit(volumes)
    with pytest.raises(UsageError, match="is its folder"):
        model.save(tmp_path / "elsewhere")
    shutil.rmtree(moved / "members" / "1-flat")
    with pytest.raises(UsageError, match="member of the ensemble is missing"):
        Segmenter.load(moved, "cpu")
    (moved / "ensemble.json").write_text("{")
    with pytest.raises(UsageError, match="no readable ensemble"):
        Segmenter.load(moved, "cpu")


def test_an_ensemble_is_absent_until_it_is_finished(three, tmp_path):
    folder = tmp_path / "both"

    def failing(aside):
        assert Segmenter.load(aside, "cpu").predictor.members
        with pytest.raises(UsageError, match="no model here"):
            Segmenter.load(folder, "cpu")
        raise RuntimeError("the power is out")

    with pytest.raises(RuntimeError, match="power"):
        join_models(three, folder, finish=failing)
    assert not folder.exists()
    join_models(three, folder, finish=lambda aside: (aside / "config.json").touch())
    assert not list(folder.glob(".*")) and len(Segmenter.load(folder, "cpu").predictor.members) == 3


def test_a_model_given_twice_is_refused(three, tmp_path):
    (tmp_path / "link").symlink_to(three[0])
    for again in (three[0], tmp_path / "link"):
        with pytest.raises(UsageError, match=f"{again}: given twice"):
            join_models([three[0], three[1], again], tmp_path / "both")
