"""Models read back from packages that embedseg wrote."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

import torch

from embedseg.common import free_memory
from embedseg.model import MODEL, NEEDED, ModelFolder, load_trained_net
from embedseg.types import DataError, UsageError

#: One of these makes a zip or a folder a package.
DESCRIPTIONS = ("bioimageio.yaml", "rdf.yaml")

Files = Mapping[str, Callable[[], bytes]]


def import_model(package: Path | str, output: Path | str, *, overwrite: bool = False) -> None:
    """Extract the model from a package, unchanged; no code of the package is run.

    Parameters
    ----------
    package : path
        Zip or folder that `embedseg.zoo.export_model` wrote.
    output : path
        Folder for the model.
    overwrite : bool
        Overwrite an existing model.

    Raises
    ------
    DataError
        If it is no package, broken, or made by another program.
    UsageError
        If the output folder is not empty.
    """
    package, folder = Path(package), ModelFolder(Path(output))
    folder.check_free(overwrite=overwrite)
    if package.is_dir():
        _write(package, _in_folder(package), folder)
        return
    if not package.is_file():
        raise DataError(f"{package}: no such file or folder")
    try:
        with zipfile.ZipFile(package) as file:
            _write(package, _in_zip(package, file), folder)
    # Errors of broken and encrypted files.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        raise DataError(f"{package}: corrupt, or no zip ({error})") from error


def _in_zip(package: Path, file: zipfile.ZipFile) -> Files:
    for name in file.namelist():
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            raise DataError(f"{package}: holds {name!r}, which leads out of it; nothing is read")
    # No more than the declared size is ever unpacked.
    size, free = sum(each.file_size for each in file.infolist()), free_memory()
    if size > free:
        raise DataError(
            f"{package}: {size / 1e9:.3g} GB unpacked, expected at most the free memory of "
            f"{free / 1e9:.3g} GB"
        )
    return {name: partial(file.read, name) for name in file.namelist()}


def _in_folder(package: Path) -> Files:
    inside, found = package.resolve(), {}
    for path in package.iterdir():
        if not path.resolve().is_relative_to(inside):
            raise DataError(f"{package}: {path.name} leads out of it; nothing is read")
        if path.is_file():
            found[path.name] = path.read_bytes
    return found


def _write(package: Path, files: Files, output: ModelFolder) -> None:
    """Write the files of a model, once they are complete and load."""
    if not any(name in files for name in DESCRIPTIONS):
        raise DataError(
            f"{package}: no package of the BioImage Model Zoo "
            f"({' or '.join(DESCRIPTIONS)} is missing)"
        )
    if missing := [name for name in NEEDED if name not in files]:
        raise DataError(
            f"{package}: not made by embedseg ({' and '.join(missing)} missing); only its "
            "packages hold the decoding of maps"
        )

    with output.replaced() as made:
        for name in MODEL:
            if name in files:
                (made.path / name).write_bytes(files[name]())
        try:
            load_trained_net(made, torch.device("cpu"))
        except (DataError, UsageError) as error:
            raise DataError(str(error).replace(str(made.path), str(package))) from error
