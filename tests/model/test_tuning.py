import numpy as np

from embedseg.images import blobs
from embedseg.methods.boundary import Boundary
from embedseg.methods.embedding import Embedding
from embedseg.model import ModelFolder
from embedseg.model.tuning import tune
from embedseg.types import Maps
from tests.methods.test_contract import ideal_boundary, ideal_embedding

METHOD = Embedding(unit=16.0, radius=4.0, seed_threshold=0.9)


def cached(n, seed_value):
    maps, truths = [], []
    for i in range(n):
        labels = blobs((48, 40), 6, seed=i)[1]
        raw = ideal_embedding(METHOD, labels, (1.0, 1.0))
        raw[-1] = np.where(labels > 0, seed_value, -6.0)
        maps.append(Maps(raw.astype(np.float16), METHOD.maps(2), (1.0, 1.0)))
        truths.append(labels)
    return maps, truths


def test_finds_a_threshold_that_lets_seeds_through():
    found = tune(METHOD, *cached(3, seed_value=1.0))  # sigmoid(1) = 0.73 < 0.9
    assert found.before == 0.0 and found.after == 1.0
    assert found.method.seed_threshold < 0.73
    assert "seed_threshold 0.9 -> " in found.message
    first, *_ = found.trials
    assert first[0]["seed_threshold"] == 0.9 and first[1] == found.before
    assert len(found.trials) == found.tried
    assert max(score for _, score in found.trials) == found.after


def test_what_was_tried_is_kept_beside_the_model(tmp_path):
    folder = ModelFolder(tmp_path)
    assert folder.trials() is None
    found = tune(METHOD, *cached(1, seed_value=6.0), budget=0.0)
    folder.save_trials(found)
    held = folder.trials()
    assert held["words"] == found.message
    assert held["trials"] == [
        {name: getattr(METHOD, name) for name in METHOD.search_space()} | {"ap_mean": 1.0}
    ]
    (tmp_path / "tuning.json").write_text("no JSON")
    assert folder.trials() is None


def test_keeps_the_defaults_when_nothing_is_gained():
    found = tune(METHOD, *cached(3, seed_value=6.0))
    assert found.method == METHOD and found.before == found.after == 1.0
    assert "kept" in found.message


def test_ends_with_its_budget(caplog):
    caplog.set_level("INFO", logger="embedseg")
    # What predicting took may be more than there was.
    found = tune(METHOD, *cached(2, seed_value=1.0), budget=-0.6)
    assert "stopped after 0 s with 1 settings" in caplog.text
    assert found.tried == 1 and found.method == METHOD


def test_where_objects_fill_the_images_voi_is_maximised(caplog):
    caplog.set_level("INFO", logger="embedseg")
    labels = np.zeros((20, 30), np.int32)
    labels[:, :14], labels[:, 14:29] = 1, 2
    method = Boundary(boundary_threshold=1.0)
    raw = ideal_boundary(method, labels, (1.0, 1.0)).astype(np.float16)
    maps = Maps(raw, method.maps(2), (1.0, 1.0))
    found = tune(method, [maps], [labels])
    assert found.goal == "-VOI" and found.before < found.after <= 0
    assert "tune: -VOI -" in found.message and "objects cover 97% of" in caplog.text
    # Most of it is background: AP, as ever.
    sparse = np.where(np.arange(30) < 8, labels, 0)
    assert tune(method, [maps], [sparse]).goal == "ap_mean"


def test_options_that_play_no_part_are_not_tried():
    labels = blobs((48, 40), 6)[1]
    for decoder, unused in (("components", ("sigma", "beta")), ("watershed", ("beta",))):
        method = Boundary(decoder=decoder)
        raw = ideal_boundary(method, labels, (1.0, 1.0)).astype(np.float16)
        found = tune(method, [Maps(raw, method.maps(2), (1.0, 1.0))], [labels])
        assert found.method.decoder == decoder
        for name in unused:
            assert not method.matters(name)
            tried = {
                settings[name] for settings, _ in found.trials if settings["decoder"] == decoder
            }
            assert tried == {getattr(method, name)}


def test_images_without_objects_tune_nothing():
    maps, truths = cached(2, seed_value=1.0)
    method = METHOD.model_copy(update={"seed_threshold": 0.5})
    found = tune(method, maps, [0 * truth for truth in truths])
    assert found.method == method and found.tried == 0
    assert "no validation image holds an object" in found.message
    # One image with objects is enough to tell.
    assert tune(method, maps, [truths[0], 0 * truths[1]]).tried > 0
