"""Files and folders: what may be written, and written whole or not at all."""

from __future__ import annotations

import csv
import errno
import glob
import hashlib
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from embedseg.types import DataError, UsageError

#: Longest name of a file in bytes, where the file system does not tell.
LONGEST = 255
#: Codes of errors of a full disk, or of a quota that is used up.
FULL = (errno.ENOSPC, errno.EDQUOT)
#: What such an error says once it names the file.
NO_SPACE = "no space left"
#: Free bytes below which a disk is full, if a library reports no more than that writing failed.
LITTLE = 2**20
#: Words of torch in the error of a file that it cannot write.
UNWRITTEN = re.compile("PytorchStreamWriter|inline_container|iostream")
#: Files that file managers leave in any folder.
IGNORED = (".DS_Store", "Thumbs.db", "desktop.ini")
#: Characters by which spreadsheets tell a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


# -- what may be written ---------------------------------------------------------------------------
def check_output_file(path: Path, overwrite: bool) -> None:
    """Check that a file is free to write to, before any work.

    Raises
    ------
    UsageError
        If it exists and is not to be overwritten, is a folder, or its name is too long.
    """
    _check_name(path, UsageError)
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f"{path}: exists; choose another, or --overwrite")
    if path.is_dir():
        raise UsageError(f"{path}: exists, and is a folder; expected a file to write")


def check_output_folder(folder: Path, overwrite: bool, ours: Sequence[str] | None = None) -> None:
    """Check that a folder is free to write to, before any work.

    Parameters
    ----------
    folder : Path
    overwrite : bool
        Whether files of an earlier call may be replaced.
    ours : sequence of str, optional
        Patterns of the names of those files; a file with another name is not replaced. Default:
        any name.

    Raises
    ------
    UsageError
        If it is a file, or not empty and not to be overwritten, or holds a file that is not ours.
    """
    _check_name(folder, UsageError)
    if folder.is_symlink() and not folder.exists():
        raise UsageError(f"{folder}: broken link to {os.readlink(folder)}, expected a folder")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, expected a folder to write to")
    if folder.exists() and not overwrite and any(folder.iterdir()):
        raise UsageError(f"{folder}: exists and is not empty; choose another, or --overwrite")
    if folder.exists() and ours is not None:
        known = (*ours, *IGNORED, ".*.part")
        strange = (p for p in sorted(folder.iterdir()) if not any(map(p.match, known)))
        refuse_foreign(folder, next(strange, None))


def refuse_foreign(folder: Path, file: Path | None) -> None:
    """Refuse to replace a folder with a file, if there is one, that embedseg did not write.

    Raises
    ------
    UsageError
        If there is such a file.
    """
    if file is not None:
        raise UsageError(
            f"{folder}: holds {file.relative_to(folder)}, which embedseg did not write; "
            "choose another, or remove it"
        )


def check_not_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Check that no output would replace an input, or lie in one.

    Parameters
    ----------
    outputs, inputs : iterable of Path
        Files or folders. Links count as what they lead to; what does not exist is no input.

    Raises
    ------
    UsageError
        If an output is an input, lies inside one, or is a folder with an input in it.

    Examples
    --------
    >>> check_not_inputs([Path("b.csv")], [Path(".") / "a.tif"])
    """
    read = {path.resolve(): path for path in inputs if path.exists()}
    same = {(each.st_dev, each.st_ino): path for path in read.values() for each in [path.stat()]}
    above = {parent: path for real, path in read.items() for parent in real.parents}
    for output in outputs:
        real = output.resolve()
        found = read.get(real) or above.get(real)
        if found is None and output.exists():
            state = output.stat()
            found = same.get((state.st_dev, state.st_ino))
        if found is not None:
            raise UsageError(f"{output}: would replace the input {found}; choose another")
        if (inside := next((read[up] for up in real.parents if up in read), None)) is not None:
            raise UsageError(f"{output}: lies inside the input {inside}; choose another")


def _check_name(path: Path, error: type[DataError] | type[UsageError]) -> None:
    """Check that the file system allows a name of this length."""
    size, most = len(os.fsencode(path.name)), _longest_name(path.parent)
    if size > most:
        raise error(f"{path}: a name of {size} bytes, expected at most {most}")


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return LONGEST


# -- written whole or not at all -------------------------------------------------------------------
@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; of those made, the ones left empty go again.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> with made_folder(root / "a" / "b"):
    ...     (root / "a" / "b").is_dir()
    True
    >>> (root / "a").exists()
    False
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        with suppress(OSError):
            for each in made:
                each.rmdir()


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: under a temporary name, then renamed.

    What a killed process left of the same file is removed.

    Parameters
    ----------
    path : Path
        File to write; its folder is created if missing.
    write : callable
        Writes the file at the path that it gets.

    Raises
    ------
    DataError
        If the name is too long.
    OSError
        With `errno.ENOSPC` and the name of the file, if the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new" / "a.txt"
    >>> write_file(path, lambda aside: aside.write_text("whole"))
    >>> path.read_text()
    'whole'
    """
    _check_name(path, DataError)
    aside = _part(path)
    with name_full_disk(path), _name_output(path, aside), made_folder(path.parent):
        _remove_parts(path)
        try:
            write(aside)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def write_folder(folder: Path, write: Callable[[Path], None], ours: Sequence[str]) -> None:
    """Write a folder whole or not at all: under a temporary name, then renamed.

    What a killed process left of the same folder is removed.

    Parameters
    ----------
    folder : Path
        Folder to write; if it exists, only files that match `ours` are replaced.
    write : callable
        Fills the empty folder whose path it gets.
    ours : sequence of str
        Patterns of the files that an earlier call may have written.

    Raises
    ------
    DataError
        If the name is too long.
    OSError
        With `errno.ENOSPC` and the name of the folder, if the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "new"
    >>> write_folder(folder, lambda aside: (aside / "a.txt").touch(), ["*.txt"])
    >>> write_folder(folder, lambda aside: (aside / "b.txt").touch(), ["*.txt"])
    >>> [path.name for path in folder.iterdir()]
    ['b.txt']
    """
    _check_name(folder, DataError)
    aside = _part(folder)
    shutil.rmtree(aside, ignore_errors=True)
    with name_full_disk(folder), _name_output(folder, aside), made_folder(folder.parent):
        _remove_parts(folder)
        try:
            aside.mkdir()
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


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table as CSV, whole or not at all; no cell of it is a formula.

    Parameters
    ----------
    path : Path
    header : sequence of str
        Names of the columns.
    rows : iterable
        The cells of each row.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.csv"
    >>> write_rows(path, ["image", "ap"], [["=1+1.tif", "-0.5"], ["b.tif", -1]])
    >>> path.read_text().splitlines()
    ['image,ap', "'=1+1.tif,-0.5", 'b.tif,-1']
    """

    def write(aside: Path) -> None:
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([_plain_cell(cell) for cell in header])
            writer.writerows([_plain_cell(cell) for cell in row] for row in rows)

    write_file(path, write)


def _plain_cell(value: object) -> object:
    """Return a cell with an apostrophe before text that a spreadsheet would take for a formula."""
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return f"'{value}" if value.startswith(("\t", "\r")) else value


@contextmanager
def _name_output(path: Path, aside: Path) -> Iterator[None]:
    """Name what is written in errors of the system, not its hidden name until it is whole."""
    try:
        yield
    except OSError as error:
        hidden = error.filename and Path(os.fsdecode(error.filename))
        if not hidden or not hidden.is_relative_to(aside):
            raise
        name = path / hidden.relative_to(aside)
        raise type(error)(error.errno, error.strerror, str(name)) from error


# -- what is written so far ------------------------------------------------------------------------
def remove_partial_files(folder: Path) -> None:
    """Remove what `write_file` or `write_folder` left behind when its process was killed."""
    for part in folder.glob(".*.part"):
        _remove_if_left(part)


def _part(path: Path) -> Path:
    """Return the hidden name under which this process writes a file."""
    return path.with_name(f"{hidden_name(path)}.{os.getpid()}-{_host()}.part")


def hidden_name(path: Path) -> str:
    """Return the beginning of that name; shortened if need be, so that the whole is allowed."""
    # The longest number of a process has 10 digits, or "-" and "." more around a host of 8.
    room = _longest_name(path.parent) - len("..1234567890-12345678.part")
    name = os.fsencode(path.name)
    if len(name) > room:
        digest = hashlib.sha256(name).hexdigest()[:16]
        name = name[: room - len(digest)].decode(errors="ignore").encode() + digest.encode()
    return "." + os.fsdecode(name)


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _remove_parts(path: Path) -> None:
    """Remove what killed processes left of a file or a folder."""
    start = hidden_name(path)
    for part in path.parent.glob(f"{glob.escape(start)}.*.part"):
        if re.fullmatch(re.escape(start) + r"\.\d+(-[0-9a-f]{8})?\.part", part.name):
            _remove_if_left(part)


def _remove_if_left(part: Path) -> None:
    """Remove a hidden file, unless its process still runs, or may run on another machine."""
    found = re.search(r"\.(\d+)(?:-([0-9a-f]{8}))?\.part$", part.name)
    if found is None or found[2] not in (None, _host()) or _runs(int(found[1])):
        return
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Return whether a process of this machine runs."""
    if os.name == "nt":  # there `os.kill` would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


# -- full disks ------------------------------------------------------------------------------------
def disk_is_full(error: BaseException | None) -> bool:
    """Return whether an error, or one that it came from, is that of a full disk.

    Examples
    --------
    >>> disk_is_full(OSError(errno.ENOSPC, "no space")), disk_is_full(ValueError())
    (True, False)
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def name_full_disk(path: Path) -> Iterator[None]:
    """Turn the error of a full disk, from any library, into an OSError that names the file.

    An error that comes from here already stays as it is: it names the file more closely.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.strerror == NO_SPACE:
            raise
        unwritten = isinstance(error, RuntimeError) and UNWRITTEN.search(str(error))
        if disk_is_full(error) or (unwritten and _free_space(path.parent) < LITTLE):
            raise OSError(errno.ENOSPC, NO_SPACE, str(path)) from error
        raise


def _free_space(folder: Path) -> int:
    return shutil.disk_usage(folder).free
