"""Weights as safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from embedseg.common import write_aside


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write weights as safetensors, aside and then renamed."""
    ready = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    # `save_file` writes beside the file under a name of its own, which a kill would leave behind.
    write_aside(path, lambda aside: aside.write_bytes(save(ready)))
