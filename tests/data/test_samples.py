"""Samples read from a data folder."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from data_folders import fill, sample, write
from embedseg.data import (
    DataOptions,
    check_folder,
    load_split,
    load_training,
    prepare_samples,
    resample_sample,
    split_planes,
)
from embedseg.images import Percentile
from embedseg.types import DataError, UsageError


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
    assert "2 of 4 train images drawn with seed 7" in found.messages[1]
    again = load_training(tmp_path, DataOptions(val=0.5, seed=7))
    assert [s.name for s in again.val] == [s.name for s in found.val]
    apart = load_split(tmp_path, "val", DataOptions(val=0.5, seed=7))
    assert [s.name for s in apart] == [s.name for s in found.val]


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
    colours = np.arange(126, dtype=np.uint8).reshape(3, 6, 7)
    write(tmp_path / "train/images/b.tif", colours, "CYX")
    write(tmp_path / "train/masks/b.tif", np.zeros((6, 7), np.uint8))
    with pytest.raises(DataError, match=r"b.tif.*\(3, 6, 7\).*a.tif.*\(1, 6, 7\)"):
        load_split(tmp_path, "train")


def test_planes_without_annotation_are_left_out():
    labels = np.full((4, 3, 3), -1)
    labels[2] = 0
    assert [plane.name for plane in split_planes(sample(labels))] == ["a_z002"]


def test_resample_sample():
    labels = np.zeros((6, 8))
    labels[:4, :4] = 1
    coarse = sample(labels, (1.0, 1.0))
    fine = resample_sample(coarse, (0.5, 1.0))
    assert fine.labels.shape == (12, 8) and fine.image.shape == (1, 12, 8)
    assert fine.spacing == (0.5, 1.0) and (fine.labels == 1).sum() == 2 * 16
    # Within 1 % and unknown spacing leave the arrays as they are.
    assert resample_sample(coarse, (1.005, 1.0)).image is coarse.image
    unknown = resample_sample(sample(labels), (0.5, 1.0))
    assert unknown.labels.shape == (6, 8) and unknown.spacing == (0.5, 1.0)


def test_split_planes():
    volume = np.zeros((2, 3, 5))
    volume[0, 1, :] = 1
    volume[1, 1, [0, 1, 3]] = 1
    volume[1, 2, 4] = -1
    planes = split_planes(sample(volume, (3.0, 1.0, 0.5)))
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


def test_samples_of_another_magnitude_are_refused_unless_asked_for():
    one = sample(np.ones((4, 5)), (0.5, 500.0), "far")
    how = {"ndim": 2, "channels": 1, "normalize": Percentile(), "spacing": (0.5, 0.5)}
    with pytest.raises(UsageError, match=r"far: pixels are 1000 times.*units"):
        prepare_samples([one], **how)
    fine = sample(np.ones((4, 5)), (0.5, 0.024))
    (prepared,) = prepare_samples([fine], **how, any_spacing=True)
    assert prepared.labels.shape == (4, 1)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 1.0)])
def test_pixels_without_image_are_not_annotated(tmp_path, spacing):
    image, labels = np.arange(48.0, dtype=np.float32).reshape(6, 8), np.ones((6, 8), np.uint8)
    image[:2, :4] = np.nan
    labels[:2] = 2
    write(tmp_path / "train/images/a.tif", image)
    write(tmp_path / "train/masks/a.tif", labels)
    options = DataOptions(spacing=(1.0, 1.0))
    read = load_split(tmp_path, "train", options)
    assert np.array_equal(read[0].labels == -1, np.isnan(image))
    assert set(np.unique(read[0].labels)) == {-1, 1, 2}
    ready = prepare_samples(read, ndim=2, channels=1, normalize=Percentile(), spacing=spacing)[0]
    assert np.isfinite(ready.image).all()
    rows = int(2 / spacing[0])
    expected = np.zeros(ready.labels.shape, bool)
    expected[:rows, :4] = True
    assert np.array_equal(ready.labels == -1, expected)
    assert (ready.image[0, :rows, :4] == 0).all()


@pytest.mark.parametrize("shape", [(20, 40), (6, 20, 40)])
def test_one_image_gives_a_strip_to_validation(tmp_path, shape):
    labels = np.zeros(shape, np.uint8)
    for number, start in enumerate(range(0, 20, 4), 1):
        labels[..., 2:6, start : start + 3] = number
    image = np.broadcast_to(np.arange(40, dtype=np.uint8), shape)
    axes = "ZYX"[-len(shape) :]
    write(tmp_path / "train/images/a.tif", image, axes)
    write(tmp_path / "train/masks/a.tif", labels, axes)
    train, val, messages = load_training(tmp_path)
    assert "a strip of the one train image" in messages[-1]
    # The last of five objects: beyond it there is nothing to validate on.
    assert train[0].labels.max() == 4 and val[0].labels.max() == 1
    both = np.concatenate([train[0].image, val[0].image], axis=-1)
    assert np.array_equal(both[0], image)
    assert np.array_equal(load_split(tmp_path, "val")[0].labels, val[0].labels)
    report = check_folder(tmp_path)
    assert report.ok and "a strip of the one train image" in "\n".join(report.lines())
    with pytest.raises(DataError, match="too few to set 1 apart"):
        load_training(tmp_path, DataOptions(val=1))
