"""Exporters of models by format.

A further format is one file and one line in `EXPORTERS`. What writes it is imported when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, cast

from embedseg.common import write_aside
from embedseg.export import needed, refuse_file
from embedseg.model import ENSEMBLE
from embedseg.nets import Net
from embedseg.segmenter import Segmenter
from embedseg.types import UsageError

#: What a name in the zoo may not hold.
STRANGE = re.compile(r"[^A-Za-z0-9_+\- ()]+")
#: What is called what, by what labels are.
TASKS = {"objects": "Instance segmentation", "classes": "Semantic segmentation"}


class Exporter(NamedTuple):
    """A format.

    Attributes
    ----------
    suffix : str
        How its files end.
    target : str
        "module:function" of what writes it: a function of a path and a `Release`.
    libraries : tuple of str
        What it needs besides; the extra `zoo` installs them.
    """

    suffix: str
    target: str
    libraries: tuple[str, ...]


EXPORTERS = {
    "bioimageio": Exporter(
        ".zip",
        "embedseg.zoo.package:write_package",
        ("bioimageio.core", "onnx", "onnxscript", "onnxruntime"),
    ),
    "onnx": Exporter(".onnx", "embedseg.zoo.onnx_export:write_onnx", ("onnx", "onnxscript")),
}


@dataclass(frozen=True)
class About:
    """What is said of a model that is given away.

    Attributes
    ----------
    name, description : str
        Empty: made up from the model.
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
    """A model to write, and what is said of it.

    Attributes
    ----------
    folder : Path
        Of the model.
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
        return cast(Net, self.model.net.eval())

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
        Of the model.
    output : path
        File to write.
    kind : str, optional
        A name in `EXPORTERS`; default: by the ending of `output`.
    about : About, optional
        What is said of the model.
    overwrite : bool
        Replace what is there.

    Returns
    -------
    str
        The format.

    Raises
    ------
    UsageError
        If the format is unknown, the file's name does not fit it, a library is missing, something
        is there already, or the folder holds no model or an ensemble.
    """
    folder, output = Path(folder), Path(output)
    kind = check_format(output, kind)
    refuse_file(output, overwrite)
    if (folder / ENSEMBLE).is_file():
        raise UsageError(
            f"{folder}: is an ensemble, which other programs do not know; export its "
            f"members one by one, from {folder / 'members'}"
        )
    release = Release(folder, Segmenter.load(folder, "cpu"), about or About())
    module, _, function = EXPORTERS[kind].target.partition(":")
    write: Callable[[Path, Release], None] = getattr(import_module(module), function)
    write_aside(output, lambda aside: write(aside, release))
    return kind


def check_format(output: Path, kind: str | None) -> str:
    """Return the format to write, and see that the name fits and its libraries are there.

    Raises
    ------
    UsageError
        If not.

    Examples
    --------
    >>> check_format(Path("nuclei.h5"), None)
    Traceback (most recent call last):
    embedseg.types.UsageError: nuclei.h5: the name does not say in which format; bioimageio ends
    with .zip, onnx with .onnx
    """
    known = ", ".join(
        f"{name} {'ends ' * (not k)}with {exporter.suffix}"
        for k, (name, exporter) in enumerate(EXPORTERS.items())
    )
    suffix = output.suffix.lower()
    kind = kind or next((n for n, exporter in EXPORTERS.items() if exporter.suffix == suffix), None)
    if kind is None:
        raise UsageError(f"{output}: the name does not say in which format; {known}")
    if kind not in EXPORTERS:
        raise UsageError(f"no format {kind!r}; there are {', '.join(EXPORTERS)}")
    if suffix != EXPORTERS[kind].suffix:
        raise UsageError(f"{output}: {known}")
    for library in EXPORTERS[kind].libraries:
        needed(library, "zoo")
    return kind
