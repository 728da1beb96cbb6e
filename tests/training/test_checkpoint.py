"""Checkpoints: broken ones and those of other data are refused before anything is written."""

import pytest
import torch

from embedseg.training.checkpoint import CHECKPOINT, State, check_checkpoint, difference, save
from embedseg.types import DataError, UsageError

DATA = {"train a": ((1, 8, 8), (0.5, 0.5)), "val b": ((1, 8, 8), None)}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({name: ((1, 4, 8, 8), None) for name in DATA}, "had 2 space axes, these have 3"),
        ({name: ((3, 8, 8), None) for name in DATA}, "had 1 channels, these have 3"),
        (DATA | {"train a": ((1, 8, 9), (0.5, 0.5))}, "train a was 8 x 8 pixels, here 8 x 9"),
        (DATA | {"train a": ((1, 8, 8), (0.5, 0.51))}, "train a had a pixel size of 0.5, 0.5 µm"),
        (DATA | {"val b": ((1, 8, 8), (1.0, 1.0))}, "val b had a pixel size of unknown"),
        (DATA | {"train c": ((1, 8, 8), None)}, "not there: train c"),
        ({"train a": DATA["train a"]}, "missing here: val b"),
    ],
)
def test_other_data_are_refused(tmp_path, other, words):
    save(tmp_path, State(), {}, DATA)
    check_checkpoint(tmp_path, DATA | {"train a": ((1, 8, 8), (0.502, 0.5))})
    with pytest.raises(UsageError, match=words) as error:
        check_checkpoint(tmp_path, other)
    assert CHECKPOINT in str(error.value)


def test_a_checkpoint_without_data_is_resumed(tmp_path):
    save(tmp_path, State(), {})
    check_checkpoint(tmp_path, DATA)
    assert difference(DATA, DATA) is None


@pytest.mark.parametrize("held", [[1, 2], {"step": 1}, 3])
def test_what_is_no_checkpoint_is_told(tmp_path, held):
    torch.save(held, tmp_path / CHECKPOINT)
    with pytest.raises(DataError, match=r"last\.ckpt: not a checkpoint"):
        check_checkpoint(tmp_path, DATA)


@pytest.mark.parametrize("length", [0, 1, 100, 700])
def test_a_truncated_checkpoint_is_told(tmp_path, length):
    save(tmp_path, State(), {}, DATA)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[:length])
    with pytest.raises(DataError, match=r"last\.ckpt: not a checkpoint"):
        check_checkpoint(tmp_path, DATA)
