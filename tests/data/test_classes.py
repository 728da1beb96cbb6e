"""Masks of classes: which values are which, read, merged, written, and what is refused."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, strategies as st
from pydantic import ValidationError

from embedseg.data import (
    ClassOptions,
    DataOptions,
    check_folder,
    infer_classes,
    load_split,
    resample_sample,
    split_planes,
    to_class_indices,
    to_mask_values,
)
from embedseg.data.classes import MAX_CLASSES, find_classes, parse_classes
from embedseg.types import DataError

VALUES = np.array([[0, 0, 7, 7], [0, 3, 3, 9]], np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A data folder with classes 0, 3, 7 and 9."""
    for split in ("train", "val", "test"):
        for kind, values in (("images", VALUES + 1), ("masks", VALUES)):
            (tmp_path / split / kind).mkdir(parents=True)
            tifffile.imwrite(tmp_path / split / kind / "a.tif", values)
    return tmp_path


# -- what classes are ------------------------------------------------------------------------------
def test_classes_are_written_in_one_line():
    cell, wall = DataOptions(classes="cell=0, wall=3+7:#FF0000").classes
    assert (cell.name, cell.values, wall.values, wall.colour) == ("cell", (0,), (3, 7), "#FF0000")
    assert cell.colour.startswith("#")
    assert DataOptions(classes=["cell=0", "wall=3+7:#FF0000"]).classes == (cell, wall)
    assert DataOptions.model_validate_json(
        DataOptions(classes=(cell, wall)).model_dump_json()
    ).classes == (cell, wall)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cell", "class 'cell', expected NAME=VALUE"),
        ("cell=a,wall=1", "expected NAME=VALUE"),
        ("cell=0", r"1 class \(cell\), expected two or more"),
        ("cell=0,cell=1", "name cell stands for several"),
        ("cell=0+1,wall=1", "value 1 stands for several"),
        ("cell=0:#12,wall=1", "colour"),
        ("cell=0,wall=-1", "expected NAME=VALUE"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(text, problem):
    with pytest.raises(ValidationError, match=problem):
        DataOptions(classes=text)


def test_holes_in_classes_cannot_be_filled():
    with pytest.raises(ValidationError, match="holes in classes are not filled"):
        DataOptions(classes="a=0,b=1", fill_holes=True)


def test_each_value_is_a_class_unless_named(folder):
    found = infer_classes(folder, DataOptions()).classes
    assert [(each.name, each.values) for each in found] == [
        ("0", (0,)),
        ("3", (3,)),
        ("7", (7,)),
        ("9", (9,)),
    ]
    assert len({each.colour for each in found}) == 4
    named = DataOptions(classes="a=0,b=3+7+9")
    assert infer_classes(folder, named) is named
    ignoring = infer_classes(folder, DataOptions(ignore_label=9)).classes
    assert [each.name for each in ignoring] == ["0", "3", "7"]


def test_masks_of_objects_are_not_classes(tmp_path):
    values = np.arange(MAX_CLASSES + 1, dtype=np.uint16)[None]
    tifffile.imwrite(tmp_path / "many.tif", values)
    with pytest.raises(DataError, match=r"many\.tif: more than 64 values .* masks of objects"):
        find_classes([tmp_path / "many.tif"])
    tifffile.imwrite(tmp_path / "one.tif", np.full((4, 4), 3, np.uint8))
    with pytest.raises(DataError, match=r"one\.tif: the masks hold 1 class"):
        find_classes([tmp_path / "one.tif"])


# -- values and indices ----------------------------------------------------------------------------
@given(
    st.lists(st.integers(0, 300), min_size=2, max_size=9, unique=True), st.integers(0, 2**32 - 1)
)
def test_values_come_back(values, seed):
    classes = tuple(ClassOptions(name=str(value), values=(value,)) for value in values)
    mask = np.random.default_rng(seed).choice([-1, *values], (5, 6)).astype(np.int32)
    indices = to_class_indices(mask, classes)
    assert set(np.unique(indices)) <= {-1, *range(len(values))}
    assert np.array_equal(to_mask_values(indices, classes), mask)


def test_merged_values_come_back_as_the_first():
    classes = parse_classes("a=5,b=3+9")
    mask = np.array([[9, 3, 5, -1]], np.int32)
    assert to_class_indices(mask, classes).tolist() == [[1, 1, 0, -1]]
    assert to_mask_values(to_class_indices(mask, classes), classes).tolist() == [[3, 3, 5, -1]]


@pytest.mark.parametrize("odd", [4, 400])
def test_a_value_without_class_is_named_with_its_file(odd):
    with pytest.raises(DataError, match=rf"a\.tif: value {odd} belongs to no class; .*b=3\+9"):
        to_class_indices(np.array([[odd, 5]], np.int32), parse_classes("a=5,b=3+9"), "a.tif")


# -- samples ---------------------------------------------------------------------------------------
def test_classes_are_not_numbered_anew_on_their_way(folder):
    (sample,) = load_split(folder, "train", DataOptions(classes="a=0,b=3,c=7+9"))
    assert sample.semantic and sample.labels.tolist() == [[0, 0, 2, 2], [0, 1, 1, 2]]
    finer = resample_sample(sample.with_labels(sample.labels, spacing=(2.0, 1.0)), (1.0, 1.0))
    assert finer.labels.tolist() == [[0, 0, 2, 2]] * 2 + [[0, 1, 1, 2]] * 2 and finer.semantic
    volume = sample.with_labels(
        np.stack([sample.labels, 0 * sample.labels - 1]), image=np.stack([sample.image] * 2, axis=1)
    )
    (plane,) = split_planes(volume)
    assert plane.labels.tolist() == sample.labels.tolist() and plane.semantic


# -- check -----------------------------------------------------------------------------------------
#: Of a folder whose splits hold the same image.
TWICE = {"image occurs twice", "constant image"}


def test_a_folder_of_classes_is_ready(folder):
    report = check_folder(folder, reads="classes")
    assert report.ok and {f.problem for f in report.findings} <= TWICE
    assert report.inventory["train"]["classes"] == {"0": 3 / 8, "3": 2 / 8, "7": 2 / 8, "9": 1 / 8}
    assert "classes: 0 37.5 %, 3 25.0 %" in "\n".join(report.lines())
    named = check_folder(folder, reads="classes", options=DataOptions(classes="a=0,b=3+7+9"))
    assert named.ok and named.inventory["val"]["classes"] == {"a": 3 / 8, "b": 5 / 8}


def test_what_is_wrong_with_classes_is_found(folder):
    report = check_folder(folder, reads="classes", options=DataOptions(classes="a=0,b=3+7"))
    assert {(f.problem, f.found) for f in report.findings if f.problem not in TWICE} == {
        ("value without class", "9")
    }
    tifffile.imwrite(folder / "train/masks/a.tif", np.where(VALUES == 9, 0, VALUES))
    report = check_folder(folder, reads="classes")
    assert {(f.problem, f.found) for f in report.findings if f.problem not in TWICE} == {
        ("class not in train", "9")
    }
    assert not report.ok
    tifffile.imwrite(folder / "train/masks/a.tif", np.arange(80, dtype=np.uint8).reshape(8, 10))
    tifffile.imwrite(folder / "train/images/a.tif", np.arange(1, 81, dtype=np.uint8).reshape(8, 10))
    assert "too many classes" in {f.problem for f in check_folder(folder, reads="classes").findings}


def test_a_large_value_takes_no_table_of_its_size():
    import tracemalloc

    classes, largest = parse_classes("cell=0,wall=2147483647"), 2**31 - 1
    tracemalloc.start()
    indices = to_class_indices(np.array([[0, largest, -1]], np.int32), classes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert indices.tolist() == [[0, 1, -1]] and peak < 10**6
    with pytest.raises(ValidationError):
        parse_classes("cell=0,wall=2147483648")
