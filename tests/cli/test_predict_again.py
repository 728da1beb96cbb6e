"""Predicting again: labels of the same model and settings stay, others are refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from stores import write_plate

from commands import Run
from embedseg.images import read_image, read_origin, write_labels
from embedseg.segmenter import Segmenter

CHANGES = [
    (["--set", "method.seed_threshold=0.61"], "method.seed_threshold 0.9, now 0.61"),
    (["--min-score", "0.25"], "method.min_score 0.0, now 0.25"),
    (["--spacing", "0.7,0.7"], "spacing not set, now [0.7, 0.7]"),
    (["--tta"], "predict.tta False, now True"),
]
#: Options that change no labels.
SAME = ["--device", "cpu", "--set", "predict.memory=0.5"]


@pytest.fixture
def image(data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(next((data / "test/images").iterdir()), tmp_path / "a.tif"))


@pytest.fixture
def other(model: Path, tmp_path: Path) -> Path:
    """The model with one value of its weights changed."""
    changed = Segmenter.load(model, "cpu")
    next(changed.net.parameters()).data.view(-1)[0] += 1
    changed.save(tmp_path / "other")
    return tmp_path / "other"


def test_labels_of_other_settings_are_refused(
    model: Path, image: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    assert run("predict", model, image, "-o", out).code == 0
    held = (out / "a.tif").read_bytes()
    same = run("predict", model, image, "-o", out, *SAME)
    assert (same.code, "1 of 1 have labels already" in same.err) == (0, True)
    for options, words in (*CHANGES, (["--clear-border"], "clear_border not set, now True")):
        done = run("predict", model, image, "-o", out, *options)
        assert done.code == 2
        assert f"{out / 'a.tif'}: made with {words}; " in done.last and "--overwrite" in done.last
    assert (out / "a.tif").read_bytes() == held
    assert run("predict", model, image, "-o", out, *options, "--overwrite").code == 0
    assert "have labels already" in run("predict", model, image, "-o", out, *options).err


def test_labels_of_another_model_or_image_are_refused(
    model: Path, other: Path, image: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    assert run("predict", model, image, "-o", out).code == 0
    done = run("predict", other, image, "-o", out)
    assert (done.code, "a.tif: made with another model; " in done.last) == (2, True)
    # A copy of the model elsewhere is the same model.
    copy = shutil.copytree(model, tmp_path / "copy")
    assert run("predict", copy, image, "-o", out).code == 0
    tifffile.imwrite(image, read_image(image).data)
    done = run("predict", model, image, "-o", out)
    assert (done.code, "made with image a.tif of " in done.last) == (2, True)


def test_labels_that_do_not_hold_what_made_them_are_refused(
    model: Path, image: Path, tmp_path: Path, run: Run
) -> None:
    shape = read_image(image).data.shape
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out/a.tif"
    for write in (
        lambda: write_labels(mine, np.ones(shape, np.int32), None, "YX"),
        lambda: tifffile.imwrite(mine, np.ones(shape, np.uint16), software="embedseg [1]"),
        lambda: tifffile.imwrite(mine, np.ones(shape, np.uint16), software="embedseg"),
    ):
        write()
        held = mine.read_bytes()
        done = run("predict", model, image, "-o", tmp_path / "out")
        assert (done.code, f"{mine}: does not hold which model" in done.last) == (2, True)
        assert mine.read_bytes() == held


@pytest.mark.parametrize("suffix", [".zarr", ".tif"])
def test_labels_made_in_blocks_of_other_settings_are_named(
    model: Path, image: Path, tmp_path: Path, run: Run, suffix: str
) -> None:
    out = tmp_path / f"cells{suffix}"
    assert run("predict", model, image, "-o", out).code == 0
    for options, words in (*CHANGES, (["--halo", "20,20"], "halo not set, now [20, 20]")):
        done = run("predict", model, image, "-o", out, *options)
        assert (done.code, f"{out}: exists, made with {words}; " in done.last) == (2, True)
    done = run("predict", model, image, "-o", out)
    assert (done.code, f"{out}: exists; choose another" in done.last) == (2, True)
    assert run("predict", model, image, "-o", out, *options, "--overwrite").code == 0
    assert "exists; choose" in run("predict", model, image, "-o", out, *options).last


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.filterwarnings("ignore")  # ome-zarr's writer warns of itself
def test_fields_of_other_settings_are_refused(
    model: Path, other: Path, image: Path, tmp_path: Path, run: Run, inside: bool
) -> None:
    pixels = read_image(image).data
    plate = write_plate(tmp_path / "p.zarr", {"A/1/0": pixels, "B/2/0": pixels}, scale=0.5)
    out = plate / "labels/cells" if inside else tmp_path / "out"
    assert run("predict", model, plate, "-o", out).code == 0
    assert "2 of 2 have labels already" in run("predict", model, plate, "-o", out).err
    done = run("predict", model, plate, "-o", out, "--set", "method.seed_threshold=0.61")
    assert (done.code, "method.seed_threshold 0.9, now 0.61" in done.last) == (2, True)
    assert "made with another model" in run("predict", other, plate, "-o", out).last
    first = plate / "A/1/0/labels/cells" if inside else out / "A/1/0.zarr"
    attributes = zarr.open_group(first, mode="r+").attrs
    made = attributes["embedseg"]
    del made["origin"]
    attributes["embedseg"] = made
    done = run("predict", model, plate, "-o", out)
    assert (done.code, f"{first}: does not hold which model" in done.last) == (2, True)


@pytest.mark.parametrize("shape", [(9, 8), (5, 9, 8), (1, 9, 8)])
@pytest.mark.parametrize("largest", [9, 70_000])
def test_what_made_a_label_image_leaves_its_metadata(
    tmp_path: Path, shape: tuple[int, ...], largest: int
) -> None:
    labels = np.full(shape, largest, np.int32)
    axes, spacing = "ZYX"[-len(shape) :], (2.0, 0.5, 0.5)[-len(shape) :]
    origin = {"weights": "0f", "spacing": [0.5, 1e-7], "image": 'µ "a"\n.tif'}
    write_labels(tmp_path / "a.tif", labels, spacing, axes, origin=origin)
    write_labels(tmp_path / "b.tif", labels, spacing, axes)
    first, second = (read_image(tmp_path / name, as_stored=True) for name in ("a.tif", "b.tif"))
    assert (first.axes, first.spacing) == (second.axes, second.spacing) == (axes, spacing)
    np.testing.assert_array_equal(first.data, labels)
    assert read_origin(tmp_path / "a.tif") == origin and read_origin(tmp_path / "b.tif") is None
    with tifffile.TiffFile(tmp_path / "a.tif") as one, tifffile.TiffFile(tmp_path / "b.tif") as two:
        assert one.flags == two.flags


def test_two_runs_do_not_make_one_file(
    model: Path, image: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embedseg.cli import predict_files
    from embedseg.common import lock_output

    out = tmp_path / "out"
    with lock_output(out / "a.tif"):
        done = run("predict", model, image, "-o", out)
    assert (done.code, "a.tif: another process is making it" in done.last) == (2, True)
    # One that makes the second file while this one makes the first.
    second, alone = Path(shutil.copy(image, tmp_path / "b.tif")), predict_files._predict_file
    for origin, code, words in (
        ("b.tif", 0, "b.tif: made meanwhile by another process"),
        ("a.tif", 2, "b.tif: made with image"),
    ):
        assert run("predict", model, second, "-o", tmp_path / "made").code == 0
        assert run("predict", model, image, "-o", tmp_path / "made").code == 0

        def meanwhile(*given: Any, origin: str = origin) -> str:
            out.mkdir(exist_ok=True)
            shutil.copy(tmp_path / "made" / origin, out / "b.tif")
            return alone(*given)

        monkeypatch.setattr(predict_files, "_predict_file", meanwhile)
        shutil.rmtree(out, ignore_errors=True)
        done = run("predict", model, image, second, "-o", out)
        monkeypatch.undo()
        assert (done.code, words in done.err) == (code, True)
