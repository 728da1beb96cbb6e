"""Checkpoints: the state of a run, read back exactly."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Protocol

from embedseg.common import write_file
from embedseg.training.history import HISTORY, Row, write_history
from embedseg.types import DataError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Name of the file in the folder of a model.
CHECKPOINT = "last.ckpt"


class Stateful(Protocol):
    """An object with a state to save and load: a net, an optimiser, a loss scaler."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Load a state."""


@dataclass
class State:
    """The state of a run.

    Attributes
    ----------
    step : int
        Steps of the optimiser done.
    spent, validating, slowest : float
        Seconds since the start, those of validation, and those of the longest validation.
    best, best_at : float
        Best validation score, and the share of the run that was done then.
    best_weights : dict of str to Tensor
        The best-scoring weights, on the CPU.
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
        Net, optimiser and others that have a state, by name.
    """
    import torch

    write_history(state.history, folder / HISTORY)
    held = {f.name: getattr(state, f.name) for f in fields(state)}
    whole = held | {name: part.state_dict() for name, part in parts.items()}
    write_file(folder / CHECKPOINT, lambda path: torch.save(whole, path))


def load(folder: Path, parts: dict[str, Stateful], device: torch.device) -> State:
    """Return the state in a folder's checkpoint and load that of each part.

    Raises
    ------
    DataError
        If there is no checkpoint, or it does not fit the parts.
    """
    import torch

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
