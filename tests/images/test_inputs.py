"""Input files from paths, folders and patterns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from embedseg.images import expand_inputs, name_outputs, open_lazy, read_image, stem
from embedseg.types import DataError
from image_files import touch


def test_stem() -> None:
    assert [stem(name) for name in ("a/b.tif", "b.OME.TIFF", "b.c.png", "b", ".tif")] == [
        "b",
        "b",
        "b.c",
        "b",
        ".tif",
    ]


def test_inputs_are_expanded_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "x10.tif", "x9.ome.tif", "X1.png", ".hidden.tif", "notes.txt", "sub/z.tif")
    names = ["X1.png", "x9.ome.tif", "x10.tif"]
    assert [path.name for path in expand_inputs([tmp_path])] == names
    assert [path.name for path in expand_inputs([str(tmp_path / "x*")])] == names[1:]
    # The same file twice is one file.
    assert [path.name for path in expand_inputs([tmp_path / "x10.tif", str(tmp_path)])] == names


def test_a_file_named_like_a_pattern_is_found(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].tif")
    assert expand_inputs([tmp_path / "a[1].tif"]) == [tmp_path / "a[1].tif"]


def test_outputs_keep_the_folders_below_the_common_one(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "day1/a.tif", "day1/b.ome.tif", "day2/deep/a.tif")
    both = expand_inputs([str(tmp_path / "day1"), str(tmp_path / "day2/deep/*")])
    assert [str(name) for name in name_outputs(both)] == ["day1/a", "day1/b", "day2/deep/a"]
    one = expand_inputs([str(tmp_path / "day*/*.tif")])
    assert [str(name) for name in name_outputs(one)] == ["a", "b"]
    above = expand_inputs([tmp_path, tmp_path / "day1/a.tif"])
    assert [str(name) for name in name_outputs(above)] == ["a", "day1/a"]


def strange(folder: Path) -> dict[str, str]:
    """Entries that are named like images and are none, with what is said of each."""
    (folder / "folder.tif").mkdir(parents=True)
    (folder / "gone.tif").symlink_to(folder / "nowhere.tif")
    (folder / "loop.tif").symlink_to("loop.tif")
    return {
        "folder.tif": "is a folder, expected an image file",
        "gone.tif": "broken link to .*nowhere.tif",
        "loop.tif": "a loop of links",
    }


@pytest.mark.parametrize("name", ["folder.tif", "gone.tif", "loop.tif"])
def test_entries_that_are_no_files_are_not_skipped(tmp_path: Path, name: str) -> None:
    message = strange(tmp_path / "strange")[name]
    touch(tmp_path, "in/a.tif")
    (tmp_path / "strange" / name).rename(tmp_path / "in" / name)
    if name == "loop.tif":
        assert os.readlink(tmp_path / "in" / name) == name
    for given in (tmp_path / "in", tmp_path / "in/*.tif"):
        with pytest.raises(DataError, match=f"{name}: {message}"):
            expand_inputs([given])
    assert len(expand_inputs([tmp_path / "in"], check=False)) == 2
    with pytest.raises(DataError, match=f"{name}: {message}"):
        read_image(tmp_path / "in" / name)
    with pytest.raises(DataError, match=f"{name}: {message}"):
        open_lazy(tmp_path / "in")
    if name != "folder.tif":
        with pytest.raises(DataError, match=f"{name}: {message}"):
            open_lazy(tmp_path / "in" / name)


def test_links_to_images_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "there/a.tif", "in/b.tif")
    (tmp_path / "in/c.tif").symlink_to(tmp_path / "there/a.tif")
    assert [path.name for path in expand_inputs([tmp_path / "in"])] == ["b.tif", "c.tif"]


def test_inputs_that_stand_for_nothing_or_clash_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/same.tif", "b/same.tif", "b/same.ome.tif", "empty/notes.txt")
    with pytest.raises(DataError, match=r"b/same\.ome\.tif and .*b/same\.tif .*'same'"):
        expand_inputs([tmp_path / "b", tmp_path / "a"])
    for nothing in (tmp_path / "empty", tmp_path / "*.tif", tmp_path / "none.tif"):
        with pytest.raises(DataError, match=nothing.name.replace("*", r"\*")):
            expand_inputs([tmp_path / "a", nothing])
    with pytest.raises(DataError, match="no image files given"):
        expand_inputs([])
