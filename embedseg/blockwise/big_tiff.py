"""Labels of a store written as BigTIFF."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.images import Origin, open_array, origin_tag, read_box, space_axes
from embedseg.types import Spacing

#: Edge of the tiles of a TIFF, pixels; bytes of it in memory at once.
TILE, SLAB = 512, 2**28


def write_big_tiff(
    labels: Path, path: Path, axes: str, spacing: Spacing | None, origin: Origin | None = None
) -> None:
    """Copy level 0 into a tiled BigTIFF with OME metadata, some planes in memory at a time."""
    import tifffile

    array = open_array(labels, mode="r")
    metadata: dict[str, Any] = {"axes": axes}
    for axis, size in zip(space_axes(axes), spacing or (), strict=False):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
        file.write(
            _tiles(labels, array),
            shape=array.shape,
            dtype=array.dtype,
            tile=(TILE, TILE),
            compression="zlib",
            photometric="minisblack",
            metadata=metadata,
            software=origin_tag(origin),
        )


def _tiles(source: Path, array: Any) -> Iterator[NDArray[Any]]:
    """Return the tiles of an array plane by plane, row by row."""
    *outer, deep, rows, columns = (1, 1, *array.shape)[-max(3, array.ndim) :]

    def read(*box: slice) -> NDArray[Any]:
        data = read_box(str(source), array, (*box, slice(0, columns))[-array.ndim :])
        return data.reshape(-1, *data.shape[-2:])

    step = _planes(array)
    for *at, z in product(*map(range, outer), range(0, deep, step)):
        first = [slice(k, k + 1) for k in at]
        # A chunk is read once where planes are small enough, else once per row of tiles.
        whole = read(*first, slice(z, z + step), slice(0, rows)) if step > 1 else None
        for plane in range(min(step, deep - z)):
            for y in range(0, rows, TILE):
                lines = slice(y, y + TILE)
                if whole is not None:
                    strip = whole[plane, lines]
                else:
                    strip = read(*first, slice(z, z + 1), lines)[0]
                for x in range(0, columns, TILE):
                    yield np.ascontiguousarray(strip[:, x : x + TILE])


def _planes(array: Any) -> int:
    """Return how many planes are read at once."""
    if array.ndim == 2:
        return 1
    size = array.shape[-2] * array.shape[-1] * array.dtype.itemsize
    return int(np.clip(SLAB // size, 1, array.chunks[-3]))
