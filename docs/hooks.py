"""What mkdocs calls: pages that are made from the code, or lie elsewhere in the project."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from cli_page import cli_page
from config_page import config_page
from tutorials import Tutorial, tutorials

ROOT = Path(__file__).resolve().parents[1]
#: Pages that lie elsewhere, by their place in the site.
INCLUDED = {
    "results.md": "tests/benchmarks/README.md",
    "explanation/architecture.md": "embedseg/ARCHITECTURE.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "data/nuclei.md": "data/nuclei/README.md",
    "data/ovules.md": "data/ovules/README.md",
    "data/neurites.md": "data/neurites/README.md",
}
TUTORIALS = "Tutorials"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the tutorials that there are into the navigation."""
    nav: list[Any] = ["tutorials/index.md"]
    for each in tutorials():
        if not each.group:
            nav.append({each.title: each.page})
        elif isinstance(nav[-1], dict) and each.group in nav[-1]:
            nav[-1][each.group].append({each.title: each.page})
        else:
            nav.append({each.group: [{each.title: each.page}]})
    for entry in config.nav or ():
        if TUTORIALS in entry:
            entry[TUTORIALS] = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    found = tutorials()
    places = {each.source.as_posix(): each.page for each in found}
    places |= {source: page for page, source in INCLUDED.items()}
    places["README.md"], places["examples/README.md"] = "index.md", "tutorials/index.md"
    pages = {"reference/cli.md": cli_page(), "reference/config.md": config_page(),
             "tutorials/index.md": overview(found)}
    for page, source in INCLUDED.items():
        pages[page] = relinked((ROOT / source).read_text(), source, page, places)
    for each in found:
        pages[each.page] = relinked(each.text, each.source.as_posix(), each.page, places)
        for name, picture in each.pictures.items():
            place = posixpath.join(posixpath.dirname(each.page), name)
            files.append(File.generated(config, place, content=picture))
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def overview(found: list[Tutorial]) -> str:
    """Return the page that lists the tutorials."""
    lines = ["# Tutorials", "", "Each is a notebook or a script of the folder `examples`, run by "
             "the tests in a fast mode. Take one as it is, and put your own data in.", "",
             "| tutorial | what it shows | file |", "| --- | --- | --- |"]
    for each in found:
        link = posixpath.relpath(each.page, "tutorials")
        title = f"{each.group}: {each.title}" if each.group else each.title
        lines.append(f"| [{title}]({link}) | {each.summary} | `{each.source}` |")
    return "\n".join(lines) + "\n"


def relinked(text: str, source: str, page: str, places: dict[str, str]) -> str:
    """Return text with links between files of the project as links between pages.

    What has no page is named without a link.

    Examples
    --------
    >>> relinked("[a](../CHANGELOG.md) [b](c.py)", "x/y.md", "z.md", {"CHANGELOG.md": "news.md"})
    '[a](news.md) b'
    """
    def put(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        if re.match(r"\w+:", target) or not target:
            return match[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if place in places:
            link = posixpath.relpath(places[place], posixpath.dirname(page) or ".")
            return f"[{words}]({link}{anchor})"
        return words

    # Code is left as it is.
    parts = re.split(r"(^```.*?^```$|`[^`\n]*`)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("`") else re.sub(
        r"(?<!!)\[([^\]]+)\]\(([^)#\s]*)(#[^)\s]*)?\)", put, part) for part in parts)
