"""Progress reporting: terminal bars and callbacks, with cancellation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from tqdm.auto import tqdm

#: Whether to show a bar; or a callback that gets the parts done and their total, and may raise
#: `Stopped` to stop the work.
Progress = bool | Callable[[int, int], object]


class Stopped(Exception):
    """Raised by a progress callback to stop the work."""


class CallbackBar:
    """Calls a progress callback, with the interface of a bar."""

    def __init__(self, callback: Callable[[int, int], object], total: int = 0) -> None:
        self.callback, self.n, self.total = callback, 0, total

    def update(self, n: int = 1) -> None:
        """Count `n` more parts as done."""
        self.n += n
        self.refresh()

    def refresh(self) -> None:
        """Call the callback with the parts done and the total."""
        self.callback(self.n, self.total)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


def open_bar(progress: Progress, desc: str, unit: str, total: int = 0) -> Any:
    """Return a bar of tqdm, hidden if `progress` is False, or one that calls `progress`.

    Examples
    --------
    >>> calls = []
    >>> with open_bar(lambda done, total: calls.append((done, total)), "predict", "tile", 2) as bar:
    ...     bar.update()
    >>> calls
    [(1, 2)]
    """
    if callable(progress):
        return CallbackBar(progress, total)
    return tqdm(desc=desc, unit=unit, total=total or None, disable=not progress, leave=False)
