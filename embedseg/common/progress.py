"""Progress reporting: terminal bars and callbacks, with cancellation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from tqdm.auto import tqdm

#: Whether to show a bar; or what is told instead how many of how many parts are done, and raises
#: `Stopped` to stop the work.
Progress = bool | Callable[[int, int], object]


class Stopped(Exception):
    """Raised by whoever watches long work, to stop it."""


class Told:
    """Stands in for a bar: tells a function how far it is."""

    def __init__(self, tell: Callable[[int, int], object], total: int = 0) -> None:
        self.tell, self.n, self.total = tell, 0, total

    def update(self, n: int = 1) -> None:
        """Move on."""
        self.n += n
        self.refresh()

    def refresh(self) -> None:
        """Tell how far it is."""
        self.tell(self.n, self.total)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave."""


def open_bar(progress: Progress, desc: str, unit: str, total: int = 0) -> Any:
    """Return a bar of tqdm, hidden if `progress` is False, or what tells `progress`.

    Examples
    --------
    >>> said = []
    >>> with open_bar(lambda done, total: said.append((done, total)), "predict", "tile", 2) as bar:
    ...     bar.update()
    >>> said
    [(1, 2)]
    """
    if callable(progress):
        return Told(progress, total)
    return tqdm(desc=desc, unit=unit, total=total or None, disable=not progress, leave=False)
