"""The progress bar of a training."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Self

from tqdm.auto import tqdm

from embedseg.training.history import Row


class TrainingBar:
    """Progress bar over a share of the run, with the loss parts and the last validation score."""

    def __init__(self, shown: bool) -> None:
        form = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
        # A file of messages gets the bar once a minute.
        often = sys.stderr.isatty() or "ipykernel" in sys.modules
        self.bar = tqdm(
            total=100.0,
            disable=not shown,
            desc="train",
            bar_format=form,
            mininterval=1.0 if often else 60.0,
        )
        self.mean: Row = {}

    def step(self, share: float, parts: Mapping[str, float], history: Sequence[Row]) -> None:
        """Move on; losses shown are running means, single steps are too noisy to read."""
        for name, value in parts.items():
            self.mean[name] = 0.95 * self.mean.get(name, value) + 0.05 * value
        self.bar.n = round(100 * share, 1)
        rows = [row for row in history if any(key.startswith("val_") for key in row)]
        last = {k: v for k, v in rows[-1].items() if k.startswith("val_")} if rows else {}
        self.bar.set_postfix({k: f"{v:.3f}" for k, v in (self.mean | last).items()}, refresh=False)
        self.bar.update(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
