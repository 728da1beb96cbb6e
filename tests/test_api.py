"""The public names: one that goes, or comes, has to be written down in the same change.

`python tests/test_api.py` writes `tests/api.txt` anew.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
INVENTORY = ROOT / "tests" / "api.txt"


def public_names() -> list[str]:
    """List `module.name` of every public function, class and method."""
    names = []
    for path in sorted((ROOT / "embedseg").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") and part != "__init__" for part in parts):
            module = ".".join(part for part in parts if part != "__init__")
            names += [f"{module}.{name}" for name in _defined(ast.parse(path.read_text()))]
    return names


def _defined(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            yield child.name
            if isinstance(child, ast.ClassDef):
                yield from (f"{child.name}.{name}" for name in _defined(child))


def test_public_names_are_written_down() -> None:
    assert public_names() == INVENTORY.read_text().splitlines(), (
        "the public names changed; if that is meant, run `python tests/test_api.py`"
    )


if __name__ == "__main__":
    INVENTORY.write_text("\n".join(public_names()) + "\n")
