"""What `embedseg plan` says of memory, beside the peak of a process that does it.

Run with `python tests/benchmarks/memory.py`; the sizes are those of `tests/model/test_costs.py`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from embedseg.model.costs import estimate_costs
from tests.model.test_costs import LARGE, SIZES, measured, planned_for_image, planned_for_training


def row(what: str, size: object, expected: float, found: float) -> None:
    """Print one line of the table; bytes become MB."""
    print(
        f"| {what} | {size} | {expected / 1e6:.0f} | {found / 1e6:.0f} | "
        f"{100 * (expected / found - 1):+.0f} % |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    print(
        "| what | size | estimated | measured | estimate off by |\n| --- | --- | --- | --- | --- |"
    )
    for net in ("unet", "erfnet"):
        for ndim, crop, batch in SIZES.values():
            folder = Path(tempfile.mkdtemp())
            config = planned_for_training(net, ndim, crop, batch, folder)
            row(
                f"train, {net}",
                " x ".join(map(str, (batch, *crop))),
                estimate_costs(config, "cpu", timed=False).training,
                measured("train", config, folder, folder / "data"),
            )
    for shape in LARGE.values():
        for tile in (None, 0.3):
            config = planned_for_image(shape, tile)
            row(
                "predict, unet" + (f", tiles of {tile} GB" if tile else ""),
                " x ".join(map(str, shape)),
                estimate_costs(config, "cpu", [shape], timed=False).prediction,
                measured("segment", config, Path(tempfile.mkdtemp()), *shape),
            )


if __name__ == "__main__":
    main()
