"""Evenly spaced items of a sequence."""

from __future__ import annotations

import numpy as np


def pick_evenly(count: int, most: int) -> list[int]:
    """Return the indices of at most `most` of `count` items, from the first to the last.

    Examples
    --------
    >>> pick_evenly(9, 3), pick_evenly(2, 3)
    ([0, 4, 8], [0, 1])
    """
    chosen = np.linspace(0, count - 1, min(count, most)).round().astype(int)
    return [int(index) for index in chosen]
