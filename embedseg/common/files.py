"""Files and folders written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from embedseg.types import UsageError


def write_aside(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then give it that name: all of it or nothing.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new" / "a.txt"
    >>> write_aside(path, lambda aside: aside.write_text("whole"))
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


def fill_folder(folder: Path, write: Callable[[Path], None], ours: Sequence[str]) -> None:
    """Let `write` fill a folder beside, then give it the name of `folder`: all of it or nothing.

    Parameters
    ----------
    folder : Path
        Where there is one already, only what `ours` names is replaced in it.
    write : callable
        Gets the path of an empty folder.
    ours : sequence of str
        Patterns of what an earlier call may have left.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "new"
    >>> fill_folder(folder, lambda aside: (aside / "a.txt").touch(), ["*.txt"])
    >>> fill_folder(folder, lambda aside: (aside / "b.txt").touch(), ["*.txt"])
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
    """Write a text file as UTF-8, by `write_aside`."""
    write_aside(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def remove_partial_files(folder: Path) -> None:
    """Remove what `write_aside` or `fill_folder` left half-written as its process was killed."""
    for part in folder.glob(".*.part"):
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


def refuse_used(folder: Path, overwrite: bool) -> None:
    """See that a folder to write to is free, before work is put into what goes there.

    Raises
    ------
    UsageError
        If it is a file, or there is something in it and `overwrite` does not allow that.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, expected a folder to write to")
    if folder.exists() and not overwrite and any(folder.iterdir()):
        raise UsageError(f"{folder}: exists and is not empty; choose another, or overwrite")
