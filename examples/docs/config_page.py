"""The reference of `config.json`, generated from the models that validate it."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as limits
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cli_page import code, escaped

START = """\
# Settings

A model is a folder, and `config.json` in it holds every setting. `embedseg plan my_data -o
config.json` writes one to begin with, `--set KEY=VALUE` changes one setting of a command, such as
`--set train.batch=8`, and `embedseg train my_data -o nuclei --config config.json` takes a whole
file. A list is written with commas: `--set train.crop=32,128,128`. Unknown settings and invalid
values are refused, with the place and the reason.

Values marked *from the data* are proposed by `embedseg plan`, with reasons.
"""
#: Settings that the plan always sets.
PLANNED = {
    "ndim",
    "channels",
    "spacing",
    "spacing_known",
    "extent",
    "method",
    "net",
    "train",
    "train.crop",
    "train.batch",
    "train.background",
    "method.unit",
    "method.radius",
    "method.foreground_weight",
    "method.min_object_size",
    "method.max_radius",
    "method.names",
    "method.palette",
    "method.frequencies",
}


def config_page() -> str:
    """Return the page as Markdown."""
    lines = [START]
    for title, prefix, model, note in sections():
        lines += (
            [f"## {title}", "", summary(model), "", note, ""]
            if note
            else [f"## {title}", "", summary(model), ""]
        )
        lines += [*table(model, prefix), ""]
    return "\n".join(lines)


def sections() -> Iterator[tuple[str, str, type[BaseModel], str]]:
    """Yield title, prefix, class and a note of each model of settings."""
    from embedseg.data import PRESETS, Augment, ClassOptions, DataOptions
    from embedseg.images import Absolute, Fixed, Percentile, ZScore
    from embedseg.methods import METHODS
    from embedseg.model import Config
    from embedseg.nets import NETS
    from embedseg.prediction import PredictOptions
    from embedseg.training import TrainOptions

    yield "Configuration", "", Config, ""
    yield "data", "data.", DataOptions, "How the data folder is read."
    yield "data.classes", "", ClassOptions, "One entry for each class; for the semantic method."
    for model in (Percentile, ZScore, Absolute, Fixed):
        name = model.model_fields["type"].default
        yield f"normalize: {name}", "normalize.", model, chosen("normalize", name)
    for name in sorted(METHODS):
        yield f"method: {name}", "method.", METHODS[name], chosen("method", name)
    for name in sorted(NETS):
        yield f"net: {name}", "net.", NETS[name], chosen("net", name)
    yield "train", "train.", TrainOptions, ""
    presets = ", ".join(f"`{name}`" for name in PRESETS)
    yield (
        "train.augment",
        "train.augment.",
        Augment,
        (
            f"`train.augment` is the name of a preset, {presets}, or options one by one; the plan "
            "takes `light`:\n\n" + "\n".join(preset_table(PRESETS))
        ),
    )
    yield "predict", "predict.", PredictOptions, "May be changed after training."


def chosen(part: str, name: str) -> str:
    """Return how one of several types is chosen."""
    if part != "normalize":
        return f"`--{part} {name}` chooses it."
    needed = {
        "absolute": '{"type":"absolute","low":0,"high":255}',
        "fixed": '{"type":"fixed","limits":[[0,255]]}',
    }
    setting = f"'normalize={needed[name]}'" if name in needed else f"normalize.type={name}"
    return f"`--set {setting}` chooses it."


def preset_table(presets: dict[str, Any]) -> Iterator[str]:
    """Yield a table of the presets of augmentation, one row per setting."""
    yield "| | " + " | ".join(presets) + " |"
    yield "| --- |" + " --- |" * len(presets)
    rows = {name: preset.model_dump() for name, preset in presets.items()}
    for field in next(iter(rows.values())):
        cells = (value(row[field]) for row in rows.values())
        yield f"| `{field}` | " + " | ".join(cells) + " |"


def table(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Yield a row for every setting of a model."""
    texts = meanings(model)
    if set(model.model_fields) == {"type"}:
        yield "No settings."
        return
    yield "| setting | default | values | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, field in model.model_fields.items():
        if name == "type":
            continue
        yield (
            f"| `{prefix}{name}` | {default(prefix + name, field)} | {allowed(field)} | "
            f"{prose(texts.get(name, ''))} |"
        )


def default(name: str, field: FieldInfo) -> str:
    """Return the default of a setting as it is written."""
    if name in PLANNED:
        return "*from the data*"
    if field.is_required():
        return "*needed*"
    given = field.get_default(call_default_factory=True)
    if isinstance(given, BaseModel):
        from embedseg.data import PRESETS

        return next((f"`{key}`" for key, preset in PRESETS.items() if preset == given), "see below")
    return value(given)


def value(given: Any) -> str:
    """Return a value as `--set` and config.json write it.

    Examples
    --------
    >>> value(None), value(True), value((0.03, 0.3)), value(0.004)
    ('`null`', '`true`', '`0.03,0.3`', '`0.004`')
    """
    if given is None:
        return "`null`"
    if isinstance(given, bool):
        return f"`{str(given).lower()}`"
    if isinstance(given, tuple):
        return f"`{','.join(map(str, given))}`" if given else "`[]`"
    return code(str(given)) if given != "" else '`""`'


def allowed(field: FieldInfo) -> str:
    """Describe the allowed values of a setting."""
    text = kind(field.annotation)
    ends = [limit for bound in field.metadata if (limit := bounds(bound))]
    return text + (f", {' and '.join(ends)}" if ends else "")


def bounds(bound: Any) -> str:
    """Describe a limit; empty for other metadata."""
    signs = {
        limits.Ge: ("≥", "ge"),
        limits.Gt: ("\\>", "gt"),
        limits.Le: ("≤", "le"),
        limits.Lt: ("&lt;", "lt"),
    }
    for known, (sign, name) in signs.items():
        if isinstance(bound, known):
            return f"{sign} {getattr(bound, name):g}"
    return ""


def kind(annotation: Any) -> str:
    """Describe a type.

    Examples
    --------
    >>> kind(float | None), kind(tuple[int, ...]), kind(Literal["a", "b"])
    ('number or null', 'list of integers', '`a`, `b`')
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(args[0])
    if origin is Literal:
        return ", ".join(code(str(arg)) for arg in args)
    if origin in (UnionType, Union):
        return " or ".join(dict.fromkeys(map(kind, args)))
    if origin is tuple:
        inner = kind(args[0])
        return f"list of {inner}s" if inner in ("integer", "number", "text") else "list"
    names = {
        int: "integer",
        float: "number",
        bool: "`true`, `false`",
        str: "text",
        type(None): "null",
    }
    return names.get(annotation, "options")


# -- docstrings ------------------------------------------------------------------------------------
def summary(model: type[BaseModel]) -> str:
    """Return the first paragraph of a docstring."""
    return prose(inspect.getdoc(model).split("\n\n")[0])  # type: ignore[union-attr]


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return the texts of the section Attributes of a docstring and of those of base classes.

    Examples
    --------
    >>> from embedseg.images.normalize import Percentile
    >>> meanings(Percentile)["high"]
    'Percentiles, 0 to 100.'
    """
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base.__doc__:
            found |= {
                name: text
                for name, text in attributes(inspect.cleandoc(base.__doc__))
                if not (name in found and text.startswith("See `"))
            }
    return {name: elsewhere(name, text) for name, text in found.items()}


def elsewhere(name: str, text: str) -> str:
    """Return the text of another class, where a meaning is "As in `package.module.Class`"."""
    named = re.fullmatch(r"As in `([\w.]+)\.(\w+)`\.", text)
    if not named:
        return text
    return meanings(getattr(import_module(named[1]), named[2]))[name]


def attributes(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield names and meanings from the section Attributes of a numpydoc docstring."""
    section = re.search(
        r"^Attributes\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", docstring, re.MULTILINE | re.DOTALL
    )
    if not section:
        return
    for entry in re.split(r"\n(?=\S)", section[1].strip()):
        head, _, body = entry.partition("\n")
        for name in head.partition(" : ")[0].split(","):
            yield name.strip(), " ".join(textwrap.dedent(body).split())


def prose(text: str) -> str:
    """Return text of a docstring as one line of Markdown; code stays code."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else escaped(part) for part in parts)
