"""Files and folders written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedseg.common import remove_partial_files, write_file, write_folder


def test_what_fails_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    def fail(aside: Path) -> None:
        aside.write_text("half")
        raise KeyboardInterrupt

    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a.txt", fail)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_what_was_left_half_written_is_swept_away(tmp_path):
    (tmp_path / ".labels.tif.77.part").write_text("half")
    (tmp_path / ".out.77.part" / "slices").mkdir(parents=True)
    (tmp_path / "labels.tif").write_text("whole")
    remove_partial_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.tif"]


def test_a_folder_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    def fail(aside: Path) -> None:
        (aside / "a.txt").touch()
        raise RuntimeError("stopped")

    write_folder(tmp_path / "out", lambda aside: (aside / "a.txt").touch(), ["*"])
    with pytest.raises(RuntimeError, match="stopped"):
        write_folder(tmp_path / "out", fail, ["*"])
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "a.txt"]
