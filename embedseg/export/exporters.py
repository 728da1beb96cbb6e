"""Exporters of objects by format."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from embedseg.common import (
    Registry,
    check_output_file,
    check_output_folder,
    missing_library,
    write_file,
    write_folder,
)
from embedseg.images import check_output_store
from embedseg.types import DataError, UsageError, check_labels

if TYPE_CHECKING:
    from embedseg.export.objects import Objects


class ObjectFormat(NamedTuple):
    """A format of objects.

    Attributes
    ----------
    suffix : str
        Suffix of its files.
    write : callable
        Writes `Objects` to a path: a new file, or an empty folder.
    module, extra : str
        Library that writing needs, and the extra that installs it.
    folder : bool
        Whether it is a folder.
    files : tuple of str
        Patterns of the files in it; none if it is a store.
    films : bool
        Whether it holds the frames of a film.
    tracks : bool
        Whether it is only for films whose objects are linked.
    """

    suffix: str
    write: Callable[[Path, Objects], None]
    module: str = ""
    extra: str = ""
    folder: bool = False
    files: tuple[str, ...] = ()
    films: bool = False
    tracks: bool = False


#: A further format is one file with an `ObjectFormat` and one line here; in another package, an
#: entry point of the group `embedseg.exporters`.
EXPORTERS: Registry[ObjectFormat] = Registry(
    "format",
    "embedseg.exporters",
    {
        "roi": "embedseg.export.roi:FORMAT",
        "geojson": "embedseg.export.geojson:FORMAT",
        "csv": "embedseg.export.table:FORMAT",
        "coco": "embedseg.export.coco:FORMAT",
        "ome-zarr": "embedseg.export.ome_zarr:FORMAT",
        "trackmate": "embedseg.export.trackmate:FORMAT",
        "ctc": "embedseg.export.ctc:FORMAT",
    },
)


def export_objects(
    path: Path | str, objects: Objects, kind: str, *, overwrite: bool = False
) -> None:
    """Write objects as a file of another program: all of it or nothing.

    Parameters
    ----------
    path : path
        File to write; its folder is made.
    objects : Objects
    kind : str
        One of `EXPORTERS`.
    overwrite : bool
        Overwrite an existing file or store.

    Raises
    ------
    DataError
        If these are no labels, or those of neither an image nor a volume, or of a film where the
        format has no frames; or objects that are not linked where it holds tracks.
    UsageError
        As in `check_export`.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from embedseg.export.objects import Objects
    >>> path = Path(tempfile.mkdtemp()) / "cells.csv"
    >>> labels = np.array([[0, 7], [7, 7]], np.int32)
    >>> export_objects(path, Objects(labels, (0.5, 0.5)), "csv")
    >>> path.read_text().splitlines()[1][:9]
    '7,0.3333,'
    """
    path = Path(path)
    check_export(path, kind, overwrite=overwrite)
    if objects.ndim not in (2, 3):
        raise DataError(
            f"{objects.name}: shape {objects.labels.shape}, expected labels of an "
            "image (YX) or a volume (ZYX)"
        )
    exporter = EXPORTERS[kind]
    if objects.film and not exporter.films:
        able = ", ".join(name for name in EXPORTERS if EXPORTERS[name].films)
        raise DataError(
            f"{objects.name}: has a time axis, {kind} is for images and volumes; "
            f"frames are written as {able}"
        )
    if exporter.tracks and objects.tracks is None:
        raise DataError(
            f"{objects.name}: {kind} is for linked films, as `embedseg track` writes them"
        )
    check_labels(objects.labels, name=objects.name)
    if len(objects.spacing) != objects.ndim:
        raise UsageError(
            f"spacing {tuple(objects.spacing)} has {len(objects.spacing)} values, "
            f"the labels have {objects.ndim} axes of space"
        )
    if exporter.folder:
        ours = exporter.files or ("*",)
        write_folder(path, lambda aside: exporter.write(aside, objects), ours)
    else:
        write_file(path, lambda aside: exporter.write(aside, objects))


def check_export(path: Path, kind: str, *, overwrite: bool = False) -> None:
    """Check that objects can be written, before they are computed.

    Raises
    ------
    UsageError
        If the format is unknown, the file's name does not fit it, a library is missing, or the file
        exists; a store is overwritten only if this package wrote all of it.
    """
    check_format(kind)
    exporter = EXPORTERS[kind]
    if path.suffix.lower() != exporter.suffix:
        raise UsageError(f"{path}: files of the format {kind} end with {exporter.suffix}")
    if exporter.files:
        check_output_folder(path, overwrite, exporter.files)
    else:
        (check_output_store if exporter.folder else check_output_file)(path, overwrite)


def check_format(kind: str) -> None:
    """Check that a format is known, and that the library that writes it is installed.

    Raises
    ------
    UsageError
        If not.
    """
    exporter = EXPORTERS[kind]
    if exporter.module:
        require(exporter.module, exporter.extra)


def require(module: str, extra: str) -> Any:
    """Import a library that an extra installs, and return it.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_library("this needs", error, extra) from error
