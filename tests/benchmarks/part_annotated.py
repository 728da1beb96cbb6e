"""Copies of a data folder of volumes in which only a part of each mask is annotated.

Run with `python tests/benchmarks/part_annotated.py DATA -o OUT slices` or `boxes`; masks of `train`
and `val` lose all but a tenth of their voxels, those of `test` stay whole.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from embedseg.images import read_labels, write_labels

#: One slice in so many is annotated; a box holds the same share of the voxels.
EVERY = 10


def slices(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keep every tenth slice, from a random one on; objects keep their numbers."""
    kept = np.zeros(labels.shape, bool)
    kept[rng.integers(EVERY) :: EVERY] = True
    return kept


def boxes(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keep one box around a random object, as somebody would who annotates one corner."""
    size = np.round(np.array(labels.shape) * EVERY ** (-1 / labels.ndim)).astype(int)
    inside = np.argwhere(labels > 0)
    middle = inside[rng.integers(len(inside))] if len(inside) else np.array(labels.shape) // 2
    start = np.clip(middle - size // 2, 0, np.array(labels.shape) - size)
    kept = np.zeros(labels.shape, bool)
    kept[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))] = True
    return kept


def main() -> None:
    """Write the copy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("how", choices=["slices", "boxes"])
    args = parser.parse_args()
    keep = {"slices": slices, "boxes": boxes}[args.how]
    shutil.copytree(args.data, args.output)
    rng = np.random.default_rng(0)
    shares = []
    for split in ("train", "val"):
        for path in sorted((args.output / split / "masks").glob("*.tif")):
            mask = read_labels(path, "ZYX")
            kept = keep(mask.data, rng)
            shares.append(kept.mean())
            path.chmod(0o644)
            write_labels(path, np.where(kept, mask.data, -1).astype(np.int32), mask.spacing, "ZYX")
    print(f"{args.output}: {100 * np.mean(shares):.1f} % of the voxels annotated")


if __name__ == "__main__":
    main()
