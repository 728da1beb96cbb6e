from pathlib import Path

import numpy as np
import pytest

from data_folders import write
from embedseg.data import DataOptions, check_folder, load_training

#: The same images are in train and in val here.
TWICE = "image occurs twice"
SAMPLES = Path(__file__).parents[2] / "data"


def noise(top, dtype):
    return np.random.default_rng(0).integers(0, top, (64, 64)).astype(dtype)


def squares(n, side, step=8, shape=(64, 64)):
    """Label n squares of side x side pixels."""
    labels = np.zeros(shape, np.uint16)
    places = [(y, x) for y in range(0, shape[0], step) for x in range(0, shape[1], step)]
    for number, (y, x) in enumerate(places[:n], 1):
        labels[y : y + side, x : x + side] = number
    return labels


def make(root, masks, images=None):
    """Write a data folder with these masks in train and val."""
    for split in ("train", "val"):
        for number, mask in enumerate(masks):
            image = noise(250, np.uint8) if images is None else images[number]
            write(root / split / "images" / f"{number}.tif", image)
            write(root / split / "masks" / f"{number}.tif", mask)
    return root


def found(root, **options):
    return {finding.problem for finding in check_folder(root, **options).findings} - {TWICE}


def refused(root, problem):
    """Check that `check` reports a problem, and reading for training ends with it."""
    report = check_folder(root)
    assert {finding.problem for finding in report.findings} - {TWICE} == {problem}
    assert not report.ok
    with pytest.raises(Exception, match=rf"masks/0\.tif: {problem}, "):
        load_training(root)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (noise(250, np.uint8), "grey mask"),
        (noise(250, np.uint8) // 10 * 10 + 5, "grey mask"),
        (noise(1000, np.uint16), "grey mask"),
        (noise(65536, np.uint16), "objects of a few pixels"),
    ],
    ids=["8 bits", "few grey values", "12 bits", "16 bits"],
)
def test_images_instead_of_masks_are_an_error(tmp_path, image, problem):
    refused(make(tmp_path, [image], [squares(20, 5)]), problem)


@pytest.mark.parametrize("name", ["nuclei", "neurites", "ovules"])
def test_sample_folders_are_fine_and_swapped_are_not(tmp_path, name):
    assert check_folder(SAMPLES / name).ok
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "images").symlink_to(SAMPLES / name / split / "masks")
        (tmp_path / split / "masks").symlink_to(SAMPLES / name / split / "images")
    report = check_folder(tmp_path)
    assert {finding.problem for finding in report.findings} == {"grey mask"}
    masks = list((tmp_path / "train" / "masks").iterdir())
    masks += (tmp_path / "val" / "masks").iterdir()
    assert len(report.findings) == len(masks)


def test_an_image_as_its_own_mask_is_an_error(tmp_path):
    labels = squares(9, 5)
    refused(make(tmp_path, [labels], [labels]), "mask equals image")
    classes = (labels > 0).astype(np.uint8)
    other = make(tmp_path / "classes", [classes], [np.stack([noise(9, np.uint8), classes])])
    for path in other.rglob("images/*.tif"):
        write(path, np.stack([noise(9, np.uint8), classes]), "CYX")
    assert found(other, reads="classes") == {"mask equals image"}


def test_empty_images_and_masks_may_be_equal(tmp_path):
    empty = np.zeros((64, 64), np.uint8)
    root = make(tmp_path, [squares(9, 5), empty], [noise(250, np.uint8), empty])
    assert found(root) == {"empty mask", "constant image"}


def test_small_spots_are_objects(tmp_path):
    few = squares(60, 1)  # small ones alone, but not a hundred
    mixed = np.where(squares(300, 3, 4) > 0, squares(300, 3, 4), 0)
    mixed[:32] = squares(300, 1, 4)[:32]
    sizes = np.bincount(mixed.ravel())[1:]
    assert (sizes == 1).sum() == 128 and (sizes == 9).sum() == 128
    spots = squares(1024, 2, 4, (128, 128))  # four pixels each
    for number, mask in enumerate((few, mixed, spots)):
        root = make(tmp_path / str(number), [mask], [np.resize(noise(250, np.uint8), mask.shape)])
        assert check_folder(root).ok, number
        assert load_training(root, DataOptions()).train[0].labels.max() == len(
            np.unique(mask[mask > 0])
        )


def test_a_hundred_times_as_many_objects_are_a_warning(tmp_path):
    big = (256, 256)
    images = [np.resize(noise(250, np.uint8), big)] * 3
    root = make(
        tmp_path / "a", [squares(3, 4, shape=big)] * 2 + [squares(300, 4, shape=big)], images
    )
    report = check_folder(root)
    assert report.ok
    findings = [f for f in report.findings if f.problem != TWICE]
    assert [(f.problem, Path(f.file).name, f.found) for f in findings] == [
        ("object counts differ", "2.tif", "300 objects, the median is 3")
    ] * 2
    fewer = [squares(4, 4, shape=big)] * 2 + [squares(300, 4, shape=big)]
    assert found(make(tmp_path / "b", fewer, images)) == set()
    assert found(
        make(tmp_path / "c", fewer[::-1][:1] * 2 + [squares(3, 4, shape=big)], images)
    ) == {"object counts differ"}
