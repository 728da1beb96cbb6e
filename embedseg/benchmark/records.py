"""Records of runs: grouped, named, read and written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embedseg.benchmark.entries import BenchmarkSetup
from embedseg.common import write_text
from embedseg.types import DataError, UsageError

Record = Mapping[str, Any]

#: Fields that the runs of one row of the table share; of one curve over minutes, all but the last.
GROUP_KEYS = ("method", "net", "ndim", "preset", "minutes")


def group_records(
    records: Sequence[Record], keys: Sequence[str]
) -> dict[tuple[Any, ...], list[Record]]:
    """Group records by the values of some fields, in their order.

    Examples
    --------
    >>> group_records([{"a": 1, "b": 2}, {"a": 1, "b": 3}], ["a"])
    {(1,): [{'a': 1, 'b': 2}, {'a': 1, 'b': 3}]}
    """
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record[key] for key in keys), []).append(record)
    return groups


def format_curve_label(key: tuple[Any, ...]) -> str:
    """Format the method, net, axes and preset of a curve.

    Examples
    --------
    >>> format_curve_label(("embedding", "unet", 2, "default"))
    'embedding unet 2D'
    """
    method, net, ndim, preset = key
    parts = [method, net or "", f"{ndim}D", "" if preset == "default" else preset]
    return " ".join(part for part in parts if part)


def read_record(file: Path, setup: BenchmarkSetup) -> dict[str, Any] | None:
    """Read the record of a run; None if the run is not finished.

    The file exists from the start of a run, so that a run resumes with the settings it began with.
    """
    if not file.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        before = record.pop("bench")
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(f"{file}: not the record of a benchmark run ({error})") from None
    if before != setup.shared_settings():
        raise UsageError(
            f"{file}: a run with other data or settings; choose another folder, or --overwrite"
        )
    return record or None


def write_record(file: Path, setup: BenchmarkSetup, record: Record) -> None:
    """Write the record of a run with the settings of its benchmark; empty while it runs."""
    write_json(file, {"bench": setup.shared_settings(), **record})


def write_json(file: Path, content: Any) -> None:
    """Write a JSON file."""
    write_text(file, json.dumps(content, indent=2) + "\n")
