"""Recorder of a run: checkpoint, curves, preview, TensorBoard log."""

from __future__ import annotations

import time
from pathlib import Path

from embedseg.plots import save_preview
from embedseg.training import checkpoint
from embedseg.training.checkpoint import Stateful
from embedseg.training.curves import save_history
from embedseg.training.history import Row
from embedseg.training.run import Run
from embedseg.training.tensorboard import LOGS, Board
from embedseg.training.validation import ValidationResult

#: Seconds between checkpoints of a run with a time limit, and between pictures of any run.
CHECKPOINT_EVERY, PICTURES_EVERY = 15.0, 30.0


class Recorder:
    """Files that a run leaves in its folder; without a folder it does nothing.

    Parameters
    ----------
    run : Run
    parts : dict
        Net, optimiser and others whose state a checkpoint holds, by name.
    writes : bool
        Whether this process writes: one of them does.
    """

    def __init__(self, run: Run, parts: dict[str, Stateful], writes: bool) -> None:
        self.run, self.parts = run, parts
        self.writes = writes
        self.saved = self.drawn = time.monotonic()
        #: The latest validation, until it is drawn.
        self.validation: ValidationResult | None = None
        home = run.place.home if run.place else run.folder
        logged = run.options.tensorboard and writes
        self.board = Board(home / LOGS if logged and home else None)

    @property
    def folder(self) -> Path | None:
        """Folder of the files; None if there is none."""
        return self.run.folder if self.writes else None

    def epoch(self, row: Row) -> None:
        """Record the end of an epoch."""
        self.log(row)
        if self.run.limit is None or time.monotonic() - self.saved > CHECKPOINT_EVERY:
            self.save()
            self.saved = time.monotonic()
        if time.monotonic() - self.drawn > PICTURES_EVERY:
            self.draw()
            self.drawn = time.monotonic()

    def validated(self, result: ValidationResult) -> None:
        """Record a validation, whose images the next picture shows."""
        self.validation = result

    def finish(self) -> None:
        """Record the end of the run."""
        self.save()
        self.draw()
        self.board.close()

    def log(self, row: Row) -> None:
        """Log a row of the history to TensorBoard."""
        self.board.row(row)

    def save(self) -> None:
        """Write the checkpoint."""
        if self.folder:
            checkpoint.save(self.folder, self.run.state, self.parts, self.run.data)

    def draw(self) -> None:
        """Draw the history, and the images of the latest validation."""
        if not self.folder:
            return
        state = self.run.state
        save_history(self.folder / "history.png", state.history)
        if self.validation:
            samples = [sample for sample, _ in self.validation.shown]
            save_preview(
                self.folder / "preview.png",
                [s.image for s in samples],
                [s.labels for s in samples],
                [labels for _, labels in self.validation.shown],
                spacing=self.run.spacing,
                titles=[s.name for s in samples],
                title=f"validation images after {state.step} steps",
                classes=self.run.method.colours,
            )
            self.board.picture("preview", self.folder / "preview.png", state.step)
            self.validation = None
