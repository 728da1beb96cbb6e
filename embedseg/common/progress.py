"""Progress reporting: terminal bars and callbacks, with cancellation."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Self

from tqdm.auto import tqdm

log = logging.getLogger("embedseg")

#: Seconds between two lines of a log file on the same work.
EVERY = 60.0

#: Whether to show a bar; or a callback that gets the parts done and their total, and may raise
#: `Stopped` to stop the work.
Progress = bool | Callable[[int, int], object]


class Stopped(Exception):
    """Raised by a progress callback to stop the work."""


class CallbackBar:
    """Calls a progress callback, with the interface of a bar."""

    def __init__(
        self, callback: Callable[[int, int], object], total: int = 0, initial: int = 0
    ) -> None:
        self.callback, self.n, self.total = callback, initial, total

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


class ProgressLines:
    """Logs a line a minute: for a file, in which a bar cannot be redrawn.

    Examples
    --------
    >>> ProgressLines("segment", "block").line(250, 1000, seconds=600)
    'segment: 250 of 1000 blocks, about 30 min left'
    """

    def __init__(self, desc: str, unit: str, initial: int = 0) -> None:
        self.desc, self.unit, self.initial = desc, unit, initial
        self.begun = self.last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Log a line if the last one is old enough."""
        now = time.monotonic()
        if now - self.last >= EVERY and done > self.initial:
            self.last = now
            log.info("%s", self.line(done, total, now - self.begun))

    def line(self, done: int, total: int, seconds: float) -> str:
        """Format the line, given the seconds since the work began."""
        left = max(0, total - done) * seconds / (done - self.initial)
        hours, minutes = divmod(-(-left // 60), 60)
        duration = f"{hours:.0f} h {minutes:.0f} min" if hours else f"{minutes:.0f} min"
        return f"{self.desc}: {done} of {total} {self.unit}s, about {duration} left"


def open_bar(progress: Progress, desc: str, unit: str, total: int = 0, initial: int = 0) -> Any:
    """Return a bar of tqdm, hidden if `progress` is False, or one that calls `progress`.

    Where messages go to a file, a line a minute is logged instead of a bar.

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
    if progress and not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        return CallbackBar(ProgressLines(desc, unit, initial), total, initial)
    return tqdm(
        desc=desc,
        unit=unit,
        total=total or None,
        initial=initial,
        disable=not progress,
        leave=False,
    )
