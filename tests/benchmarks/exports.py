"""Objects of a large label image in files of other programs and back: time, memory, size.

Run with `python tests/benchmarks/exports.py [--side 16384]`. Each row is a process of its own. The
last rows are what one would write without this package: `skimage.measure.find_contours` on a mask
of the whole image, object by object, and `skimage.measure.regionprops_table`, both timed on some
objects and extrapolated to all.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from embedseg.export import EXPORTERS, IMPORTERS, Objects, export_objects, import_objects

#: Pixels of the cells of a grid with an object in each.
CELL = 36
SPACING = (0.5, 0.5)
#: Objects that the slow ways are timed on.
CONTOURS, PROPS = 5, 500


def dense(side: int, seed: int = 0) -> np.ndarray:
    """Label image of touching ellipses, every fiftieth with a hole, (side, side) int32."""
    rng = np.random.default_rng(seed)
    n = side // CELL
    labels = np.zeros((side, side), np.int32)
    column, across = np.divmod(np.arange(n * CELL), CELL)
    for row in range(n):
        middle = rng.uniform(-2, 2, (2, n)) + CELL / 2
        radii, angle = rng.uniform(0.33, 0.58, (2, n)) * CELL, rng.uniform(0, np.pi, n)
        x = across + 0.5 - middle[1][column]
        y = np.arange(CELL)[:, np.newaxis] + 0.5 - middle[0][column]
        cos, sin = np.cos(angle)[column], np.sin(angle)[column]
        reach = ((x * cos + y * sin) / radii[0][column]) ** 2 + (
            (y * cos - x * sin) / radii[1][column]
        ) ** 2
        number = row * n + column + 1
        inside = (reach <= 1) & ((number % 50 != 0) | (reach > 0.1))
        labels[row * CELL : (row + 1) * CELL, : n * CELL] = np.where(inside, number, 0)
    return labels


def exported(kind: str, labels: np.ndarray, folder: Path) -> None:
    export_objects(folder / f"all{EXPORTERS[kind].suffix}", Objects(labels, SPACING), kind)


def imported(suffix: str, labels: np.ndarray, folder: Path) -> None:
    found = import_objects(folder / f"all{suffix}", labels.shape)
    assert np.array_equal(found.labels, labels)


def by_contours(labels: np.ndarray) -> float:
    """Seconds that `find_contours` on the whole image would take for all objects."""
    from skimage.measure import find_contours

    chosen = np.linspace(1, labels.max(), CONTOURS).astype(int)
    begun = time.perf_counter()
    for label in chosen:
        find_contours(labels == label, 0.5)
    return (time.perf_counter() - begun) / CONTOURS * int(labels.max())


def by_regionprops(labels: np.ndarray) -> float:
    """Seconds that `regionprops_table` would take for the same table without neighbours."""
    from skimage.measure import regionprops_table

    rows = int(np.argmax(labels.max(1) > PROPS))
    some = np.where(labels[:rows] <= PROPS, labels[:rows], 0)
    begun = time.perf_counter()
    regionprops_table(
        some,
        spacing=SPACING,
        properties=[
            "label",
            "centroid",
            "bbox",
            "num_pixels",
            "area",
            "equivalent_diameter_area",
            "axis_major_length",
            "axis_minor_length",
            "orientation",
            "eccentricity",
            "solidity",
        ],
    )
    return (time.perf_counter() - begun) / int(some.max()) * int(labels.max())


def job(name: str, folder: Path) -> dict[str, Any]:
    """Do one row in this process."""
    labels = np.load(folder / "labels.npy")
    kind, _, what = name.partition(" ")
    if what in ("find_contours", "regionprops_table"):
        slow = by_contours if what == "find_contours" else by_regionprops
        return {"seconds": slow(labels)}
    step = exported if kind == "write" else imported
    word = what if kind == "write" else EXPORTERS[what].suffix
    with tempfile.TemporaryDirectory() as small:
        # Compiles, and loads what is compiled.
        few = labels[:99, :99].copy()
        exported(what, few, Path(small))
        if kind == "read":
            imported(word, few, Path(small))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, spent = time.perf_counter(), time.process_time()
    step(word, labels, folder)
    return {
        "seconds": time.perf_counter() - begun,
        "processor": time.process_time() - spent,
        "before": before / 1e6,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def size_of(path: Path) -> float:
    """Megabytes of a file or folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def run(name: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--job", name, str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=16384)
    parser.add_argument("--job", nargs=2)
    args = parser.parse_args()
    if args.job:
        print(json.dumps(job(args.job[0], Path(args.job[1]))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        labels = dense(args.side)
        np.save(folder / "labels.npy", labels)
        print(
            f"{labels.max()} objects in {args.side} x {args.side} pixels; load "
            f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n"
        )
        del labels
        print(
            "| what | time, s | processor time, s | peak memory, GB | of it labels and libraries "
            "| file, MB |\n| --- | --- | --- | --- | --- | --- |"
        )
        rows = [f"write {kind}" for kind in EXPORTERS if not EXPORTERS[kind].tracks]
        rows += [
            f"read {kind}" for kind, exporter in EXPORTERS.items() if exporter.suffix in IMPORTERS
        ]
        for name in rows:
            found = run(name, folder)
            size = size_of(folder / f"all{EXPORTERS[name.split()[1]].suffix}")
            print(
                f"| {name} | {found['seconds']:.1f} | {found['processor']:.1f} | "
                f"{found['peak']:.2f} | {found['before']:.2f} | {size:.0f} |",
                flush=True,
            )
        for name in ("outlines by find_contours", "table by regionprops_table"):
            found = run(f"slow {name.split()[-1]}", folder)
            print(f"| {name}, extrapolated | {found['seconds']:,.0f} | | | | |", flush=True)


if __name__ == "__main__":
    main()
