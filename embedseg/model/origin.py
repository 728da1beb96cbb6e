"""The model and settings that make labels, as their files keep them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from embedseg.model.predictor import Predictor

#: A request that is no default, though it is 0.
LEVEL_0 = ("level", 0)
#: Options of prediction on which labels do not depend.
WITHOUT_EFFECT = {"tile", "memory", "any_spacing"}


def origin_of(predictor: Predictor, **request: Any) -> dict[str, Any]:
    """Return all of a model and a request on which labels depend, by name; see `read_origin`.

    Parameters
    ----------
    predictor : Predictor
        With the options that it decodes with.
    **request
        Options of how an image is read and segmented; those that are not set are left out. `tta`
        and `planes` stand for those of the model.

    Examples
    --------
    >>> origin_of(predictor, spacing=(2.0, 0.5, 0.5), frames=False)  # doctest: +SKIP
    {'weights': '3f0c...', 'method.type': 'embedding', ..., 'spacing': (2.0, 0.5, 0.5)}
    """
    config = predictor.config
    options = config.model_dump(
        mode="json",
        include={"spacing", "spacing_known", "normalize", "method", "predict"},
        exclude={"predict": WITHOUT_EFFECT},
    )
    for name in ("tta", "planes"):
        options["predict"][name] |= bool(request.pop(name, None))
    parts = {f"model.{key}": options.pop(key) for key in ("spacing", "spacing_known")}
    weights = [member.weight for member in predictor.members]
    return {
        # That of an ensemble is as long as it has members.
        "weights": hashlib.sha256(predictor.fingerprint().encode()).hexdigest(),
        **({"members": weights} if weights else {}),
        **parts,
        **dict(_flat(options)),
        "classes": [each.model_dump(mode="json") for each in config.data.classes or ()],
        # Level 0 is a choice; without one, the level that fits is read.
        **{name: value for name, value in request.items() if value or (name, value) == LEVEL_0},
    }


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield options by their dotted names."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
