"""What a training leaves behind: weights, a history; and its progress bar."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from safetensors.torch import save
from torch import Tensor
from tqdm.auto import tqdm

from embedseg.io import write_aside
from embedseg.types import DataError

Row = dict[str, float]


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write weights as safetensors, aside and then renamed."""
    ready = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    # `save_file` writes beside the file under a name of its own, which a kill would leave behind.
    write_aside(path, lambda aside: aside.write_bytes(save(ready)))


def write_history(rows: Sequence[Row], path: Path) -> None:
    """Write a history as CSV with a column for every name that occurs."""
    names = list(dict.fromkeys(name for row in rows for name in row))

    def write(aside: Path) -> None:
        with open(aside, "w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)

    write_aside(path, write)


def read_history(path: Path) -> list[Row]:
    """Read a history; an empty one where there is no file.

    Raises
    ------
    DataError
        If the file is no history.
    """
    if not path.is_file():
        return []
    try:
        with open(path, newline="") as file:
            return [
                {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a training history ({error})") from None


class Bar:
    """Progress bar over a share of the run, with the loss parts and the last validation score."""

    def __init__(self, shown: bool) -> None:
        form = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
        self.bar = tqdm(
            total=100.0, disable=not shown, desc="train", bar_format=form, mininterval=1.0
        )
        self.mean: Row = {}

    def step(self, share: float, parts: Mapping[str, float], history: Sequence[Row]) -> None:
        """Move on; losses shown are running means, single steps are too noisy to read."""
        for name, value in parts.items():
            self.mean[name] = 0.95 * self.mean.get(name, value) + 0.05 * value
        self.bar.n = round(100 * share, 1)
        looks = [row for row in history if any(key.startswith("val_") for key in row)]
        last = {k: v for k, v in looks[-1].items() if k.startswith("val_")} if looks else {}
        self.bar.set_postfix({k: f"{v:.3f}" for k, v in (self.mean | last).items()}, refresh=False)
        self.bar.update(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
