"""All figures of a GPU in one table, of this build and an older one, in under eight minutes.

    python tests/benchmarks/gpu.py --older CHECKOUT --data FOLDER

Without a GPU it says so and ends; `--tiny` runs all parts on a CPU, in small, to try the script.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from builds import STEPS, TINY_STEPS, Build, compare_steps

#: Seconds of the whole table, after which no further part begins.
MOST = 420.0


def rows(builds: dict[str, Build], data: Path | None, tiny: bool) -> Any:
    """Yield the name of each figure, and its value by build."""
    names = list(builds)

    def each(part: str, *args: Any) -> dict[str, Any]:
        return {name: builds[name].ask(part, *args) for name in names}

    for name, size in (TINY_STEPS if tiny else STEPS).items():
        found = compare_steps(builds, size, rounds=2 if tiny else 5, count=2 if tiny else 20)
        yield f"step of {name}, ms", {build: wall for build, (wall, _) in found.items()}
        yield f"batches of {name} per second", each("batches", *size, 0.5 if tiny else 3.0)
    yield "peak memory of these steps, MB", each("memory")
    for shape in ((64, 64), (16, 32, 32)) if tiny else ((8192, 8192), (256, 256, 256)):
        yield f"maps of {' x '.join(map(str, shape))}, s", each("predict", shape)
    if data is not None:
        seconds = 5.0 if tiny else 60.0
        found = each("train", str(data), seconds)
        yield f"steps in {seconds:.0f} s", {name: steps for name, (steps, _) in found.items()}
        yield f"validation AP after {seconds:.0f} s", {n: score for n, (_, score) in found.items()}
        shape = (64, 64) if tiny else (8192, 8192)
        yield f"image to labels, {shape[0]} x {shape[1]}, s", each("segment", shape)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--older", type=Path, help="checkout of an older build to compare with")
    parser.add_argument("--data", type=Path, help="data folder of 2D images for the run of 60 s")
    parser.add_argument("--tiny", action="store_true", help="all parts in small, on a CPU")
    args = parser.parse_args()
    import torch

    if not args.tiny and not torch.cuda.is_available():
        raise SystemExit(
            "gpu.py measures a GPU, and torch finds none here; --tiny tries the script"
        )
    device = "cpu" if args.tiny else "cuda"
    builds = {"now": Build(Path(__file__).parents[2], device)}
    if args.older:
        builds = {"before": Build(args.older, device), **builds}
    name = "a CPU, tiny" if args.tiny else torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}\n", flush=True)
    print(f"| what | {' | '.join(builds)} | before / now |\n" + "| --- " * (len(builds) + 2) + "|")
    begun = time.monotonic()
    for what, values in rows(builds, args.data, args.tiny):
        ratio = f"{values['before'] / values['now']:.2f}" if args.older and values["now"] else ""
        cells = " | ".join(f"{values[build]:.4g}" for build in builds)
        print(f"| {what} | {cells} | {ratio} |", flush=True)
        if time.monotonic() - begun > MOST:
            print(f"\nended after {MOST:.0f} s: the other parts are left out")
            break
    for build in builds.values():
        build.close()


if __name__ == "__main__":
    main()
