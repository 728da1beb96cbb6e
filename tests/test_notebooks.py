"""The example notebooks: in good order, and executed from top to bottom."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest

from commands import Run

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.rglob("*.ipynb"))
#: Notebooks of a folder go on from each other; the others stand alone.
SERIES = [
    sorted(folder.glob("*.ipynb"))
    for folder in sorted({path.parent for path in NOTEBOOKS} - {EXAMPLES})
]
SERIES += [[path] for path in sorted(EXAMPLES.glob("*.ipynb"))]
#: Executes a notebook in a folder, and prints it with its outputs.
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient

path, folder = sys.argv[1:]
book = nbformat.read(path, as_version=4)
NotebookClient(book, timeout=600, kernel_name="python3",
               resources={"metadata": {"path": folder}}).execute()
print(nbformat.writes(book))
"""


def name(path: Path) -> str:
    return path.relative_to(EXAMPLES).as_posix()


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code(path: Path) -> list[str]:
    return [cell.source for cell in read(path).cells if cell.cell_type == "code"]


def prose(path: Path) -> list[str]:
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def folder(path: Path) -> str:
    """Where a notebook says that it writes."""
    (found,) = re.findall(
        r'^OUT = Path\("(embedseg-examples/[\w-]+)"\)$', "\n".join(code(path)), flags=re.MULTILINE
    )
    return str(found)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebook_is_in_good_order(path: Path) -> None:
    book = read(path)
    nbformat.validate(book)
    assert 5 < len(book.cells) < 25
    assert set(book.metadata) == {"kernelspec", "language_info"}
    for cell in book.cells:
        assert re.fullmatch(r"[a-z-]+", cell.id), "ids are words, so that they stay the same"
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
    kinds = "".join(cell.cell_type[0] for cell in book.cells)
    assert kinds.startswith("mc") and "ccc" not in kinds, "text says what the code is for"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_first_cell_says_what_how_long_and_what_it_needs(path: Path) -> None:
    first = prose(path)[0]
    assert first.startswith("# ")
    facts = dict(re.findall(r"^- \*\*(\w+):\*\* ((?:.|\n(?!- |\n))+)", first, flags=re.MULTILINE))
    assert list(facts) == ["Shows", "Takes", "Needs"]
    assert re.search(r"second|minute|hour", facts["Takes"])
    assert f"`{folder(path)}`" in " ".join(facts["Needs"].split())
    assert re.search(r"<https://\S+>", first), "where the data are from"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_code_holds_no_absolute_path_and_has_a_fast_mode(path: Path) -> None:
    cells = "\n".join(code(path))
    assert not re.search(r"""["'](/|~|[A-Za-z]:[\\/])""", cells)
    assert '"EMBEDSEG_FAST" in os.environ' in cells


def test_links_lead_somewhere_and_every_notebook_is_listed() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert {link for link in re.findall(r"\]\(([^)]+)\)", readme) if link.endswith(".ipynb")} == {
        name(path) for path in NOTEBOOKS
    }
    for path in NOTEBOOKS:
        for link in re.findall(r"\]\(([^)]+)\)", "\n".join(prose(path))):
            assert (path.parent / link).is_file(), f"{name(path)}: {link}"


def test_commands_that_are_named_exist(run: Run) -> None:
    used: dict[str, set[str]] = {}
    text = " ".join("\n".join(map("\n".join, map(prose, NOTEBOOKS))).split())
    for command, rest in re.findall(r"`embedseg ([a-z]+)\b([^`]*)`", text):
        used.setdefault(command, set()).update(re.findall(r"--[a-z-]+", rest))
    assert {"check", "train", "predict", "benchmark", "ensemble", "stack", "mesh"} <= set(used)
    for command, options in used.items():
        shown = run(command, "--help").out
        assert not (missing := {option for option in options if option not in shown}), (
            f"embedseg {command} has no {missing}"
        )


def executed(path: Path, folder: Path) -> Any:
    """Return a notebook with outputs.

    In a process of its own: after other tests in the same one, kernels take minutes to answer.
    """
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, path, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return nbformat.reads(done.stdout, as_version=4)


@pytest.mark.slow
@pytest.mark.parametrize("series", SERIES, ids=lambda series: name(series[0]).split("/01")[0])
def test_notebooks_run(series: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDSEG_FAST", "1")
    for path in series:
        book = executed(path, tmp_path)
        outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
        assert any("image/png" in output.get("data", ()) for output in outputs)
        assert [each.name for each in tmp_path.iterdir()] == ["embedseg-examples"]
        assert (tmp_path / folder(path)).is_dir()


def test_series_hold_every_notebook() -> None:
    assert sorted(path for series in SERIES for path in series) == NOTEBOOKS
    assert all(before.name < after.name for series in SERIES for before, after in pairwise(series))
