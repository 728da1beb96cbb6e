"""Files and folders written whole or not at all."""

from __future__ import annotations

import csv
import errno
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import embedseg
from embedseg.common import (
    check_not_inputs,
    check_output_file,
    check_output_folder,
    remove_partial_files,
    write_file,
    write_folder,
    write_rows,
    write_text,
)
from embedseg.types import DataError, UsageError


def test_what_fails_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    def fail(aside: Path) -> None:
        aside.write_text("half")
        raise KeyboardInterrupt

    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a.txt", fail)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_was_left_half_written_is_swept_away(tmp_path: Path, ended: int) -> None:
    (tmp_path / f".labels.tif.{ended}.part").write_text("half")
    (tmp_path / f".out.{ended}.part" / "slices").mkdir(parents=True)
    (tmp_path / f".other.{os.getpid()}.part").write_text("being written")
    (tmp_path / f".far.{ended}-00000000.part").write_text("of another machine")
    (tmp_path / "labels.tif").write_text("whole")
    remove_partial_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "labels.tif",
        f".other.{os.getpid()}.part",
        f".far.{ended}-00000000.part",
    }


@pytest.mark.parametrize("name", ["a[1]*.txt", "L" * 255, "ä" * 127])
def test_the_next_run_removes_what_a_killed_one_left(
    tmp_path: Path, ended: int, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of the same file, whatever its name; not while the process runs."""
    other, path = tmp_path / "other.txt", tmp_path / name
    with monkeypatch.context() as as_killed:
        as_killed.setattr(os, "getpid", lambda: ended)
        as_killed.setattr(Path, "unlink", lambda *_, **__: None)
        as_killed.setattr(Path, "replace", lambda *_: None)
        for each in (path, other):
            write_file(each, lambda aside: aside.write_text("half"))
    killed = set(tmp_path.iterdir())
    running = tmp_path / f".{name[:9]}.{os.getppid()}.part"
    running.touch()
    write_file(path, lambda aside: aside.write_text("whole"))
    left = {each.name for each in tmp_path.iterdir()} - {name, running.name}
    assert len(killed) == 2 and len(left) == 1
    assert next(iter(left)).startswith(".other.txt.")
    assert path.read_text() == "whole"


def test_a_killed_folder_is_removed_too(tmp_path: Path, ended: int) -> None:
    (tmp_path / f".out.{ended}.part").mkdir()
    write_folder(tmp_path / "out", lambda aside: (aside / "a.txt").touch(), ["*"])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# -- names -----------------------------------------------------------------------------------------
def test_a_name_that_is_allowed_can_be_written(tmp_path: Path) -> None:
    for name in ("L" * 255, "L" * 254, "ä" * 127, "x" * 228, "x" * 229):
        write_text(tmp_path / name, name)
        write_folder(tmp_path / f"f{name}"[:255], lambda aside: (aside / "a").touch(), ["*"])
        assert (tmp_path / name).read_text() == name


def test_a_name_that_is_too_long_is_refused_with_the_limit(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 128)
    for write in (lambda: write_text(path, ""), lambda: write_folder(path, Path.touch, ())):
        with pytest.raises(DataError, match=rf"{path}: a name of 256 bytes, expected at most 255"):
            write()
    for check in (check_output_file, check_output_folder):
        with pytest.raises(UsageError, match="a name of 256 bytes, expected at most 255"):
            check(path, True)


# -- what may be written ---------------------------------------------------------------------------
def test_nothing_is_written_over_an_input(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    image = tmp_path / "in/a.tif"
    image.touch()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (tmp_path / "soft.tif").symlink_to(image)
    os.link(image, tmp_path / "hard.tif")
    for output in ("in/a.tif", "link/a.tif", "in/../in/a.tif", "soft.tif", "hard.tif", "in"):
        with pytest.raises(UsageError, match=rf"{output}: would replace the input"):
            check_not_inputs([tmp_path / output], [image])
    for output in ("in/new.csv", "link/new.csv", "in/more/new.csv"):
        with pytest.raises(UsageError, match=rf"{output}: lies inside the input"):
            check_not_inputs([tmp_path / output], [tmp_path / "in"])
    check_not_inputs([tmp_path / "in/new.csv", tmp_path / "in2"], [image, tmp_path / "missing"])


def test_a_link_to_nowhere_counts_as_existing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"a\.csv: exists; choose another, or --overwrite"):
        check_output_file(tmp_path / "a.csv", False)


def test_a_folder_with_files_of_others_is_not_overwritten(tmp_path: Path) -> None:
    check_output_folder(tmp_path, True, ["*.csv"])
    for name in ("a.csv", ".DS_Store", ".a.csv.7.part"):
        (tmp_path / name).touch()
    check_output_folder(tmp_path, True, ["*.csv"])
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UsageError, match=r"holds thesis\.txt, which embedseg did not write"):
        check_output_folder(tmp_path, True, ["*.csv"])


# -- tables ----------------------------------------------------------------------------------------
def test_no_cell_of_a_table_is_a_formula(tmp_path: Path) -> None:
    texts = ["=1", "+A1", "-A1", "@A1", "\t=1", "\r=1", "-", "+"]
    numbers = ["-1", "+1.5", "-1e-5", "-inf", -3, -0.5, "a=b", "1+1", ""]
    write_rows(tmp_path / "a.csv", ["=name"], [[each] for each in (*texts, *numbers)])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = [row[0] if row else "" for row in csv.reader(file)]
    assert header == "'=name"
    assert rows == [*(f"'{text}" for text in texts), *map(str, numbers)]


def test_every_table_of_the_package_is_written_by_one_helper() -> None:
    """Which keeps formulas out of it."""
    found = [
        path.name
        for path in Path(embedseg.__path__[0]).rglob("*.py")
        if re.search(r"csv\.(Dict)?[wW]riter|to_csv|savetxt", path.read_text(encoding="utf-8"))
    ]
    assert found == ["files.py"]


# -- full disks ------------------------------------------------------------------------------------
def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def wrapped(*_: object) -> None:
    try:
        full_disk()
    except OSError as error:
        raise RuntimeError("cannot save") from error


def of_torch(*_: object) -> None:
    raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0")


@pytest.mark.parametrize("fail", [full_disk, wrapped, of_torch])
@pytest.mark.parametrize("write", [write_file, partial(write_folder, ours=["*"])])
def test_a_full_disk_is_named_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Any, write: Any
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    with pytest.raises(OSError) as caught:
        write(tmp_path / "out", fail)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**9))
    with pytest.raises(RuntimeError, match="unexpected pos"):
        write(tmp_path / "out", of_torch)


# -- written whole or not at all -------------------------------------------------------------------
def test_a_folder_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    def fail(aside: Path) -> None:
        (aside / "a.txt").touch()
        raise RuntimeError("stopped")

    write_folder(tmp_path / "out", lambda aside: (aside / "a.txt").touch(), ["*"])
    with pytest.raises(RuntimeError, match="stopped"):
        write_folder(tmp_path / "out", fail, ["*"])
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "a.txt"]


def test_a_broken_link_is_no_folder_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"out: broken link to .*gone, expected a folder"):
        check_output_folder(tmp_path / "out", True)


def test_errors_name_the_output_and_not_its_hidden_name(tmp_path: Path) -> None:
    def refuse(aside: Path) -> None:
        inside = aside / "b.txt" if aside.is_dir() else aside
        raise PermissionError(errno.EACCES, "Permission denied", str(inside))

    with pytest.raises(PermissionError, match=r"'.*/a\.txt'$"):
        write_file(tmp_path / "a.txt", refuse)
    with pytest.raises(PermissionError, match=r"'.*/a/b\.txt'$"):
        write_folder(tmp_path / "a", refuse, ())
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"'.*/folder'$"):
        write_text(tmp_path / "folder", "text")


def test_folders_made_for_an_output_that_fails_go_again(tmp_path: Path) -> None:
    def fail(aside: Path) -> None:
        raise DataError("no labels")

    (tmp_path / "old").mkdir()
    for path in (tmp_path / "new" / "deep" / "a.txt", tmp_path / "old" / "a.txt"):
        with pytest.raises(DataError):
            write_file(path, fail)
        with pytest.raises(DataError):
            write_folder(path, fail, ())
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
