"""Exporters of objects by format.

A further format is one file and one line in `EXPORTERS`. What writes it is imported when asked for.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from embedseg import labels as lab
from embedseg.common import write_aside
from embedseg.export.outlines import Outline, trace_outlines
from embedseg.labels import boxes_by_label
from embedseg.types import Box, DataError, Spacing, UsageError, check_labels


class Exporter(NamedTuple):
    """A format.

    Attributes
    ----------
    suffix : str
        How its files end.
    target : str
        "module:function" of what writes it: a function of a path and `Objects`.
    module, extra : str
        What it needs besides, and the extra that installs that.
    folder : bool
        Whether it is a folder.
    """

    suffix: str
    target: str
    module: str = ""
    extra: str = ""
    folder: bool = False


EXPORTERS = {
    "roi": Exporter(".zip", "embedseg.export.roi:write_rois", "roifile", "rois"),
    "geojson": Exporter(".geojson", "embedseg.export.geojson:write_geojson"),
    "csv": Exporter(".csv", "embedseg.export.table:write_table"),
    "coco": Exporter(".json", "embedseg.export.coco:write_coco"),
    "ome-zarr": Exporter(".zarr", "embedseg.export.ome_zarr:write_zarr", "zarr", "large", True),
}


@dataclass(frozen=True)
class Objects:
    """The objects of a label image, and what is known of them.

    Attributes
    ----------
    labels : (Y, X) or (Z, Y, X) int32 ndarray
        0 is background; pixels that are not annotated (-1) are left out.
    spacing : tuple of float
        Size of a pixel along each axis, µm.
    name : str
        What the image is called.
    scores : mapping of int to float
        How sure the model was of an object, by its label, as far as that is known.
    image : (C, *space) ndarray, optional
        The image that the labels belong to.
    channels : tuple of str
        Names of its channels, if they are known.
    progress : bool
        Whether to show a progress bar.

    Examples
    --------
    >>> objects = Objects(np.array([[0, 7], [7, 7]], np.int32), (1.0, 1.0))
    >>> objects.sizes, [outline.label for outline in objects.outlines()]
    ({7: 3}, [7])
    """

    labels: NDArray[np.int32]
    spacing: Spacing
    name: str = "labels"
    scores: Mapping[int, float] = field(default_factory=dict)
    image: NDArray[Any] | None = None
    channels: tuple[str, ...] = ()
    progress: bool = False

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self.labels.ndim

    @cached_property
    def boxes(self) -> dict[int, Box]:
        """The box around each object by its label, ascending."""
        return boxes_by_label(self.labels)

    @cached_property
    def sizes(self) -> dict[int, int]:
        """The pixels of each object by its label."""
        return dict(zip(self.boxes, lab.object_sizes(self.labels).tolist(), strict=True))

    @property
    def quantity(self) -> str:
        """What a size times the spacing is: an area or a volume."""
        return "area" if self.ndim == 2 else "volume"

    def outlines(self) -> Iterator[Outline]:
        """Trace the objects, plane by plane in a volume."""
        last, hidden = None, not self.progress
        with tqdm(total=len(self.boxes), desc="objects", disable=hidden, leave=False) as bar:
            for outline in trace_outlines(self.labels, self.boxes):
                bar.update(outline.label != last)
                last = outline.label
                yield outline

    @cached_property
    def _digits(self) -> int:
        return max(4, len(str(max(self.boxes, default=0))))

    def title(self, outline: Outline) -> str:
        """Return the name of an outline: its label and, in a volume, its plane, from 1."""
        plane = f"-z{outline.plane + 1:04d}" if self.ndim == 3 else ""
        return f"{outline.label:0{self._digits}d}{plane}"


def label_of(title: str) -> int | None:
    """Return the label that a name stands for, if it is one that `Objects.title` gives.

    Examples
    --------
    >>> label_of("0007-z0003"), label_of("12"), label_of("0123-0456"), label_of("nucleus")
    (7, 12, None, None)
    """
    found = re.fullmatch(r"0*([1-9]\d{0,9})(-z\d+)?", title.strip())
    label = int(found[1]) if found else 0
    return label if 0 < label <= np.iinfo(np.int32).max else None


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
        Replace what is there.

    Raises
    ------
    DataError
        If the labels are none, or of neither an image nor a volume.
    UsageError
        As in `check_export`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cells.csv"
    >>> export_objects(path, Objects(np.array([[0, 7], [7, 7]], np.int32), (0.5, 0.5)), "csv")
    >>> path.read_text().splitlines()[1][:11]
    '7,0.333333,'
    """
    path = Path(path)
    check_export(path, kind, overwrite=overwrite)
    if objects.ndim not in (2, 3):
        raise DataError(
            f"{objects.name}: shape {objects.labels.shape}, expected labels of an "
            "image (YX) or a volume (ZYX)"
        )
    check_labels(objects.labels, name=objects.name)
    if len(objects.spacing) != objects.ndim:
        raise UsageError(
            f"spacing {tuple(objects.spacing)} has {len(objects.spacing)} values, "
            f"the labels have {objects.ndim} axes"
        )
    module, _, function = EXPORTERS[kind].target.partition(":")
    write = getattr(import_module(module), function)
    if EXPORTERS[kind].folder:
        _write_folder(path, lambda aside: write(aside, objects))
    else:
        write_aside(path, lambda aside: write(aside, objects))


def _write_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a folder beside, then give it the name: all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        write(aside)
        if path.exists():
            shutil.rmtree(path)
        aside.rename(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_export(path: Path, kind: str, *, overwrite: bool = False) -> None:
    """See that objects can be written, before work is put into them.

    Raises
    ------
    UsageError
        If the format is unknown, the file's name does not fit it, a library is missing, or
        something is there already.
    """
    check_format(kind)
    if path.suffix.lower() != EXPORTERS[kind].suffix:
        raise UsageError(f"{path}: files of the format {kind} end with {EXPORTERS[kind].suffix}")
    refuse_file(path, overwrite, EXPORTERS[kind].folder)


def check_format(kind: str) -> None:
    """See that a format is known, and that what writes it is installed.

    Raises
    ------
    UsageError
        If not.
    """
    if kind not in EXPORTERS:
        raise UsageError(f"no format {kind!r}; there are {', '.join(EXPORTERS)}")
    if module := EXPORTERS[kind].module:
        needed(module, EXPORTERS[kind].extra)


def refuse_file(path: Path, overwrite: bool, folder: bool = False) -> None:
    """See that a file, or a zarr store, to write is free.

    Raises
    ------
    UsageError
        If there is something that `overwrite` does not allow to replace, or of another kind.
    """
    store = any((path / name).is_file() for name in ("zarr.json", ".zgroup"))
    if path.exists() and not (overwrite and (store if folder else path.is_file())):
        raise UsageError(f"{path}: exists; choose another, or overwrite")


def needed(module: str, extra: str) -> Any:
    """Return a module.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(f"this needs {error.name}: pip install 'embedseg-nd[{extra}]'") from error
