"""Input files from paths, folders and patterns."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path

from embedseg.images.formats import READERS
from embedseg.images.hdf5 import CONTAINERS
from embedseg.types import DataError


def stem(path: Path | str) -> str:
    """Return the name of a file without its suffix; ".ome.tif" is one suffix.

    Examples
    --------
    >>> stem("in/a.b.ome.tif"), stem("c.png"), stem("d.h5/raw")
    ('a.b', 'c', 'd')
    """
    name = split_container(Path(path))[0].name
    return re.sub(r"(?<=.)(\.ome)?\.[^.]+$", "", name, flags=re.IGNORECASE)


def split_container(path: Path) -> tuple[Path, str | None]:
    """Split a path into an HDF5 file and, if there is one, the name of a dataset in it.

    Examples
    --------
    >>> file, name = split_container(Path("in/a.h5/group/raw"))
    >>> file.name, name, split_container(Path("a.tif"))[1]
    ('a.h5', 'group/raw', None)
    """
    for parent in path.parents:
        if parent.suffix.lower() in CONTAINERS and not parent.is_dir():
            return parent, path.relative_to(parent).as_posix()
    return path, None


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


def expand_inputs(inputs: Iterable[Path | str]) -> list[Path]:
    """List the image files of paths, folders and glob patterns, in natural order.

    Raises
    ------
    DataError
        If one of them matches no file, or two files have one stem.
    """
    files = {path.resolve(): path for item in inputs for path in _expand(item)}
    if not files:
        raise DataError("no image files given")
    by_stem: dict[str, Path] = {}
    for path in sorted(files.values(), key=natural_key):
        if (other := by_stem.setdefault(stem(path), path)) is not path:
            raise DataError(
                f"{other} and {path} have the same name without suffix, "
                f"{stem(path)!r}; expected different names"
            )
    return list(by_stem.values())


def _expand(item: Path | str) -> list[Path]:
    path = Path(item)
    if split_container(path)[0].is_file():
        return [path]
    folder = path.is_dir()
    paths = list(path.iterdir()) if folder else [Path(p) for p in glob.glob(str(item))]
    files = [p for p in paths if p.suffix.lower() in READERS and not p.name.startswith(".")]
    files = [p for p in files if p.is_file()]
    if not files:
        raise DataError(
            f"{item}: "
            + ("no image files in this folder" if folder else "no such image file")
            + f", expected {' '.join(READERS)}"
        )
    return files
