"""Inputs of all commands, checked before anything heavy is imported."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Parameters of commands that name a file to write beside the result, and the result itself.
FILES = ("csv", "plot", "preview", "report")
RESULT = "output"
#: Parameters that name the folder of a model, several of them, or a data folder; and images.
MODEL, MODELS, DATA, IMAGES = ("model", "start"), "models", "data", "inputs"


def check_inputs(command: str, values: Mapping[str, Any]) -> None:
    """Check that what a command is to read exists.

    What it holds is checked where it is read, which takes seconds of imports.

    Parameters
    ----------
    command : str
    values : mapping
        Its parameters by name.

    Raises
    ------
    DataError, UsageError
        If there is no such file, no model, or no data folder.
    """
    from embedseg.types import DataError

    data = path_of(values.get(DATA))
    read = [path for name, value in values.items() if (path := path_of(value)) and _is_read(name)]
    for path in (*read, *(values.get(IMAGES) or ())):
        if not may_exist(path):
            raise DataError(f"{path}: no such file or folder")
    for folder in model_folders(values):
        from embedseg.model import ModelFolder

        ModelFolder(folder).check_there()
    # The command check lists that as a finding.
    if data and command != "check" and not any(data.glob("*/images")):
        from embedseg.data import find_splits

        find_splits(data, values.get("masks") or "masks")


def may_exist(path: Path | str) -> bool:
    """Return whether a path, a pattern or a URL leads to something, or may do so.

    Examples
    --------
    >>> may_exist("no/such.tif"), may_exist("s3://bucket/a.zarr")
    (False, True)
    """
    text = str(path)
    if "://" in text or "::" in text or os.path.lexists(text) or glob.glob(text):
        return True
    # An array in an HDF5 file is named below it, an image of several in a file behind a "#".
    above = Path(text.partition("#")[0])
    return any(os.path.isfile(part) for part in (above, *above.parents))


def model_folders(values: Mapping[str, Any]) -> list[Path]:
    """Return the folders of models that parameters name."""
    named = [path for name in MODEL if (path := path_of(values.get(name)))]
    listed = str(values.get(MODELS) or "").split(",")
    return [*named, *(Path(each.strip()) for each in listed if each.strip())]


def path_of(value: Any) -> Path | None:
    """Return the path that a parameter holds; parameters without a path hold text or numbers."""
    return value if isinstance(value, Path) else None


def _is_read(name: str) -> bool:
    return name not in (*FILES, RESULT, *MODEL, DATA)
