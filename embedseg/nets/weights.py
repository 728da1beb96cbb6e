"""Weights as safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from embedseg.common import write_file
from embedseg.types import UsageError

if TYPE_CHECKING:
    from torch import Tensor

#: Name of the file in the folder of a model.
WEIGHTS = "weights.safetensors"


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write weights into a file, all of it or nothing."""
    from safetensors.torch import save

    ready = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    # `save_file` writes beside the file under its own name, which a kill would leave behind.
    write_file(path, lambda aside: aside.write_bytes(save(ready)))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read weights from a file, onto the CPU.

    Raises
    ------
    UsageError
        If the file cannot be read.
    """
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # whatever the library raises on a broken file
        raise UsageError(f"{path}: no readable weights ({error})") from error
