"""Locks: one process at a time works in a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from embedseg.common.files import hidden_name, made_folder
from embedseg.types import UsageError

#: Name of the file that is locked; what counts is the lock, which ends with its process.
LOCK = ".lock"


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other processes from working in a folder; it is made if missing, removed if empty.

    Raises
    ------
    UsageError
        If another process holds the folder.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "new"
    >>> with lock_folder(folder):
    ...     folder.is_dir()
    True
    >>> folder.exists()
    False
    """
    taken = f"{folder}: another process is working in this folder"
    with made_folder(folder), _held(folder / LOCK, taken):
        yield


@contextmanager
def lock_output(path: Path) -> Iterator[None]:
    """Keep other processes from making a file, while others of its folder may be made.

    Raises
    ------
    UsageError
        If another process is making it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with lock_output(folder / "a.tif"):
    ...     [path.name for path in folder.iterdir()]
    ['.a.tif.lock']
    >>> list(folder.iterdir())
    []
    """
    held = path.with_name(hidden_name(path) + LOCK)
    with made_folder(path.parent), _held(held, f"{path}: another process is making it"):
        yield


@contextmanager
def _held(path: Path, taken: str) -> Iterator[None]:
    """Hold the lock of a file, which is removed afterwards; `taken` says that another one does."""
    file = _locked(path, taken)
    try:
        yield
    finally:
        if sys.platform == "win32":  # where an open file cannot be removed
            file.close()
        with suppress(OSError):
            path.unlink()
        file.close()


def _locked(path: Path, taken: str) -> IO[bytes]:
    """Return the file, locked."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
        if not _lock(file):
            file.close()
            raise UsageError(f"{taken}; wait until it has ended, or choose another folder")
        # The process that held it before may have removed the file in between.
        with suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _lock(file: IO[bytes]) -> bool:
    """Return whether a file could be locked; where there are no locks, it counts as locked."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network drive without locks
        pass
    return True
