"""The command `stack`: a folder of slices made into surfaces."""

from __future__ import annotations

import csv
import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from commands import Run
from embedseg.data.classes import parse_classes
from embedseg.images import find_slices, read_labels, read_stack, write_slices
from image_files import volume_of_balls


class Bright:
    """A model of as many axes as asked: what is bright is an object, left and right apart."""

    calls: list[dict[str, Any]]

    def __init__(self, ndim: int = 2) -> None:
        method = types.SimpleNamespace(colours={})
        data = types.SimpleNamespace(channels=None, classes=None)
        self.config = types.SimpleNamespace(ndim=ndim, channels=1, method=method, data=data)
        self.calls = []

    def segment(self, volume: np.ndarray, **options: Any) -> np.ndarray:
        self.calls.append(options | {"shape": volume.shape})
        side = 1 + (np.arange(volume.shape[-1]) >= 0.48 * volume.shape[-1])
        return np.where(volume > 70, side, 0).astype(np.int32)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Bright:
    bright = Bright()
    monkeypatch.setattr("embedseg.segmenter.Segmenter.load", lambda folder, device: bright)
    monkeypatch.setattr("embedseg.model.ModelFolder.check_there", lambda folder: None)
    return bright


@pytest.fixture
def source(tmp_path: Path) -> Path:
    volume, _ = volume_of_balls()
    write_slices(tmp_path / "slices", volume, [f"s{place}" for place in range(5, 35)])
    return tmp_path / "slices"


def test_stack_to_surfaces(source: Path, tmp_path: Path, model: Bright, run: Run) -> None:
    out = tmp_path / "out"
    code, said, err = run("stack", source, "-o", out, "--model", tmp_path, "--spacing", "2,1,1")
    assert (code, "spacing 2,1,1 µm, as given" in err) == (0, True)
    assert "30 slices written" in said and "2 surfaces of" in said
    assert {path.name for path in out.iterdir()} == {
        "slices",
        "labels.tif",
        "montage.png",
        "surface.stl",
        "surface.csv",
        "surface.png",
    }
    assert [path.name for path in find_slices(out / "slices")][:2] == ["s5.png", "s6.png"]
    labels = read_labels(out / "labels.tif")
    assert (labels.axes, labels.spacing) == ("ZYX", (2.0, 1.0, 1.0))
    np.testing.assert_array_equal(labels.data, volume_of_balls()[1])
    np.testing.assert_array_equal(read_stack(out / "slices", as_stored=True).data, labels.data)
    # Viewers show distinct colours, and the background black.
    shown = imread(out / "slices/s20.png")[..., :3]
    found = [np.unique(shown[labels.data[15] == label], axis=0) for label in range(3)]
    assert [len(each) for each in found] == [1, 1, 1]
    assert found[0].max() == 0 and min(each.max() for each in found[1:]) > 0.5
    # A line for each stage, also where no bar is shown.
    stages = ("reading", "predicting", "writing 30 slices", "meshing 2 objects", "drawing")
    places = [err.index(stage) for stage in stages]
    assert places == sorted(places)
    with (out / "surface.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert float(row["volume_um3"]) == pytest.approx(2 * int(row["voxels"]), rel=0.01)
    for name in ("montage.png", "surface.png"):
        assert imread(out / name)[..., :3].std() > 0.02
    assert model.calls == [
        {
            "axes": "ZYX",
            "spacing": (2.0, 1.0, 1.0),
            "tta": None,
            "planes": True,
            "progress": False,
            "shape": (30, 40, 60),
        }
    ]


def test_the_result_for_scripts(source: Path, tmp_path: Path, model: Bright, run: Run) -> None:
    done = run("stack", source, "-o", tmp_path / "out", "--model", tmp_path, "--json")
    assert done.code == 0 and json.loads(done.out)["slices"] == 30


def test_working_size_is_taken_back(source: Path, tmp_path: Path, model: Bright, run: Run) -> None:
    model.config.ndim = 3
    code, said, _ = run(
        "stack",
        source,
        "-o",
        tmp_path / "out",
        "--model",
        tmp_path,
        "--size",
        30,
        "--spacing",
        "2,1,1",
        "--no-mesh",
        "--tta",
    )
    assert (code, "surface" in said) == (0, False)
    (call,) = model.calls
    assert (call["shape"], call["spacing"]) == ((30, 20, 30), (2.0, 2.0, 2.0))
    assert (call["planes"], call["tta"]) == (None, True)
    labels, truth = read_labels(tmp_path / "out/labels.tif").data, volume_of_balls()[1]
    assert labels.shape == truth.shape
    assert (labels == truth).mean() > 0.97
    assert not list((tmp_path / "out").glob("surface*"))


def test_options_reach_the_surfaces(source: Path, tmp_path: Path, model: Bright, run: Run) -> None:
    code, _, err = run(
        "stack",
        source,
        "-o",
        tmp_path / "out",
        "--model",
        tmp_path,
        "--label",
        2,
        "--mesh-format",
        "ply",
        "--step",
        2,
        "--smooth",
        3,
        "--decimate",
        0.5,
    )
    assert (code, "taken to be 1,1,1" in err) == (0, True)
    with (tmp_path / "out/surface.csv").open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["2"]
    args = ("stack", source, "-o", tmp_path / "out", "--model", tmp_path)
    assert run(*args)[0] == 2
    (tmp_path / "out/notes.txt").write_text("mine")
    assert run(*args, "--overwrite")[0] == 2
    (tmp_path / "out/notes.txt").unlink()
    assert run(*args, "--overwrite")[0] == 0
    # Of the earlier run nothing remains.
    assert sorted(path.name for path in (tmp_path / "out").glob("s*")) == [
        "slices",
        "surface.csv",
        "surface.png",
        "surface.stl",
    ]


def test_classes_have_their_colours(source: Path, tmp_path: Path, model: Bright, run: Run) -> None:
    model.config.method.colours = {"cell": "#000000", "left": "#ff0000", "right": "#0102fa"}
    model.config.data.classes = parse_classes("cell=0,left=7,right=20+30")
    assert run("stack", source, "-o", tmp_path / "out", "--model", tmp_path, "--no-mesh")[0] == 0
    # Files hold the values of the masks that the model was trained on.
    assert np.unique(read_labels(tmp_path / "out/labels.tif").data).tolist() == [0, 7, 20]
    shown = np.round(255 * imread(tmp_path / "out/slices/s20.png")[..., :3]).astype(int)
    values = read_stack(tmp_path / "out/slices", as_stored=True).data[15]
    for value, colour in ((0, [0, 0, 0]), (7, [255, 0, 0]), (20, [1, 2, 250])):
        assert (shown[values == value] == colour).all() and (values == value).any()
    picture = np.round(255 * imread(tmp_path / "out/montage.png")[..., :3]).astype(int)
    assert all((picture == colour).all(-1).sum() > 50 for colour in ([255, 0, 0], [1, 2, 250]))


def test_nothing_found_leaves_nothing(
    source: Path, tmp_path: Path, model: Bright, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "segment", lambda volume, **_: np.zeros(volume.shape, np.int32))
    code, out, err = run("stack", source, "-o", tmp_path / "out", "--model", tmp_path)
    assert (code, out) == (1, "")
    assert "slices: no object found in 30 slices; nothing written" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slices"]


def test_labels_are_kept_where_surfaces_fail(
    source: Path, tmp_path: Path, model: Bright, run: Run
) -> None:
    code, _, err = run("stack", source, "-o", tmp_path / "out", "--model", tmp_path, "--label", 9)
    assert (code, "labels.tif: no object 9 here, there are 1, 2" in err) == (1, True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "slices",
        "labels.tif",
        "montage.png",
    }


def test_bad_usage_comes_before_the_work(
    source: Path, tmp_path: Path, model: Bright, run: Run
) -> None:
    args = ("stack", source, "-o", tmp_path / "out", "--model", tmp_path)
    for more, words in [
        (("--mesh-format", "step"), "expected .stl .ply .obj .glb"),
        (("--spacing", "1,1"), "--spacing 1,1: 2 values"),
        (("--label", "x"), "--label 'x'"),
        (("--size", "0"), "--size"),
    ]:
        code, _, err = run(*args, *more)
        assert (code, words in err) == (2, True), err
    (source / "s7.png").unlink()
    code, _, err = run(*args)
    assert (code, "slice 7 is missing" in err) == (1, True)
    assert not model.calls and not (tmp_path / "out").exists()


def test_stack_with_a_model_of_a_folder(source: Path, tmp_path: Path, run: Run) -> None:
    """Untrained; with these thresholds all is one object."""
    from embedseg.images import write_blobs
    from embedseg.model import plan
    from embedseg.segmenter import Segmenter

    write_blobs(tmp_path / "data", ndim=2, splits={"train": 2, "val": 1, "test": 1})
    config = plan(tmp_path / "data", method="boundary").changed(
        {"net.width": 8, "net.depth": 2, "method.fg_threshold": 0, "method.boundary_threshold": 1}
    )
    Segmenter.new(config, "cpu").save(tmp_path / "model")
    code, _, err = run(
        "stack",
        source,
        "-o",
        tmp_path / "out",
        "--model",
        tmp_path / "model",
        "--device",
        "cpu",
        "--size",
        32,
    )
    assert code == 0, err
    with (tmp_path / "out/surface.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["voxels"], row["watertight"], row["capped"]) == (str(30 * 40 * 60), "True", "True")
    code, _, err = run("stack", source, "-o", tmp_path / "out2", "--model", tmp_path / "slices")
    assert (code, "no model here" in err) == (2, True)


def test_mesh_takes_a_folder_of_slices(source: Path, tmp_path: Path, run: Run) -> None:
    code, out, err = run("mesh", source, "-o", tmp_path / "a.stl", "--label", "120")
    assert (code, "1 surface of" in out, "taken to be 1,1,1" in err) == (0, True, True)
