"""Image files written by tifffile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

VOLUME = np.arange(5 * 3 * 6 * 7, dtype=np.uint16).reshape(5, 3, 6, 7)


def save(path: Path, data: Any, **options: Any) -> Path:
    """Write a TIFF."""
    tifffile.imwrite(path, data, **{"photometric": "minisblack", **options})
    return path


def imagej(
    path: Path, data: Any, axes: str, pixels: tuple[float, float] = (4, 2), **metadata: Any
) -> Path:
    """Write an ImageJ hyperstack."""
    return save(path, data, imagej=True, resolution=pixels, metadata={"axes": axes, **metadata})


def touch(folder: Path, *names: str) -> None:
    """Make empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def volume_of_balls(depth: int = 30) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return a volume with two bright balls, and their labels."""
    z, y, x = np.ogrid[:depth, :40, :60]
    labels = np.zeros((depth, 40, 60), np.int32)
    for label, centre in ((1, 15), (2, 42)):
        height = (z - (depth - 1) / 2) / depth * 24
        labels[height**2 + (y - 20) ** 2 + (x - centre) ** 2 < 120] = label
    return (100 * (labels > 0) + 20).astype(np.uint8), labels
