"""The numbers in tests/README.md are those of the collection."""

from __future__ import annotations

import re
from pathlib import Path

from corpus.inputs import list_cases
from corpus.test_killed import KILLED, MOMENTS
from corpus.test_soak import IMAGES

from embedseg.cli.app import COMMANDS


def test_readme_has_the_numbers() -> None:
    cases = list_cases(Path())
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| ([a-z ]+) \| (\d+) \|$", text, re.MULTILINE)) == {
        "inputs": str(len(cases)),
        "commands with an input": str(sum(len(case.commands) for case in cases.values())),
        "commands killed": str(len(KILLED)),
        "moments of each": str(MOMENTS),
        "images in one process": str(IMAGES),
    }


def test_there_are_enough_of_each_command() -> None:
    cases = list_cases(Path())
    assert len(cases) >= 150
    lines = [line for case in cases.values() for line in case.commands]
    counts = {name: sum(line.split()[0] == name for line in lines) for name in COMMANDS}
    assert min(counts.values()) >= 5, counts


def test_no_pattern_fits_every_message() -> None:
    cases = list_cases(Path())
    commands = ((name, *pair) for name, case in cases.items() for pair in case.commands.items())
    empty = [
        f"{name}: {line.split()[0]}"
        for name, line, expected in commands
        if isinstance(expected, str) and re.search(expected, "error: a.geojson a.json a.zip a.zarr")
    ]
    assert not empty
