"""Training history as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from embedseg.common import write_rows
from embedseg.types import DataError

#: Name of the file in the folder of a model.
HISTORY = "history.csv"

Row = dict[str, float]


def write_history(rows: Sequence[Row], path: Path) -> None:
    """Write a history as CSV with a column for every name that occurs."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = (["" if name not in row else f"{row[name]:.6g}" for name in names] for row in rows)
    write_rows(path, names, cells)


def read_history(path: Path) -> list[Row]:
    """Read a history; an empty one where there is no file.

    Raises
    ------
    DataError
        If the file is no history.
    """
    if not path.is_file():
        return []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [
                {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
        if any("epoch" not in row for row in rows):
            raise ValueError("no column epoch")
        return rows
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a training history ({error})") from None
