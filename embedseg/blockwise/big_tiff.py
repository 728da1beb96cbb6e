"""Labels of a store written as BigTIFF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.images import open_array
from embedseg.types import Spacing

#: Edge of the tiles of a TIFF, pixels; bytes of it in memory at once.
TILE, SLAB = 512, 2**28


def write_big_tiff(labels: Path, path: Path, axes: str, spacing: Spacing | None) -> None:
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
    """Return how many planes are read at once."""
    if array.ndim == 2:
        return 1
    size = array.shape[1] * array.shape[2] * array.dtype.itemsize
    return int(np.clip(SLAB // size, 1, array.chunks[0]))
