"""predict in blocks: from stores to stores, by one process or several, killed and resumed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from embedseg.blockwise import (
    BlockOptions,
    plan as plan_module,
    segment,
    workers as worker_module,
)
from embedseg.blockwise.frozen_model import BOXES, sample_values
from embedseg.blockwise.outputs import BigTiff, NewStore
from embedseg.blockwise.plan import plan_blocks
from embedseg.blockwise.steps import make_maps
from embedseg.images import (
    open_array,
    open_lazy,
    read_image,
    read_labels,
    write_blobs,
    write_labels,
)
from embedseg.model import plan
from embedseg.scoring import match_objects
from embedseg.segmenter import Segmenter
from embedseg.types import DataError

CROPS = {2: [32, 32], 3: [8, 24, 24]}
#: Seeds of a net that has learnt nothing are all about 0.12.
LOOSE = {"method.seed_threshold": 0.1, "method.fg_threshold": 0.08, "method.min_object_size": 0}


@pytest.fixture(scope="module", params=[2, 3], ids=["2d", "3d"])
def model(request, tmp_path_factory) -> Path:
    return untrained(tmp_path_factory.mktemp("model"), request.param)


@pytest.fixture(scope="module")
def flat(tmp_path_factory) -> Path:
    return untrained(tmp_path_factory.mktemp("flat"), 2)


def untrained(folder: Path, ndim: int, **more) -> Path:
    write_blobs(folder / "data", ndim, splits={"train": 2, "val": 1})
    config = plan(folder / "data").changed(
        {
            "net.width": 8,
            "net.depth": 2,
            "train.crop": CROPS[ndim],
            "spacing": [1.0] * ndim,
        }
        | LOOSE
        | more
    )
    Segmenter.new(config, "cpu").save(folder / "m")
    return folder / "m"


def image_for(model: Path, shape=None, seed=0):
    ndim = Segmenter.load(model, "cpu").config.ndim
    shape = shape or {2: (130, 170), 3: (20, 80, 90)}[ndim]
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


def saved(folder: Path, image, name="image.npy") -> Path:
    np.save(folder / name, image)
    return folder / name


# -- the same as without blocks --------------------------------------------------------------------
def test_maps_of_blocks_are_those_of_the_whole_image(model, tmp_path):
    segmenter, image = Segmenter.load(model, "cpu"), image_for(model)
    axes, ndim = "ZYX"[3 - image.ndim :], image.ndim
    opened = open_lazy(saved(tmp_path, image), axes)
    job = plan_blocks(
        segmenter.predictor,
        opened,
        tmp_path,
        BlockOptions(block={2: (64, 48), 3: (16, 48, 48)}[ndim], halo=(8,) * ndim),
        model,
    )
    whole = segmenter.predict(image)
    for k, block in enumerate(job.net_blocks):
        make_maps(job, k)
        part = np.load(job.maps_file(k)).astype(np.float32)
        expected = whole.data[(slice(None), *block.inner)].astype(np.float32)
        np.testing.assert_allclose(part, expected, atol=5e-3)
    assert (model / "halo.json").is_file()


@pytest.mark.parametrize("decoder", ["multicut", "gasp"])
def test_decoders_that_need_the_whole_image_refuse_several_blocks(decoder, tmp_path, run):
    write_blobs(tmp_path / "data", 2, splits={"train": 2, "val": 1})
    config = plan(tmp_path / "data", method="boundary").changed(
        {
            "net.width": 8,
            "net.depth": 2,
            "train.crop": CROPS[2],
            "spacing": [1.0, 1.0],
            "method.decoder": decoder,
            "method.fg_threshold": 0.1,
            "method.boundary_threshold": 0.9,
            "method.min_object_size": 3,
            "method.beta": 0.99,
        }
    )
    Segmenter.new(config, "cpu").save(tmp_path / "m")
    image = tmp_path / "image.tif"
    values = np.random.default_rng(0).normal(100, 20, (80, 90)).astype(np.float32)
    tifffile.imwrite(image, values, metadata={"axes": "YX"})
    given = ["predict", tmp_path / "m", image, "--axes", "YX", "--spacing", "1,1"]
    failed = run(*given, "-o", tmp_path / "some.tif", "--block", "64,48", "--halo", "8,8")
    assert failed.code != 0 and not list(tmp_path.glob("some*"))
    message = " ".join(failed.err.split())
    assert "blocks, but with" in message and f"method.decoder={decoder}" in message
    assert "--block 80,90" in message and "such as components, watershed, bound" in message
    one = run(*given, "-o", tmp_path / "one.tif", "--block", "96,96", "--halo", "8,8")
    assert one.code == 0, one.err
    whole = run(*given, "-o", tmp_path / "whole")
    assert whole.code == 0, whole.err
    labels = read_labels(tmp_path / "whole/image.tif").data
    assert labels.max() > 3
    assert same_objects(labels, read_labels(tmp_path / "one.tif").data) > 0.99


def test_a_small_image_is_normalised_like_a_whole_one_and_a_large_one_by_a_sample(tmp_path):
    image = np.random.default_rng(0).gamma(2, 50, (3, 40, 50)).astype(np.uint16)
    np.save(tmp_path / "a.npy", image)
    values = sample_values(open_lazy(tmp_path / "a.npy", "CYX"))
    assert np.array_equal(np.sort(values, axis=1), np.sort(image.reshape(3, -1), axis=1))
    large = np.lib.format.open_memmap(tmp_path / "b.npy", "w+", np.uint8, (5000, 7000))
    large[:] = np.arange(7000) % 251
    values = sample_values(open_lazy(tmp_path / "b.npy", "YX"))
    assert values.shape == (1, 64 * 512**2) and BOXES == 64
    assert abs(np.percentile(values, 99.8) - np.percentile(large, 99.8)) <= 1


def same_objects(one, other) -> float:
    """Share of the objects of one image that the other has too, at IoU 0.99."""
    return len(match_objects(one, other, 0.99)) / max(one.max(), other.max(), 1)


def test_predict_in_blocks_finds_what_it_finds_without(model, tmp_path, run):
    image = image_for(model)
    axes, block = "ZYX"[3 - image.ndim :], {2: "64,48", 3: "16,48,48"}[image.ndim]
    tifffile.imwrite(tmp_path / "image.tif", image, metadata={"axes": axes})
    whole = run("predict", model, tmp_path / "image.tif", "-o", tmp_path / "labels")
    parts = run(
        "predict", model, tmp_path / "image.tif", "-o", tmp_path / "blocks.tif", "--block", block
    )
    assert whole.code == 0 and parts.code == 0, parts.err
    one = read_labels(tmp_path / "labels/image.tif").data
    other = read_labels(tmp_path / "blocks.tif")
    assert other.axes == axes and one.max() > 10
    assert same_objects(one, other.data) > 0.95
    assert not (tmp_path / "blocks.blocks").exists()
    header, *rows = (tmp_path / "blocks.csv").read_text().splitlines()
    assert header.split(",")[1] == f"centre_{axes[0].lower()}" and len(rows) == other.data.max()
    assert f"{len(rows)} objects written to" in parts.out
    # The halo is measured once.
    assert (
        "measuring the halo"
        not in run(
            "predict", model, tmp_path / "image.tif", "-o", tmp_path / "again.tif", "--block", block
        ).err
    )


@pytest.mark.slow
def test_a_trained_model_finds_the_same_objects_in_blocks(tmp_path, run):
    nuclei = Path(__file__).parents[2] / "data/nuclei"
    assert run("train", nuclei, "-o", tmp_path / "m", "--time-limit", "60s").code == 0
    images = [read_image(path).data for path in sorted((nuclei / "test/images").glob("*.tif"))]
    # Cut to one size and laid side by side, with the seams where they fall.
    lengths = tuple(min(image.shape[axis] for image in images) for axis in (0, 1))
    row = np.concatenate([image[: lengths[0], : lengths[1]] for image in images[:6]], axis=1)
    tifffile.imwrite(
        tmp_path / "image.tif", np.concatenate([row, row[:, ::-1]] * 2), metadata={"axes": "YX"}
    )
    run("predict", tmp_path / "m", tmp_path / "image.tif", "-o", tmp_path / "whole")
    run(
        "predict",
        tmp_path / "m",
        tmp_path / "image.tif",
        "-o",
        tmp_path / "out.tif",
        "--block",
        "256,256",
    )
    one, other = (read_labels(tmp_path / name).data for name in ("whole/image.tif", "out.tif"))
    assert one.max() > 100 and same_objects(one, other) >= 0.999


def test_an_image_too_large_for_the_memory_is_segmented_in_blocks(flat, tmp_path, run, monkeypatch):
    image = image_for(flat)
    tifffile.imwrite(tmp_path / "image.tif", image, metadata={"axes": "YX"})
    whole = run("predict", flat, tmp_path / "image.tif", "-o", tmp_path / "labels")
    monkeypatch.setattr("embedseg.nets.available_memory", lambda device: 10**6)
    parts = run("predict", flat, tmp_path / "image.tif", "-o", tmp_path / "parts")
    assert "more than is free, so it is segmented in blocks" in parts.err
    assert "in blocks" not in whole.err and whole.code == parts.code == 0
    assert (
        same_objects(
            *(read_labels(tmp_path / name / "image.tif").data for name in ("labels", "parts"))
        )
        == 1
    )


# -- stores ----------------------------------------------------------------------------------------
def ome_zarr(path: Path, image, version="0.5"):
    from ome_zarr.format import FormatV04, FormatV05
    from ome_zarr.writer import write_image

    group = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
    write_image(
        image,
        group,
        axes=["y", "x"],
        scale={"y": 1.0, "x": 1.0},
        axes_units={"y": "micrometer", "x": "micrometer"},
        scale_factors=[2],
        fmt=FormatV05() if version == "0.5" else FormatV04(),
    )
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.filterwarnings("ignore")  # what ome-zarr's writer says is its own
def test_labels_go_beside_or_inside_an_ome_zarr_image(flat, tmp_path, run, version):
    source = ome_zarr(tmp_path / "image.zarr", image_for(flat), version=version)
    beside = run("predict", flat, source, "-o", tmp_path / "cells.zarr", "--block", "64,64")
    inside = run("predict", flat, source, "-o", source / "labels/cells", "--block", "64,64")
    assert (beside.code, inside.code) == (0, 0), beside.err + inside.err
    one, other = (
        np.asarray(open_array(path, mode="r")[:])
        for path in (tmp_path / "cells.zarr", source / "labels/cells")
    )
    assert np.array_equal(one, other) and one.max() > 10 and one.dtype == np.uint32
    assert (tmp_path / "image-cells.csv").read_bytes() == (tmp_path / "cells.csv").read_bytes()
    labels = open_lazy(tmp_path / "cells.zarr")
    assert (labels.axes, labels.spacing) == ("YX", (1.0, 1.0))


def test_an_image_of_another_pixel_size_is_resampled_as_it_is_as_a_whole(model, tmp_path, run):
    image = image_for(model)
    axes, ndim = "ZYX"[3 - image.ndim :], image.ndim
    spacing = {2: (0.8, 1.3), 3: (2.0, 0.9, 1.0)}[ndim]
    tifffile.imwrite(tmp_path / "image.tif", image, metadata={"axes": axes})
    options = ["--axes", axes, "--spacing", ",".join(map(str, spacing))]
    whole = run("predict", model, tmp_path / "image.tif", "-o", tmp_path / "whole", *options)
    parts = run(
        "predict",
        model,
        tmp_path / "image.tif",
        "-o",
        tmp_path / "out.zarr",
        *options,
        "--block",
        {2: "64,64", 3: "16,48,48"}[ndim],
    )
    assert (whole.code, parts.code) == (0, 0), whole.err + parts.err
    one = read_labels(tmp_path / "whole/image.tif").data
    other = np.asarray(open_array(tmp_path / "out.zarr", mode="r")[:]).astype(np.int32)
    assert other.shape == image.shape and same_objects(one, other) > 0.95
    rows = [line.split(",") for line in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    for row in rows[:20]:
        places = np.argwhere(other == int(row[0]))
        # A row of pixels that the coarser grid leaves out still belongs to the box.
        box = np.array(row[1 + ndim : 1 + 3 * ndim], int).reshape(2, ndim)
        for side, least in ((places.min(axis=0) - box[0], 0), (box[1] - places.max(axis=0), 1)):
            assert (side >= least).all() and (side <= least + 1).all()


def test_what_is_there_is_not_replaced(flat, tmp_path, run):
    source = saved(tmp_path, image_for(flat))
    (tmp_path / "out.zarr").mkdir()
    refused = run("predict", flat, source, "-o", tmp_path / "out.zarr", "--axes", "YX")
    assert refused.code == 2 and "out.zarr: exists" in refused.last
    allowed = run(
        "predict", flat, source, "-o", tmp_path / "out.zarr", "--axes", "YX", "--overwrite"
    )
    assert allowed.code == 0 and (tmp_path / "out.zarr/zarr.json").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "out.zarr", "--block", "8,8", "--axes", "YX"], "smaller than the halo"),
        (["-o", "out.zarr", "--block", "8", "--axes", "YX"], "expected 2 positive values"),
        (["-o", "out.zarr", "--block", "many"], "expected whole numbers such as 128,512,512"),
        (["-o", "out.png", "--block", "64,64", "--axes", "YX"], "expected *.zarr, *.tif or"),
        (["-o", "none.zarr/labels/x", "--axes", "YX"], "no such image to put labels into"),
        (["-o", "out.zarr", "--axes", "YX", "--plot"], "not for images in blocks"),
        (["-o", "out.zarr", "--axes", "YX", "--scheduler", "tcp://127.0.0.1:1"], "no answer"),
        (["-o", "out.zarr", "--level", "3", "--axes", "YX"], "level"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_computed(
    flat, tmp_path, run, options, words, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worker_module, "ANSWER", "1s")
    source = saved(tmp_path, image_for(flat))
    found = run("predict", flat, source, *options)
    assert found.code in (1, 2) and words in found.err
    left = {path.name for path in tmp_path.iterdir()}
    # A scheduler that does not answer may do so later: then the run resumes.
    assert left <= {"image.npy", "out.blocks"} and not (tmp_path / "out.blocks/maps").exists()
    assert ("out.blocks" in left) == ("--scheduler" in options)


def test_an_image_of_another_pixel_size_or_kind_is_refused(flat, tmp_path, run):
    image = image_for(flat)
    np.save(tmp_path / "colours.npy", np.stack([image, image, 2 * image]))
    found = run(
        "predict", flat, tmp_path / "colours.npy", "-o", tmp_path / "a.zarr", "--axes", "CYX"
    )
    assert found.code == 1 and "3 channel(s), the model has 1" in found.last
    assert "--channel chooses from 0 to 2, without names" in found.last
    np.save(tmp_path / "film.npy", np.stack([image] * 3))
    found = run("predict", flat, tmp_path / "film.npy", "-o", tmp_path / "a.zarr", "--axes", "ZYX")
    assert found.code == 1 and "the model is 2D; --planes applies it to volumes" in found.last


def test_a_dry_run_says_what_it_takes_and_leaves_nothing(flat, tmp_path, run):
    source = saved(tmp_path, image_for(flat))
    found = run(
        "predict",
        flat,
        source,
        "-o",
        tmp_path / "out.zarr",
        "--axes",
        "YX",
        "--block",
        "48,48",
        "--halo",
        "10,10",
        "--dry-run",
    )
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    assert lines[0] == "blocks: 12 of 48 x 48 pixels" and "10 x 10 for objects" in lines[1]
    assert [line.partition(":")[0] for line in lines[2:]] == ["net", "memory", "disk", "time"]
    assert [path.name for path in tmp_path.iterdir()] == ["image.npy"]


# -- resuming --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("output", "kind"), [("out.zarr", NewStore), ("out.tif", BigTiff)])
def test_a_run_interrupted_at_the_very_end_resumes(flat, tmp_path, run, monkeypatch, output, kind):
    source = saved(tmp_path, image_for(flat))
    command = ["predict", flat, source, "-o", tmp_path / output, "--axes", "YX", "--block", "64,64"]

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kind, "finish", cut)
        assert run(*command).code == 130
    assert (tmp_path / "out.csv").exists() and not (tmp_path / output).exists()
    finish = kind.finish
    with monkeypatch.context() as patch:
        patch.setattr(kind, "finish", lambda *given: (finish(*given), cut()))
        assert run(*command).code == 130
    # All there but what lies between.
    assert (tmp_path / output).exists() and (tmp_path / "out.blocks").exists()
    again = run(*command)
    assert again.code == 0 and not (tmp_path / "out.blocks").exists(), again.err


def test_a_run_resumes_with_the_boxes_that_it_began_with(flat, tmp_path, run, monkeypatch):
    source = saved(tmp_path, image_for(flat))
    command = ["predict", flat, source, "-o", tmp_path / "out.zarr", "--axes", "YX"]
    sizes = []

    def stopped(job, *_):
        sizes.append((job.size, job.part))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(segment, "find_objects", stopped)
        for memory in (1.2e9, 1e6):
            patch.setattr("embedseg.blockwise.plan.memory_share", lambda _, share=memory: share)
            patch.setattr("embedseg.blockwise.segment.memory_share", lambda _, share=memory: share)
            assert run(*command).code == 130
        assert run(*command, "--overwrite").code == 130
    assert sizes[0] == sizes[1] != sizes[2]


def test_memory_is_an_equal_share_of_what_is_free(monkeypatch):
    monkeypatch.setattr(plan_module, "available_memory", lambda device: 24 * 10**9)
    shares = [plan_module.memory_share(BlockOptions(workers=n)) for n in (1, 2, 1000)]
    assert shares == [0.6 * 24e9, 0.3 * 24e9, 1e9]
    assert plan_module.memory_share(BlockOptions(workers=2, memory="4GB")) == 4e9
    assert plan_module.memory_share(BlockOptions(scheduler="tcp://host:1")) == 2.5e9


@pytest.mark.parametrize(("output", "kind"), [("out.zarr", NewStore), ("out.tif", BigTiff)])
def test_an_old_output_is_not_taken_for_that_of_an_interrupted_run(
    flat, tmp_path, run, monkeypatch, output, kind
):
    source = saved(tmp_path, image_for(flat))
    command = ["predict", flat, source, "-o", tmp_path / output, "--axes", "YX", "--block", "64,64"]
    assert run(*command).code == 0

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kind, "finish", cut)
        assert run(*command, "--overwrite").code == 130
    again = run(*command)
    assert again.code == 2 and "exists" in again.last
    assert (tmp_path / "out.blocks").exists()
    assert run(*command, "--overwrite").code == 0


def test_another_run_in_the_way_is_told_apart(flat, tmp_path, run, monkeypatch):
    source = saved(tmp_path, image_for(flat))
    command = ["predict", flat, source, "-o", tmp_path / "out.zarr", "--axes", "YX", "--block"]
    with monkeypatch.context() as patch:
        patch.setattr(segment, "find_objects", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run(*command, "48,48").code == 130
    assert (tmp_path / "out.blocks").is_dir()
    # What is finished outlives an error on going on.
    with monkeypatch.context() as patch:
        patch.setattr(segment, "plan_blocks", lambda *_: (_ for _ in ()).throw(DataError("gone")))
        assert run(*command, "48,48").last == "error: gone"
    assert (tmp_path / "out.blocks").is_dir()
    other = run(*command, "64,64")
    assert other.code == 2 and "an interrupted run with another block" in other.last
    again = run(*command, "48,48")
    assert again.code == 0 and "resumes an interrupted run" in again.err


#: The program, which starts workers at once, not only where they are worth it.
EAGER = (
    "from embedseg.blockwise import workers; workers.START = 0.0\n"
    "from embedseg.cli.__main__ import main; main()"
)


def command(model: Path, source: Path, output: Path, *more: object) -> list[str]:
    return [
        sys.executable,
        "-c",
        EAGER,
        "predict",
        *map(
            str,
            (
                model,
                source,
                "-o",
                output,
                "--axes",
                "ZYX"[3 - np.load(source, mmap_mode="r").ndim :],
                "--threads",
                1,
                *more,
            ),
        ),
    ]


def bytes_of(store: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file()
    }


def test_two_workers_write_the_same_bytes_as_one(flat, tmp_path):
    source = saved(tmp_path, image_for(flat, (130, 280)))
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
        done = subprocess.run(
            command(
                flat,
                source,
                tmp_path / str(workers) / "out.zarr",
                "--block",
                "48,48",
                "--workers",
                workers,
            ),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert "dashboard: http" in done.stderr
    found = bytes_of(tmp_path / "2/out.zarr")
    assert any(name.startswith("1/c/") for name in found)  # of a coarser level
    assert bytes_of(tmp_path / "1/out.zarr") == found
    assert (tmp_path / "1/out.csv").read_bytes() == (tmp_path / "2/out.csv").read_bytes()


def test_workers_that_are_not_worth_their_start_are_not_started(flat, tmp_path, run):
    source = saved(tmp_path, image_for(flat, (130, 280)))
    options = ("--axes", "YX", "--block", "48,48", "--threads", 1)
    for workers in (1, 2):
        out = tmp_path / f"{workers}.zarr"
        done = run("predict", flat, source, "-o", out, *options, "--workers", workers)
        assert done.code == 0 and "dashboard" not in done.err, done.err
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


@pytest.mark.slow
def test_four_workers_write_the_same_bytes_in_3d(tmp_path):
    model = untrained(tmp_path, 3)
    source = saved(tmp_path, image_for(model, (40, 100, 120)))
    for workers in (1, 4):
        (tmp_path / str(workers)).mkdir()
        subprocess.run(
            command(
                model,
                source,
                tmp_path / str(workers) / "out.zarr",
                "--block",
                "16,32,32",
                "--workers",
                workers,
            ),
            check=True,
        )
    assert bytes_of(tmp_path / "1/out.zarr") == bytes_of(tmp_path / "4/out.zarr")


@pytest.mark.slow
def test_killed_ten_times_it_ends_in_the_same_bytes(flat, tmp_path):
    """SIGKILL of the main process or of a worker, at random moments."""
    source = saved(tmp_path, image_for(flat, (400, 500)))
    (tmp_path / "whole").mkdir()
    subprocess.run(
        command(flat, source, tmp_path / "whole/out.zarr", "--block", "48,48"), check=True
    )
    expected = bytes_of(tmp_path / "whole/out.zarr")
    # As deep as the other, so that the image is in the same place from there.
    killed = tmp_path / "killed"
    killed.mkdir()
    again = command(flat, source, killed / "out.zarr", "--block", "48,48", "--workers", 2)
    dice, kills = random.Random(0), 0
    while kills < 10:
        process = subprocess.Popen(again, start_new_session=True, stderr=subprocess.DEVNULL)
        # Starting takes some seconds; then blocks take fractions of one.
        time.sleep(dice.uniform(3, 9))
        if process.poll() is not None:
            # It was done before: begin anew.
            subprocess.run(["rm", "-r", killed / "out.zarr", killed / "out.csv"], check=True)
            continue
        kills += 1
        workers = children(process.pid)
        if workers and dice.random() < 0.5:
            os.kill(dice.choice(workers), signal.SIGKILL)
            # A new worker takes over.
            time.sleep(dice.uniform(0, 3))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    final = subprocess.run(again, capture_output=True, text=True)
    assert final.returncode == 0, final.stderr
    assert bytes_of(killed / "out.zarr") == expected
    assert not (killed / "out.blocks").exists()


def children(process: int) -> list[int]:
    """Return the workers of a process."""
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_the_run_ends(flat, tmp_path):
    source = saved(tmp_path, image_for(flat, (400, 500)))
    again = command(flat, source, tmp_path / "out.zarr", "--block", "48,48", "--workers", 2)
    with subprocess.Popen(again) as process:
        while not len(list((tmp_path / "out.blocks/found").glob("*.npz"))) > 5:
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(children(process.pid)[-1], signal.SIGKILL)
        assert process.wait(120) == 0
    write_labels(
        tmp_path / "seen.tif",
        np.asarray(open_array(tmp_path / "out.zarr", mode="r")[:]),
        None,
        "YX",
    )
    assert read_labels(tmp_path / "seen.tif").data.max() > 100


def test_a_2d_model_goes_plane_by_plane_through_a_volume_in_blocks(tmp_path, run):
    write_blobs(tmp_path / "data", 2, splits={"train": 2, "val": 1})
    config = plan(tmp_path / "data", method="boundary").changed(
        {
            "net.width": 8,
            "net.depth": 2,
            "train.crop": [32, 32],
            "method.fg_threshold": 0.1,
            "method.boundary_threshold": 0.3,
            "method.min_object_size": 0,
        }
    )
    Segmenter.new(config, "cpu").save(tmp_path / "m")
    image = np.random.default_rng(0).normal(100, 20, (6, 110, 120)).astype(np.float32)
    tifffile.imwrite(tmp_path / "image.tif", image, metadata={"axes": "ZYX"})
    options = ["--planes", "--spacing", "4,0.5,0.5"]
    whole = run("predict", tmp_path / "m", tmp_path / "image.tif", "-o", tmp_path / "a", *options)
    parts = run(
        "predict",
        tmp_path / "m",
        tmp_path / "image.tif",
        "-o",
        tmp_path / "b.tif",
        "--block",
        "4,64,64",
        "--halo",
        "2,20,20",
        *options,
    )
    assert (whole.code, parts.code) == (0, 0), whole.err + parts.err
    one, other = (read_labels(tmp_path / name).data for name in ("a/image.tif", "b.tif"))
    assert ((one > 0) == (other > 0)).mean() > 0.999 and one.max() > 0
