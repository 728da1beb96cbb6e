"""Checkpoints: the state of a run, read back exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from embedseg.common import format_shape, shorten, write_file
from embedseg.training.history import HISTORY, Row, write_history
from embedseg.types import DataError, UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Name of the file in the folder of a model.
CHECKPOINT = "last.ckpt"
#: Name in a checkpoint for what is kept of the data.
DATA = "data"
#: Fields of the state that a checkpoint of an earlier version lacks.
LATER = {"losses", "counted"}
#: Pixel sizes that differ by less than this ratio are the same.
SAME_SPACING = 0.01

#: What is kept of the samples, by split and name: the shape of the image, channels first, and its
#: spacing. Plain values, as a checkpoint holds nothing else.
DataPrint = dict[str, tuple[tuple[int, ...], tuple[float, ...] | None]]


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
    losses : dict of str to float
        Sums of the parts of the loss since the epoch began, in the first process.
    counted : int
        Steps in these sums.
    """

    step: int = 0
    spent: float = 0.0
    validating: float = 0.0
    slowest: float = 0.0
    best: float = -1.0
    best_at: float = 0.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    counted: int = 0


def save(
    folder: Path, state: State, parts: dict[str, Stateful], data: DataPrint | None = None
) -> None:
    """Write the history and a checkpoint that `load` takes up.

    Parameters
    ----------
    folder : Path
    state : State
    parts : dict
        Net, optimiser and others that have a state, by name.
    data : dict, optional
        What is kept of the samples.
    """
    import torch

    held = {f.name: getattr(state, f.name) for f in fields(state)}
    whole = held | {name: part.state_dict() for name, part in parts.items()} | {DATA: data or {}}
    write_file(folder / CHECKPOINT, lambda path: torch.save(whole, path))
    # Last: a history without a checkpoint is that of a training that has ended.
    write_history(state.history, folder / HISTORY)


def load(folder: Path, parts: dict[str, Stateful], device: torch.device) -> State:
    """Return the state in a folder's checkpoint and load that of each part.

    Raises
    ------
    DataError
        If there is no checkpoint, or it does not fit the parts.
    """
    held = _read(folder, device)
    try:
        for name, part in parts.items():
            part.load_state_dict(held[name])
        return State(**{f.name: held[f.name] for f in fields(State) if f.name in held})
    except Exception as error:  # whatever parts raise on a state that is not theirs
        raise _unfit(folder, error) from None


def check_checkpoint(folder: Path, data: DataPrint) -> None:
    """Check that a checkpoint can be read, and is of a training on these data.

    Raises
    ------
    DataError
        If it cannot be read.
    UsageError
        If the data are others; the message names the difference.
    """
    import torch

    held = _read(folder, torch.device("cpu"))
    # A checkpoint of an earlier version does not tell.
    there = held.get(DATA)
    if there and data and (found := difference(there, data)):
        raise UsageError(
            f"{folder / CHECKPOINT}: the training that it resumes was on other data: {found}. "
            "Give the same data, or fine-tune the model with --from"
        )


def difference(there: DataPrint, here: DataPrint) -> str | None:
    """Describe how data differ from those of a checkpoint; None if they do not.

    Examples
    --------
    >>> there, here = {"train a": ((1, 8, 8), None)}, {"train a": ((1, 4, 8, 8), None)}
    >>> difference(there, here)
    'images had 2 space axes, these have 3'
    """
    counts: dict[str, Callable[[Sequence[int]], int]] = {
        "space axes": lambda shape: len(shape) - 1,
        "channels": lambda shape: shape[0],
    }
    for what, of in counts.items():
        then, now = ({of(shape) for shape, _ in data.values()} for data in (there, here))
        if then != now:
            return f"images had {_numbers(then)} {what}, these have {_numbers(now)}"
    for name in there.keys() & here.keys():
        (shape, spacing), (other, size) = there[name], here[name]
        if tuple(shape) != tuple(other):
            return f"{name} was {format_shape(shape[1:])} pixels, here {format_shape(other[1:])}"
        if not _same_spacing(spacing, size):
            return f"{name} had a pixel size of {_size(spacing)}, here {_size(size)}"
    gone, added = sorted(there.keys() - here.keys()), sorted(here.keys() - there.keys())
    parts = [
        *([f"missing here: {shorten(gone)}"] if gone else []),
        *([f"not there: {shorten(added)}"] if added else []),
    ]
    return "; ".join(parts) or None


def _numbers(values: set[int]) -> str:
    return " or ".join(map(str, sorted(values)))


def _same_spacing(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= SAME_SPACING * a for a, b in zip(one, other, strict=True))


def _size(spacing: Sequence[float] | None) -> str:
    return "unknown" if spacing is None else ", ".join(f"{step:g}" for step in spacing) + " µm"


def _read(folder: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint; the names in it are checked, not what they hold."""
    import torch

    path = folder / CHECKPOINT
    try:
        held = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{path}: no checkpoint to resume from") from None
    except Exception as error:  # whatever the library raises on a broken file
        raise _unfit(folder, error) from None
    if not isinstance(held, dict):
        raise DataError(
            f"{path}: not a checkpoint of this training (it holds a {type(held).__name__})"
        )
    if missing := [f.name for f in fields(State) if f.name not in LATER | held.keys()]:
        raise DataError(
            f"{path}: not a checkpoint of this training ({', '.join(missing)} is missing)"
        )
    return held


def _unfit(folder: Path, error: Exception) -> DataError:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{folder / CHECKPOINT}: not a checkpoint of this training ({said})")
