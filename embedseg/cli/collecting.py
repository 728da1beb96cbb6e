"""Garbage collection put off while libraries are imported."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Put off garbage collection while libraries are imported; also a decorator.

    torch and numba make hundreds of thousands of objects that all stay. To look for garbage among
    them, again and again as they grow in number, takes longer than anything else but the imports.

    Examples
    --------
    >>> with importing():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        # Once, as garbage among what is frozen stays too.
        if not gc.get_freeze_count():
            gc.freeze()
        gc.enable()


def end_quickly() -> None:
    """Leave all objects to the system when the process ends, instead of looking through them."""
    # As late as possible: functions that are registered later run before.
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
