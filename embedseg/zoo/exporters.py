"""Exporters of models by format."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from embedseg.common import Registry, check_output_file, write_file
from embedseg.data import find_splits
from embedseg.export import require
from embedseg.model import ModelFolder
from embedseg.nets import Net
from embedseg.segmenter import Segmenter
from embedseg.types import UsageError

#: Characters that a name in the zoo may not have.
STRANGE = re.compile(r"[^A-Za-z0-9_+\- ()]+")
#: Names of tasks, by the content of the labels.
TASKS = {"objects": "Instance segmentation", "classes": "Semantic segmentation"}


class ModelFormat(NamedTuple):
    """A format of models.

    Attributes
    ----------
    suffix : str
        Suffix of its files.
    write : callable
        Writes a `Release` to a path.
    libraries : tuple of str
        Libraries that writing needs; the extra `zoo` installs them.
    """

    suffix: str
    write: Callable[[Path, Release], None]
    libraries: tuple[str, ...]


#: A further format is one file with a `ModelFormat` and one line here; in another package, an entry
#: point of the group `embedseg.model_exporters`.
EXPORTERS: Registry[ModelFormat] = Registry(
    "format",
    "embedseg.model_exporters",
    {
        "bioimageio": "embedseg.zoo.package:FORMAT",
        "onnx": "embedseg.zoo.onnx_export:FORMAT",
    },
)


@dataclass(frozen=True)
class About:
    """The description of a model, by its author.

    Attributes
    ----------
    name, description : str
        Empty: derived from the model.
    authors : tuple of str
    license : str, optional
        SPDX name of the licence of the weights, such as "CC-BY-4.0".
    data : Path, optional
        Data folder; one of its validation images becomes the example. Default: a synthetic image.
    """

    name: str = ""
    authors: tuple[str, ...] = ()
    description: str = ""
    license: str | None = None
    data: Path | None = None


@dataclass(frozen=True)
class Release:
    """A model to write, with its description.

    Attributes
    ----------
    folder : Path
        Folder of the model.
    model : Segmenter
        On the CPU.
    about : About
    """

    folder: Path
    model: Segmenter
    about: About

    @property
    def net(self) -> Net:
        """The net, as it predicts."""
        return self.model.net.eval()

    @property
    def name(self) -> str:
        """Name of the model, as the zoo allows it."""
        return self.about.name or f"embedseg {STRANGE.sub('-', self.folder.resolve().name)}"

    @property
    def description(self) -> str:
        """A sentence on the model."""
        config = self.model.config
        return self.about.description or (
            f"{TASKS[config.method.reads]} of {config.ndim}D images with embedseg: method "
            f"{config.method.type}, net {config.net.type}."
        )


def export_model(
    folder: Path | str,
    output: Path | str,
    kind: str | None = None,
    about: About | None = None,
    *,
    overwrite: bool = False,
) -> str:
    """Write a model in a format of other programs: all of it or nothing.

    Parameters
    ----------
    folder : path
        Folder of the model.
    output : path
        File to write.
    kind : str, optional
        A name in `EXPORTERS`; default: by the suffix of `output`.
    about : About, optional
        Description of the model.
    overwrite : bool
        Overwrite an existing file.

    Returns
    -------
    str
        The format.

    Raises
    ------
    DataError
        If there is no data folder.
    UsageError
        If the format is unknown, the file's name does not fit it, a library is missing, the file
        exists, or the folder holds no model or an ensemble.
    """
    folder, output = Path(folder), Path(output)
    if about and about.data:
        # Before libraries are imported, which takes seconds.
        find_splits(about.data)
    kind = check_format(output, kind)
    check_output_file(output, overwrite)
    if members := ModelFolder(folder).members():
        raise UsageError(
            f"{folder}: is an ensemble, which other programs do not know; export its "
            f"members one by one, from {members[0].folder.parent}"
        )
    release = Release(folder, Segmenter.load(folder, "cpu"), about or About())
    write_file(output, lambda aside: EXPORTERS[kind].write(aside, release))
    return kind


def check_format(output: Path, kind: str | None) -> str:
    """Return the format to write, once its suffix fits and its libraries are installed.

    Raises
    ------
    UsageError
        If not.

    Examples
    --------
    >>> check_format(Path("nuclei.h5"), None)
    Traceback (most recent call last):
    embedseg.types.errors.UsageError: nuclei.h5: no format has this suffix; bioimageio ends with
    .zip, onnx with .onnx
    """
    known = ", ".join(
        f"{name} {'ends ' * (not k)}with {exporter.suffix}"
        for k, (name, exporter) in enumerate(EXPORTERS.items())
    )
    suffix = output.suffix.lower()
    kind = kind or next((n for n, exporter in EXPORTERS.items() if exporter.suffix == suffix), None)
    if kind is None:
        raise UsageError(f"{output}: no format has this suffix; {known}")
    exporter = EXPORTERS[kind]
    if suffix != exporter.suffix:
        raise UsageError(f"{output}: {known}")
    for library in exporter.libraries:
        require(library, "zoo")
    return kind
