"""Splits of a data folder."""

from __future__ import annotations

import unicodedata

import pytest
from pydantic import ValidationError

from data_folders import fill, paths
from embedseg.data import DataOptions, find_splits, load_split
from embedseg.data.folder import split_validation
from embedseg.types import DataError


def test_split_validation():
    pairs = [(path, path) for path in paths("a b c d e")]
    assert [p[0].stem for p in split_validation(pairs, ("d", "b"))[1]] == ["b", "d"]
    assert [p[0].stem for p in split_validation(pairs, 2)[0]] == ["a", "b", "c"]
    assert len(split_validation(pairs, 0.01)[1]) == 1
    draws = {split_validation(pairs, 0.2, seed)[1][0][0].stem for seed in range(30)}
    assert draws == set("abcde")
    accented = [(path, path) for path in paths(unicodedata.normalize("NFD", "é ä"))]
    assert split_validation(accented, (unicodedata.normalize("NFC", "ä"),))[1] == accented[1:]
    with pytest.raises(DataError, match="do not exist: x"):
        split_validation(pairs, ("a", "x"))
    with pytest.raises(DataError, match="5 train images are too few to set 5 apart"):
        split_validation(pairs, 9)
    assert [DataOptions(val=v).val for v in (2, 0.5, [7, "a"])] == [2, 0.5, ("7", "a")]
    for wrong in (0, 1.5, -0.1):
        with pytest.raises(ValidationError):
            DataOptions(val=wrong)


def test_missing_folders_say_what_there_is(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        find_splits(tmp_path / "nowhere")
    with pytest.raises(DataError, match="expected train/images"):
        find_splits(tmp_path)
    fill(tmp_path / "train", masks="semantic")
    with pytest.raises(DataError, match="there are images, semantic"):
        load_split(tmp_path, "train")
    with pytest.raises(DataError, match="no folder test/images; there are train"):
        load_split(tmp_path, "test")
    assert load_split(tmp_path, "train", DataOptions(masks="semantic"))
