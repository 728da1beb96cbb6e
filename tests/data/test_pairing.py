"""Pairing of images and masks by file name."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from data_folders import paths
from embedseg.data import pair_folders
from embedseg.data.pairing import pair_by_name
from embedseg.types import DataError
from image_files import touch


@pytest.mark.parametrize(
    ("images", "masks", "rule"),
    [
        ("a b c", "a b c", "equal names"),
        ("X0 X1", "Y0 Y1", "images without 'X' as masks without 'Y'"),
        ("img_a img_b", "img_a_mask img_b_mask", "images as masks without '_mask'"),
        ("image_001 image_002", "mask_001 mask_002", "images without 'image' as masks without"),
        ("raw-1 raw-2", "1 2", "images without 'raw-' as masks"),
        ("cells_image", "cells_mask", "images without 'image' as masks without 'mask'"),
        ("imgA imgB", "A B", "images without 'img' as masks"),
    ],
)
def test_pairs_by_name(images, masks, rule):
    found = pair_by_name(paths(images), paths(masks))
    assert found.rule.startswith(rule)
    assert not found.left
    assert found.pairs == tuple(zip(paths(images), paths(masks), strict=True))


@pytest.mark.parametrize(
    ("images", "masks", "left"),
    [
        ("a b c", "a b d", "c d"),  # some names are equal: that is the rule
        ("t10 t11", "t0 t1", "t10 t11 t0 t1"),  # a number is not cut in two
        ("a_1 a_2 a_3", "b_1 b_2", "a_3"),  # the pairs that there are, are found
        ("raw", "labels", "raw labels"),  # one file is no evidence
        ("x1 y2", "1_m 2_m", "x1 y2 1_m 2_m"),  # no common beginning
    ],
)
def test_no_pair_is_guessed(images, masks, left):
    assert pair_by_name(paths(images), paths(masks)).left == tuple(paths(left))


numbers = st.lists(st.integers(0, 999).map(str), min_size=2, max_size=8, unique=True)

words = st.text("abXY_", min_size=1, max_size=4)


@given(numbers, words, words, st.booleans(), st.booleans(), st.randoms())
def test_any_common_affix_is_found(keys, ours, theirs, before, after, random):
    images = [f"{ours}{key}" if before else f"{key}{ours}" for key in keys]
    masks = [f"{theirs}{key}" if after else f"{key}{theirs}" for key in keys]
    order = random.sample(range(len(keys)), len(keys))
    found = pair_by_name(paths(" ".join(images)), paths(" ".join(masks[i] for i in order)))
    expected = zip(paths(" ".join(images)), paths(" ".join(masks)), strict=True)
    assert found.pairs == tuple(expected) and not found.left


def test_pair_folders_names_a_few_and_counts_the_rest(tmp_path):
    touch(tmp_path / "images", *(f"{i}.tif" for i in range(9)))
    touch(tmp_path / "masks", "0.tif", "Thumbs.db", ".1.tif")
    with pytest.raises(DataError, match=r"8 files without.*images/1.tif.*and 3 more"):
        pair_folders(tmp_path / "images", tmp_path / "masks")


def test_ending_of_ome_tiff_is_no_part_of_the_name(tmp_path):
    touch(tmp_path / "images", "a.ome.tif", "b.ome.tif")
    touch(tmp_path / "masks", "a.tif", "b.png")
    pairs, rule = pair_folders(tmp_path / "images", tmp_path / "masks")
    assert rule == "equal names" and len(pairs) == 2


@pytest.mark.parametrize("images, masks", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_pair_however_their_accents_are_written(tmp_path, images, masks):
    for folder, form, names in (
        ("images", images, ("zellkörper é1", "ä2", "画像が3")),
        ("masks", masks, ("zellkörper é1", "ä2", "画像が3")),
        ("others", masks, ("zellkörper é1_é", "ä2_é", "画像が3_é")),
    ):
        touch(tmp_path / folder, *(unicodedata.normalize(form, f"{name}.tif") for name in names))
    pairs, rule = pair_folders(tmp_path / "images", tmp_path / "masks")
    assert rule == "equal names" and len(pairs) == 3
    pairs, rule = pair_folders(tmp_path / "images", tmp_path / "others")
    assert rule == "images as masks without '_é'" and len(pairs) == 3
