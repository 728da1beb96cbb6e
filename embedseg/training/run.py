"""A training run: data, limits, progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from torch import nn

from embedseg.data import Sample
from embedseg.methods import Method
from embedseg.training.checkpoint import DataPrint, State
from embedseg.training.history import Row
from embedseg.training.options import TrainOptions
from embedseg.training.validation import ValidationResult
from embedseg.types import Spacing

#: Share of the time that validation may take.
VALIDATION_SHARE = 0.05


@dataclass(frozen=True)
class TrainingProgress:
    """Progress of a training.

    Attributes
    ----------
    progress : float
        Share of the run that is done.
    step : int
        Steps of the optimiser done.
    history : tuple of dict
        One row per epoch so far.
    validation : ValidationResult or None
        Result of a validation since the last call.
    """

    progress: float
    step: int
    history: tuple[Row, ...]
    validation: ValidationResult | None


#: Called after each step with the training progress; may raise `embedseg.common.Stopped`.
Watch = Callable[[TrainingProgress], object]


class Place(Protocol):
    """The folder of a model in training, in which an older one may be."""

    @property
    def home(self) -> Path:
        """Folder of the model."""

    def begin(self) -> None:
        """Make what a run needs, as all is known to be good; called before the first step."""

    def publish(self) -> Path:
        """Return the folder to write to from now on; called when weights have been written."""


@dataclass
class Run:
    """A training run.

    Attributes
    ----------
    net, method, options, spacing
        Net, method, options and spacing of the training.
    train, val : sequences of Sample
        Normalised, in the model's spacing.
    folder : Path or None
        Where weights, history and the checkpoint go; None keeps the best weights in memory.
    limit : float or None
        Seconds for the whole run, validation included.
    epochs : int or None
        Epochs for the whole run. Where both are given, the first to be reached ends it.
    min_foreground : float
        Least share of foreground in a crop.
    watch : callable, optional
        Called after each step with the progress.
    place : Place, optional
        Told when the run begins, and when there are weights in `folder`.
    data : dict
        What is kept of the samples, to tell other data when resuming.
    state : State
        State of the run; what `last.ckpt` holds.
    """

    net: nn.Module
    method: Method
    options: TrainOptions
    spacing: Spacing
    train: Sequence[Sample]
    val: Sequence[Sample]
    folder: Path | None = None
    limit: float | None = None
    epochs: int | None = None
    min_foreground: float = 0.0
    watch: Watch | None = None
    place: Place | None = None
    data: DataPrint = field(default_factory=dict)
    state: State = field(default_factory=State)

    def progress(self) -> float:
        """Return the share of the run that is done; 1 when it has to end."""
        shares = [0.0]
        if self.epochs is not None:
            shares.append(self.state.step / (self.epochs * self.options.steps_per_epoch))
        if self.limit is not None:
            # The last validation has to fit in; before the first one its length is guessed.
            usable = self.limit - max(1.2 * self.state.slowest, 0.02 * self.limit)
            shares.append(self.state.spent / max(usable, 1e-9))
        return min(1.0, max(shares))

    def due(self) -> bool:
        """Return whether it is time to validate."""
        if self.limit is None:
            every = max(1, (self.epochs or 0) // 20)
            return (self.state.step // self.options.steps_per_epoch) % every == 0
        if self.watch and not self.state.validating:
            # A run that is watched shows something soon.
            return self.state.spent > VALIDATION_SHARE * self.limit
        # The last validation, of annealed weights, is the most valuable: keep its share free.
        next_one = max(self.state.slowest, 0.01 * self.limit)
        return self.state.validating + 2 * next_one <= VALIDATION_SHARE * self.state.spent

    def stalled(self) -> bool:
        """Return whether validation has not improved for too long."""
        without = self.progress() - self.state.best_at
        # A score of 0 means nothing yet: the first objects may be found late.
        return bool(self.val) and self.state.best > 0 and without > self.options.patience
