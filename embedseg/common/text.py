"""Text for messages: counts, sizes, lists."""

from __future__ import annotations

from collections.abc import Iterable

#: Names shown in a message; the rest is counted.
SHOWN = 5


def shorten(names: Iterable[str]) -> str:
    """Join the first few names, and count the rest.

    Examples
    --------
    >>> shorten("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
