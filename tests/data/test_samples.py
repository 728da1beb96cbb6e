from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, strategies as st
from pydantic import ValidationError

from embedseg.data import (
    DataOptions,
    Sample,
    check_folder,
    compute_statistics,
    load_split,
    load_training,
    to_planes,
    to_spacing,
)
from embedseg.data.folder import find_data, set_apart
from embedseg.data.pairing import match, pair_files
from embedseg.types import DataError


def paths(text):
    return [Path(f"{name}.tif") for name in text.split()]


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
    found = match(paths(images), paths(masks))
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
    assert match(paths(images), paths(masks)).left == tuple(paths(left))


numbers = st.lists(st.integers(0, 999).map(str), min_size=2, max_size=8, unique=True)
words = st.text("abXY_", min_size=1, max_size=4)


@given(numbers, words, words, st.booleans(), st.booleans(), st.randoms())
def test_any_common_affix_is_found(keys, ours, theirs, before, after, random):
    images = [f"{ours}{key}" if before else f"{key}{ours}" for key in keys]
    masks = [f"{theirs}{key}" if after else f"{key}{theirs}" for key in keys]
    order = random.sample(range(len(keys)), len(keys))
    found = match(paths(" ".join(images)), paths(" ".join(masks[i] for i in order)))
    expected = zip(paths(" ".join(images)), paths(" ".join(masks)), strict=True)
    assert found.pairs == tuple(expected) and not found.left


def touch(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_pair_files_names_a_few_and_counts_the_rest(tmp_path):
    touch(tmp_path / "images", [f"{i}.tif" for i in range(9)])
    touch(tmp_path / "masks", ["0.tif", "Thumbs.db", ".1.tif"])
    with pytest.raises(DataError, match=r"8 files without.*images/1.tif.*and 3 more"):
        pair_files(tmp_path / "images", tmp_path / "masks")


def test_ending_of_ome_tiff_is_no_part_of_the_name(tmp_path):
    touch(tmp_path / "images", ["a.ome.tif", "b.ome.tif"])
    touch(tmp_path / "masks", ["a.tif", "b.png"])
    pairs, rule = pair_files(tmp_path / "images", tmp_path / "masks")
    assert rule == "equal names" and len(pairs) == 2


def write(path, array, axes="YX", **metadata):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": axes, **metadata})


def fill(folder, names="abcd", masks="masks", shape=(6, 7)):
    """Write images whose value is their number, with one object of two pixels numbered 5."""
    for value, name in enumerate(names):
        labels = np.zeros(shape, np.uint16)
        labels[2, 2:4] = 5
        write(folder / "images" / f"{name}.tif", np.full(shape, value, np.uint8))
        write(folder / masks / f"{name}.tif", labels)


def test_split_is_read_with_labels_numbered_anew(tmp_path):
    fill(tmp_path / "train")
    samples = load_split(tmp_path, "train")
    assert [sample.name for sample in samples] == list("abcd")
    assert samples[3].image.dtype == np.float32 and samples[3].image.shape == (1, 6, 7)
    assert (samples[3].image == 3).all()
    assert samples[0].labels.dtype == np.int32 and samples[0].labels.max() == 1
    assert samples[0].path == tmp_path / "train" / "images" / "a.tif"


def test_val_folder_goes_before_options(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "val", "x")
    train, val, said = load_training(tmp_path, DataOptions(val=3))
    assert (len(train), [sample.name for sample in val]) == (4, ["x"])
    assert "equal names" in said[0] and "the folder" in said[1]


def test_share_of_train_is_seeded_and_said(tmp_path):
    fill(tmp_path / "train")
    found = load_training(tmp_path, DataOptions(val=0.5, seed=7))
    assert len(found.train) == len(found.val) == 2
    assert not {s.name for s in found.train} & {s.name for s in found.val}
    assert "2 of 4 train images drawn with seed 7" in found.words[1]
    again = load_training(tmp_path, DataOptions(val=0.5, seed=7))
    assert [s.name for s in again.val] == [s.name for s in found.val]
    apart = load_split(tmp_path, "val", DataOptions(val=0.5, seed=7))
    assert [s.name for s in apart] == [s.name for s in found.val]


def test_set_apart():
    pairs = [(path, path) for path in paths("a b c d e")]
    assert [p[0].stem for p in set_apart(pairs, ("d", "b"))[1]] == ["b", "d"]
    assert [p[0].stem for p in set_apart(pairs, 2)[0]] == ["a", "b", "c"]
    assert len(set_apart(pairs, 0.01)[1]) == 1
    draws = {set_apart(pairs, 0.2, seed)[1][0][0].stem for seed in range(30)}
    assert draws == set("abcde")
    with pytest.raises(DataError, match="not there: x"):
        set_apart(pairs, ("a", "x"))
    with pytest.raises(DataError, match="5 train images are too few to set 5 apart"):
        set_apart(pairs, 9)
    assert [DataOptions(val=v).val for v in (2, 0.5, [7, "a"])] == [2, 0.5, ("7", "a")]
    for wrong in (0, 1.5, -0.1):
        with pytest.raises(ValidationError):
            DataOptions(val=wrong)


def test_missing_folders_say_what_there_is(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        find_data(tmp_path / "nowhere")
    with pytest.raises(DataError, match="expected train/images"):
        find_data(tmp_path)
    fill(tmp_path / "train", masks="semantic")
    with pytest.raises(DataError, match="there are images, semantic"):
        load_split(tmp_path, "train")
    with pytest.raises(DataError, match="no folder test/images; there are train"):
        load_split(tmp_path, "test")
    assert load_split(tmp_path, "train", DataOptions(masks="semantic"))


def test_options_reach_the_labels(tmp_path):
    ring = np.ones((5, 5), np.uint8)
    ring[2, 2], ring[0, :] = 0, 255
    write(tmp_path / "train/images/a.tif", np.arange(25, dtype=np.uint8).reshape(5, 5))
    write(tmp_path / "train/masks/a.tif", ring)
    options = DataOptions(fill_holes=True, ignore_label=255, spacing=(2.0, 0.5))
    [sample] = load_split(tmp_path, "train", options)
    assert sample.spacing == (2.0, 0.5)
    assert (sample.labels[0] == -1).all() and (sample.labels[1:] == 1).all()
    with pytest.raises(DataError, match="3 values, the image has 2"):
        load_split(tmp_path, "train", DataOptions(spacing=(1.0, 1.0, 1.0)))


def test_channels_and_time(tmp_path):
    film = np.zeros((3, 2, 5, 6), np.float32)
    film[1] = 7
    masks = np.zeros((3, 5, 6), np.uint8)
    masks[2, 0, 0] = 9
    write(tmp_path / "train/images/a.tif", film, "TCYX")
    write(tmp_path / "train/masks/a.tif", masks, "TYX")
    frames = load_split(tmp_path, "train")
    assert [frame.name for frame in frames] == ["a_t000", "a_t001", "a_t002"]
    assert frames[1].image.shape == (2, 5, 6) and (frames[1].image == 7).all()
    assert [frame.labels.max() for frame in frames] == [0, 0, 1]


def test_what_does_not_fit_together_is_named(tmp_path):
    fill(tmp_path / "train", "a")
    write(tmp_path / "train/masks/a.tif", np.zeros((6, 8), np.uint8))
    with pytest.raises(DataError, match=r"a.tif: .*\(6, 8\).*\(6, 7\)"):
        load_split(tmp_path, "train")
    fill(tmp_path / "train", "a")
    write(tmp_path / "train/images/b.tif", np.zeros((3, 6, 7), np.uint8), "CYX")
    write(tmp_path / "train/masks/b.tif", np.zeros((6, 7), np.uint8))
    with pytest.raises(DataError, match=r"b.tif.*\(3, 6, 7\).*a.tif.*\(1, 6, 7\)"):
        load_split(tmp_path, "train")


def sample(labels, spacing=None, name="a"):
    labels = np.asarray(labels, np.int32)
    return Sample(name, labels[np.newaxis].astype(np.float32), labels, spacing)


def test_statistics_by_eye():
    stats = compute_statistics(
        [
            sample([[1, 1, 1, 0], [0, 0, 0, -1]], (1.0, 1.0)),
            sample([[1, 0, 2, 2], [0, 0, 2, 2]], (1.0, 1.0)),
            sample([[0, 0], [1, 1]], (2.0, 1.0)),
        ]
    )
    assert (stats.ndim, stats.channels, stats.spacing, stats.spacing_known) == (
        2,
        1,
        (1.0, 1.0),
        True,
    )
    # The last object is one pixel of 2 µm high: two pixels of the median spacing.
    assert stats.extents.tolist() == [[1, 3], [1, 1], [2, 2], [2, 2]]
    assert stats.volumes.tolist() == [3, 1, 4, 4]
    assert stats.counts == (1, 2, 1) and stats.shapes == ((2, 4), (2, 4), (2, 2))
    assert stats.foreground_fraction == pytest.approx(10 / 19)


def test_statistics_of_objects_annotated_in_part():
    labels = np.full((9, 6, 6), -1)
    labels[2] = labels[6] = 0
    labels[2, 1:4, 1:3] = labels[6, 1:4, 1:3] = 1
    labels[6, 5, 5] = 2
    labels[8, 5, 5] = 3  # goes on along every axis for all that is known
    stats = compute_statistics([sample(labels, (2.0, 1.0, 1.0))])
    # Object 1 spans 5 planes at least, of which 2 show 6 pixels each; object 2 is taken to be
    # as high as it is wide, half a plane or one.
    assert stats.extents.tolist() == [[5, 3, 2], [1, 1, 1]]
    assert stats.volumes.tolist() == [30, 1]
    assert stats.counts == (3,)
    wide = np.full((5, 9, 9), -1)
    wide[2] = 0
    wide[2, 1:7, 1:7] = 4
    stats = compute_statistics([sample(wide, (2.0, 1.0, 1.0))])
    assert stats.extents.tolist() == [[3, 6, 6]] and stats.volumes.tolist() == [3 * 36]


def test_planes_without_annotation_are_left_out():
    labels = np.full((4, 3, 3), -1)
    labels[2] = 0
    assert [plane.name for plane in to_planes(sample(labels))] == ["a_z002"]


def test_statistics_without_objects_or_spacing():
    stats = compute_statistics([sample(np.zeros((2, 3, 4)))])
    assert stats.extents.shape == (0, 3) and stats.volumes.shape == (0,)
    assert stats.spacing == (1.0, 1.0, 1.0) and not stats.spacing_known
    assert stats.foreground_fraction == 0


def test_to_spacing():
    labels = np.zeros((6, 8))
    labels[:4, :4] = 1
    coarse = sample(labels, (1.0, 1.0))
    fine = to_spacing(coarse, (0.5, 1.0))
    assert fine.labels.shape == (12, 8) and fine.image.shape == (1, 12, 8)
    assert fine.spacing == (0.5, 1.0) and (fine.labels == 1).sum() == 2 * 16
    # Within 1 % and unknown spacing leave the arrays as they are.
    assert to_spacing(coarse, (1.005, 1.0)).image is coarse.image
    unknown = to_spacing(sample(labels), (0.5, 1.0))
    assert unknown.labels.shape == (6, 8) and unknown.spacing == (0.5, 1.0)


def test_to_planes():
    volume = np.zeros((2, 3, 5))
    volume[0, 1, :] = 1
    volume[1, 1, [0, 1, 3]] = 1
    volume[1, 2, 4] = -1
    planes = to_planes(sample(volume, (3.0, 1.0, 0.5)))
    assert [plane.name for plane in planes] == ["a_z000", "a_z001"]
    assert planes[0].spacing == (1.0, 0.5) and planes[1].image.shape == (1, 3, 5)
    assert planes[1].labels.tolist() == [[0, 0, 0, 0, 0], [1, 1, 0, 2, 0], [0, 0, 0, 0, -1]]


def test_volumes_and_their_labels_in_one_hdf5_file(tmp_path):
    rng = np.random.default_rng(0)
    for split, name in ("train", "label"), ("val", "label"), ("test", "nuclei"):
        (tmp_path / split / "images").mkdir(parents=True)
        with h5py.File(tmp_path / split / "images" / "ovule.h5", "w") as file:
            file["raw"] = rng.integers(0, 255, (6, 8, 9), np.uint8)
            file["raw"].attrs["element_size_um"] = [0.2, 0.1, 0.1]
            file[name] = np.arange(6 * 8 * 9).reshape(6, 8, 9) // 40
    loaded = load_training(tmp_path)
    (sample,) = loaded.train
    assert (sample.name, sample.spacing, sample.labels.max()) == ("ovule", (0.2, 0.1, 0.1), 10)
    assert check_folder(tmp_path).inventory["train"]["pairing"] == (
        "images with their masks inside, as 'label'"
    )
    (other,) = load_split(tmp_path, "test", DataOptions(masks="nuclei"))
    assert other.labels.max() == 10
    with pytest.raises(DataError, match="expected a dataset 'label', found nuclei, raw"):
        load_split(tmp_path, "test")
    found = {f.problem for f in check_folder(tmp_path).findings if f.severity == "error"}
    assert found == {"unreadable mask"}
