"""The methods by name.

A fourth method is one file and one line in `METHODS`, or an entry point of the group
`embedseg.methods` in another package. Classes are imported when asked for.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from embedseg.types import UsageError

if TYPE_CHECKING:
    from embedseg.methods.base import Method

METHODS = {
    "boundary": "embedseg.methods.boundary:Boundary",
    "embedding": "embedseg.methods.embedding:Embedding",
    "semantic": "embedseg.methods.semantic:Semantic",
}


def method_class(name: str) -> type[Method]:
    """Return the class of a method by its name.

    Raises
    ------
    UsageError
        If there is no such method; the message lists the known ones.

    Examples
    --------
    >>> method_class("embedding").__name__
    'Embedding'
    """
    targets = {e.name: e.value for e in entry_points(group="embedseg.methods")} | METHODS
    if name not in targets:
        raise UsageError(f"no method {name!r}; there are {', '.join(sorted(targets))}")
    module, _, attribute = targets[name].partition(":")
    found: type[Method] = getattr(import_module(module), attribute)
    return found


def as_method(value: Any) -> Method:
    """Return a method from its options, as read from a file, or itself.

    Examples
    --------
    >>> as_method({"type": "embedding", "unit": 20.0, "radius": 5.0}).seed_threshold
    0.9
    """
    from embedseg.methods.base import Method

    if isinstance(value, Method):
        return value
    if not isinstance(value, dict) or "type" not in value:
        raise UsageError(f"a method is a mapping with its name under 'type', not {value!r}")
    return method_class(value["type"]).model_validate(value)
