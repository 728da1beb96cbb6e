"""Input files from paths, folders and patterns."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedseg.images import expand_inputs, stem
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


def test_inputs_that_stand_for_nothing_or_clash_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/same.tif", "b/same.ome.tif", "empty/notes.txt")
    with pytest.raises(DataError, match=r"a/same\.tif and .*b/same\.ome\.tif .*'same'"):
        expand_inputs([tmp_path / "b", tmp_path / "a"])
    for nothing in (tmp_path / "empty", tmp_path / "*.tif", tmp_path / "none.tif"):
        with pytest.raises(DataError, match=nothing.name.replace("*", r"\*")):
            expand_inputs([tmp_path / "a", nothing])
    with pytest.raises(DataError, match="no image files given"):
        expand_inputs([])
