"""TensorBoard logs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedseg.common import missing_library

#: Name of the folder of a log in that of a model.
LOGS = "tensorboard"


class Board:
    """A TensorBoard log; without a folder it does nothing.

    Parameters
    ----------
    folder : Path or None
        Where the event files go.

    Raises
    ------
    UsageError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self.writer: Any = None
        if folder is None:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of TensorBoard's own parts
                from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise missing_library("train.tensorboard needs", error, "log") from None
        self.writer = SummaryWriter(str(folder))

    def row(self, row: Mapping[str, float]) -> None:
        """Log a row of the history."""
        if self.writer is None:
            return
        for name, value in row.items():
            if name not in ("epoch", "step"):
                group = "val" if name.startswith("val_") else "train"
                self.writer.add_scalar(
                    f"{group}/{name.removeprefix('val_')}", value, int(row["step"])
                )
        self.writer.flush()

    def picture(self, name: str, path: Path, step: int) -> None:
        """Log an image file."""
        if self.writer is not None:
            from matplotlib.image import imread

            self.writer.add_image(name, imread(path)[..., :3], step, dataformats="HWC")
            self.writer.flush()

    def close(self) -> None:
        """Finish the log."""
        if self.writer is not None:
            self.writer.close()
