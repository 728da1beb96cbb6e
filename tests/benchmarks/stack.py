"""Time and peak memory of `embedseg stack` on ten slices of 512 x 512 pixels.

python tests/benchmarks/stack.py MODEL SLICES
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Print a row of the table for `stack` without and with surfaces."""
    model, slices = sys.argv[1:]
    print("| what | time, s | processor time, s | peak memory, GB |\n| --- | --- | --- | --- |")
    for what, more in (("labels alone", ("--no-mesh",)), ("with surfaces and picture", ())):
        out = Path(tempfile.mkdtemp()) / "out"
        command = ["embedseg", "stack", slices, "-o", str(out), "--model", model, *more]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        used, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - start
        busy = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        # The peak of the largest child so far: rows are in ascending order.
        print(
            f"| {what} | {wall:.0f} | {busy:.0f} | {1024 * used.ru_maxrss / 1e9:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
