"""Locks: one process at a time works in a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from embedseg.common.files import made_folder
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
    path = folder / LOCK
    with made_folder(folder):
        file = _locked(path)
        try:
            yield
        finally:
            if sys.platform == "win32":  # where an open file cannot be removed
                file.close()
            with suppress(OSError):
                path.unlink()
            file.close()


def _locked(path: Path) -> IO[bytes]:
    """Return the file, locked."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
        if not _lock(file):
            file.close()
            raise UsageError(
                f"{path.parent}: another process is working in this folder; "
                "wait until it has ended, or choose another folder"
            )
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
