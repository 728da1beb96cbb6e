"""The methods by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedseg.common import Registry
from embedseg.types import UsageError

if TYPE_CHECKING:
    from embedseg.methods.base import Method

#: A further method is one file and one line here; in another package, an entry point of the group
#: `embedseg.methods`; in a notebook, `METHODS["my-method"] = "__main__:MyMethod"`.
METHODS: Registry[type[Method]] = Registry(
    "method",
    "embedseg.methods",
    {
        "affinity": "embedseg.methods.affinity:Affinity",
        "boundary": "embedseg.methods.boundary:Boundary",
        "embedding": "embedseg.methods.embedding:Embedding",
        "semantic": "embedseg.methods.semantic:Semantic",
    },
)


def as_method(value: Any) -> Method:
    """Return a method from its options, as read from a file, or itself.

    Raises
    ------
    UsageError
        If the value is not a mapping that names a known method under "type".

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
    return METHODS[value["type"]].model_validate(value)
