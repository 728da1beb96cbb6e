"""Hooks of mkdocs: pages generated from the code, or included from other folders."""

from __future__ import annotations

import posixpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from cli_page import cli_page
from config_page import config_page
from included import INCLUDED, ROOT, overview, pictures, relinked
from tutorials import tutorials

TUTORIALS = "Tutorials"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the tutorials into the navigation."""
    nav: list[Any] = ["tutorials/index.md"]
    for each in tutorials():
        title = each.title.removeprefix(f"{each.group}: ")
        entry = {title[:1].upper() + title[1:]: each.page}
        if not each.group:
            nav.append(entry)
        elif isinstance(nav[-1], dict) and each.group in nav[-1]:
            nav[-1][each.group].append(entry)
        else:
            nav.append({each.group: [entry]})
    for entry in config.nav or ():
        if TUTORIALS in entry:
            entry[TUTORIALS] = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated and included pages."""
    found = tutorials()
    places = {each.source.as_posix(): each.page for each in found}
    places |= {source: page for page, source in INCLUDED.items()}
    places |= {"README.md": "index.md", "examples/README.md": "tutorials/index.md"}
    places |= {f"examples/docs/pages/{file.src_uri}": file.src_uri for file in files}
    pages = {
        "reference/cli.md": cli_page(),
        "reference/config.md": config_page(),
        "tutorials/index.md": overview(found, ROOT, places),
    }
    for page, source in INCLUDED.items():
        pages[page] = relinked((ROOT / source).read_text(), source, page, places)
        for place, picture in pictures(source, page).items():
            files.append(File.generated(config, place, content=picture))
    for each in found:
        pages[each.page] = relinked(each.text, each.source.as_posix(), each.page, places)
        for name, picture in each.pictures.items():
            place = posixpath.join(posixpath.dirname(each.page), name)
            files.append(File.generated(config, place, content=picture))
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files
