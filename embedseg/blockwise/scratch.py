"""Files of blocks in the scratch folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from embedseg.blockwise.block_objects import BlockObjects, ObjectTable
from embedseg.common import write_file
from embedseg.types import Labels


class Found(NamedTuple):
    """Objects of an image, or of one frame of a film.

    Attributes
    ----------
    table : ObjectTable, optional
        None for classes.
    counts : tuple of int
        The numbers in a `embedseg.blockwise.Result`, in that order.
    """

    table: ObjectTable | None
    counts: tuple[int, ...]


def write_binary(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file: all of it or nothing."""

    def fill(aside: Path) -> None:
        with open(aside, "wb") as file:
            write(file)

    write_file(path, fill)


def save_objects(path: Path, labels: Labels, objects: BlockObjects) -> None:
    """Write labels and objects of a block, all in one file."""
    import imagecodecs

    packed = imagecodecs.zstd_encode(np.ascontiguousarray(labels).tobytes(), level=1)
    parts: dict[str, Any] = {f"first{axis}": layer for axis, layer in enumerate(objects.first)}
    parts |= {f"behind{axis}": layer for axis, layer in enumerate(objects.behind)}
    parts |= {f"table_{name}": values for name, values in objects.table.items()}
    write_binary(
        path,
        lambda file: np.savez(
            file,
            labels=np.frombuffer(packed, np.uint8),
            shape=np.array(labels.shape),
            seeds=objects.seeds,
            cut=objects.cut,
            **parts,
        ),
    )


def load_labels(path: Path) -> Labels:
    """Return the labels that `save_objects` wrote."""
    import imagecodecs

    with np.load(path) as held:
        raw = imagecodecs.zstd_decode(held["labels"].tobytes())
        labels = np.frombuffer(raw, np.int32)
        return labels.reshape([int(n) for n in held["shape"]])


def load_objects(path: Path) -> BlockObjects:
    """Return the objects that `save_objects` wrote."""
    with np.load(path) as held:

        def per_axis(name: str) -> tuple[Labels, ...]:
            return tuple(held[f"{name}{axis}"] for axis in range(8) if f"{name}{axis}" in held)

        return BlockObjects(
            held["seeds"], _load_table(held), held["cut"], per_axis("first"), per_axis("behind")
        )


def save_found(path: Path, found: Found) -> None:
    """Write what was found in a frame."""
    parts: dict[str, Any] = {f"table_{name}": held for name, held in (found.table or {}).items()}
    write_binary(path, lambda file: np.savez(file, counts=np.array(found.counts), **parts))


def load_found(path: Path) -> Found:
    """Return what `save_found` wrote."""
    with np.load(path) as held:
        return Found(_load_table(held) or None, tuple(held["counts"].tolist()))


def _load_table(held: Any) -> ObjectTable:
    names = [name for name in held.files if name.startswith("table_")]
    return {name.removeprefix("table_"): held[name] for name in names}
