"""The fit loop: crops in, weights and a history out; bounded in time or in epochs, resumable."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from embedseg.augment import augment
from embedseg.crops import Crops
from embedseg.data import Sample
from embedseg.history import Bar, Row, save_weights, write_history
from embedseg.io import write_aside
from embedseg.methods.base import Method
from embedseg.predict import PredictOptions, predict
from embedseg.types import DataError, Spacing

log = logging.getLogger("embedseg")

#: Channels last is the faster layout on all devices.
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}
#: Share of the time that validation may take.
VALIDATION_SHARE = 0.1


class TrainOptions(BaseModel):
    """How a net is trained.

    Attributes
    ----------
    crop : tuple of int
        Size of a training crop, pixels per axis.
    batch : int
        Crops in a batch.
    epochs, steps_per_epoch : int
        Length of a run without a time limit; an epoch is a fixed number of steps.
    optimizer : {"adamw", "adam"}
        AdamW decouples the weight decay; Adam is the paper's.
    learning_rate, weight_decay : float
        Of the optimiser, at the top of the schedule.
    schedule : {"cosine", "poly"}
        How the learning rate falls over the run: to 0 as half a cosine, or as (1 - p)^0.9.
    warmup : float
        Share of the run over which the learning rate rises to its top.
    background : float
        Share of crops drawn anywhere instead of around an object.
    augment : {"paper", "none"}
        "paper" is flips and quarter turns, as far as the spacing allows.
    precision : {"auto", "32-true", "bf16-mixed", "16-mixed"}
        As in Lightning Fabric; "auto" is bf16-mixed where the device computes in it.
    val_images : int
        At most so many validation images are looked at while training.
    seed : int
        Of weights, crops and augmentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop: tuple[int, ...]
    batch: int = Field(default=4, ge=1)
    epochs: int = Field(default=100, ge=1)
    steps_per_epoch: int = Field(default=50, ge=1)
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    schedule: Literal["cosine", "poly"] = "cosine"
    warmup: float = Field(default=0.03, ge=0, lt=1)
    background: float = Field(default=0.1, ge=0, le=1)
    augment: Literal["paper", "none"] = "paper"
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    val_images: int = Field(default=32, ge=1)
    seed: int = 0

    def rate(self, progress: float) -> float:
        """Return the learning rate at a share of the run in [0, 1].

        Examples
        --------
        >>> options = TrainOptions(crop=(8, 8), warmup=0.1, learning_rate=1.0)
        >>> [round(options.rate(p), 2) for p in (0.05, 0.1, 0.55, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
        """
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        left = 1 - min(1.0, (progress - self.warmup) / (1 - self.warmup))
        falling = {"poly": float(left**0.9), "cosine": 0.5 - 0.5 * math.cos(math.pi * left)}
        return self.learning_rate * falling[self.schedule]


Batch = tuple[Tensor, dict[str, Tensor]]


@dataclass
class Run:
    """A training under way: everything that `last.ckpt` holds, and what is needed to go on.

    Attributes
    ----------
    net, method, options, spacing
        What is trained and how.
    train, val : sequences of Sample
        Normalised, in the model's spacing.
    fabric : lightning_fabric.Fabric
        Device and precision.
    folder : Path or None
        Where weights, history and the checkpoint go; None keeps the best weights in memory.
    limit : float or None
        Seconds for the whole run, validation included.
    epochs : int or None
        Epochs for the whole run. Where both are given, the first to be reached ends it.
    """

    net: nn.Module
    method: Method
    options: TrainOptions
    spacing: Spacing
    train: Sequence[Sample]
    val: Sequence[Sample]
    fabric: Fabric
    folder: Path | None = None
    limit: float | None = None
    epochs: int | None = None
    step: int = 0
    spent: float = 0.0
    validating: float = 0.0
    slowest: float = 0.0
    best: float = -1.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)

    # -- what a batch is: a function of the seed and the step alone, so a resumed run goes on ----
    def _crop(self, crops: Crops, step: int, index: int) -> Batch:
        rng = np.random.default_rng([self.options.seed, step, index])
        image, labels = crops.draw(rng)
        if self.options.augment == "paper":
            image, labels = augment(image, labels, self.spacing, rng)
        return torch.from_numpy(image), self.method.targets(labels, self.spacing)

    def _batch(self, crops: Crops, step: int) -> Batch:
        drawn = [self._crop(crops, step, index) for index in range(self.options.batch)]
        images, targets = [d[0] for d in drawn], [d[1] for d in drawn]
        return torch.stack(images).contiguous(memory_format=LAYOUTS[len(self.spacing)]), {
            name: pad_sequence([t[name] for t in targets], batch_first=True) for name in targets[0]
        }

    def batches(self) -> Generator[Batch, None, None]:
        """Yield batches from the current step on, made one ahead in a thread."""
        crops = Crops(self.train, self.options.crop, background=self.options.background)
        with ThreadPoolExecutor(1) as pool:
            coming = [pool.submit(self._batch, crops, self.step + ahead) for ahead in range(2)]
            ahead = self.step + 2
            while True:
                batch = coming.pop(0).result()
                coming.append(pool.submit(self._batch, crops, ahead))
                ahead += 1
                yield batch

    # -- how far the run is ----------------------------------------------------------------------
    def progress(self) -> float:
        """Return the share of the run that is done; 1 when it has to end."""
        shares = [0.0]
        if self.epochs is not None:
            shares.append(self.step / (self.epochs * self.options.steps_per_epoch))
        if self.limit is not None:
            # The last validation has to fit in; before the first one its length is guessed.
            usable = self.limit - max(1.2 * self.slowest, 0.02 * self.limit)
            shares.append(self.spent / max(usable, 1e-9))
        return min(1.0, max(shares))

    def due(self) -> bool:
        """Return whether the validation images should be looked at now."""
        if self.limit is None:
            every = max(1, (self.epochs or 0) // 20)
            return (self.step // self.options.steps_per_epoch) % every == 0
        # The last look, at annealed weights, is the most valuable: keep its share free.
        next_one = max(self.slowest, 0.01 * self.limit)
        return self.validating + 2 * next_one <= VALIDATION_SHARE * self.spent

    # -- validation ------------------------------------------------------------------------------
    def validate(self) -> dict[str, float]:
        """Score the validation images, at the best of a few values of the first decode option."""
        name, values = next(iter(self.method.search_space().items()))
        sweep = [self.method.model_copy(update={name: value}) for value in values]
        specs = self.method.maps(len(self.spacing))
        rows: list[list[dict[str, float]]] = []
        count = min(len(self.val), self.options.val_images)
        # Evenly, as neighbours in a list (planes of a volume, frames) are alike.
        for index in np.linspace(0, len(self.val) - 1, count).round().astype(int):
            sample = self.val[index]
            maps = predict(self.net, sample.image, specs=specs, spacing=self.spacing,
                           options=PredictOptions(), device=self.fabric.device)
            rows.append([m.score(sample.labels, m.decode(maps).labels) for m in sweep])
        means = [
            {key: float(np.mean([row[i][key] for row in rows])) for key in rows[0][i]}
            for i in range(len(sweep))
        ]
        return max(means, key=lambda mean: mean[self.method.primary])

    def look(self, row: Row) -> None:
        """Validate, keep the weights if they are the best so far."""
        begun = time.monotonic()
        scores = self.validate() if self.val else {self.method.primary: float(self.step)}
        took = time.monotonic() - begun
        self.validating += took
        self.slowest = max(self.slowest, took)
        if self.val:
            row.update({f"val_{name}": value for name, value in scores.items()})
        if scores[self.method.primary] >= self.best:
            self.best = scores[self.method.primary]
            self.best_weights = {
                name: value.detach().cpu().clone() for name, value in self.net.state_dict().items()
            }
            if self.folder:
                save_weights(self.best_weights, self.folder / "weights.safetensors")

    # -- what survives ---------------------------------------------------------------------------
    def save(self, optimizer: torch.optim.Optimizer) -> None:
        """Write the history and the checkpoint from which the run can go on."""
        if self.folder is None:
            return
        write_history(self.history, self.folder / "history.csv")
        state = {name: getattr(self, name) for name in _STATE}
        state |= {"net": self.net.state_dict(), "optimizer": optimizer.state_dict()}
        write_aside(self.folder / "last.ckpt", lambda path: torch.save(state, path))

    def load(self, optimizer: torch.optim.Optimizer) -> None:
        """Go on from the checkpoint in the folder.

        Raises
        ------
        DataError
            If there is none, or it does not fit the net.
        """
        assert self.folder is not None
        path = self.folder / "last.ckpt"
        try:
            state = torch.load(path, map_location=self.fabric.device, weights_only=True)
        except FileNotFoundError:
            raise DataError(f"{path}: no checkpoint to resume from") from None
        self.net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        for name in _STATE:
            setattr(self, name, state[name])


_STATE = ("step", "spent", "validating", "slowest", "best", "best_weights", "history")


def fit(run: Run, *, resume: bool = False, started: float | None = None,
        progress: bool = True) -> list[Row]:
    """Train until the time or the epochs are over; the best weights end up in the net.

    Parameters
    ----------
    run : Run
        What to train.
    resume : bool
        Go on from `last.ckpt` in the run's folder.
    started : float, optional
        `time.monotonic()` at which the time limit began to count; default now.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    list of dict
        One row per epoch: epoch, step, minutes, rate, the parts of the loss, validation scores.
    """
    if not run.train:
        raise DataError("there are no training images")
    options = run.options
    make = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[options.optimizer]
    net = run.net
    optimizer: Any = make(net.parameters(), lr=options.learning_rate,
                          weight_decay=options.weight_decay)
    net.to(run.fabric.device)
    net.to(memory_format=LAYOUTS[len(run.spacing)])  # type: ignore[call-overload]
    if resume:
        run.load(optimizer)
    model, optimizer = run.fabric.setup(net, optimizer)
    start = (time.monotonic() if started is None else started) - run.spent
    saved = time.monotonic()
    with torch.random.fork_rng(enabled=True), Bar(progress) as bar:
        try:
            batches = run.batches()
            sums: dict[str, float] = {}
            while run.progress() < 1:
                parts = _train_step(run, model, optimizer, next(batches))
                run.step += 1
                run.spent = time.monotonic() - start
                for name, value in parts.items():
                    sums[name] = sums.get(name, 0.0) + value
                bar.step(run.progress(), parts, run.history)
                epoch_ends = run.step % options.steps_per_epoch == 0
                if not epoch_ends:
                    continue
                row = _row(run, sums)
                sums = {}
                if run.due():
                    run.look(row)
                    run.spent = time.monotonic() - start
                run.history.append(row)
                if time.monotonic() - saved > 15 or run.limit is None:
                    run.save(optimizer)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            log.warning("stopped by the user after step %d; keeping the best so far", run.step)
            if run.best_weights:
                # Counting epochs, the checkpoint of the last one is what resumes exactly.
                if run.limit is not None:
                    run.save(optimizer)
                net.load_state_dict(run.best_weights)
                return run.history
        finally:
            batches.close()
    if not run.history or sums:
        run.history.append(_row(run, sums))
    if not any(k.startswith("val_") for k in run.history[-1]):
        run.look(run.history[-1])
    run.spent = time.monotonic() - start
    run.save(optimizer)
    net.load_state_dict(run.best_weights)
    return run.history


def _train_step(run: Run, model: Any, optimizer: Any, batch: Batch) -> dict[str, float]:
    """Do one step of the optimiser and return the parts of the loss."""
    # Dropout depends on the step alone, like the crops do.
    torch.manual_seed((run.options.seed << 32) + run.step)
    image, targets = run.fabric.to_device(batch)
    model.train()
    for group in optimizer.param_groups:
        group["lr"] = run.options.rate(run.progress())
    raw = model(image)
    parts = run.method.loss(raw, targets, run.spacing)
    optimizer.zero_grad(set_to_none=True)
    run.fabric.backward(parts["total"])
    optimizer.step()
    values = {name: float(value.detach()) for name, value in parts.items()}
    if not math.isfinite(values["total"]):
        raise DataError(f"the loss is {values['total']} at step {run.step}: {values}")
    return values


def _row(run: Run, sums: Mapping[str, float]) -> Row:
    steps = (run.step - 1) % run.options.steps_per_epoch + 1
    return {
        "epoch": len(run.history) + 1.0, "step": float(run.step), "minutes": run.spent / 60,
        "rate": run.options.rate(run.progress()),
        **{name: value / steps for name, value in sums.items()},
    }
