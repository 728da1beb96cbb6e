"""Broken and odd inputs: what a case is, how its commands run, and what holds after each."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shlex
import signal
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from commands import Result, Run

#: Longest time of a command, s.
LIMIT = 60
#: Names that only a command at work may have: an unfinished file or folder, a new model, a lock.
AT_WORK = re.compile(r"\.part$|^\.aside$|^\.next$|^\.lock$")

#: Checks the output folder and what was printed of a command that succeeded.
Check = Callable[[Path, Result], object]
#: Pattern of the message of a command that is refused, or the check of one that succeeds.
Expected = str | Check


class Case(NamedTuple):
    """An input, and the commands that read it.

    Attributes
    ----------
    make : callable
        Fills the empty folder that it gets.
    commands : mapping
        Command lines, and what is expected of each. `IN` and `OUT` are the folders of the input
        and of the output, `MODEL` a model, `DATA` a data folder and `VOLUME` a label volume.
    """

    make: Callable[[Path], object]
    commands: Mapping[str, Expected]


class File(NamedTuple):
    """One file that holds an image or labels, for all commands that read such files.

    Attributes
    ----------
    make : callable
        Writes the file at the path that it gets.
    labels : ndarray, optional
        The labels that the file holds; None if it is refused as labels.
    image : tuple of int, optional
        Shape of the image in space; None if it is refused as an image.
    refused : str
        Pattern of the message of each refusal.
    name : str
        Name of the file.
    solid : ndarray, optional
        The labels that `mesh` reads, which needs no axes; default: `labels`.
    """

    make: Callable[[Path], object]
    labels: NDArray[Any] | None
    image: tuple[int, ...] | None
    refused: str = ""
    name: str = "odd.tif"
    solid: NDArray[Any] | None = None


# -- commands over a file --------------------------------------------------------------------------
def file_case(file: File) -> Case:
    """Return the case of a file as an image, as labels, and as both in a data folder."""
    image, mask = (f"IN/train/{kind}/{file.name}" for kind in ("images", "masks"))

    def make(folder: Path) -> None:
        for part in ("train/images", "train/masks", "val/images", "val/masks"):
            (folder / part).mkdir(parents=True)
            file.make(folder / part / file.name)
        if labels is None:
            return
        # A mask that equals its image is refused, so here is another image.
        for part in ("pairs/train", "pairs/val"):
            for kind in ("images", "masks"):
                (folder / part / kind).mkdir(parents=True)
            file.make(folder / part / "masks" / file.name)
            image = np.random.default_rng(0).integers(0, 255, labels.shape).astype(np.uint8)
            tifffile.imwrite(
                folder / part / "images" / Path(file.name).with_suffix(".tif").name,
                image,
                photometric="minisblack",
                metadata={"axes": "TZYX"[-labels.ndim :]},
            )

    refused, named = naming(file.name, file.refused), re.escape(file.name)
    labels, shape = file.labels, file.image
    solid = labels if file.solid is None else file.solid
    read: Expected = refused if labels is None else same_labels(labels)
    scored: Expected = refused if labels is None else counts(labels)
    found: Expected = refused if shape is None else found_in(shape)
    flat = shape is not None and len(shape) == 2
    same = labels is not None and labels.shape == shape
    both = same and flat
    data = "IN" if labels is None else "IN/pairs"
    return Case(
        make,
        {
            f"convert '{mask}' -o OUT/read.tif": read,
            "score IN/train/masks IN/train/masks --json": scored,
            f"predict MODEL '{image}' -o OUT/labels --device cpu": found
            if flat or not shape
            else named,
            f"predict MODEL '{image}' -o OUT/labels.zarr --block 32,32 --device cpu": found
            if flat or not shape
            else named,
            f"mesh '{mask}' -o OUT/mesh.stl --json": meshed(solid)
            if solid is not None and solid.ndim == 3
            else named,
            # A mask of several pieces with one value is refused: it tells no objects apart.
            f"check {data}": checked
            if labels is not None and labels.dtype != bool and labels.any()
            else named,
            f"evaluate MODEL {data} --split train --json --device cpu": counts(labels)
            if both
            else named,
        },
    )


def naming(name: str, reason: str) -> str:
    """Return a pattern of messages that name a file and give a reason."""
    return f"(?s)(?=.*{re.escape(name)}).*(?:{reason})"


# -- checks of results -----------------------------------------------------------------------------
def same_labels(labels: NDArray[Any], name: str = "read.tif") -> Check:
    def check(out: Path, _: Result) -> None:
        found = tifffile.imread(out / name)
        assert found.shape == labels.shape
        assert np.array_equal(found, labels)

    return check


def counts(labels: NDArray[Any]) -> Check:
    number = len(np.unique(labels[labels > 0]))

    def check(_: Path, result: Result) -> None:
        assert json.loads(result.out)["n_true"] == number

    return check


def found_in(shape: tuple[int, ...]) -> Check:
    def check(out: Path, _: Result) -> None:
        files = list(out.glob("labels/*.tif"))
        if files:
            assert tifffile.imread(files[0]).shape == shape
        else:
            import zarr

            assert zarr.open_array(out / "labels.zarr/0", mode="r").shape == shape

    return check


def meshed(labels: NDArray[Any]) -> Check:
    number = len(np.unique(labels[labels > 0]))

    def check(out: Path, _: Result) -> None:
        rows = list(csv.DictReader((out / "mesh.csv").read_text(encoding="utf-8").splitlines()))
        assert len(rows) == number

    return check


def checked(_: Path, result: Result) -> None:
    assert "ready for training" in result.out


def prints(pattern: str) -> Check:
    def check(_: Path, result: Result) -> None:
        assert re.search(pattern, result.out + result.err), result

    return check


def writes(*names: str) -> Check:
    def check(out: Path, _: Result) -> None:
        for name in names:
            assert (out / name).exists(), name

    return check


# -- running ---------------------------------------------------------------------------------------
@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Interrupt what takes too long."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


def arguments(line: str, places: Mapping[str, Path]) -> list[str]:
    """Return the arguments of a command line, with paths in place of their names."""
    found = []
    for word in shlex.split(line):
        for name, path in places.items():
            word = re.sub(rf"(?<![A-Za-z]){name}(?![A-Za-z])", lambda _, path=path: str(path), word)
        found.append(word)
    return found


def check_command(run: Run, line: str, expected: Expected, places: Mapping[str, Path]) -> None:
    """Run a command, and check what holds of every command, and the result."""
    before = snapshot(places["IN"])
    with time_limit(LIMIT):
        result = run(*arguments(line, places))
    shown = f"{line}\n{result.code}\n{result.out}\n{result.err}"
    assert snapshot(places["IN"]) == before, f"the input changed: {shown}"
    check_error(result, shown)
    out = places["OUT"]
    assert not at_work(out), f"something unfinished is left: {shown}"
    if callable(expected):
        assert result.code == 0, shown
        check_readable(out)
        expected(out, result)
        return
    assert result.code, f"not refused: {shown}"
    assert re.search(expected, result.out + result.err), shown
    # A report lists the images that failed, but there is none if the request is wrong.
    allowed = {"labels", "labels/report.html"} if result.code == 1 else set()
    assert not {*snapshot(out)} - allowed, f"{[*snapshot(out)]} written: {shown}"
    check_readable(out)


def check_error(result: Result, shown: str) -> None:
    """Check the exit code, and that an error is one that was foreseen."""
    assert result.code in (0, 1, 2), shown
    assert "Traceback" not in result.err and "not foreseen" not in result.err, shown
    if result.code:
        assert re.match("error: .|Error: .", result.last, re.IGNORECASE), shown


def snapshot(folder: Path) -> dict[str, str]:
    """Return all that a folder holds: a digest of each file, the target of each link."""
    found = {}
    for path in (
        Path(at) / name for at, *names in os.walk(folder) for each in names for name in each
    ):
        if path.is_symlink():
            state = f"link to {os.readlink(path)}"
        elif path.is_dir():
            state = "folder"
        else:
            state = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = state
    return found


def at_work(folder: Path) -> list[str]:
    """Return what a command that has ended may not leave."""
    return [path for path in snapshot(folder) if AT_WORK.search(Path(path).name)]


# -- whole files -----------------------------------------------------------------------------------
def check_readable(folder: Path) -> None:
    """Check that each file of a folder is whole, as far as its suffix is known; hidden aside."""
    for path in folder.rglob("*"):
        if any(part.startswith(".") for part in path.relative_to(folder).parts[:-1]):
            continue
        if path.name in ("zarr.json", ".zarray") and path.parent.is_dir():
            read_array(path)
        elif path.is_file() and path.suffix.lower() in WHOLE:
            WHOLE[path.suffix.lower()](path)


def read_array(path: Path) -> None:
    import zarr

    if path.name == ".zarray" or json.loads(path.read_text())["node_type"] == "array":
        np.asarray(zarr.open_array(path.parent, mode="r")[...])


def _page(path: Path) -> None:
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>"), path


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None


def _weights(path: Path) -> None:
    from safetensors.numpy import load_file

    assert load_file(path)


def _stl(path: Path) -> None:
    data = path.read_bytes()
    assert len(data) == 84 + 50 * int.from_bytes(data[80:84], "little"), path


def _png(path: Path) -> None:
    from imagecodecs import png_decode

    assert png_decode(path.read_bytes()).size


def _table(path: Path) -> None:
    header, *rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert all(len(row) == len(header) for row in rows), path


def _checkpoint(path: Path) -> None:
    import torch

    assert torch.load(path, map_location="cpu", weights_only=True)


#: Readers of whole files by suffix.
WHOLE: dict[str, Callable[[Path], object]] = {
    ".tif": tifffile.imread,
    ".png": _png,
    ".csv": _table,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".geojson": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".html": _page,
    ".zip": _zip,
    ".safetensors": _weights,
    ".ckpt": _checkpoint,
    ".stl": _stl,
}
