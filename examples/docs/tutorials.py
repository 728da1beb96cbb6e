"""Examples, notebooks and scripts, as pages."""

from __future__ import annotations

import ast
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
#: Order of the pages; files that are not listed come last.
ORDER = (
    "train_and_segment.py",
    "own_data.ipynb",
    "2d/dsb-2018/01-data.ipynb",
    "2d/dsb-2018/02-train.ipynb",
    "2d/dsb-2018/03-predict.ipynb",
    "3d/organoid-cells/01-data.ipynb",
    "3d/organoid-cells/02-train.ipynb",
    "3d/organoid-cells/03-predict.ipynb",
    "boundary_vs_embedding.ipynb",
    "em_membranes.ipynb",
    "dense_em_ensemble.ipynb",
    "em_stack_to_stl.ipynb",
    "large_volume.ipynb",
    "sparse_annotation.ipynb",
    "own_method.ipynb",
)
#: Headings in the navigation, by the folder below examples.
HEADINGS = {"2d/dsb-2018": "Nuclei in 2D", "3d/organoid-cells": "Cells in 3D"}


class Tutorial(NamedTuple):
    """An example as a page.

    Attributes
    ----------
    source : Path
        Path from the root of the project.
    page : str
        Path of the page from the pages.
    title, summary : str
        Heading, and the first sentence below it.
    text : str
        Markdown, with the heading.
    pictures : dict of str to bytes
        Pictures of the outputs, by their names in the text.
    """

    source: Path
    page: str
    title: str
    summary: str
    text: str
    pictures: dict[str, bytes]

    @property
    def group(self) -> str:
        """Heading in the navigation; empty for a single page."""
        return HEADINGS.get(self.source.relative_to("examples").parent.as_posix(), "")


def tutorials(root: Path = ROOT) -> list[Tutorial]:
    """Return the examples, in order."""
    folder = root / "examples"
    there = {
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".ipynb", ".py")
        and ".ipynb_checkpoints" not in path.parts
        and "docs" not in path.relative_to(folder).parts
        and not path.name.startswith("_")
    }
    names = [name for name in ORDER if name in there] + sorted(there - set(ORDER))
    return [read(root, Path("examples") / name) for name in names]


def read(root: Path, source: Path) -> Tutorial:
    """Read one example."""
    page = "tutorials/" + source.relative_to("examples").with_suffix(".md").as_posix()
    pictures: dict[str, bytes] = {}
    if source.suffix == ".py":
        text = of_script((root / source).read_text(), source)
    else:
        book = json.loads((root / source).read_text())
        text = "\n\n".join(of_notebook(book, source.stem, pictures))
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    name = title[1].strip() if title else source.stem.replace("_", " ").replace("-", " ")
    if not title:
        text = f"# {name}\n\n{text}"
    after = text.partition(f"# {name}")[2].strip().split("\n\n")[0]
    first = re.match(r"[^#`|!*>-][^\n].*?[.:](?=\s|$)", " ".join(after.split()))
    return Tutorial(source, page, name, first[0].rstrip(":") if first else "", text, pictures)


def of_script(code: str, source: Path) -> str:
    """Return a script as Markdown: its docstring, then its code."""
    tree = ast.parse(code)
    docstring = ast.get_docstring(tree) or ""
    lines = code.splitlines()
    if docstring:
        lines = lines[tree.body[0].end_lineno :]
    heading, _, rest = docstring.partition("\n")
    return (
        f"# {heading.rstrip('.')}\n\n{rest.strip()}\n\n```python\n"
        + "\n".join(lines).strip()
        + f"\n```\n\nThe script is `{source}`.\n"
    )


def of_notebook(book: dict[str, object], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """Yield the cells of a notebook as Markdown, with the outputs that are saved in it."""
    for cell in book["cells"]:  # type: ignore[attr-defined]
        source = joined(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            yield source
        elif cell["cell_type"] == "code" and source:
            yield f"```python\n{source}\n```"
            for output in cell.get("outputs", ()):
                yield from of_output(output, stem, pictures)


def of_output(output: dict[str, object], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """Yield an output of a cell: a picture, else text."""
    data = output.get("data", {})
    assert isinstance(data, dict)
    if "image/png" in data:
        name = f"{stem}-{len(pictures) + 1}.png"
        pictures[name] = base64.b64decode(joined(data["image/png"]))
        yield f"![]({name})"
        return
    text = joined(output.get("text", data.get("text/plain", ""))).strip("\n")
    if text:
        yield f"```text\n{text}\n```"


def joined(text: object) -> str:
    """Return text that notebooks may store as a list of lines."""
    return "".join(text) if isinstance(text, list) else str(text)
