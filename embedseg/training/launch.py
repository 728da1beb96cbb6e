"""Launch of a training on one device or several."""

from __future__ import annotations

import copy
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.multiprocessing.spawn import ProcessRaisedException

from embedseg.training.checkpoint import State
from embedseg.training.history import Row
from embedseg.training.loop import Loop
from embedseg.training.options import Precision
from embedseg.training.progress_bar import TrainingBar
from embedseg.training.run import Run
from embedseg.types import DataError, UsageError


def run_training(
    run: Run,
    device: torch.device,
    *,
    devices: int = 1,
    resume: bool = False,
    started: float | None = None,
    progress: bool = True,
) -> list[Row]:
    """Train until the time or the epochs are over; the best weights end up in the net.

    Parameters
    ----------
    run : Run
        What to train.
    device : torch.device
        What to train on.
    devices : int
        How many of them share each batch, each in its own process.
    resume : bool
        Resume from `last.ckpt` in the run's folder.
    started : float, optional
        `time.monotonic()` at which the time limit began to count; default now.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    list of dict
        One row per epoch: epoch, step, minutes, rate, the parts of the loss, validation scores.

    Raises
    ------
    DataError
        Without training images, or if the loss is not a number.
    UsageError
        If a batch cannot be shared equally, the device does not know the precision, or several
        devices are to be watched.
    """
    if not run.train:
        raise DataError("there are no training images")
    if run.options.batch % devices:
        raise UsageError(
            f"train.batch {run.options.batch} cannot be shared by {devices} devices; "
            "choose a multiple"
        )
    if run.watch and devices > 1:
        raise UsageError("a training on several devices cannot be watched; choose one device")
    fabric = _fabric(device, devices, run.options.precision_on(device))
    started = time.monotonic() if started is None else started
    with tempfile.TemporaryDirectory() as folder:
        # Through a file: what a process sends back otherwise is lost when it ends.
        result = Path(folder) / "state"
        work: Any = _Worker(run, resume, started, progress, result)
        try:
            fabric.launch(work)
        except ProcessRaisedException as error:
            # Of the error of a process, only its traceback arrives.
            kind, _, message = str(error).strip().splitlines()[-1].partition(": ")
            if kind != f"{DataError.__module__}.{DataError.__name__}":
                raise
            raise DataError(message) from None
        run.state = State(**torch.load(result, weights_only=True))
    run.net.load_state_dict(run.state.best_weights)
    return run.state.history


def _fabric(device: torch.device, devices: int, precision: Precision) -> Fabric:
    if precision == "16-mixed" and device.type == "cpu":
        raise UsageError("train.precision 16-mixed needs a GPU; on a CPU choose bf16-mixed")
    kind = "gpu" if device.type == "cuda" else device.type
    which: Any = devices if device.index is None or devices > 1 or kind == "cpu" else [device.index]
    # Spawned processes, not copies of the command: the same from a notebook, a script, a shell.
    return Fabric(
        accelerator=kind,
        devices=which,
        precision=precision,
        strategy="ddp_spawn" if devices > 1 else "auto",
    )


@dataclass
class _Worker:
    """The work of each process; the first one validates and writes."""

    run: Run
    resume: bool
    started: float
    progress: bool
    result: Path

    def __call__(self, fabric: Fabric) -> None:
        first = fabric.global_rank == 0
        if fabric.world_size > 1:
            # The net shares memory with that of the starting process, and of all the others.
            self.run.net = copy.deepcopy(self.run.net)
        held = [fabric.device] if fabric.device.type == "cuda" else []
        with torch.random.fork_rng(devices=held), TrainingBar(self.progress and first) as bar:
            state = Loop(fabric, self.run, self.resume, self.started, bar).run_all()
        if first:
            torch.save(vars(state), self.result)
        if fabric.world_size > 1:
            # Together: a process that leaves with the group's threads running may abort, and
            # Fabric sees to that for NCCL alone.
            fabric.barrier()
            torch.distributed.destroy_process_group()
