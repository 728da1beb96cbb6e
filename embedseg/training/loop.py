"""The training loop: steps, epochs, validations."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from embedseg.common import Stopped
from embedseg.nets import LAYOUTS, WEIGHTS, not_finite, save_weights
from embedseg.training import checkpoint
from embedseg.training.averages import MovingAverage
from embedseg.training.batches import Batch, Batches
from embedseg.training.checkpoint import State, Stateful
from embedseg.training.history import Row
from embedseg.training.optimizers import make_optimizer
from embedseg.training.options import TrainOptions
from embedseg.training.progress_bar import TrainingBar
from embedseg.training.recorder import Recorder
from embedseg.training.run import Run, TrainingProgress
from embedseg.training.validation import ValidationResult, validate
from embedseg.types import DataError

log = logging.getLogger("embedseg")

#: Steps whose losses are read together: reading waits for a GPU, which could go on meanwhile.
READ_EVERY = 10


class Loop:
    """The loop over steps: the net in training, its optimiser, its losses."""

    def __init__(
        self, fabric: Fabric, run: Run, resume: bool, started: float, bar: TrainingBar
    ) -> None:
        self.fabric, self.run, self.bar = fabric, run, bar
        self.first = fabric.global_rank == 0
        options = run.options
        net = run.net.to(fabric.device)
        net.to(memory_format=LAYOUTS[len(run.spacing)])  # type: ignore[call-overload]
        optimizer = make_optimizer(
            options.optimizer, net, options.learning_rate, options.weight_decay, fabric.device
        )
        self.parts: dict[str, Stateful] = {
            "net": net,
            "optimizer": optimizer,
            "precision": fabric.strategy.precision,
        }
        self.average = MovingAverage(net, options.average) if options.average else None
        if self.average:
            self.parts["average"] = self.average
        # Killed before the first checkpoint, there is none: then it begins anew.
        if resume and run.folder and (run.folder / checkpoint.CHECKPOINT).exists():
            run.state = checkpoint.load(run.folder, self.parts, fabric.device)
        ready: Any = torch.compile(net) if options.compile else net
        self.model, self.optimizer = fabric.setup(ready, optimizer)
        self.start = started - run.state.spent
        #: Step, losses and files of the latest steps, until they are read.
        self.pending_losses: list[tuple[int, Mapping[str, Tensor], tuple[str, ...]]] = []
        #: The latest validation, until the watching function is called.
        self.validation: ValidationResult | None = None
        self.recorder = Recorder(run, self.parts, writes=self.first)

    def run_all(self) -> State:
        """Go through all steps that are left."""
        run, state, options = self.run, self.run.state, self.run.options
        if run.place and self.first:
            run.place.begin()
        source = Batches(
            run.train,
            run.method,
            options,
            run.spacing,
            self.fabric.global_rank,
            self.fabric.world_size,
            run.min_foreground,
            pinned=self.fabric.device.type == "cuda",
            # On a CPU the cores are the net's.
            workers=1 if self.fabric.device.type == "cpu" else min(8, os.cpu_count() or 1),
        )
        batches = source.starting_at(state.step)
        try:
            while run.progress() < 1:
                if state.step % options.steps_per_epoch == 0 and run.stalled():
                    log.info(
                        "stopped early at step %d: validation has not got better since "
                        "%.0f %% of the run",
                        state.step,
                        100 * state.best_at,
                    )
                    break
                latest = train_step(run, self.fabric, self.model, self.optimizer, batches)
                if self.average:
                    self.average.update_parameters(run.net)
                if len(self.pending_losses) >= READ_EVERY:
                    self._flush_losses()
                state.step += 1
                state.spent = time.monotonic() - self.start
                self.pending_losses.append((state.step, *latest))
                if run.limit is not None:
                    self._sync_state()
                if state.step % options.steps_per_epoch == 0:
                    self._end_epoch()
                self._notify()
        except (KeyboardInterrupt, Stopped):
            log.warning("stopped by the user after step %d; keeping the best so far", state.step)
            if state.best_weights:
                # Counting epochs, the checkpoint of the last one is what resumes exactly.
                if run.limit is not None:
                    self._flush_losses()
                    self.recorder.save()
                return state
        finally:
            batches.close()  # type: ignore[attr-defined]
        self._finish()
        return state

    # -- steps and epochs ------------------------------------------------------------------------
    def _flush_losses(self) -> None:
        """Add up the losses of the latest steps, which a GPU has mostly finished by now."""
        pending, self.pending_losses = self.pending_losses, []
        if not pending:
            return
        read = torch.stack([value for _, parts, _ in pending for value in parts.values()]).tolist()
        for step, parts, sources in pending:
            values = {name: read.pop(0) for name in parts}
            if not math.isfinite(values["total"]):
                raise DataError(
                    f"the loss is {values['total']} at step {step}; the batch was cut "
                    f"from {', '.join(dict.fromkeys(sources))}. What was saved before "
                    "stays. Look at these images, or lower train.learning_rate, or set train.clip"
                )
            state = self.run.state
            for name, value in values.items():
                state.losses[name] = state.losses.get(name, 0.0) + value
            state.counted += 1
            self.bar.step(self.run.progress(), values, state.history)

    def _notify(self) -> None:
        """Call the function that watches the run with its progress."""
        if self.run.watch and self.first:
            state, latest, self.validation = self.run.state, self.validation, None
            self.run.watch(
                TrainingProgress(self.run.progress(), state.step, tuple(state.history), latest)
            )

    def _sync_state(self) -> None:
        """Give every process the clock and the scores of the first one."""
        state = self.run.state
        if self.fabric.world_size > 1:
            mine = (state.spent, state.validating, state.slowest, state.best, state.best_at)
            (state.spent, state.validating, state.slowest, state.best, state.best_at) = (
                self.fabric.broadcast(mine)
            )

    def _end_epoch(self) -> None:
        """Add a row to the history; validate and write if it is time to."""
        self._flush_losses()
        state, row = self.run.state, self._row()
        state.losses, state.counted = {}, 0
        if self.run.due():
            self._validate(row)
        state.history.append(row)
        self.recorder.epoch(row)
        self._sync_state()

    def _finish(self) -> None:
        """Validate and write a last time."""
        self._flush_losses()
        history = self.run.state.history
        if not history or self.run.state.losses:
            history.append(self._row())
        if not any(k.startswith("val_") for k in history[-1]):
            self._validate(history[-1])
            self.recorder.log(history[-1])
        self._sync_state()
        self.recorder.finish()
        with suppress(Stopped):
            self._notify()

    def _row(self) -> Row:
        """Return the means since the epoch began, over all processes.

        The row of a run that ended within this epoch is taken out: only its scores stay.
        """
        state, scores = self.run.state, {}
        if state.history and state.history[-1]["step"] % self.run.options.steps_per_epoch:
            before = state.history.pop()
            scores = {name: value for name, value in before.items() if name.startswith("val_")}
        means: Any = torch.tensor([value / state.counted for value in state.losses.values()])
        if self.fabric.world_size > 1 and len(means):
            means = self.fabric.all_reduce(self.fabric.to_device(means), reduce_op="mean")
        row = {
            "epoch": len(state.history) + 1.0,
            "step": float(state.step),
            "minutes": state.spent / 60,
            "rate": self.run.options.rate(self.run.progress()),
            **dict(zip(state.losses, means.tolist(), strict=True)),
            **scores,
        }
        return row

    # -- validation --------------------------------------------------------------------------------
    def _validate(self, row: Row) -> None:
        """Validate in the first process; keep the weights if they are the best so far."""
        scores: dict[str, float] = self._score_images() if self.first else {}
        if self.fabric.world_size > 1:
            scores = self.fabric.broadcast(scores)
        row.update(scores)
        self._sync_state()

    def _score_images(self) -> dict[str, float]:
        """Validate in this process; return the scores by their names in the history."""
        run, state = self.run, self.run.state
        net = self.average.module if self.average else run.net
        if broken := not_finite(net.state_dict()):
            raise DataError(
                f"the weights {broken} are NaN or infinite after step {state.step}; what was "
                "saved before stays. Lower train.learning_rate, or set train.clip"
            )
        begun = time.monotonic()
        score, scores = float(state.step), {}
        if run.val:
            self.validation = validate(
                net,
                run.method,
                run.val,
                spacing=run.spacing,
                most=run.options.val_images,
                device=self.fabric.device,
            )
            self.recorder.validated(self.validation)
            scores = {f"val_{name}": value for name, value in self.validation.scores.items()}
            score = self.validation.scores[run.method.primary]
        took = time.monotonic() - begun
        state.spent = time.monotonic() - self.start
        state.validating += took
        state.slowest = max(state.slowest, took)
        if score >= state.best:
            self._keep(net, score)
        elif not state.best_weights and run.progress() >= 1:
            raise DataError(
                f"{run.method.primary} of the validation images is {score} at the end; "
                "look at their masks"
            )
        return scores

    def _keep(self, net: nn.Module, score: float) -> None:
        """Keep weights as the best so far."""
        state = self.run.state
        if score > state.best:
            state.best_at = self.run.progress()
        state.best = score
        state.best_weights = {
            name: value.detach().cpu().clone() for name, value in net.state_dict().items()
        }
        if self.run.folder:
            save_weights(state.best_weights, self.run.folder / WEIGHTS)
            if self.run.place:
                self.run.folder = self.run.place.publish()


def train_step(
    run: Run, fabric: Fabric, model: Any, optimizer: Any, batches: Iterator[Batch]
) -> tuple[Mapping[str, Tensor], tuple[str, ...]]:
    """Do one step of the optimiser; return the parts of the loss, and the files in the batch."""
    options, step = run.options, run.state.step
    # Dropout depends on the step alone, like the crops do.
    torch.manual_seed((options.seed << 32) + (fabric.global_rank << 24) + step)
    model.train()
    for group in optimizer.param_groups:
        group["lr"] = options.rate(run.progress())
    optimizer.zero_grad(set_to_none=True)
    parts: dict[str, Tensor] = {}
    sources: tuple[str, ...] = ()
    for part in range(options.accumulate):
        batch = next(batches)
        image, targets = fabric.to_device((batch.image, batch.targets))
        with fabric.no_backward_sync(model, enabled=part + 1 < options.accumulate):
            loss = run.method.loss(model(image), targets, run.spacing)
            fabric.backward(_share(loss["total"], options))
        for name, value in loss.items():
            mine = _share(value.detach(), options)
            parts[name] = parts[name] + mine if name in parts else mine
        sources += batch.sources
    if options.clip is not None:
        fabric.clip_gradients(model, optimizer, max_norm=options.clip, error_if_nonfinite=False)
    optimizer.step()
    return parts, sources


def _share(value: Tensor, options: TrainOptions) -> Tensor:
    """Return the part of a batch in the mean over a step."""
    return value if options.accumulate == 1 else value / options.accumulate
