"""Tables of the objects of images and films, as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from embedseg.blockwise.block_objects import ObjectTable
from embedseg.common import format_position, write_rows
from embedseg.images import space_axes


def write_table(path: Path, axes: str, tables: Sequence[ObjectTable]) -> None:
    """Write a row per object: its number, centre in µm, box and size in pixels, score.

    Centres lie where the image places its pixels, with its translation; boxes count pixels from
    the first one.

    Parameters
    ----------
    path : Path
        File to write.
    axes : str
        Of the image.
    tables : sequence of ObjectTable
        One; or, with a time axis, one per frame: rows then have the frame, from 0.
    """
    space, film = space_axes(axes).lower(), "T" in axes
    header = [
        "label",
        *(["frame"] if film else []),
        *(f"centre_{axis}" for axis in space),
        *(f"{end}_{axis}" for end in ("lower", "upper") for axis in space),
        "size",
        "score",
        "cut",
    ]
    rows = (
        [number, *([frame] if film else []), *row]
        for frame, table in enumerate(tables)
        for number, row in enumerate(_rows(table), 1)
    )
    write_rows(path, header, rows)


def _rows(table: ObjectTable) -> Iterator[list[Any]]:
    for k in range(len(table["size"])):
        yield [
            *map(format_position, table["centre"][k].tolist()),
            *table["lower"][k],
            *table["upper"][k],
            table["size"][k],
            f"{table['score'][k]:.6g}",
            int(table["cut"][k]),
        ]
