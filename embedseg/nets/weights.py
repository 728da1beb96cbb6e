"""Weights as safetensors files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from embedseg.common import write_file
from embedseg.types import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

#: Name of the file in the folder of a model.
WEIGHTS = "weights.safetensors"
#: Name in the metadata of the file for a checksum of all values.
DIGEST = "sha256"


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write weights into a file, all of it or nothing."""
    from safetensors.torch import save

    ready = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    # `save_file` writes beside the file under its own name, which a kill would leave behind.
    write_file(path, lambda aside: aside.write_bytes(save(ready, {DIGEST: digest_of(ready)})))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read weights from a file, onto the CPU.

    Raises
    ------
    UsageError
        If the file cannot be read.
    DataError
        If values have changed since they were written, or are NaN or infinite.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
        with safe_open(path, "pt") as file:
            # Files of earlier versions and other programs have none.
            expected = (file.metadata() or {}).get(DIGEST)
    except Exception as error:  # whatever the library raises on a broken file
        raise UsageError(f"{path}: no readable weights ({error})") from error
    if expected is not None and digest_of(weights) != expected:
        raise DataError(
            f"{path}: the weights are damaged, their checksum differs; copy the file again, "
            "or train the model again"
        )
    if broken := not_finite(weights):
        raise DataError(f"{path}: the weights {broken} are NaN or infinite, expected numbers")
    return weights


def digest_of(weights: Mapping[str, Tensor]) -> str:
    """Return a checksum of names, types, shapes and values.

    Examples
    --------
    >>> import torch
    >>> digest_of({"a": torch.zeros(1)}) == digest_of({"a": torch.ones(1)})
    False
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first weights that are NaN or infinite; None if there are none."""
    return next((name for name, value in weights.items() if not value.isfinite().all()), None)
