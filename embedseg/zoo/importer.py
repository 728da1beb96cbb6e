"""Models read back from packages that embedseg wrote."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

import torch

from embedseg.common import fill_folder, refuse_used
from embedseg.model import TUNING, load_trained_net
from embedseg.types import DataError, UsageError

#: What a package has to hold of a model, and what it may.
NEEDED = ("config.json", "weights.safetensors")
MODEL = (*NEEDED, "history.csv", TUNING)
#: One of these makes a zip or a folder a package.
DESCRIPTIONS = ("bioimageio.yaml", "rdf.yaml")
#: What an earlier model may have left in a folder.
OLD = (*MODEL, "last.ckpt", "ensemble.json", "members")

Files = Mapping[str, Callable[[], bytes]]


def import_model(package: Path | str, output: Path | str, *, overwrite: bool = False) -> None:
    """Take the model out of a package, as it was; no code of the package's is run.

    Parameters
    ----------
    package : path
        Zip or folder that `embedseg.zoo.export_model` wrote.
    output : path
        Folder for the model.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    DataError
        If it is no package, one of another program's, or broken.
    UsageError
        If the output is not free.
    """
    package, output = Path(package), Path(output)
    refuse_used(output, overwrite)
    if package.is_dir():
        _write(package, _in_folder(package), output)
        return
    if not package.is_file():
        raise DataError(f"{package}: no such file or folder")
    try:
        with zipfile.ZipFile(package) as file:
            _write(package, _in_zip(package, file), output)
    # What a broken or encrypted file raises.
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise DataError(f"{package}: corrupt, or no zip ({error})") from error


def _in_zip(package: Path, file: zipfile.ZipFile) -> Files:
    for name in file.namelist():
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            raise DataError(f"{package}: holds {name!r}, which leads out of it; nothing is read")
    return {name: partial(file.read, name) for name in file.namelist()}


def _in_folder(package: Path) -> Files:
    inside, found = package.resolve(), {}
    for path in package.iterdir():
        if not path.resolve().is_relative_to(inside):
            raise DataError(f"{package}: {path.name} leads out of it; nothing is read")
        if path.is_file():
            found[path.name] = path.read_bytes
    return found


def _write(package: Path, files: Files, output: Path) -> None:
    """Write the files of a model, once they are known to make one."""
    if not any(name in files for name in DESCRIPTIONS):
        raise DataError(
            f"{package}: no package of the BioImage Model Zoo "
            f"({' or '.join(DESCRIPTIONS)} is missing)"
        )
    if missing := [name for name in NEEDED if name not in files]:
        raise DataError(
            f"{package}: not made by embedseg ({' and '.join(missing)} missing); only "
            "its own packages say how maps become labels"
        )

    def write(aside: Path) -> None:
        for name in MODEL:
            if name in files:
                (aside / name).write_bytes(files[name]())
        try:
            load_trained_net(aside, torch.device("cpu"))
        except UsageError as error:
            raise DataError(str(error).replace(str(aside), str(package))) from error

    fill_folder(output, write, OLD)
