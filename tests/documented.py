"""What pages tell people to type: blocks of code, commands, names of settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = ROOT / "examples/docs/pages"
#: Parts of a configuration, as settings begin.
PARTS = "data|normalize|method|net|train|predict"
#: A training as short as possible, with a small net.
TINY = ["--epochs", "1", "--set", "train.batch=2", "--set", "train.steps_per_epoch=2"]
SMALL = {
    "unet": ["--set", "net.width=8", "--set", "net.depth=2"],
    "erfnet": ["--set", "net.width=0.25"],
}


class Block(NamedTuple):
    """A fenced block: its language, which may be nothing, and its text."""

    language: str
    code: str


def pages() -> list[Path]:
    """Return all pages that are written by hand, the README among them."""
    return [README, *sorted(PAGES.rglob("*.md"))]


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page, without the indentation that they may have."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", path.read_text(), re.MULTILINE | re.DOTALL)
    return [
        Block(language, re.sub(f"^{indent}", "", code, flags=re.MULTILINE))
        for indent, language, code in found
    ]


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every embedseg command of a block."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&", line):
            if re.match(r"\s*[\w./]*\bembedseg ", part):
                yield shlex.split(part, comments=True)[1:]


def inline(path: Path) -> list[str]:
    """Return what is set in code within the text of a page, on one line."""
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]


def said_commands(path: Path) -> Iterator[list[str]]:
    """Yield the arguments of all embedseg commands of a page: of blocks, and within the text."""
    for block in blocks(path):
        if block.language in ("", "bash"):
            yield from commands(block.code)
    for code in inline(path):
        if re.match(r"embedseg [a-z-]", code):
            yield shlex.split(code)[1:]


def said_settings(path: Path) -> set[str]:
    """Return the names of settings that occur in a page."""
    code = [*inline(path), *(block.code for block in blocks(path))]
    return {
        name
        for text in code
        for name in re.findall(
            rf"(?:^|--set |[\s,])((?:{PARTS})\.[a-z_]+)(?==|$)", text, re.MULTILINE
        )
    }


def shortened(args: list[str]) -> list[str]:
    """Return a command that does the same in seconds."""
    command, *rest = args
    swapped = {"--time-limit": "2s", "--seeds": "1", "--memory": "2GB", "--workers": "2"}
    kept: list[str] = []
    place = 0
    while place < len(rest):
        word = rest[place]
        if word in swapped:
            kept += [word, swapped[word]]
            place += 2
        elif command == "train" and word == "--epochs":
            place += 2
        else:
            kept.append(word)
            place += 1
    if command == "train":
        while "--time-limit" in kept:
            del kept[(at := kept.index("--time-limit")) : at + 2]
        net = "erfnet" if {"paper", "erfnet"} & set(kept) else "unet"
        kept += TINY + SMALL[net]
        kept += [] if "--no-tune" in kept else ["--no-tune"]
    if command == "benchmark":
        kept += [] if "paper" in " ".join(kept) else SMALL["unet"]
        kept += [] if "--seeds" in kept else ["--seeds", "1"]
    if command == "demo" and "--time-limit" not in kept:
        kept += ["--time-limit", "5s"]
    return [command, *kept]
