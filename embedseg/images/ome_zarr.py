"""Label images as OME-Zarr: written by chunk, with coarser levels.

::

    labels/                  a group, described by its metadata
        0/                   the labels at full size
        1/ ...               the same with voxels of twice the size
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from embedseg.common import check_output_folder, open_bar, refuse_foreign
from embedseg.images.axes import check_label_axes
from embedseg.images.chunks import read_box
from embedseg.images.content import Scale
from embedseg.images.multiscales import Version, axis_sizes, default_scales, describe_labels
from embedseg.images.pyramid import choose_factors, coarser_shape, most_frequent
from embedseg.types import Box, DataError, Spacing, UsageError

if TYPE_CHECKING:
    import zarr

#: Fills boxes of a level: gets its number, the boxes, and the pixels of the finer level per pixel;
#: calls `fill_box` for each box, in any order or several at a time, and yields once per box.
Filling = Callable[[int, Iterable[Box], tuple[int, ...]], Iterable[Any]]

#: Entry of this package in the metadata of a group of labels, from which levels are made.
KEY = "embedseg"
#: Paths of files in such a group: metadata, and chunks of both versions.
WRITTEN = re.compile(
    r"(\d+/)?(zarr\.json|\.zarray|\.zattrs|\.zgroup|\.zmetadata)|\d+/c(/\d+)+|\d+(/\d+)+"
)
#: Files that file managers leave in any folder.
IGNORED = (".DS_Store", "Thumbs.db", "desktop.ini")


def create_labels(
    path: Path,
    shape: Sequence[int],
    dtype: DTypeLike,
    axes: str,
    spacing: Spacing | None,
    *,
    chunks: Sequence[int],
    version: Version = "0.5",
    source: str | None = None,
    scales: Sequence[Scale] = (),
) -> None:
    """Create a group with an empty array "0" of labels, to be written chunk by chunk.

    Chunks are compressed by zstd, and those without labels are not stored. `add_pyramid` makes an
    OME-Zarr image of it.

    Parameters
    ----------
    path : Path
        Folder of the group; must not exist.
    shape : sequence of int
        Shape of the labels.
    dtype : dtype
        An integer type.
    axes : str
        "YX", "ZYX", "TYX" or "TZYX".
    spacing : tuple of float, optional
        Size of a pixel along each axis of space, µm.
    chunks : sequence of int
        Shape of a chunk; two processes must not write to one chunk at the same time.
    version : {"0.4", "0.5"}
        Version of NGFF: 0.4 stores zarr v2, 0.5 v3.
    source : str, optional
        Image that the labels belong to: a URL, or a path relative to the group.
    scales : sequence of Scale, optional
        Place of the labels along each axis, in any unit, as `LazyImage.scales` of their image.
        Default: they start at 0, with pixels of `spacing`.

    Raises
    ------
    DataError
        If `dtype`, `axes`, `spacing` or `chunks` do not fit.
    UsageError
        If `path` exists.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.zarr"
    >>> create_labels(path, (40, 600), np.uint32, "YX", (0.5, 0.5), chunks=(40, 100))
    >>> open_array(path)[:, :100] = 7
    >>> add_pyramid(path)
    >>> [open_array(path, level).shape for level in range(3)]
    [(40, 600), (20, 300), (10, 150)]
    """
    import zarr
    from zarr.codecs import BloscCodec

    shape, dtype = tuple(map(int, shape)), np.dtype(dtype)
    _check(path, shape, dtype, axes, spacing, chunks)
    if path.exists():
        raise UsageError(f"{path}: exists")
    old = version == "0.4"
    group = zarr.create_group(path, zarr_format=2 if old else 3)
    # Labels come in long runs: shuffled bytes, or a higher level, make them larger and take longer.
    compressor: Any = (
        {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 0}
        if old
        else BloscCodec(cname="zstd", clevel=1, shuffle="noshuffle")
    )
    _make_level(group, 0, shape, dtype, chunks, axes, compressor)
    group.attrs[KEY] = {
        "axes": axes,
        "spacing": spacing and [float(step) for step in spacing],
        "source": source,
        "scales": [*scales],
    }


def _check(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    spacing: Spacing | None,
    chunks: Sequence[int],
) -> None:
    if dtype.kind not in "iu":
        raise DataError(f"{path}: labels of type {dtype}, expected integers")
    check_label_axes(path, shape, axes, spacing)
    if len(chunks) != len(shape) or min(*chunks, *shape) < 1:
        raise DataError(f"{path}: chunks {tuple(chunks)} do not fit labels of shape {shape}")


def _make_level(
    group: zarr.Group,
    level: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: Sequence[int],
    axes: str,
    compressor: Any,
) -> Any:
    old = group.metadata.zarr_format == 2
    return group.create_array(
        str(level),
        shape=shape,
        dtype=dtype,
        chunks=tuple(map(min, chunks, shape)),
        compressors=compressor,
        fill_value=0,
        chunk_key_encoding={"name": "v2" if old else "default", "separator": "/"},
        dimension_names=None if old else list(axes.lower()),
        config={"write_empty_chunks": False},
    )


def open_array(path: Path, level: int = 0, mode: Literal["r", "r+"] = "r+") -> zarr.Array[Any]:
    """Open a level of a group of labels, to read or write boxes of it."""
    from embedseg.images.zarr_checks import open_checked

    array = open_checked(path, str(level), mode)
    return array.with_config({"write_empty_chunks": False})


def store_version(path: Path) -> Version:
    """Return the version of NGFF that matches the zarr format of a local store.

    Raises
    ------
    DataError
        If it is not a zarr store.
    """
    if (path / "zarr.json").is_file():
        return "0.5"
    if (path / ".zgroup").is_file() or (path / ".zarray").is_file():
        return "0.4"
    raise DataError(f"{path}: not a zarr store, expected a zarr.json or .zgroup in it")


def check_output_store(path: Path, overwrite: bool) -> None:
    """Check that labels may be written to a folder, before any work.

    Raises
    ------
    UsageError
        If it exists and is not to be overwritten, or holds what this package did not write.
    """
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists; choose another, or --overwrite")
    check_output_folder(path, overwrite)
    if path.exists():
        refuse_foreign(path, find_foreign(path))


def find_foreign(path: Path) -> Path | None:
    """Return a file in a folder that is not of labels which `create_labels` made; None if all are.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.zarr"
    >>> create_labels(path, (40, 600), np.uint32, "YX", (0.5, 0.5), chunks=(40, 100))
    >>> find_foreign(path)
    >>> (path / "notes.txt").touch()
    >>> find_foreign(path).name
    'notes.txt'
    """
    made = _is_made_here(path)
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files) + [n for n in folders if os.path.islink(f"{folder}/{n}")]:
            file = Path(folder, name)
            if name not in IGNORED and not (
                made and WRITTEN.fullmatch(file.relative_to(path).as_posix())
            ):
                return file
    return None


def _is_made_here(path: Path) -> bool:
    """Return whether the metadata of a group have the entry of this package."""
    try:
        if (path / "zarr.json").is_file():
            held = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        else:
            held = json.loads((path / ".zattrs").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, RecursionError):
        return False
    return isinstance(held, dict) and KEY in held


# -- coarser levels --------------------------------------------------------------------------------
def add_pyramid(
    path: Path, *, smallest: int = 256, progress: bool = False, fill: Filling | None = None
) -> None:
    """Add coarser levels to labels, and the metadata that make them an OME-Zarr image.

    A pixel of a coarser level has the most frequent label of the 2 pixels along each axis that it
    covers, the smallest of those if several are as frequent; background counts like a label. Axes
    are halved by `choose_factors`, so that voxels come closer to cubes; time is never halved.

    Works chunk by chunk, so little is in memory. Existing levels are made anew: a run after one
    that was killed leaves the same bytes.

    Parameters
    ----------
    path : Path
        Group as `create_labels` makes it.
    smallest : int
        Levels are added until no axis of space is longer.
    progress : bool
        Show a progress bar.
    fill : callable, optional
        Fills the boxes of a level in other processes; see `Filling`.
    """
    add_levels(path, 1, smallest, None, progress, fill)


def add_levels(
    path: Path,
    kept: int,
    smallest: int,
    levels: int | None,
    progress: bool,
    fill: Filling | None = None,
) -> None:
    """Make all levels after the first `kept` ones: `levels` in all, or down to a size."""
    import zarr

    group = zarr.open_group(path, mode="r+")
    made: Any = group.attrs[KEY]
    # Without metadata, no reader takes half of the levels for all of them.
    for name in ("ome", "multiscales", "image-label"):
        if name in group.attrs:
            del group.attrs[name]
    names = {str(level) for level in range(kept)}
    for folder in [entry for entry in path.iterdir() if entry.is_dir() and entry.name not in names]:
        shutil.rmtree(folder)
    first = open_array(path, mode="r")
    sizes = axis_sizes(made["axes"], made["spacing"])
    # Labels of earlier versions have no scales.
    scales = [Scale(*each) for each in made.get("scales", ())]
    factors = choose_factors(first.shape, sizes, smallest, levels)
    total = sum(
        prod(coarser_shape(coarser_shape(first.shape, factor), first.chunks))
        for factor in factors[kept:]
    )
    with open_bar(progress, "coarser levels", "chunk", total) as bar:
        for level in range(kept, len(factors)):
            fine: Any = group[str(level - 1)]
            step = tuple(b // a for a, b in zip(*factors[level - 1 : level + 1], strict=True))
            shape = coarser_shape(fine.shape, step)
            coarse = _make_level(
                group, level, shape, fine.dtype, fine.chunks, made["axes"], fine.compressors
            )
            boxes = _boxes(coarse.shape, coarse.chunks)
            for _ in (fill or _fill_serially(path))(level, boxes, step):
                bar.update()
    described = describe_labels(
        made["axes"],
        scales or default_scales(made["axes"], made["spacing"]),
        factors,
        made["source"],
        store_version(path),
    )
    group.attrs.update(described)


def _boxes(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Iterator[Box]:
    """Yield the boxes of the chunks of an array, which may be too many for a list."""
    for corner in product(*(range(0, n, c) for n, c in zip(shape, chunks, strict=True))):
        yield tuple(
            slice(start, min(start + c, n))
            for start, c, n in zip(corner, chunks, shape, strict=True)
        )


def _fill_serially(path: Path) -> Filling:
    """Fill one box after the other, in this process."""

    def fill(level: int, boxes: Iterable[Box], step: tuple[int, ...]) -> Iterator[Box]:
        for box in boxes:
            fill_box(path, level, box, step)
            yield box

    return fill


def fill_box(path: Path, level: int, box: Box, step: tuple[int, ...]) -> None:
    """Fill a box of a coarser level of labels from the level before.

    Parameters
    ----------
    path : Path
        Group of the labels.
    level : int
        From 1.
    box : tuple of slice
        A chunk of that level.
    step : tuple of int
        Pixels of the level before per pixel, along each axis.
    """
    fine, coarse = open_array(path, level - 1, "r"), open_array(path, level)
    covered = tuple(slice(side.start * f, side.stop * f) for side, f in zip(box, step, strict=True))
    labels = read_box(str(path), fine, covered)
    if labels.any():
        coarse[box] = most_frequent(labels, step)
