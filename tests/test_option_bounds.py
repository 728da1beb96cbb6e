"""Every numeric field of the options has a least and a greatest value."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

import embedseg
from embedseg.methods import METHODS
from embedseg.model import Config
from embedseg.model.config import parse_config
from embedseg.nets import NETS
from embedseg.types import UsageError

for _found in pkgutil.walk_packages(embedseg.__path__, "embedseg."):
    if "napari" not in _found.name and "__main__" not in _found.name:
        importlib.import_module(_found.name)


def subclasses(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("embedseg."):
            yield each
        yield from subclasses(each)


MODELS = sorted(set(subclasses(BaseModel)), key=lambda each: each.__name__)


def numbers(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the parts of a JSON schema that are numbers, but not those of other models."""
    if isinstance(schema, list):
        for each in schema:
            yield from numbers(each)
    elif isinstance(schema, dict):
        if schema.get("type") in ("number", "integer") and not {"const", "enum"} & set(schema):
            yield schema
        for key, each in schema.items():
            if key != "default":
                yield from numbers(each)


def bounds(schema: dict[str, Any]) -> tuple[float, float]:
    least = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
    return least, schema.get("maximum", schema.get("exclusiveMaximum", math.inf))


@pytest.mark.parametrize("model", MODELS, ids=lambda each: each.__name__)
def test_every_number_has_bounds(model: type[BaseModel]) -> None:
    assert model.model_config.get("frozen") and model.model_config.get("extra") == "forbid"
    for name, field in model.model_json_schema().get("properties", {}).items():
        for each in numbers(field):
            assert all(map(math.isfinite, bounds(each))), f"{model.__name__}.{name}: {each}"


def leaves(model: BaseModel, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all options with numbers."""
    fields = type(model).model_json_schema()["properties"]
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{prefix}{name}.")
        elif any(numbers(fields[name])):
            yield prefix + name


def config(method: str, net: str) -> Config:
    ndim = 3 if net == "unet2d3d" else 2
    tree = {
        "ndim": ndim,
        "spacing": (1.0,) * ndim,
        "method": {"type": method},
        "net": {"type": net},
        "train": {"crop": (32,) * ndim},
    }
    if method == "semantic":
        tree["data"] = {"classes": "0=0,1=1"}
        tree["method"] |= {"names": ("0", "1"), "palette": ("#303030", "#e69f00")}
    return parse_config(tree)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e300", "-1e300", "1" + "0" * 400])
@pytest.mark.parametrize(
    ("method", "net"),
    [*((name, "unet") for name in METHODS), *(("embedding", name) for name in NETS)],
)
def test_absurd_values_of_settings_are_refused_by_name(method: str, net: str, value: str) -> None:
    made = config(method, net)
    names = list(leaves(made))
    assert len(names) > 40
    for name in names:
        # Of data.val, a list names images.
        for text in (value, f"{value},{value}")[: 1 if name == "data.val" else 2]:
            with pytest.raises(UsageError, match=name.replace(".", r"\.(percentile\.)?")):
                made.changed({name: text})
