"""The public names: one that goes, or comes, has to be written down in the same change.

Public is what the package and its rooms offer, in `__all__`. `python tests/test_api.py` writes
`tests/api.txt` anew.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
INVENTORY = ROOT / "tests" / "api.txt"


def public_names() -> list[str]:
    """List `embedseg.name` and `embedseg.room.name`, all that is offered."""
    stubs = sorted((ROOT / "embedseg").rglob("__init__.pyi"))
    packages = [".".join(stub.parent.relative_to(ROOT).parts) for stub in stubs]
    return sorted(f"{name}.{public}" for name in packages for public in import_module(name).__all__)


def test_public_names_are_written_down() -> None:
    assert public_names() == INVENTORY.read_text().splitlines(), (
        "the public names changed; if that is meant, run `python tests/test_api.py`"
    )


if __name__ == "__main__":
    INVENTORY.write_text("\n".join(public_names()) + "\n")
