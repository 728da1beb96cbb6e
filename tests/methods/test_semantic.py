"""The semantic method: options, losses, decoding, and training end to end."""

import json

import numpy as np
import pytest
import tifffile
import torch
from pydantic import ValidationError

from embedseg.data import DataOptions
from embedseg.images import blobs, read_image, read_labels
from embedseg.methods.losses import masked_cross_entropy, multiclass_dice
from embedseg.methods.semantic import Semantic
from embedseg.model import Config, explain, measure_data, plan, plan_reading
from embedseg.segmenter import Segmenter
from embedseg.types import DataError, Maps, UsageError

FAST = [
    "--set",
    "net.width=8",
    "--set",
    "net.depth=2",
    "--set",
    "train.batch=2",
    "--set",
    "train.steps_per_epoch=20",
    "--set",
    "train.augment=none",
    "--device",
    "cpu",
]


def write_classes(folder, ndim):
    """Write bright blobs (value 5) with dark rims (value 2) on grey ground (value 0)."""
    for split, count in {"train": 3, "val": 1, "test": 1}.items():
        for seed in range(count):
            shape = (64, 64) if ndim == 2 else (16, 48, 48)
            labels = blobs(shape, 5, seed=10 * seed + len(split))[1]
            inner = labels > 0
            for axis in range(ndim):
                for step in (-2, 2):
                    inner &= np.roll(labels, step, axis) == labels
            mask = np.where(inner, 5, np.where(labels > 0, 2, 0))
            image = np.choose(np.searchsorted([0, 2, 5], mask), [100, 20, 200]).astype(np.uint8)
            axes = "YX" if ndim == 2 else "ZYX"
            for kind, data in (("images", image), ("masks", mask.astype(np.uint8))):
                (folder / split / kind).mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(
                    folder / split / kind / f"{seed}.tif",
                    data,
                    metadata={"axes": axes},
                    photometric="minisblack",
                )
    return folder


@pytest.fixture(scope="module", params=[2, 3], ids=["2d", "3d"])
def data(request, tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("classes"), request.param)


# -- options ---------------------------------------------------------------------------------------
def test_classes_and_frequencies_come_from_the_data(data):
    config = plan(
        data, method="semantic", options=DataOptions(classes="ground=0,membrane=2:#ff0000,inside=5")
    )
    method = config.method
    assert method.names == ("ground", "membrane", "inside")
    assert method.colours["membrane"] == "#ff0000"
    assert sum(method.frequencies) == pytest.approx(1, abs=1e-5) and min(method.frequencies) > 0
    assert method.membrane == "membrane" and method.scoring().membrane == 1
    # Blobs have pixels of one length along all axes; but planes have nothing below them.
    assert method.regions == ("volume" if config.ndim == 3 else "planes")
    assert config.train.background == 0.67
    words = explain(config, measure_data(data, None, config.data), "cpu")
    assert "classes: ground " in words and "regions between pixels of the class membrane" in words
    assert Config.model_validate_json(config.model_dump_json()) == config


def test_a_class_per_value_without_names(data):
    assert plan(data, method="semantic").method.names == ("0", "2", "5")


def test_weights_by_eye():
    method = Semantic(names=("a", "b", "c"), frequencies=(0.8, 0.1, 0.1))
    assert method.weights() == pytest.approx((1, 1, 1))
    inverse = method.model_copy(update={"weighting": "inverse"})
    assert inverse.weights() == pytest.approx((1 / 2.4, 1 / 0.3, 1 / 0.3))
    median = method.model_copy(update={"weighting": "median"})
    assert median.weights() == pytest.approx((0.125, 1, 1))
    rare = Semantic(frequencies=(0.999, 0.001), weighting="inverse", most_weight=5)
    assert max(rare.weights()) == 5


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"names": ["a"]}, "1 class"),
        ({"names": ["a", "b"], "frequencies": [1.0]}, "frequencies: 1 values for 2 classes"),
        ({"names": ["a", "b"], "membrane": "c"}, "no class 'c'; there are a, b"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, problem):
    with pytest.raises(ValidationError, match=problem):
        Semantic(**options)


def test_methods_and_masks_have_to_fit(data):
    with pytest.raises(UsageError, match=r"embedding finds objects; data\.classes is for methods"):
        plan_reading(data, "embedding", DataOptions(classes="a=0,b=2+5"))
    config = plan(data, method="semantic")
    with pytest.raises(UsageError, match=r"data\.classes are a, b, those of the method semantic 0"):
        config.changed({"data.classes": "a=0,b=2+5"})
    stats = measure_data(data, None, DataOptions())
    with pytest.raises(DataError, match="read as objects, not as classes"):
        Semantic().plan(stats)
    with pytest.raises(DataError, match=r"no pixel .* belongs to the class odd \(values 77\)"):
        plan(data, method="semantic", options=DataOptions(classes="a=0,b=2+5,odd=77"))


# -- losses ----------------------------------------------------------------------------------------
def test_losses_equal_what_they_say_in_plain_loops():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=rng, dtype=torch.float64)
    targets = torch.randint(-1, 3, (2, 4, 5), generator=rng)
    weights = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    for focal in (0.0, 2.0):
        images = []
        for p, t in zip(logits.softmax(1), targets, strict=True):
            costs = [
                -weights[k] * (1 - p[k, y, x]) ** focal * p[k, y, x].log()
                for y in range(4)
                for x in range(5)
                if (k := int(t[y, x])) >= 0
            ]
            images.append(torch.stack(costs).mean())
        found = masked_cross_entropy(logits, targets, weights, focal)
        assert float(found) == pytest.approx(float(torch.stack(images).mean()), rel=1e-9)
    p, known = logits.softmax(1), targets >= 0
    terms = []
    for k in range(3):
        a, b = p[:, k][known], (targets[known] == k).double()
        terms.append(1 - (2 * (a * b).sum() + 1) / ((a * a).sum() + b.sum() + 1))
    assert float(multiclass_dice(p, targets)) == pytest.approx(float(sum(terms) / 3), rel=1e-9)


def test_losses_have_the_gradients_they_should():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 2, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[[0, 1, -1], [1, 0, 0]]])
    weights = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    for loss in (
        lambda raw: masked_cross_entropy(raw, targets, weights),
        lambda raw: masked_cross_entropy(raw, targets, weights, 2.0),
        lambda raw: multiclass_dice(raw.softmax(1), targets),
    ):
        assert torch.autograd.gradcheck(loss, (logits,))


def test_a_class_that_is_not_in_the_batch_has_no_dice():
    targets = torch.tensor([[0, 0, 1]])
    sure = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]])
    assert float(multiclass_dice(sure, targets)) == 0


# -- fine-tuning -----------------------------------------------------------------------------------
@pytest.mark.parametrize("layer", [torch.nn.Conv2d(4, 2, 1), torch.nn.ConvTranspose2d(4, 2, 2, 2)])
def test_classes_are_found_again_by_their_names(layer):
    before = Semantic(names=("cell", "membrane"))
    image = torch.randn(1, 4, 3, 3)
    with torch.no_grad():
        cell, membrane = layer(image)[0]
        after = Semantic(names=("membrane", "glia"))
        after.transfer.adopt_head(layer, before.maps(2), before, after)
        first, second = layer(image)[0]
    torch.testing.assert_close(first, membrane)
    torch.testing.assert_close(second, (cell + membrane) / 2)


# -- decoding --------------------------------------------------------------------------------------
def test_tilt_favours_rare_classes():
    method = Semantic(names=("often", "rare"), frequencies=(0.9, 0.1))
    raw = np.zeros((2, 1, 3), np.float16)
    raw[0] = np.log([[0.9, 0.6, 0.4]])
    raw[1] = np.log([[0.1, 0.4, 0.6]])
    maps = Maps(raw, method.maps(2), (1.0, 1.0))
    tilted = [
        method.model_copy(update={"tilt": tilt}).decode(maps).labels.tolist()[0]
        for tilt in (-0.5, 0.0, 0.5)
    ]
    assert tilted == [[0, 0, 0], [0, 0, 1], [0, 1, 1]]
    assert method.describe([np.array([[0, 0, 1, 0]])]) == "often 75.0 %, rare 25.0 %"


# -- end to end ------------------------------------------------------------------------------------
def test_from_a_folder_to_classes(data, tmp_path, run):
    model, out = tmp_path / "model", tmp_path / "out"
    named = "ground=0,rim=2,inside=5"
    crop = (
        "32,32"
        if "2" in data.name or read_image(next((data / "test/images").iterdir())).axes == "YX"
        else "8,32,32"
    )
    assert (
        run(
            "train",
            data,
            "-o",
            model,
            "--method",
            "semantic",
            "--classes",
            named,
            "--epochs",
            4,
            *FAST,
            "--set",
            f"train.crop={crop}",
        ).code
        == 0
    )
    assert {"history.png", "preview.png"} <= {path.name for path in model.iterdir()}
    done = run("evaluate", model, data, "--json", "--device", "cpu", "--plot", tmp_path / "e.svg")
    summary = json.loads(done.out)
    assert done.code == 0 and "<!-- inside -->" in (tmp_path / "e.svg").read_text()
    assert list(summary["iou"]) == ["ground", "rim", "inside"] and summary["iou_mean"] > 0.6
    done = run(
        "predict",
        model,
        data / "test/images",
        "-o",
        out,
        "--maps",
        "--pieces",
        "inside",
        "--min-size",
        3,
        "--device",
        "cpu",
        "--plot",
    )
    assert done.code == 0 and "inside" in done.err and (out / "plots/0_maps.png").is_file()
    truth = read_labels(data / "test/masks/0.tif")
    found = read_labels(out / "0.tif")
    # The file holds the values of the masks that it was trained on.
    assert set(np.unique(found.data)) <= {0, 2, 5} and found.axes == truth.axes
    pieces = read_labels(out / "inside/0.tif").data
    assert pieces.max() > 1 and not (pieces > 0)[found.data != 5].any()
    maps = read_image(out / "maps/0_probability.tif")
    assert maps.data.dtype == np.float32 and maps.axes == "C" + truth.axes
    assert maps.channels == ("ground", "rim", "inside")
    np.testing.assert_allclose(maps.data.sum(axis=0), 1, atol=1e-3)
    done = run(
        "score",
        data / "test/masks",
        out,
        "--classes",
        named,
        "--json",
        "--csv",
        tmp_path / "scores.csv",
    )
    assert done.code == 0 and json.loads(done.out)["iou"] == pytest.approx(summary["iou"])
    assert "iou_rim" in (tmp_path / "scores.csv").read_text()
    done = run("predict", model, data / "test/images", "-o", out / "more", "--pieces", "odd")
    assert done.code == 2 and "the model knows the classes ground, rim, inside" in done.err


def test_planes_of_a_volume_are_classified_one_by_one(tmp_path):
    data = write_classes(tmp_path / "data", 3)
    config = plan(data, method="semantic", ndim=2).changed(
        {
            "net.width": 8,
            "net.depth": 2,
            "train.batch": 2,
            "train.crop": [32, 32],
            "train.steps_per_epoch": 20,
            "train.augment": "none",
        }
    )
    model = Segmenter.new(config, "cpu").fit(data, epochs=8, progress=False)
    volume = read_image(data / "test/images/0.tif").data
    truth = np.searchsorted([0, 2, 5], read_labels(data / "test/masks/0.tif").data)
    found = model.segment(volume, planes=True)
    assert model.config.method.score(truth, found)["iou_mean"] > 0.5
    # No plane sees another one.
    assert np.array_equal(model.segment(volume[::-1].copy(), planes=True), found[::-1])
