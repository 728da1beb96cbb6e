"""Libraries of extras."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from embedseg.common.extras import EXTRAS

ROOT = Path(__file__).parents[2]


def test_extras_are_those_of_the_package() -> None:
    """Names only: what is installed by hand is the newest that there is."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    (stated,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXTRAS"
    )
    for extra, libraries in EXTRAS.items():
        assert sorted(libraries) == sorted(re.sub(">=.*", "", need) for need in stated[extra])


def test_no_message_names_a_package_that_cannot_be_installed() -> None:
    """The package is not on the index: what installs it by name would fail."""
    for path in (ROOT / "embedseg").rglob("*.py"):
        assert not re.search(r"embedseg-nd\[", path.read_text()), path
    pages = [ROOT / "README.md", *(ROOT / "examples").rglob("*.md"), *ROOT.glob("examples/*.ipynb")]
    for path in pages:
        assert not re.search(r"pip install [^`\n]*embedseg-nd", path.read_text()), path
