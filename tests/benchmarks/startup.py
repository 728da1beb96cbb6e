"""How long commands take to start: processor and wall time of each, the best of several runs.

    embedseg train data/nuclei -o MODEL --time-limit 5m
    python tests/benchmarks/startup.py MODEL data/nuclei/test/images/02903040.tif [--runs 5]

Prints rows of a table in Markdown. Modules are read from bytecode, as those of an installed package
are, whatever PYTHONDONTWRITEBYTECODE says; a run before the first that counts fills the caches.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(command: list[str], runs: int, bytecode: str) -> tuple[float, float]:
    """Return the least processor time and the least wall time of a command, seconds."""
    used, taken = [], []
    environment = os.environ | {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    for number in range(runs + 1):
        before, begun = os.times(), time.monotonic()
        subprocess.run(command, capture_output=True, check=False, env=environment, cwd=bytecode)
        if not number:
            continue
        after = os.times()
        taken.append(time.monotonic() - begun)
        used.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    return min(used), min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    model, image = str(asked.model.resolve()), str(asked.image.resolve())
    embedseg = [sys.executable, "-m", "embedseg.cli"]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as bytecode:
        out = ["-o", folder, "--device", "cpu"]
        commands = {
            "`import torch`, for comparison": [sys.executable, "-c", "import torch"],
            "`import numba`, for comparison": [sys.executable, "-c", "import numba"],
            "`--help`": [*embedseg, "--help"],
            "`predict` of one image": [*embedseg, "predict", model, image, *out, "--overwrite"],
            "`predict` of a wrong path": [*embedseg, "predict", model, f"{image}.none", *out],
            "`info`": [*embedseg, "info", model],
        }
        for name, command in commands.items():
            used, taken = measure(command, asked.runs, bytecode)
            print(f"| {name} | {used:.2f} | {taken:.2f} |", flush=True)


if __name__ == "__main__":
    main()
