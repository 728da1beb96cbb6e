"""Numbers in the text of options, and their bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from embedseg.common import quote

T = TypeVar("T")

#: Greatest length along an axis, pixels.
LARGEST_LENGTH = 2**20


def parse_whole(
    option: str, text: str | None, example: str, *, least: int = 1, most: int = LARGEST_LENGTH
) -> tuple[int, ...] | None:
    """Parse a comma-separated list of whole numbers.

    Examples
    --------
    >>> parse_whole("--halo", "0,16,16", "8,32,32", least=0)
    (0, 16, 16)
    """
    from embedseg.types import UsageError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    # Python reads no more than some thousand digits.
    if not all(part.isdecimal() and len(part) < 20 for part in parts) or not all(
        least <= int(part) <= most for part in parts
    ):
        raise UsageError(
            f"{option} {quote(text)}: expected whole numbers such as {example}, {least} to {most}"
        )
    return tuple(map(int, parts))


def parse_as(option: str, text: str, parse: Callable[[str], T]) -> T:
    """Parse the text of an option; errors name it.

    Raises
    ------
    UsageError
        If the text is not of the kind.

    Examples
    --------
    >>> from embedseg.model import parse_memory
    >>> parse_as("--memory", "4GB", parse_memory)
    4000000000.0
    """
    from embedseg.types import UsageError

    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{option} {error}") from None
