"""Input files from paths, folders and patterns."""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from embedseg.common import normal_name
from embedseg.images.formats import READERS
from embedseg.images.hdf5 import CONTAINERS
from embedseg.images.ome_files import drop_members
from embedseg.images.parts import split_part
from embedseg.types import DataError


def stem(path: Path | str) -> str:
    """Return the name of a file without its suffix, as names are compared; ".ome.tif" is one.

    Examples
    --------
    >>> stem("in/a.b.ome.tif"), stem("c.png"), stem("d.h5/raw"), stem("e.lif#day 1/left")
    ('a.b', 'c', 'd', 'e_day_1_left')
    """
    file, part = split_container(Path(path))
    name = re.sub(r"(?<=.)(\.ome)?\.[^.]+$", "", file.name, flags=re.IGNORECASE)
    if part is not None and file.suffix.lower() not in CONTAINERS:
        name += "_" + re.sub(r"[^\w.-]+", "_", part)
    return normal_name(name)


def split_container(path: Path) -> tuple[Path, str | None]:
    """Split a path into a file and the name of the image in it, None for the only one.

    A dataset of HDF5 is named as if it were a file in a folder, any other image behind "#", by its
    number or name.

    Examples
    --------
    >>> file, name = split_container(Path("in/a.h5/group/raw"))
    >>> file.name, name, split_container(Path("a.tif"))[1], split_container(Path("b.czi#2"))[1]
    ('a.h5', 'group/raw', None, '2')
    """
    for parent in path.parents:
        if parent.suffix.lower() in CONTAINERS and not parent.is_dir():
            return parent, path.relative_to(parent).as_posix()
    return split_part(path, tuple(READERS))


def natural_key(path: Path | str) -> list[tuple[int, int, str]]:
    """Return a key that sorts file names in natural order: 9 before 10.

    Examples
    --------
    >>> sorted(["x10.tif", "x9.tif", "X1.tif"], key=natural_key)
    ['X1.tif', 'x9.tif', 'x10.tif']
    """
    return [
        (1, int(part), part) if part.isdecimal() else (0, 0, part.lower())
        for part in re.split(r"(\d+)", str(path))
    ]


def check_link(path: Path) -> None:
    """Check that a path is no broken link.

    Raises
    ------
    DataError
        If it is one, or one of a loop of links.
    """
    if path.is_symlink() and not path.exists():
        target = os.readlink(path)
        try:
            path.stat()
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise DataError(f"{path}: a loop of links, by way of {target}") from error
        raise DataError(f"{path}: broken link to {target}")


def check_file(path: Path) -> None:
    """Check that a path is a file.

    Raises
    ------
    DataError
        If there is none, it is a broken link, or a folder.
    """
    check_link(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder, expected an image file")
    if not path.is_file():
        raise DataError(f"{path}: " + ("no regular file" if path.exists() else "no such file"))


def expand_inputs(inputs: Iterable[Path | str], *, check: bool = True) -> list[Path]:
    """List the image files of paths, folders and glob patterns, in natural order.

    Of the files of one OME-TIFF image the first is listed.

    Parameters
    ----------
    inputs : iterable of path
    check : bool
        Whether broken links, and folders with names of image files, are errors here; otherwise
        they are listed too, and are errors where they are read.

    Raises
    ------
    DataError
        If one of them matches no file, or two files of a folder have one stem.
    """
    # `Path.resolve` does not bear loops of links.
    files = {os.path.realpath(path): path for item in inputs for path in _expand(item)}
    if check:
        for path in files.values():
            check_file(split_container(path)[0])
    if not files:
        raise DataError("no image files given")
    by_stem: dict[tuple[str, str], Path] = {}
    for path in drop_members(sorted(files.values(), key=natural_key)):
        if (other := by_stem.setdefault((_folder(path), stem(path)), path)) is not path:
            raise DataError(
                f"{other} and {path} have the same name without suffix, "
                f"{stem(path)!r}; expected different names"
            )
    return list(by_stem.values())


def expand_sources(sources: Iterable[str]) -> list[str]:
    """List images of any size: each path or URL is one, a pattern stands for those that match it.

    Examples
    --------
    >>> expand_sources(["a.zarr", "s3://bucket/b.zarr", "a.zarr"])
    ['a.zarr', 's3://bucket/b.zarr']
    """
    return list(dict.fromkeys(match for source in sources for match in _matches(source)))


def _matches(source: str) -> list[str]:
    found = [] if os.path.exists(source) else sorted(glob.glob(source), key=natural_key)
    return found or [source]


def _folder(path: Path) -> str:
    return os.path.abspath(split_container(path)[0].parent)


def name_outputs(paths: Sequence[Path]) -> list[Path]:
    """Return the stem of each file, below the folders that the files do not have in common.

    Examples
    --------
    >>> [path.as_posix() for path in name_outputs([Path("in/day1/a.tif"), Path("in/day2/a.tif")])]
    ['day1/a', 'day2/a']
    >>> [path.as_posix() for path in name_outputs([Path("in/day1/a.tif"), Path("in/day1/b.tif")])]
    ['a', 'b']
    """
    folders = [_folder(path) for path in paths]
    common = os.path.commonpath(folders)
    return [
        Path(os.path.relpath(folder, common)) / stem(path)
        for folder, path in zip(folders, paths, strict=True)
    ]


def _expand(item: Path | str) -> list[Path]:
    path = Path(item)
    if split_container(path)[0].is_file():
        return [path]
    folder = path.is_dir()
    paths = list(path.iterdir()) if folder else [Path(p) for p in glob.glob(str(item))]
    files = [p for p in paths if p.suffix.lower() in READERS and not p.name.startswith(".")]
    if not files:
        raise DataError(
            f"{item}: "
            + ("no image files in this folder" if folder else "no such image file")
            + f", expected {' '.join(READERS)}"
        )
    return files
