"""Outputs of all commands, checked before any work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from embedseg.cli.inputs import DATA, FILES, MODEL, RESULT, model_folders, path_of

#: Commands whose result is one file; and those whose result is a folder.
PLAIN = ("export", "plan", "track")
FOLDERS = ("benchmark", "demo", "ensemble", "import", "stack", "train")


class Inputs(NamedTuple):
    """Inputs of a command.

    Attributes
    ----------
    read : list of Path
        Files, stores and folders that are read: nothing may be written there.
    around : list of Path
        Folders in which something else may be written.
    """

    read: list[Path]
    around: list[Path]


def check_outputs(command: str, values: Mapping[str, Any]) -> None:
    """Check the outputs of a command against each other, its inputs, and what exists.

    Parameters
    ----------
    command : str
    values : mapping
        Its parameters by name. `predict` reads more than they name, and checks its outputs itself.

    Raises
    ------
    UsageError
        If an output exists and there is no `--overwrite`, or is an input.
    """
    from embedseg.common import check_output_file
    from embedseg.types import UsageError

    outputs = {name: path for name in (*FILES, RESULT) if (path := path_of(values.get(name)))}
    if not outputs or command == "predict":
        return
    for (one, first), (other, second) in combinations(outputs.items(), 2):
        if first.resolve() == second.resolve():
            raise UsageError(f"--{one} and --{other}: both name {first}; expected different files")
    for name, output in outputs.items():
        # A model may be trained on from itself: it is read whole, and replaced by the new one.
        onward = command == "train" and name == RESULT
        inputs = list_inputs({**values, "start": None} if onward else values)
        check_against_inputs([output], inputs, folder=name == RESULT and command in FOLDERS)
    for name, path in outputs.items():
        if name in FILES or command in PLAIN:
            check_output_file(path, bool(values.get("overwrite")))


def check_against_inputs(outputs: Iterable[Path], inputs: Inputs, *, folder: bool = False) -> None:
    """Check that no output would replace an input.

    Parameters
    ----------
    outputs : iterable of Path
    inputs : Inputs
    folder : bool
        Whether an output is a folder of which only some files are replaced: it may then lie in a
        folder of images, and hold inputs.

    Raises
    ------
    UsageError
        If one would.
    """
    from embedseg.common import check_not_inputs
    from embedseg.types import UsageError

    outputs, around, read = list(outputs), list(inputs.around), list(inputs.read)
    if folder:
        around += [path for path in read if path.is_dir() and not _is_store(path)]
        read = [path for path in read if path not in around]
        # What the folder holds is checked by name.
        reals = [output.resolve() for output in outputs]
        read = [path for path in read if not any(r in path.resolve().parents for r in reals)]
    check_not_inputs(outputs, read)
    for output in outputs:
        if any(output.resolve() == path.resolve() for path in around):
            raise UsageError(f"{output}: is an input too; choose another")


def list_inputs(values: Mapping[str, Any]) -> Inputs:
    """Return the files and folders that a command reads, by the names of its parameters."""
    from embedseg.data import SPLITS

    found = Inputs([], [])
    for name, value in values.items():
        path = path_of(value)
        if path is None or name in (*FILES, RESULT, *MODEL):
            continue
        if name == DATA:
            found.read.extend(path / split for split in SPLITS)
            found.around.append(path)
        else:
            found.read.append(path)
    for folder in model_folders(values):
        from embedseg.model import LEFT

        found.read.extend(folder / name for name in LEFT)
        found.around.append(folder)
    return found


def _is_store(path: Path) -> bool:
    from embedseg.images import STORE_FILES

    return any((path / name).is_file() for name in STORE_FILES)
