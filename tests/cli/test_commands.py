"""The command line, as scripts rely on it: exit codes, last lines, one JSON object, files."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from matplotlib.image import imread

from commands import Run
from embedseg.cli import main
from embedseg.images import blobs, read_image, write_blobs

COMMANDS = [
    "check",
    "plan",
    "train",
    "tune",
    "predict",
    "evaluate",
    "score",
    "info",
    "demo",
    "benchmark",
    "ensemble",
    "mesh",
    "stack",
    "convert",
    "export",
    "import",
]
SCORES = {
    "ap",
    "pooled",
    "ap_mean",
    "pooled_mean",
    "pq",
    "sq",
    "rq",
    "seg",
    "aji",
    "rand",
    "voi_split",
    "voi_merge",
    "n_true",
    "n_pred",
    "n_images",
}
#: A net and a batch as small as possible.
TINY = [
    "--set",
    "net.width=8",
    "--set",
    "net.depth=2",
    "--set",
    "train.batch=2",
    "--set",
    "train.crop=32,32",
    "--set",
    "train.steps_per_epoch=5",
    "--device",
    "cpu",
]


def shell(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "embedseg.cli", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        cwd=Path(__file__).parents[2],
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "blobs"
    write_blobs(folder, ndim=2)
    return folder


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hardly trained: what it finds is of no interest here."""
    folder = tmp_path_factory.mktemp("model") / "model"
    with pytest.raises(SystemExit) as exit:
        main(["train", str(data), "-o", str(folder), "--epochs", "2", "--no-tune", *TINY])
    assert not exit.value.code
    return folder


def broken(data: Path, target: Path) -> Path:
    """Copy of the data with a mask missing in train and a truncated image in val."""
    shutil.copytree(data, target)
    next((target / "train/masks").iterdir()).unlink()
    image = next((target / "val/images").iterdir())
    image.write_bytes(image.read_bytes()[:50])
    return target


# -- help ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example(command: str, run: Run) -> None:
    done = run(command, "--help")
    assert done.code == 0
    assert done.out.rstrip().splitlines()[-1].strip().startswith(f"embedseg {command}")
    assert "\n  Example:\n" in done.out


def test_help_lists_the_commands_and_shows_defaults(run: Run) -> None:
    assert all(f"  {command} " in run("--help").out for command in COMMANDS)
    assert "[default: auto]" in run("train", "--help").out
    assert "[default: test]" in run("evaluate", "--help").out


def test_help_names_every_net(run: Run) -> None:
    from embedseg.nets import NETS

    assert all(name in run("train", "--help").out for name in NETS)


def test_help_answers_at_once() -> None:
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        assert shell("--help").returncode == 0
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.5


def test_version(run: Run) -> None:
    import embedseg

    assert run("--version").out == f"embedseg {embedseg.__version__}\n"


# -- errors ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("args", "found"),
    [
        (["nonsense"], "nonsense"),
        (["train", "DATA"], "--output"),
        (["check", "no/such/folder"], "no/such/folder"),
        (["check", "DATA", "--method", "magic"], "magic.*embedding"),
        (["check", "DATA", "--spacing", "2,x"], "2,x.*2,0.5,0.5"),
        (["check", "DATA", "--spacing", "0,1"], "positive"),
        (["plan", "DATA", "--net", "magic"], "magic.*erfnet.*unet"),
        (["plan", "DATA", "--ndim", "3"], "3"),
        (["plan", "DATA", "--set", "train.nonsense=1"], "train.nonsense.*batch"),
        (["plan", "DATA", "--set", "train.batch=0"], r"train\.batch.*greater"),
        (["plan", "DATA", "--set", "train.batch"], "KEY=VALUE"),
        (["plan", "DATA", "--memory", "lots"], "lots.*4GB or 800MB"),
        (["plan", "DATA", "--memory", "1MB"], "takes at least"),
        (["train", "DATA", "-o", "OUT", "--from", "DATA"], "config.json"),
        (["train", "DATA", "-o", "OUT", "--time-limit", "soon"], "soon.*1h30m"),
        (["train", "DATA", "-o", "OUT", "--resume", "--overwrite"], "choose one"),
        (["train", "DATA", "-o", "DATA", "--resume"], "not empty"),
        (["train", "DATA", "-o", "OUT", "--devices", "3", "--set", "train.batch=4"], "3 devices"),
        (["train", "DATA", "-o", "DATA"], "not empty"),
        (["train", "DATA", "-o", "OUT", "--device", "abacus"], "abacus"),
        (["predict", "DATA", "DATA/test/images", "-o", "OUT"], "no model here"),
        (["demo", "-o", "DATA"], "not empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage_is_2(args: list[str], found: str, data: Path, tmp_path: Path, run: Run) -> None:
    import re

    names = {"DATA": str(data), "OUT": str(tmp_path / "OUT")}
    done = run(*(arg.replace("DATA", names["DATA"]).replace("OUT", names["OUT"]) for arg in args))
    assert (done.code, done.out) == (2, "")
    assert re.search(found, done.err)
    assert done.last.lower().startswith("error: ")


def test_bad_data_is_1_with_the_findings_above(data: Path, tmp_path: Path, run: Run) -> None:
    bad = broken(data, tmp_path / "bad")
    for args in (["check", bad], ["plan", bad], ["train", bad, "-o", tmp_path / "model"]):
        done = run(*args)
        assert done.code == 1
        assert done.last.startswith("error: ")
        findings = (done.out + done.err).split(done.last)[0]
        assert "file without partner" in findings
        assert "unreadable image" in findings
    assert not (tmp_path / "model").exists()


def test_traceback_is_for_debugging(data: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("embedseg.data.folder_check.check_folder", fail)
    done = run("check", data)
    assert done.code == 1
    assert done.last == "error: RuntimeError: a bug (not foreseen; --debug shows where)"
    with pytest.raises(RuntimeError, match="a bug"):
        main(["check", str(data), "--debug"])
    monkeypatch.setenv("EMBEDSEG_DEBUG", "1")
    with pytest.raises(RuntimeError, match="a bug"):
        main(["check", str(data)])


# -- check, plan -----------------------------------------------------------------------------------
def test_check_prints_one_object(data: Path, tmp_path: Path, run: Run) -> None:
    done = run("check", data, "--json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["ok"] is True
    assert set(report["inventory"]) == {"train", "val", "test"}
    done = run("check", broken(data, tmp_path / "bad"), "--json")
    assert done.code == 1
    assert {f["severity"] for f in json.loads(done.out)["findings"]} >= {"error"}


def test_plan_is_a_file_that_train_takes(data: Path, tmp_path: Path, run: Run) -> None:
    file = tmp_path / "config.json"
    done = run(
        "plan",
        data,
        "-o",
        file,
        "--spacing",
        "0.25,0.25",
        "--set",
        "train.epochs=7",
        "--set",
        "data.fill_holes=true",
        *TINY,
    )
    assert done.code == 0
    assert "crop" in done.out
    config = json.loads(file.read_text())
    assert config["spacing"] == [0.25, 0.25]
    assert config["train"]["epochs"] == 7
    assert config["data"]["fill_holes"] is True
    assert json.loads(run("plan", data, "--json", *TINY).out)["spacing"] == [0.5, 0.5]
    assert run("plan", data, "-o", file, *TINY).code == 2
    done = run(
        "train",
        data,
        "-o",
        tmp_path / "model",
        "--config",
        file,
        "--epochs",
        "1",
        "--no-tune",
        "--seed",
        "3",
        *TINY,
    )
    assert done.code == 0
    kept = json.loads((tmp_path / "model/config.json").read_text())
    assert kept["spacing"] == [0.25, 0.25]
    assert (kept["train"]["seed"], kept["train"]["epochs"]) == (3, 1)
    assert run("train", data, "-o", tmp_path / "m", "--config", file, "--net", "unet").code == 2


# -- train, tune, info -----------------------------------------------------------------------------
def test_train_leaves_a_model_and_refuses_to_replace_it(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    assert {"config.json", "weights.safetensors", "history.csv", "history.png"} <= {
        path.name for path in model.iterdir()
    }
    copy = shutil.copytree(model, tmp_path / "copy")
    assert run("train", data, "-o", copy, *TINY).code == 2
    done = run("train", data, "-o", copy, "--resume", "--epochs", "3", "--no-tune")
    assert done.code == 0
    assert len((copy / "history.csv").read_text().splitlines()) == 1 + 3
    refused = run("train", data, "-o", copy, "--resume", "--set", "train.batch=1")
    assert refused.code == 2 and "--resume goes on" in refused.err
    assert (
        run(
            "train",
            data,
            "-o",
            copy,
            "--overwrite",
            "--epochs",
            "1",
            "--plot",
            tmp_path / "history.svg",
            *TINY,
        ).code
        == 0
    )
    assert "<!-- learning rate -->" in (tmp_path / "history.svg").read_text()
    assert len((copy / "history.csv").read_text().splitlines()) == 1 + 1


def test_fine_tuning_begins_with_a_model(model: Path, data: Path, tmp_path: Path, run: Run) -> None:
    done = run(
        "train",
        data,
        "-o",
        tmp_path / "m",
        "--from",
        model,
        "--epochs",
        "1",
        "--no-tune",
        "--set",
        "train.steps_per_epoch=2",
        "--set",
        "train.crop=32,32",
    )
    assert done.code == 0
    assert f"from {model}: 100 % of the weights kept" in done.err
    first, second = (json.loads((m / "config.json").read_text()) for m in (model, tmp_path / "m"))
    assert second["net"] == first["net"] and second["train"]["start"] == str(model)
    other = run("train", data, "-o", tmp_path / "m", "--resume", "--from", tmp_path)
    assert other.code == 2 and "--resume goes on" in other.err


def test_memory_is_a_limit_to_plan_with(data: Path, run: Run) -> None:
    free, tight = (
        json.loads(run("plan", data, "--json", *more).out) for more in ([], ["--memory", "540MB"])
    )
    assert tight["train"]["batch"] < free["train"]["batch"]
    assert tight["train"]["accumulate"] > free["train"]["accumulate"]


def test_tune_keeps_the_rest_of_the_model(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    copy = shutil.copytree(model, tmp_path / "copy")
    done = run("tune", copy, data, "--device", "cpu")
    assert done.code == 0
    assert done.out.startswith("tune: ")
    assert {p.name for p in copy.iterdir()} == {p.name for p in model.iterdir()} | {"tuning.json"}
    before, after = (json.loads((m / "config.json").read_text()) for m in (model, copy))
    assert before | {"method": after["method"]} == after


def test_info(model: Path, run: Run) -> None:
    done = run("info", model)
    assert done.code == 0
    assert "method.seed_threshold = " in done.out
    assert "trained: 10 steps" in done.out
    found = json.loads(run("info", model, "--json").out)
    assert found["config"]["ndim"] == 2
    assert len(found["history"]) == 2 and found["parameters"] > 1000


# -- predict ---------------------------------------------------------------------------------------
def test_predict_goes_on_after_a_bad_file(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    images = shutil.copytree(data / "test/images", tmp_path / "images")
    (images / "aa.tif").write_bytes(b"no image")
    good = sorted(p.name for p in (data / "test/images").iterdir())
    done = run("predict", model, images, "-o", tmp_path / "out", "--device", "cpu")
    assert done.code == 1
    assert done.last.startswith("error: 1 of ")
    assert "aa.tif" in done.last
    assert sorted(path.name for path in (tmp_path / "out").glob("*.tif")) == good
    assert "1 was not segmented" in (tmp_path / "out/report.html").read_text()
    labels = read_image(tmp_path / "out" / good[0])
    assert labels.data.dtype == np.uint16
    assert labels.data.shape == read_image(data / "test/images" / good[0]).data.shape


def test_predict_skips_what_is_there(model: Path, data: Path, tmp_path: Path, run: Run) -> None:
    pattern, out = data / "test/images/*.tif", tmp_path / "out"
    assert run("predict", model, pattern, "-o", out).code == 0
    first = sorted(out.glob("*.tif"))[0]
    first.write_bytes(b"mine")
    assert "skipped" in run("predict", model, pattern, "-o", out).err
    assert first.read_bytes() == b"mine"
    assert run("predict", model, pattern, "-o", out, "--overwrite", "--tta").code == 0
    assert first.read_bytes() != b"mine"


def test_predict_refuses_clashes_up_front(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    image = next((data / "test/images").iterdir())
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(image, tmp_path / name / "same.tif")
    done = run("predict", model, tmp_path / "a", tmp_path / "b", "-o", tmp_path / "out")
    assert done.code == 1
    assert "same" in done.last
    assert not (tmp_path / "out").exists()
    done = run("predict", model, tmp_path / "a", "-o", tmp_path / "a")
    assert done.code == 2
    assert "replace the image" in done.last


def test_predict_settings_change_what_is_found(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    image = next((data / "test/images").iterdir())
    done = run(
        "predict", model, image, "-o", tmp_path / "out", "--set", "method.seed_threshold=1.0"
    )
    assert done.code == 0
    assert read_image(tmp_path / "out" / image.name).data.max() == 0
    assert run("predict", model, image, "-o", tmp_path / "o", "--set", "net.width=9").code == 2


def test_predict_writes_objects_in_other_formats(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    image, out = sorted((data / "test/images").iterdir())[0], tmp_path / "out"
    anything = ["--set", "method.seed_threshold=0", "--set", "method.fg_threshold=0"]
    assert run("predict", model, image, "-o", tmp_path / "whole", *anything).code == 0
    done = run(
        "predict",
        model,
        image,
        "-o",
        out,
        "--also",
        "roi, geojson,csv,coco,ome-zarr",
        "--clear-border",
        "--min-size",
        3,
        *anything,
    )
    assert done.code == 0
    assert {path.suffix for path in out.iterdir()} >= {
        ".tif",
        ".zip",
        ".geojson",
        ".csv",
        ".json",
        ".zarr",
    }
    whole, labels = (
        read_image(folder / f"{image.stem}.tif").data for folder in (tmp_path / "whole", out)
    )
    edge = np.concatenate([whole[[0, -1]].ravel(), whole[:, [0, -1]].ravel()])
    sizes = np.bincount(whole.ravel())
    kept = [
        label for label in np.unique(whole[whole > 0]) if sizes[label] >= 3 and label not in edge
    ]
    np.testing.assert_array_equal(
        labels, np.where(np.isin(whole, kept), np.searchsorted(kept, whole) + 1, 0)
    )
    with (out / f"{image.stem}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["size_px"]) for row in rows] == sizes[kept].tolist()
    assert all(0 <= float(row["score"]) <= 1 and row["mean_c1"] for row in rows)
    for source in (f"{image.stem}.zip", f"{image.stem}.geojson", f"{image.stem}.json"):
        if kept:
            assert (
                run(
                    "convert",
                    out / source,
                    "-o",
                    tmp_path / "back.tif",
                    "--like",
                    image,
                    "--overwrite",
                ).code
                == 0
            )
            np.testing.assert_array_equal(read_image(tmp_path / "back.tif").data, labels)
    for args, words in (
        ([image, "-o", out, "--also", "svg"], "no format 'svg'"),
        (["a.zarr", "-o", "b.zarr", "--also", "roi"], "not for images in blocks"),
        (["a.zarr", "-o", "b.zarr", "--fill-holes"], "not for images in blocks"),
    ):
        done = run("predict", model, *args)
        assert (done.code, words in done.last) == (2, True), done.err


def test_predict_keeps_spacing_and_takes_time_frame_by_frame(
    model: Path, tmp_path: Path, run: Run
) -> None:
    frames = np.stack([blobs((40, 48), 3, seed)[0] for seed in range(3)]).astype(np.float32)
    tifffile.imwrite(
        tmp_path / "movie.ome.tif",
        frames,
        metadata={"axes": "TYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25},
    )
    done = run("predict", model, tmp_path / "movie.ome.tif", "-o", tmp_path / "out")
    assert done.code == 1
    assert "--frames" in done.err
    done = run(
        "predict",
        model,
        tmp_path / "movie.ome.tif",
        "-o",
        tmp_path / "out",
        "--frames",
        "--also",
        "roi",
    )
    assert (done.code, "--also is for images and volumes" in done.err) == (1, True)
    done = run("predict", model, tmp_path / "movie.ome.tif", "-o", tmp_path / "out", "--frames")
    assert done.code == 0
    found = read_image(tmp_path / "out" / "movie.tif")
    assert (found.axes, found.data.shape) == ("TYX", (3, 40, 48))
    assert found.spacing == pytest.approx((0.25, 0.25))
    tifffile.imwrite(tmp_path / "plain.tif", frames, photometric="minisblack", metadata=None)
    assert run("predict", model, tmp_path / "plain.tif", "-o", tmp_path / "out").code == 1
    done = run("predict", model, tmp_path / "plain.tif", "-o", tmp_path / "out", "--axes", "tyx")
    assert done.code == 0
    assert read_image(tmp_path / "out" / "plain.tif").data.shape == (3, 40, 48)


# -- scores ----------------------------------------------------------------------------------------
def test_score_prints_one_object_and_nothing_else(data: Path, tmp_path: Path, run: Run) -> None:
    masks = data / "test/masks"
    done = run("score", masks, masks, "--json", "--csv", tmp_path / "scores.csv")
    assert done.code == 0
    summary = json.loads(done.out)
    assert set(summary) >= SCORES
    assert summary["ap"]["0.50"] == summary["pooled"]["0.95"] == summary["ap_mean"] == 1
    assert summary["n_images"] == len(list(masks.iterdir()))
    assert len((tmp_path / "scores.csv").read_text().splitlines()) > summary["n_images"]
    assert "1.0" in run("score", masks, masks).out


def test_score_of_unpaired_folders_is_1(data: Path, tmp_path: Path, run: Run) -> None:
    masks = shutil.copytree(data / "test/masks", tmp_path / "masks")
    next(masks.iterdir()).unlink()
    done = run("score", data / "test/masks", masks, "--json")
    assert (done.code, done.out) == (1, "")
    assert done.last.startswith("error: ")


def test_pictures_are_drawn_where_they_are_asked_for(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    own, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(model, own)
    truth = data / "test/masks"
    asked = [
        ("check", data),
        ("plan", data),
        ("tune", own, data),
        ("info", own),
        ("evaluate", own, data),
        ("score", truth, truth),
        ("convert", next(truth.iterdir()), "-o", tmp_path / "c.csv"),
    ]
    for command, *rest in asked:
        assert run(command, *rest, "--plot", tmp_path / f"{command}.png").code == 0
        assert imread(tmp_path / f"{command}.png").std() > 0.02
    assert run("info", own, "--plot", tmp_path / "i.txt").last == (
        f"error: --plot {tmp_path / 'i.txt'}: pictures end with .png, .pdf, .svg"
    )
    assert run("predict", own, data / "test/images", "-o", out, "--plot").code == 0
    stems = sorted(path.stem for path in (data / "test/images").iterdir())
    assert sorted(path.name for path in (out / "plots").iterdir()) == sorted(
        f"{stem}{more}.png" for stem in stems for more in ("", "_maps")
    )
    plain = tmp_path / "plain"
    assert run("predict", own, data / "test/images", "-o", plain).code == 0
    for stem in stems:
        assert (out / f"{stem}.tif").read_bytes() == (plain / f"{stem}.tif").read_bytes()


def test_evaluate_is_predict_and_score(model: Path, data: Path, tmp_path: Path, run: Run) -> None:
    done = run("evaluate", model, data, "--json", "--device", "cpu")
    assert done.code == 0
    assert run("predict", model, data / "test/images", "-o", tmp_path / "out").code == 0
    scored = run("score", data / "test/masks", tmp_path / "out", "--json")
    assert json.loads(done.out) == json.loads(scored.out)
    assert run("evaluate", model, data, "--split", "nonsense").code != 0


# -- end to end, in processes of their own ---------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("ndim", [2, 3])
def test_from_blobs_to_scores(ndim: int, tmp_path: Path) -> None:
    data, model, labels = (tmp_path / name for name in ("data", "model", "labels"))
    write_blobs(data, ndim=ndim)
    assert shell("check", data).returncode == 0
    done = shell("train", data, "-o", model, "--time-limit", "60s", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    done = shell("predict", model, data / "test/images", "-o", labels)
    assert done.returncode == 0, done.stderr
    done = shell("score", data / "test/masks", labels, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ap"]["0.50"] > 0.9


@pytest.mark.slow
def test_a_2d_net_segments_volumes(tmp_path: Path) -> None:
    data, model, labels = (tmp_path / name for name in ("data", "model", "labels"))
    write_blobs(data, ndim=3)
    done = shell("train", data, "-o", model, "--ndim", "2", "--time-limit", "30s")
    assert done.returncode == 0, done.stderr
    done = shell("predict", model, data / "test/images", "-o", labels, "--planes")
    assert done.returncode == 0, done.stderr
    done = shell("score", data / "test/masks", labels, "--json")
    assert json.loads(done.stdout)["ap"]["0.50"] > 0.5


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_so_far(data: Path, tmp_path: Path) -> None:
    # A process started in the background may have been told to ignore Ctrl-C.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from embedseg.cli import main; main()"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "train",
        data,
        "-o",
        tmp_path / "model",
        "--time-limit",
        "60s",
        *TINY,
    ]
    with subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "model/weights.safetensors").exists():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert shell("info", tmp_path / "model").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("ndim", [2, 3])
def test_demo(ndim: int, tmp_path: Path) -> None:
    done = shell("demo", "--ndim", ndim, "-o", tmp_path / "demo", "--time-limit", "20s")
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "demo/scores.json").read_text())
    assert set(scores) >= SCORES
    assert len(list((tmp_path / "demo/overlays").glob("*.png"))) == scores["n_images"]
    assert len(list((tmp_path / "demo/labels").glob("*.tif"))) == scores["n_images"]
    assert "embedseg predict" in done.stdout
