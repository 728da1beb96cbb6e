"""Every number that a command takes has bounds, and absurd ones are refused before any work."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import pytest
from pydantic import BaseModel
from typer.models import OptionInfo

from commands import Run
from embedseg.cli.app import COMMANDS, app
from embedseg.data import DataOptions
from embedseg.export import MeshOptions
from embedseg.labels import CleanOptions
from embedseg.training import TrainOptions

#: Required arguments of each command.
REQUIRED: dict[str, list[str]] = {
    "demo": ["-o", "OUT"],
    "check": ["DATA"],
    "plan": ["DATA"],
    "train": ["DATA", "-o", "OUT"],
    "tune": ["MODEL", "DATA"],
    "evaluate": ["MODEL", "DATA"],
    "predict": ["MODEL", "IMAGES", "-o", "OUT"],
    "track": ["MASK", "-o", "OUT.tif"],
    "convert": ["MASK", "-o", "OUT.csv"],
    "score": ["MASKS", "MASKS"],
    "info": ["MODEL"],
    "ensemble": ["MODEL,MODEL", "-o", "OUT"],
    "benchmark": ["DATA", "-o", "OUT"],
    "stack": ["IMAGES", "-o", "OUT", "--model", "MODEL"],
    "mesh": ["MASK", "-o", "OUT.stl"],
    "export": ["MODEL", "-o", "OUT.onnx"],
    "import": ["OUT.zip", "-o", "OUT"],
}
#: Options whose text holds numbers, and those whose text holds none. --set is tested by fields.
NUMBERS = {"--block", "--halo", "--label", "--memory", "--shape", "--spacing", "--time-limit"}
WORDS = {
    *("--also", "--authors", "--axes", "--channel", "--classes", "--description", "--device"),
    *("--license", "--masks", "--mesh-format", "--method", "--methods", "--name", "--net"),
    *("--nets", "--pieces", "--preset", "--presets", "--scheduler", "--set", "--split", "--to"),
}
ABSURD = ["-1000000000000000000", "1000000000000000000", "1e30", "nan", "inf", "1" * 5000]
#: Numbers that stand for no work: values of masks, sizes of objects, seeds.
LARGE = {"--ignore-label", "--min-size", "--seed"}


class Option(NamedTuple):
    command: str
    name: str
    kind: type
    least: float | None
    most: float | None


def types_in(annotation: Any) -> Iterator[Any]:
    """Yield a type and those in it: int of `int | None` and of `list[int]`."""
    yield annotation
    for each in get_args(annotation):
        yield from types_in(each)


def options() -> Iterator[Option]:
    for command in app.registered_commands:
        function = inspect.unwrap(command.callback)
        for hint in get_type_hints(function, include_extras=True).values():
            for info in getattr(hint, "__metadata__", ()):
                if isinstance(info, OptionInfo):
                    kinds = set(types_in(hint.__origin__))
                    kind = next((k for k in (int, float, str) if k in kinds), object)
                    # Of an annotation, the first name stands where a default would.
                    names = [str(each) for each in (info.default, *(info.param_decls or ()))]
                    name = next(each for each in names if each.startswith("--"))
                    yield Option(str(command.name), name, kind, info.min, info.max)


ALL = list(options())
NUMERIC = [each for each in ALL if each.kind in (int, float) or each.name in NUMBERS]
# Of benchmark it is a list; elsewhere a number.
NUMERIC += [each for each in ALL if each[:3] == ("benchmark", "--ndim", str)]


def test_every_command_and_option_is_known_here() -> None:
    """A new option with text must be named here, under what it holds."""
    assert set(REQUIRED) == set(COMMANDS) == {each.command for each in ALL}
    texts = {each.name for each in ALL if each.kind is str and each not in NUMERIC}
    assert texts == WORDS


def test_every_number_has_bounds() -> None:
    for each in ALL:
        if each.kind in (int, float):
            assert each.least is not None and each.most is not None, each
            assert math.isfinite(each.least) and math.isfinite(each.most), each
            assert each.most <= 10**6 or each.name in LARGE, each


@pytest.mark.parametrize("option", NUMERIC, ids=lambda each: f"{each.command} {each.name}")
def test_absurd_numbers_are_refused_before_any_work(
    option: Option, data: Path, model: Path, tmp_path: Path, run: Run
) -> None:
    images, masks = data / "test/images", data / "test/masks"
    places = {"MASKS": masks, "IMAGES": images, "MASK": min(masks.iterdir())}
    places |= {"DATA": data, "MODEL": model, "OUT": tmp_path / "out"}

    def placed(text: str) -> str:
        for name, place in places.items():
            text = text.replace(name, str(place))
        return text

    required = [placed(text) for text in REQUIRED[option.command]]
    for value in ABSURD:
        begun = time.perf_counter()
        done = run(option.command, *required, f"{option.name}={value}")
        assert (done.code, done.out) == (2, ""), (value, done.err)
        assert option.name in done.last and value[:50] in done.last, done.last
        assert time.perf_counter() - begun < 10, value
        assert len(done.last) < 500
        assert not any(tmp_path.iterdir()), value


@pytest.mark.parametrize(
    ("command", "name", "options", "field"),
    [
        ("mesh", "--step", MeshOptions, "step"),
        ("mesh", "--smooth", MeshOptions, "smooth"),
        ("stack", "--smooth", MeshOptions, "smooth"),
        ("convert", "--min-size", CleanOptions, "min_size"),
        ("check", "--ignore-label", DataOptions, "ignore_label"),
        ("train", "--epochs", TrainOptions, "epochs"),
        ("train", "--seed", TrainOptions, "seed"),
    ],
)
def test_an_option_has_the_bounds_of_its_field(
    command: str, name: str, options: type[BaseModel], field: str
) -> None:
    option = next(each for each in ALL if each[:2] == (command, name))
    schema: dict[str, Any] = options.model_json_schema()["properties"][field]
    schema = next((part for part in schema.get("anyOf", ()) if "minimum" in part), schema)
    most = schema["maximum"] if "maximum" in schema else schema["exclusiveMaximum"] - 1
    assert (option.least, option.most) == (schema["minimum"], most)


def test_options_without_a_value_are_refused(data: Path, run: Run) -> None:
    for empty in ("", " ", ","):
        done = run("plan", data, f"--method={empty}")
        assert done.code == 2
        assert "--method" in done.last and "holds no value" in done.last
