"""Outputs: OME-Zarr, labels inside an image, BigTIFF."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from embedseg.common import write_aside
from embedseg.images import (
    Filling,
    LazyImage,
    add_pyramid,
    create_labels,
    open_array,
    put_inside,
    store_version,
)
from embedseg.types import PerAxis, Spacing, UsageError

#: Chunks of an output have at most so many pixels along an axis, by the number of axes.
CHUNK = {2: 1024, 3: 128}
#: Edge of the tiles of a TIFF, pixels; bytes of it in memory at once.
TILE, SLAB = 512, 2**28


@dataclass(frozen=True)
class Output:
    """What is written for an image, and the folder where it is put together.

    Attributes
    ----------
    path : Path
        `*.zarr`, `IMAGE.zarr/labels/NAME`, or `*.tif`.
    image : LazyImage
    """

    path: Path
    image: LazyImage

    @cached_property
    def kind(self) -> Literal["zarr", "inside", "tiff"]:
        """What it is, by its name."""
        if self.path.parent.name == "labels" and self.path.parent.parent.suffix == ".zarr":
            return "inside"
        if self.path.suffix == ".zarr":
            return "zarr"
        if self.path.suffix.lower() in (".tif", ".tiff"):
            return "tiff"
        raise UsageError(
            f"{self.path}: expected *.zarr, *.tif or IMAGE.zarr/labels/NAME for the "
            "labels of an image in blocks"
        )

    @property
    def store(self) -> Path:
        """The file or folder that the labels are or lie in."""
        return self.path.parent.parent if self.kind == "inside" else self.path

    @property
    def _stem(self) -> str:
        inside = f"-{self.path.name}" if self.kind == "inside" else ""
        return self.store.name.partition(".")[0] + inside

    @property
    def scratch(self) -> Path:
        """The folder for everything in between, on the same disk."""
        return self.store.with_name(f"{self._stem}.blocks")

    @property
    def table(self) -> Path:
        """Where the table of objects goes."""
        return self.store.with_name(f"{self._stem}.csv")

    def check(self, overwrite: bool, table: bool = True) -> None:
        """See that the output, and the table, can be written, before work is put into it.

        Raises
        ------
        UsageError
            If there is something already, or the folder cannot be written to.
        """
        if self.kind == "inside" and not self.store.is_dir():
            raise UsageError(f"{self.store}: no such image to put labels into")
        for path in (self.path, self.table) if table else (self.path,):
            if path.exists() and not overwrite:
                raise UsageError(f"{path}: exists; choose another name, or --overwrite")
        parent = self.store if self.kind == "inside" else self.store.parent
        parent.mkdir(parents=True, exist_ok=True)
        for folder in {parent, self.store.parent}:
            if not os.access(folder, os.W_OK):
                raise UsageError(f"{folder}: cannot be written to")

    def create(
        self,
        labels: Path,
        block: PerAxis,
        shape: PerAxis,
        dtype: np.dtype[Any],
        spacing: Spacing | None,
    ) -> None:
        """Make the array that blocks are written into, where there is none yet."""
        if labels.exists():
            return
        aside = labels.with_name(labels.name + ".part")
        shutil.rmtree(aside, ignore_errors=True)
        version = store_version(self.store) if self.kind == "inside" else "0.5"
        create_labels(
            aside,
            shape,
            dtype,
            self.image.axes.replace("C", ""),
            spacing,
            chunks=tuple(_chunk(n, CHUNK[len(shape)]) for n in block),
            version=version,
            source=self._source(),
        )
        aside.rename(labels)

    def _source(self) -> str:
        """Return where the image is, from the labels."""
        if self.kind == "inside":
            return "../../"
        local = Path(self.image.source).exists()
        return os.path.relpath(self.image.source, self.path) if local else self.image.source

    def finish(self, labels: Path, progress: bool, fill: Filling | None = None) -> None:
        """Give what was put together its name, and coarser levels: `fill` fills them."""
        if self.kind == "tiff":
            write_aside(
                self.path,
                lambda aside: _to_tiff(
                    labels, aside, self.image.axes.replace("C", ""), self.image.spacing
                ),
            )
            return
        add_pyramid(labels, progress=progress, fill=fill)
        shutil.rmtree(self.path, ignore_errors=True)
        if self.kind == "inside":
            put_inside(labels, self.store, self.path.name)
        else:
            labels.rename(self.path)

    def write_table(self, table: dict[str, NDArray[Any]], axes: str) -> None:
        """Write a row per object: its number, centre in µm, box and size in pixels, score."""

        def write(aside: Path) -> None:
            with open(aside, "w", newline="", encoding="utf-8") as file:
                out = csv.writer(file)
                out.writerow(
                    [
                        "label",
                        *(f"centre_{axis}" for axis in axes),
                        *(f"{end}_{axis}" for end in ("lower", "upper") for axis in axes),
                        "size",
                        "score",
                        "cut",
                    ]
                )
                out.writerows(_rows(table))

        write_aside(self.table, write)


def _rows(table: dict[str, NDArray[Any]]) -> Iterator[list[Any]]:
    for k in range(len(table["size"])):
        yield [
            k + 1,
            *(f"{value:.6g}" for value in table["centre"][k]),
            *table["lower"][k],
            *table["upper"][k],
            table["size"][k],
            f"{table['score'][k]:.6g}",
            int(table["cut"][k]),
        ]


def _chunk(block: int, most: int) -> int:
    """Return the largest length of chunks that divide a block: each is written by one process.

    Examples
    --------
    >>> _chunk(512, 128), _chunk(120, 128), _chunk(202, 128), _chunk(131, 128)
    (128, 120, 101, 131)
    """
    parts = (n for n in range(-(-block // most), block // 16 + 2) if block % n == 0)
    return block // next(parts, 1)


def _to_tiff(labels: Path, path: Path, axes: str, spacing: Spacing | None) -> None:
    """Copy level 0 into a tiled BigTIFF with OME metadata, some planes in memory at a time."""
    import tifffile

    array = open_array(labels, mode="r")
    metadata: dict[str, Any] = {"axes": axes}
    for axis, size in zip(axes, spacing or (), strict=False):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
        file.write(
            _tiles(array),
            shape=array.shape,
            dtype=array.dtype,
            tile=(TILE, TILE),
            compression="zlib",
            photometric="minisblack",
            metadata=metadata,
        )


def _tiles(array: Any) -> Iterator[NDArray[Any]]:
    """Return the tiles of an array plane by plane, row by row."""
    *_, rows, columns = array.shape
    deep = array.shape[0] if array.ndim == 3 else 1
    for z in range(0, deep, step := _planes(array)):
        # A chunk is read once where planes are small enough, else once per row of tiles.
        whole = array[z : z + step] if array.ndim == 3 and step > 1 else None
        for plane in range(z, min(z + step, deep)):
            for y in range(0, rows, TILE):
                strip = (
                    whole[plane - z, y : y + TILE]
                    if whole is not None
                    else array[plane, y : y + TILE]
                    if array.ndim == 3
                    else array[y : y + TILE]
                )
                for x in range(0, columns, TILE):
                    yield np.ascontiguousarray(strip[:, x : x + TILE])


def _planes(array: Any) -> int:
    if array.ndim == 2:
        return 1
    size = array.shape[1] * array.shape[2] * array.dtype.itemsize
    return int(np.clip(SLAB // size, 1, array.chunks[0]))
