"""Checkpoints: the state of a run, read back exactly."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from torch import Tensor

from embedseg.common import write_aside
from embedseg.training.history import Row, write_history
from embedseg.types import DataError

CHECKPOINT = "last.ckpt"


class Stateful(Protocol):
    """What can say and take on its state: nets, optimisers, loss scalers."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Take on a state."""


@dataclass
class State:
    """Where a run stands.

    Attributes
    ----------
    step : int
        Steps of the optimiser done.
    spent, validating, slowest : float
        Seconds since the start, those of validation, and those of the longest validation.
    best, best_at : float
        Best validation score, and the share of the run that was done then.
    best_weights : dict of str to Tensor
        Those that scored best, on the CPU.
    history : list of dict
        One row per epoch.
    """

    step: int = 0
    spent: float = 0.0
    validating: float = 0.0
    slowest: float = 0.0
    best: float = -1.0
    best_at: float = 0.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)


def save(folder: Path, state: State, parts: dict[str, Stateful]) -> None:
    """Write the history and a checkpoint that `load` takes up.

    Parameters
    ----------
    folder : Path
    state : State
    parts : dict
        Net, optimiser and whatever else has a state of its own, by name.
    """
    write_history(state.history, folder / "history.csv")
    held = {f.name: getattr(state, f.name) for f in fields(state)}
    whole = held | {name: part.state_dict() for name, part in parts.items()}
    write_aside(folder / CHECKPOINT, lambda path: torch.save(whole, path))


def load(folder: Path, parts: dict[str, Stateful], device: torch.device) -> State:
    """Return the state in a folder's checkpoint and give each part its own.

    Raises
    ------
    DataError
        If there is no checkpoint, or it does not fit the parts.
    """
    path = folder / CHECKPOINT
    try:
        held = torch.load(path, map_location=device, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(held[name])
        return State(**{f.name: held[f.name] for f in fields(State)})
    except FileNotFoundError:
        raise DataError(f"{path}: no checkpoint to resume from") from None
    except (EOFError, KeyError, RuntimeError, UnpicklingError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a checkpoint of this training ({said})") from None
