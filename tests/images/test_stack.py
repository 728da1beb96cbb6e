"""A folder of slices: read as one volume, or said what is wrong with it; and made into surfaces."""

from __future__ import annotations

import csv
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from imagecodecs import png_encode
from matplotlib.image import imread

from commands import Run
from embedseg.data.classes import find_named
from embedseg.images import read_labels, read_stack, resized, slice_files, write_slices
from embedseg.images.stack import fill_folder
from embedseg.plots import label_colours, save_montage
from embedseg.types import DataError

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5)


def slices(folder: Path, names: str, data: Any = GREY) -> Path:
    """Folder of PNGs; each slice is brighter by one."""
    folder.mkdir(exist_ok=True)
    for place, name in enumerate(names.split()):
        (folder / f"{name}.png").write_bytes(
            png_encode(np.ascontiguousarray(data + place).astype(data.dtype))
        )
    return folder


# -- reading ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "names",
    [
        "z0 z1 z2",
        "z9 z10 z11",
        "a_z098_x a_z099_x a_z100_x",
        "slice",
        "1 2",
        "img10 img20 img30",
        "s_0001_z=0.10um s_0002_z=0.15um s_0003_z=0.20um",
        "scan2_1 scan2_2 scan2_3",
    ],
)
def test_slices_are_read_in_natural_order(tmp_path: Path, names: str) -> None:
    volume = read_stack(slices(tmp_path, names))
    assert (volume.axes, volume.spacing, volume.data.dtype) == ("ZYX", None, np.uint8)
    assert volume.data[:, 0, 0].tolist() == list(range(len(names.split())))


def test_the_number_of_the_slice_gives_the_order(tmp_path: Path) -> None:
    slices(tmp_path, "t2_z1 t1_z2 t1_z3")
    assert read_stack(tmp_path).data[:, 0, 0].tolist() == [0, 1, 2]


def test_tiffs_and_hidden_files(tmp_path: Path) -> None:
    for place in range(3):
        tifffile.imwrite(
            tmp_path / f"z{place}.tif", GREY.astype(np.uint16) + place, photometric="minisblack"
        )
    (tmp_path / ".z3.tif").write_text("left by a system")
    (tmp_path / "notes.txt").write_text("mine")
    volume = read_stack(tmp_path, "ZYX")
    assert (volume.data.shape, volume.data.dtype) == ((3, 4, 5), np.uint16)


def test_colours_are_channels(tmp_path: Path) -> None:
    volume = read_stack(slices(tmp_path, "z1 z2", np.dstack([GREY, GREY + 1, GREY + 2])))
    assert (volume.axes, volume.data.shape) == ("CZYX", (3, 2, 4, 5))
    assert volume.data[:, :, 0, 0].tolist() == [[0, 1], [1, 2], [2, 3]]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("z1 z2 z4", "slice 3 is missing, between z2.png and z4.png"),
        ("z1 z3", "slice 2 is missing"),
        ("z1 z2 z9", "slices 3 to 8 are missing, between z2.png and z9.png"),
        ("z10 z20 z40", "slice 30 is missing"),
        ("z1 z01 z2", "z01.png and z1.png are both slice 1|z1.png and z01.png are both slice 1"),
        ("z1 z2 mask_2", "differ in more than a number"),
        ("a b", "a.png and b.png differ in more than a number"),
        ("20260101120000 20260101120001 20260301120000", "missing"),
    ],
)
def test_what_is_wrong_with_numbers(tmp_path: Path, names: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_stack(slices(tmp_path, names))


def test_one_slice_in_two_formats(tmp_path: Path) -> None:
    slices(tmp_path, "z1 z2")
    tifffile.imwrite(tmp_path / "z2.tif", GREY, photometric="minisblack")
    with pytest.raises(DataError, match=r"z2\.png and z2\.tif are both slice 2"):
        read_stack(tmp_path)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (GREY[:3], r"z3\.png: shape \(3, 5\), but z1\.png has \(4, 5\)"),
        (GREY.astype(np.uint16), r"z3\.png: type uint16, but z1\.png has uint8"),
        (np.dstack([GREY] * 3), r"z3\.png: axes CYX, but z1\.png has YX"),
    ],
)
def test_slices_of_several_kinds(tmp_path: Path, other: Any, words: str) -> None:
    slices(tmp_path, "z1 z2")
    slices(tmp_path, "z3", other)
    with pytest.raises(DataError, match=words):
        read_stack(tmp_path)


def test_no_slices_and_broken_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no slices in this folder, expected files"):
        read_stack(tmp_path)
    slices(tmp_path, "z1 z2")
    (tmp_path / "z2.png").write_bytes((tmp_path / "z2.png").read_bytes()[:40])
    with pytest.raises(DataError, match=r"z2\.png: corrupt"):
        read_stack(tmp_path)
    tifffile.imwrite(
        tmp_path / "z2.tif", np.zeros((3, 4, 5)), metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    for name in ("z1.png", "z2.png"):
        (tmp_path / name).unlink()
    with pytest.raises(DataError, match=r"z2\.tif: .*expected a slice"):
        read_stack(tmp_path)


def test_a_file_with_a_volume(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.zeros((3, 4, 5), np.uint8),
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"},
    )
    volume = read_stack(path)
    assert (volume.axes, volume.spacing) == ("ZYX", (2.0, 0.5, 0.25))
    tifffile.imwrite(
        path, np.zeros((3, 4, 5), np.uint8), metadata={"axes": "TYX"}, photometric="minisblack"
    )
    with pytest.raises(DataError, match=r"a\.tif: shape \(3, 4, 5\) \(TYX\), expected a volume"):
        read_stack(path)
    assert read_stack(path, "ZYX").axes == "ZYX"


# -- working size ----------------------------------------------------------------------------------
@pytest.mark.parametrize(("size", "shape"), [(20, (10, 20)), (80, (40, 80)), ((8, 9), (8, 9))])
def test_working_size(size: Any, shape: tuple[int, int]) -> None:
    ramp = np.broadcast_to(np.linspace(0, 1000, 40), (2, 3, 20, 40)).astype(np.uint16)
    small = resized(ramp, size)
    assert (small.shape, small.dtype) == ((2, 3, *shape), np.float32)
    assert small.mean() == pytest.approx(ramp.mean(), rel=0.01)
    assert (np.diff(small[0, 0, 0]) > 0).all()


def test_shrinking_smooths() -> None:
    stripes = np.tile([0.0, 1.0], (1, 64, 32))
    assert resized(stripes, 16).std() < 0.1


# -- writing ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("largest", "kind"), [(255, np.uint8), (256, np.uint16)])
def test_slices_are_written_as_they_were_read(tmp_path: Path, largest: int, kind: type) -> None:
    labels = np.random.default_rng(0).integers(0, largest + 1, (3, 6, 7)).astype(np.int32)
    labels[0, 0, 0] = largest
    write_slices(tmp_path / "new/out", labels, ["z9", "z10", "z11"])
    volume = read_stack(tmp_path / "new/out")
    assert volume.data.dtype == kind
    np.testing.assert_array_equal(volume.data, labels)


def test_all_slices_or_none(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for labels, names, words in [
        (np.zeros((2, 3, 3), np.int32), ["a"], "2 slices, but 1 names"),
        (np.full((1, 3, 3), 2**16), ["a"], "65536, a PNG holds 0 to 65535"),
        (np.full((1, 3, 3), -1), ["a"], "labels from -1"),
    ]:
        with pytest.raises(DataError, match=words):
            write_slices(folder, labels, names)
    with pytest.raises(OSError):
        write_slices(folder, np.zeros((2, 3, 3), np.int32), ["a", "no/such/folder"])
    assert not list(tmp_path.iterdir())
    write_slices(folder, np.zeros((2, 3, 3), np.int32), ["a1", "a2"])
    (folder / "notes.txt").write_text("mine")
    write_slices(folder, np.zeros((1, 3, 3), np.int32), ["b1"])
    assert sorted(path.name for path in folder.iterdir()) == ["b1.png", "notes.txt"]


def test_a_folder_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    def fail(aside: Path) -> None:
        (aside / "a.txt").touch()
        raise RuntimeError("stopped")

    fill_folder(tmp_path / "out", lambda aside: (aside / "a.txt").touch(), ["*"])
    with pytest.raises(RuntimeError, match="stopped"):
        fill_folder(tmp_path / "out", fail, ["*"])
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "a.txt"]


# -- montage ---------------------------------------------------------------------------------------
def volume_of_balls(depth: int = 30) -> tuple[np.ndarray, np.ndarray]:
    z, y, x = np.ogrid[:depth, :40, :60]
    labels = np.zeros((depth, 40, 60), np.int32)
    for label, centre in ((1, 15), (2, 42)):
        height = (z - (depth - 1) / 2) / depth * 24
        labels[height**2 + (y - 20) ** 2 + (x - centre) ** 2 < 120] = label
    return (100 * (labels > 0) + 20).astype(np.uint8), labels


@pytest.mark.parametrize("depth", [1, 2, 5, 30])
def test_montage(tmp_path: Path, depth: int) -> None:
    volume, labels = volume_of_balls(depth)
    save_montage(tmp_path / "m.png", volume, labels, title="balls")
    picture = np.round(255 * imread(tmp_path / "m.png")[..., :3]).astype(int)
    for label in (1, 2):  # outlines have the full colour
        assert (picture == label_colours(np.array(label))).all(-1).sum() > 50
    assert picture.shape[0] * picture.shape[1] > 300 * 200


def test_montage_takes_channels_and_colours(tmp_path: Path) -> None:
    volume, labels = volume_of_balls(4)
    colours = np.array([[0, 0, 0], [255, 0, 0], [1, 2, 250]], np.uint8)
    save_montage(tmp_path / "m.png", np.stack([volume, volume[::-1]]), labels, colours)
    picture = np.round(255 * imread(tmp_path / "m.png")[..., :3]).astype(int)
    assert all((picture == colour).all(-1).sum() > 50 for colour in colours[1:])


# -- the command -----------------------------------------------------------------------------------
class Bright:
    """A model of as many axes as asked: what is bright is an object, left and right apart."""

    calls: list[dict[str, Any]]

    def __init__(self, ndim: int = 2) -> None:
        method = types.SimpleNamespace(colours={})
        data = types.SimpleNamespace(classes=None)
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
    assert [path.name for path in slice_files(out / "slices")][:2] == ["s5.png", "s6.png"]
    labels = read_labels(out / "labels.tif")
    assert (labels.axes, labels.spacing) == ("ZYX", (2.0, 1.0, 1.0))
    np.testing.assert_array_equal(labels.data, volume_of_balls()[1])
    np.testing.assert_array_equal(read_stack(out / "slices").data, labels.data)
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
    assert run(*args, "--overwrite")[0] == 0
    # Of the earlier run nothing remains; what is not of this command is left alone.
    assert sorted(path.name for path in (tmp_path / "out").glob("[ns]*")) == [
        "notes.txt",
        "slices",
        "surface.csv",
        "surface.png",
        "surface.stl",
    ]


def test_classes_have_their_colours(source: Path, tmp_path: Path, model: Bright, run: Run) -> None:
    model.config.method.colours = {"cell": "#000000", "left": "#ff0000", "right": "#0102fa"}
    model.config.data.classes = find_named("cell=0,left=7,right=20+30")
    assert run("stack", source, "-o", tmp_path / "out", "--model", tmp_path, "--no-mesh")[0] == 0
    # Files hold the values of the masks that the model was trained on.
    assert np.unique(read_labels(tmp_path / "out/labels.tif").data).tolist() == [0, 7, 20]
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
