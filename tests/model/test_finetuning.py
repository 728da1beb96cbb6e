"""Weights of another model: what is kept, what begins anew, and that it means the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from embedseg.images import write_blobs
from embedseg.methods.base import activate
from embedseg.model import Config, plan
from embedseg.model.finetuning import transfer_weights
from embedseg.segmenter import Segmenter
from embedseg.types import UsageError

TINY = {
    "net.width": 8,
    "net.depth": 2,
    "train.batch": 2,
    "train.steps_per_epoch": 2,
    "train.precision": "32-true",
    "train.crop": "32,32",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("blobs")
    write_blobs(folder, 2, splits={"train": 3, "val": 2})
    return folder


@pytest.fixture(scope="module")
def first(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "first"
    fitted(plan(data).changed(TINY), data, folder)
    return folder


def fitted(config: Config, data: Path, folder: Path, **more) -> Segmenter:
    return Segmenter.new(config, "cpu").fit(
        data, epochs=2, folder=folder, tune=False, progress=False, **more
    )


def same(one, other) -> bool:
    pairs = zip(one.net.state_dict().values(), other.net.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_all_is_kept_where_nothing_differs(first):
    source = Segmenter.load(first, "cpu")
    model = Segmenter.new(source.config, "cpu")
    assert not same(model, source)
    assert model.start_from(first) == f"from {first}: 100 % of the weights kept"
    assert same(model, source)


def test_fine_tuning_begins_where_the_model_ended(data, first, tmp_path, caplog):
    config = plan(data, start=first)
    source = Segmenter.load(first, "cpu")
    assert config.net == source.config.net and config.train.start == str(first)
    config = config.changed(TINY | {"train.learning_rate": 1e-12, "train.weight_decay": 0})
    with caplog.at_level("INFO", "embedseg"):
        model = fitted(config, data, tmp_path / "m")
    assert "100 % of the weights kept" in caplog.text
    for (name, a), b in zip(source.net.named_parameters(), model.net.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name)
    # Never begun, it begins with the model; once it has, it goes on with its own weights.
    for name in ("last.ckpt", "history.csv"):
        (tmp_path / "m" / name).unlink()
    assert same(fitted(config, data, tmp_path / "m", resume=True), model)
    caplog.clear()
    fitted(config, data, tmp_path / "m", resume=True)
    assert "weights kept" not in caplog.text


def test_other_channels_and_heads_begin_anew(first):
    source = Segmenter.load(first, "cpu")
    tree = source.config.model_dump()
    two = Segmenter.new(Config.model_validate(tree | {"channels": 2}), "cpu")
    words = two.start_from(first)
    assert "stem.0.weight" in words and "8 x 1 x 3 x 3 there, 8 x 2 x 3 x 3" in words
    changed = two.net.state_dict()
    assert all(
        torch.equal(changed[name], value)
        for name, value in source.net.state_dict().items()
        if changed[name].shape == value.shape
    )

    class Other(type(source.config.method)):
        def maps(self, ndim):
            *before, seed = super().maps(ndim)
            return (*before, seed.__class__("surface", "scalar", 1, "sigmoid", head=1))

    method = Other.model_validate(source.config.method.model_dump())
    config = source.config.model_copy(update={"method": method})
    model = Segmenter.new(source.config, "cpu")
    words = transfer_weights(model.net, config, dict(source.net.state_dict()), source.config)
    assert "outputs.1.weight" in words and "outputs.0.weight" not in words
    assert not torch.equal(model.net.outputs[1].bias, source.net.outputs[1].bias)


def test_maps_mean_the_same_with_another_unit(first):
    source = Segmenter.load(first, "cpu")
    before = source.config.method
    with torch.no_grad():  # offsets small against the unit, as the change is of first order
        source.net.outputs[0].weight *= 0.01
    config = source.config.changed({"method.unit": 3 * before.unit, "method.bandwidth_scale": 5})
    model = Segmenter.new(config, "cpu")
    transfer_weights(model.net, config, source.net.state_dict(), source.config)
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 32, 32))).float()
    found = [
        (m.config.method, activate(m.net.eval()(image), m.config.method.maps(2)))
        for m in (source, model)
    ]
    offsets, weights = zip(
        *[
            (
                method.unit * maps["offset"],
                torch.exp(method.bandwidth_scale * maps["bandwidth"]) / method.unit**2,
            )
            for method, maps in found
        ],
        strict=True,
    )
    torch.testing.assert_close(*offsets, rtol=0.01, atol=1e-4)
    torch.testing.assert_close(*weights, rtol=1e-3, atol=0)


def test_what_does_not_fit_at_all_is_refused(first, tmp_path):
    source = Segmenter.load(first, "cpu")
    other = Segmenter.new(source.config.changed({"net.type": "erfnet"}), "cpu")
    with pytest.raises(UsageError, match="none of its weights fit; it is a unet in 2D, this one"):
        other.start_from(first)
    with pytest.raises(UsageError, match="no model here"):
        other.start_from(tmp_path)
