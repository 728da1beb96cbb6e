import json

import pytest

from embedseg.model import load_config
from embedseg.model.config import parse_config
from embedseg.types import UsageError

TREE = {
    "ndim": 2,
    "spacing": [1.0, 1.0],
    "method": {"type": "embedding", "unit": 9.0},
    "net": {"type": "unet", "width": 8},
    "train": {"crop": [32, 32]},
}


def test_what_is_saved_is_what_is_read(tmp_path):
    config = parse_config(TREE)
    path = tmp_path / "config.json"
    path.write_text(config.model_dump_json())
    assert load_config(path) == config
    path.write_text(config.model_dump_json(), encoding="utf-8-sig")
    assert load_config(path) == config
    path.write_text(config.model_dump_json())
    assert json.loads(path.read_text())["method"]["unit"] == 9.0
    assert config.net.width == 8 and config.schema_version == 1


def test_options_change_by_name_and_are_validated_again():
    config = parse_config(TREE).changed(
        {"train.epochs": "50", "method.seed_threshold": 0.8, "train.crop": "64,32"}
    )
    assert (config.train.epochs, config.train.crop) == (50, (64, 32))
    assert config.method.seed_threshold == 0.8 and config.method.unit == 9.0


def test_another_net_starts_from_its_own_options():
    assert parse_config(TREE).changed({"net.type": "erfnet"}).net.type == "erfnet"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train.epoch": 5}, r"no option 'train.epoch'; there are .*epochs"),
        ({"train.epochs": "many"}, r"train.epochs: .*integer.*'many'"),
        ({"train.epochs.more": 1}, "train.epochs has no options"),
        ({"method.seed_threshold": 3}, "seed_threshold"),
        ({"train.crop": "64,64,64"}, "3 values, ndim is 2"),
        ({"spacing": "1,0"}, r"spacing\.1: .*greater than or equal to 0.000001"),
        ({"net.type": "resnet"}, "unet"),
        ({"ndim": 4}, "ndim"),
        ({"train.crop": "1,1"}, r"train\.crop \(1, 1\) is too small"),
        ({"train.crop": "-8,-8"}, r"train\.crop\.0: .*greater than or equal to 1"),
        ({"train.crop": "1000000000,8"}, r"train\.crop\.0: .*less than or equal to 65536"),
        ({"train.seed": "99999999999999999999999"}, r"train\.seed: .*less than 4294967296"),
        ({"train.learning_rate": "1e30"}, r"train\.learning_rate: .*less than or equal to 1"),
        ({"train.weight_decay": "Infinity"}, r"train\.weight_decay: .*finite"),
        ({"train.clip": "NaN"}, r"train\.clip: .*"),
        ({"spacing": "1,Infinity"}, r"spacing\.1: .*finite"),
        ({"normalize": '{"type": "fixed", "limits": [[0, 1], [0, 1]]}'}, "2 pairs .* one per"),
        ({"net.type": "[1]"}, r"no net \[1\]"),
    ],
)
def test_wrong_options_are_named(settings, message):
    with pytest.raises(UsageError, match=message):
        parse_config(TREE).changed(settings)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.json: no such file"):
        load_config(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UsageError, match=r"bad\.json: not a readable JSON"):
        load_config(tmp_path / "bad.json")


def test_deep_nesting_is_an_error_of_the_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UsageError, match=r"config\.json: not a readable JSON file"):
        load_config(path)


def test_a_net_that_does_not_fit_into_memory_is_refused(monkeypatch):
    def make(*_):
        raise MemoryError

    monkeypatch.setattr("embedseg.nets.unet.UNetOptions.make", make)
    with pytest.raises(UsageError, match="net unet cannot be built"):
        parse_config(TREE | {"net": {"type": "unet"}}).build_net()
