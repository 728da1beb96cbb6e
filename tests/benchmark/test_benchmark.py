"""Benchmarks: entries, records, refused settings, and the table."""

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedseg.benchmark import (
    BenchmarkSetup,
    comparison_table,
    list_entries,
    run_benchmark,
    save_curves,
)
from embedseg.benchmark.baseline import otsu_watershed
from embedseg.benchmark.entries import Entry
from embedseg.benchmark.run import run_baseline
from embedseg.data import DataOptions
from embedseg.images import blobs, write_blobs, write_labels
from embedseg.report import write_benchmark_report
from embedseg.scoring import ObjectScoring, score
from embedseg.types import DataError, UsageError

SMALL = {"net.width": 4, "net.depth": 2, "train.steps_per_epoch": 5, "method.radius": 4.0}
#: Minutes; reading, training and validation.
SHORT = 0.08


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("blobs")
    write_blobs(folder, 2, splits={"train": 3, "val": 1, "test": 2}, shape=(64, 64))
    return folder


def record(method="a", net="n", minutes=1.0, seed=0, **scores) -> dict:
    ap = {f"0.{t}": 0.5 for t in (50, 70, 90)} | scores
    scoring, mean = ObjectScoring(), float(np.mean(list(ap.values())))
    summary = {"ap": ap, "ap_mean": mean, "pq": 0.5}
    return {
        "method": method,
        "net": net,
        "ndim": 2,
        "preset": "default",
        "minutes": minutes,
        "seed": seed,
        "steps": 10,
        "parameters": 2_000_000,
        "mpx_per_s": 1.5,
        "peak_memory": 3 * 10**9,
        "score": summary,
        "headline": scoring.headline(summary),
        "profile": scoring.profile(summary),
        "axes": scoring.axes,
        "main": scoring.main,
    }


# -- the baseline ----------------------------------------------------------------------------------
@pytest.mark.parametrize("ndim", [2, 3])
def test_the_baseline_finds_bright_objects_that_do_not_touch(ndim):
    image, labels = blobs((64, 64) if ndim == 2 else (24, 48, 48), 4, seed=1, noise=0.02)
    found = otsu_watershed(image[None], (1.0,) * ndim)
    assert score(labels, found).f1["0.50"] > 0.7
    assert found.dtype == np.int32


def test_the_baseline_finds_nothing_in_a_constant_image():
    assert not otsu_watershed(np.full((1, 20, 20), 7.0), (1.0, 1.0)).any()


# -- what is run -----------------------------------------------------------------------------------
def test_seeds_come_last_so_that_every_kind_is_run_once_first():
    runs = list_entries(methods=["embedding"], nets=["unet", "erfnet"], minutes=[1, 2], seeds=2)
    assert len(runs) == 8
    assert [run.seed for run in runs] == [0] * 4 + [1] * 4
    assert len({run.name for run in runs}) == 8


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        ({"methods": ["magic"]}, "affinity, boundary, embedding, semantic"),
        ({"nets": ["magic"]}, "cenet, erfnet, unet, unet2d3d, unetpp"),
        ({"presets": ["magic"]}, "default, paper"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(asked, known):
    with pytest.raises(UsageError, match=f"'magic'; there are {known}"):
        list_entries(**asked)


def test_methods_of_classes_have_another_baseline(data, tmp_path):
    classes = "ground=0,object=" + "+".join(map(str, range(1, 60)))
    settings = {name: value for name, value in SMALL.items() if name != "method.radius"}
    setup = BenchmarkSetup(
        data, tmp_path / "classes", options=DataOptions(classes=classes), settings=settings
    )
    baseline, run = run_benchmark(
        setup, list_entries(methods=["semantic"], minutes=[SHORT], seeds=1)
    )
    assert baseline["method"] == "most-frequent" and baseline["score"]["iou"]["object"] == 0
    assert set(run["headline"]) == {"mean IoU", "mean Dice", "accuracy"}
    assert run["headline"]["mean IoU"] == run["score"]["iou_mean"]
    assert "| mean IoU | mean Dice | accuracy |" in (setup.folder / "benchmark.md").read_text()
    assert (setup.folder / "benchmark.png").stat().st_size > 10_000
    again = run_benchmark(setup, list_entries(methods=["semantic"], minutes=[SHORT], seeds=1))
    assert again == [baseline, run]


def test_objects_and_classes_do_not_stand_in_one_table(data, tmp_path):
    with pytest.raises(UsageError, match=r"embedding \(objects\), semantic \(classes\)"):
        run_benchmark(
            BenchmarkSetup(data, tmp_path / "c"), list_entries(methods=["embedding", "semantic"])
        )


def test_nothing_to_compare_is_refused():
    with pytest.raises(UsageError, match="nothing to compare"):
        list_entries(methods=[])


def test_what_cannot_go_together_is_refused_before_anything_is_trained(data, tmp_path):
    with pytest.raises(UsageError, match="ndim 3 cannot be trained on 2D images"):
        run_benchmark(BenchmarkSetup(data, tmp_path / "a"), list_entries(ndims=[3]))
    with pytest.raises(UsageError, match=r"has the setting method\.colour"):
        run_benchmark(
            BenchmarkSetup(data, tmp_path / "b", settings={"method.colour": 1}), list_entries()
        )
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="c: "):
        run_benchmark(BenchmarkSetup(data, tmp_path / "c"), list_entries())
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_a_comparison_is_kept_and_goes_on(data, tmp_path):
    setup = BenchmarkSetup(data, tmp_path / "c", settings=SMALL)
    first = run_benchmark(setup, list_entries(minutes=[SHORT], seeds=1))
    assert [run["method"] for run in first] == ["otsu-watershed", "embedding", "boundary"]
    assert [run["net"] for run in first] == [None, "unet", "unet"]
    for run in first:
        assert 0 <= run["score"]["ap_mean"] <= 1 and run["score"]["n_images"] == 2
        assert run["mpx_per_s"] > 0 and run["peak_memory"] > 10**8
    for run in first[1:]:
        assert run["steps"] > 0 and run["trained"] < 1 and run["parameters"] > 1000
    assert json.loads((setup.folder / "benchmark.json").read_text()) == first
    assert (setup.folder / "benchmark.png").stat().st_size > 10_000
    # Each has its label images, and the page shows the same images and the errors of each.
    names = sorted(path.name for path in (data / "test/images").iterdir())
    for run in first:
        assert sorted(path.name for path in setup.predicted(run["name"]).iterdir()) == names
    assert write_benchmark_report(tmp_path / "report.html", first, setup=setup)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for label in ("otsu-watershed 2D", "embedding unet 2D", "boundary unet 2D"):
        assert f">Errors: {label}</h2>" in page and f">Images: {label}</h2>" in page
    assert len(re.findall('<img[^>]*data-layer="truth"', page)) == 3 * len(names)
    # The settings that only one of the two methods has did not keep the other from running.
    held = json.loads(
        (
            setup.folder
            / "runs"
            / f"{list_entries(seeds=1, minutes=[SHORT])[0].name}"
            / "config.json"
        ).read_text()
    )
    assert held["method"]["radius"] == 4.0
    begun = time.monotonic()
    more = run_benchmark(setup, list_entries(methods=["embedding"], minutes=[SHORT], seeds=1))
    assert time.monotonic() - begun < 2 and more == first[:2]
    with pytest.raises(UsageError, match="other data or settings"):
        run_benchmark(BenchmarkSetup(data, tmp_path / "c"), list_entries(minutes=[SHORT], seeds=1))


@pytest.mark.slow
def test_planes_and_volumes_stand_in_one_table(tmp_path):
    write_blobs(tmp_path / "data", 3, splits={"train": 2, "val": 1, "test": 1})
    setup = BenchmarkSetup(tmp_path / "data", tmp_path / "c", settings=SMALL)
    found = run_benchmark(setup, list_entries(ndims=[2, 3], minutes=[2 * SHORT], seeds=1))
    assert [(run["method"], run["ndim"]) for run in found[1:]] == [
        ("embedding", 2),
        ("boundary", 2),
        ("embedding", 3),
        ("boundary", 3),
    ]
    assert {run["score"]["n_images"] for run in found} == {1}


PROGRAM = """
import sys
from pathlib import Path
from embedseg.benchmark import BenchmarkSetup, list_entries, run_benchmark
if __name__ == "__main__":
    setup = BenchmarkSetup(Path(sys.argv[1]), Path(sys.argv[2]), settings={"net.width": 4})
    run_benchmark(setup, list_entries(methods=["embedding"], minutes=[0.2], seeds=2))
"""


@pytest.mark.slow
def test_killed_it_goes_on_from_there(data, tmp_path):
    program, folder = tmp_path / "program.py", tmp_path / "c"
    program.write_text(PROGRAM)

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, program, data, folder], cwd=Path(__file__).parents[2]
        )

    one, two = (
        folder / "runs" / f"{entry.name}.json"
        for entry in list_entries(methods=["embedding"], minutes=[0.2], seeds=2)
    )
    process = start()
    while not two.exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    before = one.read_bytes()
    assert "score" in json.loads(before) and "score" not in json.loads(two.read_text())
    assert start().wait() == 0
    assert one.read_bytes() == before
    found = json.loads((folder / "benchmark.json").read_text())
    assert [run["seed"] for run in found[1:]] == [0, 1]
    assert not list(folder.rglob(".*.part"))


# -- the table and the curves ----------------------------------------------------------------------
def test_the_table_shows_mean_and_spread_over_seeds():
    rows = comparison_table(
        [record(seed=0, **{"0.50": 0.8}), record(seed=1, **{"0.50": 0.6}), record("b", None)]
    )
    assert rows[2].startswith("| a | n | 2 | default | 1 | 2 | 10 | .700 ± .141 | .500 ± .000 |")
    assert rows[3].startswith("| b |  | 2 | default | 1 | 1 | 10 | .500 | .500 |")
    assert rows[2].endswith("| 2.00 | 1.50 | 3.00 |")
    assert len({row.count("|") for row in rows}) == 1


def test_curves_are_drawn_over_minutes_too(tmp_path):
    few = [record(minutes=m, seed=s) for m in (1.0, 5.0) for s in (0, 1)]
    save_curves(tmp_path / "one.png", few[:2])
    save_curves(tmp_path / "two.png", [*few[:3], record("b", minutes=5.0)])
    from matplotlib.image import imread

    one, two = imread(tmp_path / "one.png"), imread(tmp_path / "two.png")
    assert two.shape[1] == 2 * one.shape[1]


def test_names_tell_runs_apart():
    assert Entry("boundary", "unet", 3, "paper", 0.5, 2).name == (
        "boundary-unet-3d-paper-0.5min-seed2"
    )


def test_what_cannot_be_scored_is_refused_before_anything_is_done(data, tmp_path):
    entries = list_entries(methods=["embedding"], minutes=[1], seeds=1)
    setup = BenchmarkSetup(data, tmp_path / "new", "test", DataOptions(), {}, "cpu")
    for change, problem in (
        ({"split": "train"}, "split 'train': expected test or val"),
        ({"split": "tset"}, "split 'tset': expected test or val"),
        ({"device": "gpu"}, "device 'gpu' is unknown"),
    ):
        with pytest.raises(UsageError, match=problem):
            run_benchmark(replace(setup, **change), entries)
    only = shutil.copytree(data / "train", tmp_path / "data" / "train").parent
    with pytest.raises(DataError, match="no folder test/images; there are train"):
        run_benchmark(replace(setup, data=only), entries)
    assert not setup.folder.exists()


def test_images_without_annotation_are_not_scored(data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    for mask in (tmp_path / "data/test/masks").iterdir():
        write_labels(mask, np.full((64, 64), -1, np.int32), None, "YX")
    setup = BenchmarkSetup(tmp_path / "data", tmp_path / "c")
    with pytest.raises(DataError, match="nothing to score"):
        run_baseline(setup)
