"""`--json` of every command: stdout holds one JSON object, and messages are on stderr."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from commands import TINY, Run
from embedseg.cli.app import COMMANDS
from embedseg.images import write_blobs

CPU = ["--device", "cpu"]
#: The command lines, and keys that their objects have.
LINES: dict[str, tuple[str, set[str]]] = {
    "demo": ("-o OUT --time-limit 1s --device cpu", {"ap_mean", "n_true"}),
    "check": ("DATA", {"findings"}),
    "plan": ("DATA", {"net", "method"}),
    "train": ("DATA -o OUT --epochs 1 --no-tune", {"model", "metric", "score"}),
    "tune": ("MODEL DATA --device cpu", {"model", "before", "after", "method"}),
    "evaluate": ("MODEL DATA --device cpu", {"ap_mean"}),
    "predict": ("MODEL DATA/test/images -o OUT --device cpu", {"written", "skipped", "failed"}),
    "convert": ("MASK -o OUT.csv", {"output", "format", "objects"}),
    "score": ("DATA/test/masks DATA/test/masks", {"ap_mean"}),
    "info": ("MODEL", {"config"}),
    "ensemble": ("MODEL,SECOND -o OUT", {"ensemble", "members"}),
    "benchmark": ("DATA -o OUT --methods embedding --time-limit 2s --device cpu", {"runs"}),
    "stack": ("VOLUMES/test/images/IMAGE -o OUT --model MODEL --device cpu", {"output", "slices"}),
    "mesh": ("VOLUMES/test/masks/IMAGE -o OUT.stl", {"output", "surfaces"}),
    "track": (
        "MASK -o OUT.tif --axes TYX",
        {"output", "table", "tracks", "divisions", "max_distance"},
    ),
    "export": ("MODEL -o OUT.onnx", {"model", "output", "format"}),
    "import": ("PACKAGE -o OUT", {"package", "model"}),
}


def test_every_command_offers_it(run: Run) -> None:
    assert set(LINES) == set(COMMANDS)
    lacking = [name for name in COMMANDS if "--json" not in run(name, "--help").out]
    assert not lacking


@pytest.fixture(scope="session")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes") / "blobs"
    write_blobs(folder, ndim=3)
    return folder


#: They train for some seconds; and one needs a model that finds something, see `test_stack.py`.
SLOW, ELSEWHERE = ("demo", "benchmark"), "stack"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
        for name in COMMANDS
        if name != ELSEWHERE
    ],
)
def test_stdout_is_one_object(
    name: str, data: Path, model: Path, volumes: Path, tmp_path: Path, run: Run
) -> None:
    line, keys = LINES[name]
    places = {
        "DATA": data,
        "VOLUMES": volumes,
        "MASK": sorted(((volumes if name == "track" else data) / "test/masks").iterdir())[0],
        "IMAGE": sorted((volumes / "test/masks").iterdir())[0].name,
        "MODEL": model,
        "SECOND": tmp_path / "second",
        "PACKAGE": tmp_path / "package.zip",
        "OUT": tmp_path / "out",
    }
    if name == "ensemble":
        shutil.copytree(model, places["SECOND"])
    if name == "import":
        assert run("export", model, "-o", places["PACKAGE"]).code == 0
    for word, place in places.items():
        line = line.replace(word, str(place))
    done = run(name, *line.split(), *(TINY if name == "train" else []), "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert isinstance(found, dict) and keys <= set(found)


def test_predict_in_every_way(data: Path, model: Path, tmp_path: Path, run: Run) -> None:
    images = sorted((data / "test/images").iterdir())
    ask = ["predict", model, *images, "-o", tmp_path / "out", *CPU, "--json"]
    done = json.loads(run(*ask).out)
    assert done["written"] == [str(tmp_path / f"out/{path.stem}.tif") for path in images]
    assert json.loads(run(*ask).out) == {"written": [], "failed": [], "skipped": len(images)}
    in_blocks = ["predict", model, images[0], "-o", tmp_path / "a.tif", *CPU, "--json"]
    assert json.loads(run(*in_blocks, "--dry-run").out)["blocks"] >= 1
    assert json.loads(run(*in_blocks).out)["labels"] == str(tmp_path / "a.tif")


def test_failed_images_are_listed(data: Path, model: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "bad.tif").write_bytes(b"no image")
    done = run("predict", model, tmp_path / "bad.tif", "-o", tmp_path / "o", *CPU, "--json")
    assert (done.code, json.loads(done.out)["failed"]) == (1, [str(tmp_path / "bad.tif")])
