"""Every input is read right or refused by name; no command leaves anything half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus.case import check_command
from corpus.inputs import list_cases

from commands import Run

PAIRS = [(n, line) for n, case in list_cases(Path()).items() for line in case.commands]


@pytest.mark.parametrize(("name", "line"), PAIRS, ids=[f"{n}: {li.split()[0]}" for n, li in PAIRS])
def test_read_right_or_refused(
    run: Run, shared: dict[str, Path], tmp_path: Path, name: str, line: str
) -> None:
    case = list_cases(shared["MODEL"])[name]
    places = {**shared, "IN": tmp_path / "in", "OUT": tmp_path / "out"}
    places["IN"].mkdir()
    places["OUT"].mkdir()
    case.make(places["IN"])
    check_command(run, line, case.commands[line], places)
