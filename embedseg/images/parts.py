"""Images of a file that holds several, by number or name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from embedseg.types import DataError


def choose_part(path: Path | str, names: Sequence[str], part: str | None) -> int:
    """Return the place of an image among those of a file.

    Parameters
    ----------
    path : path
        The file, for messages.
    names : sequence of str
        Names of its images.
    part : str, optional
        Number of an image, from 1 on, or its name.

    Raises
    ------
    DataError
        If there is no such image, or several and no `part`.

    Examples
    --------
    >>> choose_part("a.czi", ["left", "right"], "2"), choose_part("a.czi", ["left"], None)
    (1, 0)
    """
    if part is None and len(names) == 1:
        return 0
    if part is not None:
        if part.isdecimal() and 1 <= int(part) <= len(names):
            return int(part) - 1
        if names.count(part) == 1:
            return names.index(part)
    offered = ", ".join(f"#{number} {name}".strip() for number, name in enumerate(names, 1))
    file = Path(path).name
    if part is not None:
        raise DataError(f"{path}: has no image {part!r}, or several; there are {offered}")
    raise DataError(
        f"{path}: holds {len(names)} images: {offered}; expected one: {file}#1 or {file}#NAME "
        "names it"
    )


def only_image(path: Path | str, part: str | None) -> None:
    """Check that no image is named of a file that holds only one.

    Raises
    ------
    DataError
        If there is no such image.
    """
    choose_part(path, [""], part)


def split_part(path: Path, suffixes: Sequence[str]) -> tuple[Path, str | None]:
    """Split a path into a file of some types and what follows a "#" behind it.

    Examples
    --------
    >>> file, part = split_part(Path("in/a.lif#day 1/left"), (".lif",))
    >>> file.name, part, split_part(Path("in/b#2.tif"), (".tif",))[1]
    ('a.lif', 'day 1/left', None)
    """
    text = str(path)
    if "#" in text and not path.exists():
        for mark in re.finditer("#", text):
            file, part = Path(text[: mark.start()]), text[mark.end() :]
            if part and file.suffix.lower() in suffixes:
                return file, part
    return path, None
