"""What commands write: nothing over an existing file unasked, nothing over an input ever."""

from __future__ import annotations

import errno
import inspect
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import tifffile

from commands import TINY, Run
from embedseg.cli.app import app
from embedseg.images import add_pyramid, create_labels, open_array, read_image, write_tiff

#: Every parameter of a command that holds a path: "file" and "folder" are written, "input" is read.
PATHS = {
    "benchmark": {"data": "input", "output": "folder", "plot": "file"},
    "check": {"data": "input", "plot": "file"},
    "convert": {
        "source": "input",
        "output": "file",
        "image": "input",
        "like": "input",
        "plot": "file",
    },
    "demo": {"output": "folder"},
    "ensemble": {"output": "folder", "data": "input"},
    "evaluate": {
        "model": "input",
        "data": "input",
        "csv": "file",
        "plot": "file",
        "report": "file",
    },
    "export": {"model": "input", "output": "file", "data": "input"},
    "import": {"package": "input", "output": "folder"},
    "info": {"model": "input", "plot": "file"},
    "mesh": {"labels": "input", "output": "file", "preview": "file"},
    "plan": {"data": "input", "output": "file", "start": "input", "plot": "file"},
    # Its inputs may be patterns, so they are text; --also, --maps, --plot, --pieces name no paths.
    "predict": {"model": "input", "output": "folder"},
    "score": {"truth": "input", "predicted": "input", "csv": "file", "plot": "file"},
    "stack": {"source": "input", "output": "folder", "model": "input"},
    # --also names no path.
    "track": {"labels": "input", "output": "file"},
    "train": {
        "data": "input",
        "output": "folder",
        "config": "input",
        "start": "input",
        "plot": "file",
    },
    "tune": {"model": "input", "data": "input", "plot": "file"},
}
#: The arguments of each command, without its outputs; and the suffix that an output needs.
ARGS = {
    "benchmark": ["DATA"],
    "check": ["DATA"],
    "convert": ["VOLUME"],
    "demo": [],
    "ensemble": ["MODEL,MODEL"],
    "evaluate": ["MODEL", "DATA"],
    "export": ["MODEL"],
    "import": ["MODEL"],
    "info": ["MODEL"],
    "mesh": ["VOLUME"],
    "plan": ["DATA"],
    "predict": ["MODEL", "IMAGES"],
    "score": ["MASKS", "MASKS"],
    "stack": ["SLICES", "--model", "MODEL"],
    "track": ["VOLUME", "--axes", "TYX"],
    "train": ["DATA"],
    "tune": ["MODEL", "DATA"],
}
SUFFIX = {
    ("convert", "output"): ".csv",
    ("evaluate", "csv"): ".csv",
    ("evaluate", "report"): ".html",
    ("export", "output"): ".onnx",
    ("mesh", "output"): ".stl",
    ("plan", "output"): ".json",
    ("score", "csv"): ".csv",
    ("track", "output"): ".tif",
}
OUTPUTS = [
    (command, name, kind)
    for command, paths in PATHS.items()
    for name, kind in paths.items()
    if kind != "input"
]


def parameters() -> dict[str, dict[str, Any]]:
    """The types of the parameters of every command."""
    found = {}
    for each in app.registered_commands:
        assert each.callback and each.name
        hints = get_type_hints(inspect.unwrap(each.callback))
        found[each.name] = {name: hint for name, hint in hints.items() if name != "return"}
    return found


def test_every_path_of_every_command_is_known_here() -> None:
    """A new one is added to PATHS, and to `embedseg.cli.outputs` if that does not know its name."""
    found = {
        command: {name for name, hint in hints.items() if "Path" in str(hint)}
        for command, hints in parameters().items()
    }
    assert found == {command: set(paths) for command, paths in PATHS.items()}
    for command, hints in parameters().items():
        assert "overwrite" in hints or "input" in set(PATHS[command].values()) == {"input"}, command


class Scene:
    """A folder with copies of all inputs, and how commands are run with them."""

    def __init__(self, folder: Path, model: Path, data: Path, run: Run) -> None:
        self.folder, self._run = folder, run
        shutil.copytree(model, folder / "model")
        shutil.copytree(data, folder / "data")
        self.places = {
            "DATA": folder / "data",
            "MODEL": folder / "model",
            "IMAGES": folder / "data/test/images",
            "MASKS": folder / "data/test/masks",
            "VOLUME": folder / "volume.tif",
            "SLICES": folder / "slices",
        }
        labels = np.pad(np.ones((3, 3, 3), np.uint16), 2)
        write_tiff(folder / "volume.tif", labels, (1.0, 1.0, 1.0), "ZYX")
        (folder / "slices").mkdir()
        for number, plane in enumerate(labels):
            tifffile.imwrite(folder / f"slices/{number}.tif", plane)

    def run(self, command: str, name: str, output: Path, *more: object) -> Any:
        args = [
            ",".join(str(self.places.get(part, part)) for part in each.split(","))
            for each in ARGS[command]
        ]
        extra: list[object] = []
        if name != "output" and "output" in PATHS[command] and command != "plan":
            extra = ["-o", self.folder / f"result{SUFFIX.get((command, 'output'), '')}"]
        return self._run(command, *args, *extra, f"--{name}", output, *more)

    def state(self) -> dict[Path, bytes]:
        return {
            each.relative_to(self.folder): each.read_bytes()
            for each in self.folder.rglob("*")
            if each.is_file()
        }


@pytest.fixture
def scene(tmp_path: Path, model: Path, data: Path, run: Run) -> Scene:
    return Scene(tmp_path / "scene", model, data, run)


def output_of(command: str, name: str, kind: str, folder: Path) -> Path:
    suffix = SUFFIX.get((command, name), "" if kind == "folder" else ".png")
    return folder / f"mine{suffix}"


@pytest.mark.parametrize(("command", "name", "kind"), OUTPUTS)
def test_what_exists_is_refused_before_any_work(
    scene: Scene, command: str, name: str, kind: str
) -> None:
    output = output_of(command, name, kind, scene.folder)
    output.write_text("mine")
    before = scene.state()
    done = scene.run(command, name, output)
    words = "is a file, expected a folder" if kind == "folder" else "exists; choose another, or --o"
    assert (done.code, f"{output}: {words}" in done.last) == (2, True), done.err
    assert scene.state() == before


@pytest.mark.parametrize(("command", "name", "kind"), OUTPUTS)
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_no_input_is_written_over(
    scene: Scene, command: str, name: str, kind: str, more: list[str]
) -> None:
    """Nor through a link, which may have the suffix that is asked for."""
    read = next((each for each in ARGS[command] if each in scene.places), None)
    if command == "demo":
        return
    read = read or "MODEL"
    target = scene.places[read]
    if kind == "file" and read in ("DATA", "MODEL", "MASKS"):
        target = {
            "DATA": scene.places["MASKS"],
            "MASKS": scene.places["MASKS"],
            "MODEL": scene.places["MODEL"] / "config.json",
        }[read]
        target = next(iter(sorted(target.iterdir()))) if target.is_dir() else target
    output = output_of(command, name, kind, scene.folder)
    output.symlink_to(target)
    before = scene.state()
    done = scene.run(command, name, output, *more)
    assert done.code == 2, done.err
    assert any(
        words in done.last for words in ("replace the input", "is an input too", "inside the input")
    ), done.last
    assert scene.state() == before


@pytest.mark.parametrize("option", ["csv", "plot", "report"])
def test_nothing_is_written_into_the_images_that_are_read(
    scene: Scene, model: Path, option: str
) -> None:
    suffix = SUFFIX.get(("evaluate", option), ".png")
    for place in ("data/test/images", "data/train"):
        done = scene.run("evaluate", option, scene.folder / place / f"new{suffix}")
        assert (done.code, "lies inside the input" in done.last) == (2, True)


def test_two_outputs_have_two_names(scene: Scene, run: Run) -> None:
    masks, output = scene.places["MASKS"], scene.folder / "a.png"
    done = run("score", masks, masks, "--csv", output, "--plot", output)
    assert (done.code, "--csv and --plot: both name" in done.last) == (2, True)


def test_with_overwrite_a_file_is_replaced(scene: Scene, run: Run) -> None:
    masks, output = scene.places["MASKS"], scene.folder / "a.csv"
    output.write_text("mine")
    assert run("score", masks, masks, "--csv", output, "--overwrite").code == 0
    assert output.read_text().startswith("image,")


# -- predict ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--also", "csv,geojson"], ["{}.csv", "{}.geojson"]),
        (["--maps"], ["maps/{}_seed.tif"]),
        (["--plot"], ["plots/{}.png", "plots/{}_maps.png"]),
    ],
)
def test_predict_overwrites_nothing_beside_the_labels(
    scene: Scene, options: list[str], names: list[str]
) -> None:
    stem, out = sorted(scene.places["IMAGES"].iterdir())[-1].stem, scene.folder / "out"
    for name in names:
        path = out / name.format(stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        before = scene.state()
        done = scene.run("predict", "output", out, *options)
        assert (done.code, f"{path}: exists; choose another, or --ov" in done.last) == (2, True)
        assert scene.state() == before
        path.unlink()
    assert scene.run("predict", "output", out, *options).code == 0
    assert scene.run("predict", "output", out, *options, "--overwrite").code == 0


def test_predict_leaves_the_folder_of_images_and_of_the_model_alone(scene: Scene) -> None:
    for name in ("IMAGES", "MODEL"):
        done = scene.run("predict", "output", scene.places[name], "--overwrite")
        assert (done.code, "is an input too" in done.last) == (2, True)
    # A new folder in that of the images is none of the inputs.
    assert scene.run("predict", "output", scene.places["IMAGES"] / "labels").code == 0


def test_what_a_failed_image_left_is_not_in_the_way(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    import embedseg.images

    def fail(*_: Any) -> None:
        raise ValueError("stopped")

    out = scene.folder / "out"
    with monkeypatch.context() as failing:
        failing.setattr(embedseg.images, "write_labels", fail)
        assert scene.run("predict", "output", out, "--also", "csv").code == 1
    assert not list(out.glob("*.csv"))
    assert scene.run("predict", "output", out, "--also", "csv").code == 0


def test_long_names_can_be_predicted(scene: Scene) -> None:
    image = sorted(scene.places["IMAGES"].iterdir())[0]
    long = image.rename(image.with_name("L" * 251 + ".tif"))
    out = scene.folder / "out"
    assert scene.run("predict", "output", out).code == 0
    assert (out / long.name).is_file()
    done = scene.run("predict", "output", scene.folder / "more", "--also", "geojson")
    assert (done.code, "a name of 259 bytes, expected at most 255" in done.last) == (2, True)


def test_labels_in_blocks_are_written_beside_the_image_only(scene: Scene, run: Run) -> None:
    image, model = sorted(scene.places["IMAGES"].iterdir())[0], scene.places["MODEL"]
    store = scene.folder / "a.zarr"
    pixels = read_image(image).data
    create_labels(store, pixels.shape, np.uint16, "YX", None, chunks=pixels.shape)
    open_array(store)[...] = pixels
    add_pyramid(store)
    before = scene.state()
    for source, output in (
        (store, store),
        (store / "0", store),
        (store, store / "b.zarr"),
        (image, image),
    ):
        done = run("predict", model, source, "-o", output, "--block", "48,48", "--overwrite")
        assert (done.code, "the input" in done.last) == (2, True), done.err
        assert scene.state() == before
    inside = store / "labels/cells"
    for more in ([], ["--overwrite"]):
        assert run("predict", model, store, "-o", inside, "--block", "48,48", *more).code == 0
    done = run("predict", model, inside, "-o", inside, "--block", "48,48", "--overwrite")
    assert (done.code, "the input" in done.last) == (2, True)
    other = scene.folder / "b.blocks"
    other.mkdir()
    (other / "thesis.txt").touch()
    done = run("predict", model, image, "-o", scene.folder / "b.tif", "--overwrite")
    assert (done.code, "b.blocks: holds thesis.txt" in done.last) == (2, True)


# -- folders of others -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("command", "name"),
    [("benchmark", "out"), ("convert", "out.zarr"), ("mesh", "out"), ("stack", "out")],
)
def test_a_folder_with_files_of_others_is_refused(scene: Scene, command: str, name: str) -> None:
    folder, more = scene.folder / name, ["--overwrite"]
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    before = scene.state()
    output = folder.with_suffix(".stl") if command == "mesh" else folder
    done = scene.run(command, "output", output, *more, *(["--each"] if command == "mesh" else []))
    assert (done.code, f"{folder}: holds thesis.txt, which" in done.last) == (2, True)
    assert scene.state() == before


# -- full disks ------------------------------------------------------------------------------------
def fails_on(names: str) -> Callable[..., Any]:
    """`Path.replace` of a disk that is full as soon as a file of some name is finished."""
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.match(names):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(self, target)

    return full


@pytest.mark.parametrize(
    ("command", "output", "file", "more"),
    [
        ("predict", "out", "*.tif", []),
        ("train", "out", "weights.safetensors", ["--epochs", 1, "--no-tune", *TINY]),
        ("train", "out", "last.ckpt", ["--epochs", 1, "--no-tune", *TINY]),
        ("convert", "a.csv", "a.csv", []),
        ("convert", "a.tif", "a.tif", []),
        ("mesh", "a.stl", "a.stl", []),
    ],
)
def test_a_full_disk_is_named_with_its_file(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    output: str,
    file: str,
    more: list[object],
) -> None:
    monkeypatch.setattr(Path, "replace", fails_on(file))
    done = scene.run(command, "output", scene.folder / output, *more)
    assert done.code == 1
    assert done.last.startswith(f"error: no space left: {scene.folder / output}"), done.last
    assert Path(done.last.removeprefix("error: no space left: ")).match(file)
