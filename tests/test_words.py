"""Phrases to avoid, and the first lines of docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
CODE = sorted((ROOT / "embedseg").rglob("*.py"))
TEXTS = [
    *CODE,
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "embedseg/ARCHITECTURE.md")),
    *sorted(
        path
        for path in (ROOT / "examples").rglob("*")
        if path.suffix in (".md", ".py", ".ipynb") and ".ipynb_checkpoints" not in path.parts
    ),
]


class Phrase(NamedTuple):
    """A phrase to avoid: its pattern, the wording to use instead, and an example."""

    pattern: str
    instead: str
    example: str


PHRASES = [
    Phrase(r"what is (said|told|there)\b", "the message, the existing file", "keep what is there"),
    Phrase(
        r"\b(is|are|that is|what is) no numbers?\b", "NaN or infinite", "values that are no numbers"
    ),
    Phrase(r"\bwhoever\b", "the user, the caller", "for whoever reads it"),
    Phrase(r"\bnobody\b", "not annotated, unknown, no one", "where nobody looked"),
    Phrase(r"\bso (many|long|much)\b(?! (as|that))", "the number, the length", "at most so many"),
    Phrase(r"\bgo(es)? before\b", "overrides", "the option goes before the file"),
    Phrase(r"\b(goes? on|went on)\b", "continues, resumes", "an interrupted run goes on"),
    Phrase(r"\bof (its|their|his|one's|ours?) own\b", "its own, separate", "a process of its own"),
    Phrase(r"\bcut off\b", "interrupted, cropped", "a run that was cut off"),
    Phrase(r"what surrounds", "other, neighbouring", "What surrounds them"),
    Phrase(r'(^|[.:;] |"""|#:? )see that\b', "check that", '"""See that all files are there."""'),
    Phrase(
        r"\b(says?|said|tells?) (how|what|which|why|whether|in)\b",
        "describe, format, return, return whether",
        "Say how large it is.",
    ),
    Phrase(r"\b(is|are) told\b", "is called with, gets", "is told after each step"),
    Phrase(r"annotated in part", "partially annotated", "volumes annotated in part"),
    Phrase(r"replace what is there", "overwrite existing files", "Replace what is there."),
    Phrase(r"there is no saying", "unknown", "there is no saying which"),
    Phrase(r"\bha(s|ve) to bring\b", "the interface, required", "What a method has to bring"),
]
#: Plain sentences that resemble the phrases.
ALLOWED = [
    "as long as there is memory",
    "so many that they touch",
    "each object has its own number",
    "See `embedseg.scoring.Scores`.",
]
QUESTIONS = ("What", "How", "Which", "Where", "Who")
NO_VERBS = ("Say", "Tell", "See that")


def lines_to_avoid(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, phrase and the wording to use instead."""
    for number, line in enumerate(text.splitlines(), 1):
        for phrase in PHRASES:
            if found := re.search(phrase.pattern, line, re.IGNORECASE):
                yield number, found[0].strip(), phrase.instead


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Yield the public functions of a module, and the public methods of its classes."""
    for node in tree.body:
        for inner in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                yield inner


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_no_phrase_to_avoid(path: Path) -> None:
    errors = [
        f"{relative(path)}:{number}: {phrase!r}; write instead: {instead}"
        for number, phrase, instead in lines_to_avoid(path.read_text(encoding="utf-8"))
    ]
    assert not errors, "\n".join(errors)


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_docstrings_begin_plainly(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    title = (ast.get_docstring(tree) or "").partition("\n")[0]
    assert title, f"{relative(path)}: no module docstring"
    assert title.split()[0] not in QUESTIONS, f"{relative(path)}: begin with a noun, not {title!r}"
    for function in public_functions(tree):
        if docstring := ast.get_docstring(function):
            first = docstring.partition("\n")[0]
            place = f"{relative(path)}:{function.lineno}: {first!r}"
            assert first.endswith("."), f"{place}: the first line is one sentence with a period"
            assert not re.match(rf"({'|'.join(NO_VERBS)})\b", first), f"{place}: use another verb"


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.example)
def test_each_phrase_is_found(phrase: Phrase) -> None:
    assert phrase.instead in {instead for _, _, instead in lines_to_avoid(phrase.example)}


def test_plain_sentences_are_allowed() -> None:
    assert list(lines_to_avoid("\n".join(ALLOWED))) == []
