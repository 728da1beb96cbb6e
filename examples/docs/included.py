"""Pages included from other folders of the project, and links between pages."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from tutorials import Tutorial

ROOT = Path(__file__).resolve().parents[2]
#: Sources of the included pages, by their place in the site.
INCLUDED = {
    "results.md": "tests/benchmarks/README.md",
    "explanation/architecture.md": "embedseg/ARCHITECTURE.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "data/nuclei.md": "data/nuclei/README.md",
    "data/ovules.md": "data/ovules/README.md",
    "data/neurites.md": "data/neurites/README.md",
}


def overview(found: list[Tutorial], root: Path, places: dict[str, str]) -> str:
    """Return the page that lists the tutorials: the README of the examples, or a table."""
    source = "examples/README.md"
    if (root / source).is_file():
        text = (root / source).read_text().replace("# Examples", "# Tutorials", 1)
        return relinked(text, source, "tutorials/index.md", places)
    lines = [
        "# Tutorials",
        "",
        "Notebooks and scripts of the folder `examples`; the tests run them in a fast mode.",
        "",
        "| tutorial | contents | file |",
        "| --- | --- | --- |",
    ]
    for each in found:
        link = posixpath.relpath(each.page, "tutorials")
        title = f"{each.group}: {each.title}" if each.group else each.title
        lines.append(f"| [{title}]({link}) | {each.summary} | `{each.source}` |")
    return "\n".join(lines) + "\n"


def pictures(source: str, page: str) -> dict[str, bytes]:
    """Return the pictures of a file, by their places beside its page."""
    file = ROOT / source
    found = re.findall(r"!\[[^\]]*\]\(([^):\s]+)\)", file.read_text())
    return {
        posixpath.join(posixpath.dirname(page), name): (file.parent / name).read_bytes()
        for name in found
    }


def relinked(text: str, source: str, page: str, places: dict[str, str]) -> str:
    """Return text with links between files of the project as links between pages.

    Links to files without a page become plain text.

    Examples
    --------
    >>> relinked("[a](../CHANGELOG.md) [b](c.py)", "x/y.md", "z.md", {"CHANGELOG.md": "news.md"})
    '[a](news.md) b'
    """

    def put(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if re.match(r"\w+:", target) or not target:
            return match[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if place in places:
            link = posixpath.relpath(places[place], posixpath.dirname(page) or ".")
            return f"[{text}]({link}{anchor})"
        return text

    # Code is not changed.
    parts = re.split(r"(^```.*?^```$|`[^`\n]*`)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        part
        if part.startswith("`")
        else re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#\s]*)(#[^)\s]*)?\)", put, part)
        for part in parts
    )
