"""Files and folders written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from embedseg.types import UsageError


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: under a temporary name, then renamed.

    Parameters
    ----------
    path : Path
        File to write; its folder is created if missing.
    write : callable
        Writes the file at the path that it gets.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new" / "a.txt"
    >>> write_file(path, lambda aside: aside.write_text("whole"))
    >>> path.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_folder(folder: Path, write: Callable[[Path], None], ours: Sequence[str]) -> None:
    """Write a folder whole or not at all: under a temporary name, then renamed.

    Parameters
    ----------
    folder : Path
        Folder to write; if it exists, only files that match `ours` are replaced.
    write : callable
        Fills the empty folder whose path it gets.
    ours : sequence of str
        Patterns of the files that an earlier call may have written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "new"
    >>> write_folder(folder, lambda aside: (aside / "a.txt").touch(), ["*.txt"])
    >>> write_folder(folder, lambda aside: (aside / "b.txt").touch(), ["*.txt"])
    >>> [path.name for path in folder.iterdir()]
    ['b.txt']
    """
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        write(aside)
        if not folder.exists():
            aside.rename(folder)
            return
        for pattern in ours:
            for old in folder.glob(pattern):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in aside.iterdir():
            new.replace(folder / new.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all."""
    write_file(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def remove_partial_files(folder: Path) -> None:
    """Remove what `write_file` or `write_folder` left behind when its process was killed."""
    for part in folder.glob(".*.part"):
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


def check_output_folder(folder: Path, overwrite: bool) -> None:
    """Check that a folder is free to write to, before any work.

    Raises
    ------
    UsageError
        If it is a file, or not empty and not to be overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, expected a folder to write to")
    if folder.exists() and not overwrite and any(folder.iterdir()):
        raise UsageError(f"{folder}: exists and is not empty; choose another, or overwrite")
