"""Models and packages of models, broken and odd."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpus.case import Case, Expected, prints, writes

CONFIG, WEIGHTS = "config.json", "weights.safetensors"

#: Every command that reads a model.
READING = (
    "info IN/m",
    "predict IN/m VOLUME -o OUT/labels --planes --device cpu",
    "evaluate IN/m DATA --device cpu",
    "tune IN/m DATA --device cpu",
    "export IN/m -o OUT/m.onnx",
    "ensemble IN/m,MODEL -o OUT/both",
    "stack VOLUME -o OUT/stack --model IN/m --device cpu",
)
#: `info` shows the settings; the weights it only counts.
LOADING = READING[1:]

Change = Callable[[Path], object]


def broken(change: Change, refused: str, lines: tuple[str, ...] = READING) -> Broken:
    return Broken(change, dict.fromkeys(lines, refused))


class Broken:
    """A change of a copy of a model, and what is expected of commands."""

    def __init__(self, change: Change, commands: dict[str, Expected]) -> None:
        self.change, self.commands = change, commands

    def case(self, model: Path) -> Case:
        def make(folder: Path) -> None:
            shutil.copytree(model, folder / "m")
            self.change(folder / "m")

        return Case(make, self.commands)


def without(name: str) -> Change:
    return lambda model: (model / name).unlink()


def text(name: str, value: str) -> Change:
    return lambda model: (model / name).write_text(value, encoding="utf-8")


def members(listed: Any) -> Change:
    """Return what makes the model an ensemble: of names and weights, or of a text."""
    if not isinstance(listed, str):
        listed = json.dumps([{"name": name, "weight": weight} for name, weight in listed])
    return text("ensemble.json", listed)


def setting(*keys: str, value: Any) -> Change:
    """Return what changes a setting in the configuration."""

    def change(model: Path) -> None:
        config = json.loads((model / CONFIG).read_text(encoding="utf-8"))
        inner = config
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        text(CONFIG, json.dumps(config))(model)

    return change


def flip(place: float) -> Change:
    def change(model: Path) -> None:
        data = bytearray((model / WEIGHTS).read_bytes())
        data[int(place * len(data))] ^= 0xFF
        (model / WEIGHTS).write_bytes(bytes(data))

    return change


def tensors(alter: Callable[[dict[str, Any]], object]) -> Change:
    def change(model: Path) -> None:
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        held = load_file(model / WEIGHTS)
        with safe_open(model / WEIGHTS, "pt") as file:
            metadata = file.metadata()
        alter(held)
        save_file(held, model / WEIGHTS, metadata)

    return change


def fill_nan(held: dict[str, Any]) -> None:
    for value in held.values():
        if value.is_floating_point():
            value.fill_(float("nan"))


def drop_one(held: dict[str, Any]) -> None:
    del held[sorted(held)[0]]


def wrong_shape(held: dict[str, Any]) -> None:
    name = max(held, key=lambda each: held[each].ndim)
    held[name] = held[name][:1].contiguous()


class Harm:
    """An object whose pickle would make a file when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harmed",)


def to_pickle(model: Path) -> None:
    (model / WEIGHTS).write_bytes(pickle.dumps(Harm()))


def emptied(model: Path) -> None:
    shutil.rmtree(model)
    model.mkdir()


def truncate_weights(model: Path) -> None:
    (model / WEIGHTS).write_bytes((model / WEIGHTS).read_bytes()[:5000])


MODELS: dict[str, Broken] = {
    "no folder": broken(shutil.rmtree, "m: no model|m' does not exist"),
    "an empty folder": broken(emptied, "m: no model"),
    "no configuration": broken(without(CONFIG), "m: no model"),
    "no weights": broken(without(WEIGHTS), "weights", LOADING),
    "an empty configuration": broken(text(CONFIG, ""), CONFIG),
    "bad JSON": broken(text(CONFIG, '{"net": '), CONFIG),
    "deep JSON": broken(text(CONFIG, "[" * 100_000), CONFIG),
    "a list as configuration": broken(text(CONFIG, "[]"), CONFIG),
    "no method": broken(setting("method", value=None), CONFIG),
    "an unknown net": broken(setting("net", "type", value="newnet"), "newnet", LOADING),
    "a setting of another version": broken(setting("net", "sparkle", value=1), "sparkle", LOADING),
    "text as a number": broken(setting("net", "width", value="wide"), "width", LOADING),
    "another width": broken(
        setting("net", "width", value=16), "m: the weights do not fit", LOADING
    ),
    "empty weights": broken(text(WEIGHTS, ""), WEIGHTS, LOADING),
    "truncated weights": broken(truncate_weights, WEIGHTS, LOADING),
    "a byte flipped in the header": broken(flip(0.0), WEIGHTS, LOADING),
    "NaN as weights": broken(tensors(fill_nan), WEIGHTS, LOADING),
    "a tensor missing": broken(tensors(drop_one), WEIGHTS, LOADING),
    "a tensor of another shape": broken(tensors(wrong_shape), WEIGHTS, LOADING),
    "a pickle as weights": broken(to_pickle, WEIGHTS, LOADING),
    "a bad list of members": broken(members("{"), "ensemble.json: no readable ensemble"),
    "members that lead out": broken(members([["../../m", 1]]), "ensemble.json: .*lies outside"),
    "a member above": broken(members([["..", 1]]), "ensemble.json: .*lies outside"),
    "a member that is missing": broken(members([["a", 1]]), "members/a: a member .* is missing"),
    "a member of negative weight": broken(members([["a", -1]]), "ensemble.json: weights"),
    "members without weight": broken(members([["a", 0], ["b", 0]]), "ensemble.json: weights"),
    "a member of weight NaN": broken(members([["a", float("nan")]]), "ensemble.json: weights"),
    "bad trials": Broken(text("tuning.json", "{"), {"info IN/m": prints("embedding")}),
    "a bad history": broken(text("history.csv", "a,b\n1\n"), "history.csv", ("info IN/m",)),
}


# -- packages --------------------------------------------------------------------------------------
Members = dict[str, bytes]


class Package:
    """A change of the members of a package, or of its bytes."""

    def __init__(
        self,
        expected: Expected,
        change: Callable[[Members], object] | None = None,
        after: Change | None = None,
    ) -> None:
        self.expected, self.change, self.after = expected, change, after

    def case(self, model: Path) -> Case:
        def make(folder: Path) -> None:
            write_package(model, folder / "m.zip", self.change)
            if self.after:
                self.after(folder / "m.zip")

        return Case(make, {"import IN/m.zip -o OUT/model": self.expected})


def write_package(
    model: Path, path: Path, change: Callable[[Members], object] | None = None
) -> None:
    """Write a package of a model, with other members."""
    members = {
        "bioimageio.yaml": b"name: a\n",
        **{name: (model / name).read_bytes() for name in (CONFIG, WEIGHTS)},
    }
    if change:
        change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)


def adding(name: str) -> Callable[[Members], object]:
    return lambda members: members.update({name: b"text"})


def removing(name: str) -> Callable[[Members], object]:
    return lambda members: members.pop(name)


def replacing(name: str, data: bytes) -> Callable[[Members], object]:
    return lambda members: members.update({name: data})


def add_link(path: Path) -> None:
    """Add a link that leads out of the package, in place of its weights."""
    with zipfile.ZipFile(path) as file:
        held = {name: file.read(name) for name in file.namelist() if name != WEIGHTS}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in held.items():
            file.writestr(name, data)
        link = zipfile.ZipInfo(WEIGHTS)
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/hostname")


def crop(share: float) -> Change:
    def change(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return change


def flip_in(name: str) -> Change:
    """Return what changes 20 bytes in the middle of the compressed bytes of a member."""

    def change(path: Path) -> None:
        with zipfile.ZipFile(path) as file:
            found = file.getinfo(name)
        data = bytearray(path.read_bytes())
        middle = found.header_offset + 30 + len(name) + found.compress_size // 2
        for i in range(middle, middle + 20):
            data[i] ^= 0xFF
        path.write_bytes(bytes(data))

    return change


PACKAGES: dict[str, Package] = {
    "whole": Package(writes(f"model/{CONFIG}", f"model/{WEIGHTS}")),
    "a path that leads out": Package("m.zip: holds", adding("../out.txt")),
    "an absolute path": Package("m.zip: holds", adding("/out.txt")),
    "a path of Windows": Package("m.zip: holds", adding("..\\out.txt")),
    "a drive of Windows": Package("m.zip: holds", adding("C:out.txt")),
    "a link as weights": Package("m.zip|weights", after=add_link),
    "a large file of zeros": Package(
        writes(f"model/{WEIGHTS}"), replacing("zeros.bin", bytes(50_000_000))
    ),
    "zeros as weights": Package("m.zip", replacing(WEIGHTS, bytes(20_000_000))),
    "truncated": Package("m.zip: corrupt", after=crop(0.7)),
    "a byte": Package("m.zip: corrupt", after=crop(0.00001)),
    "flipped bytes in the weights": Package("m.zip: corrupt", after=flip_in(WEIGHTS)),
    "flipped bytes in the configuration": Package("m.zip: corrupt", after=flip_in(CONFIG)),
    "text": Package("m.zip: corrupt", after=lambda path: path.write_text("text")),
    "empty": Package("m.zip: corrupt", after=lambda path: path.write_bytes(b"")),
    "no description": Package("m.zip: no package", removing("bioimageio.yaml")),
    "no weights": Package("m.zip: not made by", removing(WEIGHTS)),
    "bad JSON": Package("m.zip", replacing(CONFIG, b"{")),
    "deep JSON": Package("m.zip", replacing(CONFIG, b"[" * 100_000)),
    "a pickle as weights": Package("m.zip", replacing(WEIGHTS, pickle.dumps(Harm()))),
    "a folder": Package("m.zip: ", after=lambda path: (path.unlink(), path.mkdir())),
    "missing": Package("m.zip: no such", after=Path.unlink),
}
