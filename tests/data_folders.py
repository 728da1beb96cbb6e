"""Small data folders and samples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import ArrayLike, NDArray

from embedseg.data import Sample
from embedseg.types import Spacing


def write(path: Path, array: NDArray[Any], axes: str = "YX", **metadata: Any) -> None:
    """Write a TIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": axes, **metadata})


def fill(
    folder: Path,
    names: Iterable[str] = "abcd",
    masks: str = "masks",
    shape: tuple[int, ...] = (6, 7),
) -> None:
    """Write images whose value is their number, with one object of two pixels numbered 5."""
    for value, name in enumerate(names):
        labels = np.zeros(shape, np.uint16)
        labels[2, 2:4] = 5
        write(folder / "images" / f"{name}.tif", np.full(shape, value, np.uint8))
        write(folder / masks / f"{name}.tif", labels)


def paths(text: str) -> list[Path]:
    """Return the paths of TIFFs from their stems."""
    return [Path(f"{name}.tif") for name in text.split()]


def sample(labels: ArrayLike, spacing: Spacing | None = None, name: str = "a") -> Sample:
    """Return a sample whose image shows its labels."""
    labels = np.asarray(labels, np.int32)
    return Sample(name, labels[np.newaxis].astype(np.float32), labels, spacing)
