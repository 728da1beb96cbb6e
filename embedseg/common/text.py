"""Text for messages: counts, sizes, lists."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

#: Names shown in a message, by default.
SHOWN = 5
#: Characters of a value in a message, at most.
LONGEST = 80


def shorten(names: Iterable[str], most: int = SHOWN) -> str:
    """Join the first few names, and count the rest.

    Examples
    --------
    >>> shorten("abcdefg"), shorten("abc", most=2)
    ('a, b, c, d, e and 2 more', 'a, b and 1 more')
    """
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def plural(count: int, noun: str) -> str:
    """Format a count with its noun.

    Examples
    --------
    >>> plural(1, "image"), plural(0, "object")
    ('1 image', '0 objects')
    """
    return f"{count} {noun}" + "s" * (count != 1)


def format_shape(lengths: Iterable[object]) -> str:
    """Join the lengths of a box along its axes.

    Examples
    --------
    >>> format_shape((32, 64, 64))
    '32 x 64 x 64'
    """
    return " x ".join(map(str, lengths))


def format_position(value: float) -> str:
    """Format a position in µm: exact far from the origin too, where a microscope's stage may be.

    Examples
    --------
    >>> format_position(1 / 3), format_position(120_000.25)
    ('0.3333', '120000.25')
    """
    return f"{round(value, 4):.12g}"


def quote(value: object) -> str:
    """Return a value for a message, no longer than a line.

    Examples
    --------
    >>> quote("2,x"), quote("1" * 5000)[-8:]
    ("'2,x'", "1111'...")
    """
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}{text[0]}..."


def normal_name(name: str) -> str:
    r"""Return a name in the one form in which names are compared.

    An accent is part of its letter here; macOS writes it behind its letter in names of files.

    Examples
    --------
    >>> len("e\u0301"), len(normal_name("e\u0301"))
    (2, 1)
    """
    return unicodedata.normalize("NFC", name)


def unknown_name(noun: str, name: object, known: Iterable[str]) -> str:
    """Return the message for an unknown name.

    Examples
    --------
    >>> unknown_name("net", "vgg", ["erfnet", "unet"])
    "no net 'vgg'; there are erfnet, unet"
    """
    return f"no {noun} {quote(name)}; there are {', '.join(known)}"
