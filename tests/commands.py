"""Commands run by tests, in this process or another, and what they need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.err.strip().splitlines()[-1]


Run = Callable[..., Result]

SCORES = {
    "ap",
    "pooled",
    "ap_mean",
    "pooled_mean",
    "pq",
    "sq",
    "rq",
    "seg",
    "aji",
    "rand",
    "voi",
    "voi_split",
    "voi_merge",
    "covered",
    "n_true",
    "n_pred",
    "n_images",
}
#: A net and a batch as small as possible.
TINY = [
    "--set",
    "net.width=8",
    "--set",
    "net.depth=2",
    "--set",
    "train.batch=2",
    "--set",
    "train.crop=32,32",
    "--set",
    "train.steps_per_epoch=5",
    "--device",
    "cpu",
]


def shell(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in its own process."""
    return subprocess.run(
        [sys.executable, "-m", "embedseg.cli", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        cwd=Path(__file__).parents[1],
    )


def broken(data: Path, target: Path) -> Path:
    """Copy of the data with a mask missing in train and a truncated image in val."""
    shutil.copytree(data, target)
    next((target / "train/masks").iterdir()).unlink()
    image = next((target / "val/images").iterdir())
    image.write_bytes(image.read_bytes()[:50])
    return target
