"""Tables of objects as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from embedseg.common import format_position, write_rows
from embedseg.export.exporters import ObjectFormat
from embedseg.export.measures import measure
from embedseg.export.objects import Objects

#: Rows that are formatted at once.
ROWS = 10_000


def write_table(path: Path, objects: Objects) -> None:
    """Write the measures of objects, a line per object; see `embedseg.export.measures.measure`.

    Of a film the first column is the frame, from 0.

    Parameters
    ----------
    path : Path
        File to write.
    objects : Objects
    """
    tables = [measure(frame) for frame in objects.each_frame()]
    if objects.film:
        tables = [
            {"frame": np.full(len(table["label"]), k)} | table for k, table in enumerate(tables)
        ]

    def rows() -> Iterator[tuple[str, ...]]:
        for table in tables:
            yield from _rows(table)

    write_rows(path, list(tables[0]), rows())


FORMAT = ObjectFormat(".csv", write_table, films=True)


def _rows(table: dict[str, np.ndarray]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(table["label"]), ROWS):
        columns = [
            _format_cells(column[start : start + ROWS], name.startswith("centre"))
            for name, column in table.items()
        ]
        yield from zip(*columns, strict=True)


def _format_cells(column: np.ndarray, place: bool) -> list[str]:
    if column.dtype.kind != "f":
        return [str(value) for value in column.tolist()]
    if place:
        return [format_position(value) for value in column.tolist()]
    return ["" if value != value else f"{value:.6g}" for value in column.tolist()]
