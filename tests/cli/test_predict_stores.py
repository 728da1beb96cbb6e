"""predict on OME-Zarr as OMERO, IDR and bioformats2raw write it: places, films, plates."""

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Label, Reader
from stores import write_plate, write_series, write_store

from embedseg.images import open_lazy, read_labels, write_blobs
from embedseg.model import plan
from embedseg.segmenter import Segmenter

#: Seeds of a net that has learnt nothing are all about 0.12.
LOOSE = {"method.seed_threshold": 0.1, "method.fg_threshold": 0.08, "method.min_object_size": 0}
PLACE = {"scale": {"Y": 1.0, "X": 1.0}, "translation": {"Y": 1000.0, "X": -50.0}}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_blobs(folder / "data", 2, splits={"train": 2, "val": 1})
    more = {"net.width": 8, "net.depth": 2, "train.crop": [32, 32], "spacing": [1.0, 1.0]}
    Segmenter.new(plan(folder / "data").changed(more | LOOSE), "cpu").save(folder / "m")
    return folder / "m"


def noise(seed=0, shape=(64, 80)):
    return np.random.default_rng(seed).normal(1000, 200, shape).astype(np.uint16)


def whole(path):
    image = open_lazy(path)
    return image.read((slice(None),) * len(image.shape))


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_by_ome_zarr(path):
    """Return level 0 of labels, and scale and translation of each level, by ome-zarr's reader."""
    found = Reader(parse_url(path, mode="r"))()
    node = next(n for n in found if any(isinstance(spec, Label) for spec in n.specs))
    placed = []
    for level in node.metadata["coordinateTransformations"]:
        held = {step["type"]: step[step["type"]] for step in level}
        placed.append((held["scale"], held.get("translation")))
    return np.asarray(node.data[0]), placed


# -- places ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("inside", [True, False])
def test_labels_lie_where_their_image_does(model, tmp_path, run, version, inside):
    pixels = noise()
    source = write_store(tmp_path / "i.zarr", pixels[None, None, None], version=version, **PLACE)
    output = source / "labels/cells" if inside else tmp_path / "cells.zarr"
    found = run("predict", model, source, "-o", output)
    assert found.code == 0, found.err
    labels, placed = read_by_ome_zarr(output)
    assert labels.shape == pixels.shape and labels.max() > 5
    assert placed[0] == ([1.0, 1.0], [1000.0, -50.0])
    if inside:
        assert placed[1] == ([2.0, 2.0], [1000.5, -49.5])
        # Coarser levels lie like those of the image.
        assert open_lazy(output, level=1).scales == open_lazy(source, level=1).scales
    table = rows(tmp_path / ("i-cells.csv" if inside else "cells.csv"))
    for row in table:
        lower, upper, centre = (
            np.array([float(row[f"{name}_{axis}"]) for axis in "yx"])
            for name in ("lower", "upper", "centre")
        )
        # Boxes are in pixels; a centre lies in its box, where the image places that.
        assert (lower >= 0).all() and (upper <= pixels.shape).all()
        assert (centre - (1000, -50) >= lower - 0.5).all()
        assert (centre - (1000, -50) <= upper - 0.5).all()


def test_labels_of_a_level_lie_where_that_does(model, tmp_path, run):
    source = write_store(tmp_path / "i.zarr", noise(shape=(128, 160))[None, None, None], **PLACE)
    options = ["--level", "1", "--set", "predict.any_spacing=true"]
    found = run("predict", model, source, "-o", tmp_path / "cells.zarr", *options)
    assert found.code == 0, found.err
    labels, placed = read_by_ome_zarr(tmp_path / "cells.zarr")
    assert labels.shape == (64, 80)
    assert placed[0] == ([2.0, 2.0], [1000.5, -49.5])


def test_labels_keep_the_units_of_their_image(model, tmp_path, run):
    for unit in (None, "nanometer"):
        source = write_store(
            tmp_path / f"{unit}.zarr",
            noise()[None],
            "CYX",
            scale={"Y": 1000.0, "X": 1000.0},
            translation={"Y": 7.0},
            unit=unit,
        )
        found = run("predict", model, source, "-o", tmp_path / f"{unit}-cells.zarr")
        assert found.code == 0, found.err
        group = zarr.open_group(tmp_path / f"{unit}-cells.zarr", mode="r")
        (image,) = group.attrs["ome"]["multiscales"]
        assert [axis.get("unit") for axis in image["axes"]] == [unit, unit]
        assert image["datasets"][0]["coordinateTransformations"] == [
            {"type": "scale", "scale": [1000.0, 1000.0]},
            {"type": "translation", "translation": [7.0, 0.0]},
        ]


def test_series_get_their_labels(model, tmp_path, run):
    one = write_series(tmp_path / "one.zarr", [noise()[None, None, None]])
    refused = run("predict", model, one, "-o", one / "labels/cells")
    assert refused.code == 2 and "one.zarr/0/labels/NAME" in refused.last
    found = run("predict", model, one, "-o", one / "0/labels/cells")
    assert found.code == 0, found.err
    assert whole(one / "0/labels/cells").max() > 5
    # Nothing is put beside images inside of the store.
    assert (tmp_path / "one-0-cells.csv").is_file()
    assert sorted(path.name for path in one.iterdir() if path.is_dir()) == ["0", "OME"]
    two = write_series(tmp_path / "two.zarr", [noise(n)[None, None, None] for n in range(2)])
    refused = run("predict", model, two, "-o", tmp_path / "cells.zarr")
    assert refused.code == 1 and "two.zarr/0, " in refused.last
    assert run("predict", model, two / "1", "-o", tmp_path / "cells.zarr").code == 0


# -- films -----------------------------------------------------------------------------------------
def film(path):
    frames = np.stack([noise(n) for n in range(3)])
    return write_store(path, frames[:, None, None], scale={"T": 60.0}), frames


def test_films_are_segmented_frame_by_frame(model, tmp_path, run):
    source, frames = film(tmp_path / "film.zarr")
    refused = run("predict", model, source, "-o", tmp_path / "cells.zarr")
    assert refused.code == 1 and "(TYX); --frames segments each frame" in refused.last
    assert {path.name for path in tmp_path.iterdir()} == {"film.zarr"}
    for output in ("cells.zarr", "cells.tif"):
        found = run("predict", model, source, "-o", tmp_path / output, "--frames", "--overwrite")
        assert found.code == 0, found.err
    labels, placed = read_by_ome_zarr(tmp_path / "cells.zarr")
    assert placed[0][0] == [60.0, 1.0, 1.0] and open_lazy(tmp_path / "cells.zarr").axes == "TYX"
    tiff = read_labels(tmp_path / "cells.tif")
    assert tiff.axes == "TYX" and np.array_equal(tiff.data, labels)
    # As by itself.
    single = Segmenter.load(model, "cpu")
    table = rows(tmp_path / "cells.csv")
    for t, frame in enumerate(frames):
        np.save(tmp_path / "one.npy", frame)
        output = tmp_path / f"{t}.zarr"
        single.segment_blocks(tmp_path / "one.npy", output, axes="YX", progress=False)
        assert np.array_equal(labels[t], whole(output)) and labels[t].max() > 5
        own = [row for row in table if row["frame"] == str(t)]
        assert [row["label"] for row in own] == [str(n + 1) for n in range(labels[t].max())]
        assert [list(row.values())[2:] for row in own] == [
            list(row.values())[1:] for row in rows(tmp_path / f"{t}.csv")
        ]


def test_a_film_that_was_interrupted_resumes(model, tmp_path, run, monkeypatch):
    from embedseg.blockwise import segment

    source, _ = film(tmp_path / "film.zarr")
    command = ["predict", model, source, "--frames", "--block", "48,80", "-o"]
    assert run(*command, tmp_path / "whole.zarr").code == 0
    work, seen = segment.write_objects, []

    def stops(job, *more):
        seen.append(job.frame)
        if job.frame == 1:
            raise KeyboardInterrupt
        return work(job, *more)

    with monkeypatch.context() as patch:
        patch.setattr(segment, "write_objects", stops)
        assert run(*command, tmp_path / "cells.zarr").code == 130
    monkeypatch.setattr(
        segment, "write_objects", lambda job, *more: (seen.append(job.frame), work(job, *more))[1]
    )
    again = run(*command, tmp_path / "cells.zarr")
    assert again.code == 0 and "resumes" in again.err and seen == [0, 1, 1, 2]
    assert np.array_equal(whole(tmp_path / "cells.zarr"), whole(tmp_path / "whole.zarr"))
    assert (tmp_path / "cells.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not (tmp_path / "cells.blocks").exists()


def test_a_dry_run_is_of_one_frame(model, tmp_path, run):
    source, _ = film(tmp_path / "film.zarr")
    found = run("predict", model, source, "-o", tmp_path / "a.zarr", "--frames", "--dry-run")
    assert found.code == 0 and found.out.splitlines()[0] == "frames: 3, each one:"


# -- plates ----------------------------------------------------------------------------------------
NAMES = ["A/1/0", "A/1/1", "B/3/0"]


@pytest.fixture
def plate(tmp_path):
    return write_plate(
        tmp_path / "p.zarr", {name: noise(n) for n, name in enumerate(NAMES)}, scale=1.0
    )


@pytest.mark.filterwarnings("ignore")  # ome-zarr's writer warns of itself
def test_each_field_of_a_plate_gets_labels(model, plate, tmp_path, run):
    found = run("predict", model, plate, "-o", tmp_path / "out")
    assert found.code == 0 and "3 fields written to" in found.out, found.err
    assert [line for line in found.err.splitlines() if line.startswith("[")] == [
        f"[{n}/3] {name}: {whole(tmp_path / f'out/{name}.zarr').max()} objects"
        for n, name in enumerate(NAMES, 1)
    ]
    inside = run("predict", model, plate, "-o", plate / "labels/cells")
    assert inside.code == 0, inside.err
    for n, name in enumerate(NAMES):
        labels, _ = read_by_ome_zarr(plate / name / "labels/cells")
        np.save(tmp_path / "one.npy", noise(n))
        single = tmp_path / f"single{n}.zarr"
        run("predict", model, tmp_path / "one.npy", "--axes", "YX", "-o", single)
        assert np.array_equal(labels, whole(single)) and labels.max() > 5
        assert np.array_equal(labels, whole(tmp_path / f"out/{name}.zarr"))
        beside = tmp_path / f"p-{name.replace('/', '-')}-cells.csv"
        assert beside.read_bytes() == (tmp_path / f"out/{name}.csv").read_bytes()
    again = run("predict", model, plate, "-o", tmp_path / "out")
    assert again.code == 0 and "3 of 3 have labels already and are skipped" in again.err


@pytest.mark.filterwarnings("ignore")
def test_a_bad_field_does_not_cost_the_others(model, plate, tmp_path, run):
    for file in (plate / "A/1/0").rglob(".zarray"):
        file.write_text("{")
    found = run("predict", model, plate, "-o", tmp_path / "out")
    assert found.code == 1 and "1 of 3 fields failed: A/1/0" in found.last
    assert not (tmp_path / "out/A/1/0.zarr").exists()
    assert whole(tmp_path / "out/B/3/0.zarr").max() > 5


@pytest.mark.filterwarnings("ignore")
def test_labels_of_a_plate_need_a_place_for_each_field(model, plate, tmp_path, run):
    found = run("predict", model, plate, "-o", tmp_path / "cells.zarr")
    assert found.code == 2 and "expected a folder, or" in found.last
    assert "the labels of 3 fields" in found.last
    found = run("predict", model, plate, "-o", plate)
    assert found.code == 2
    found = run("predict", model, plate, "-o", plate / "out")
    assert found.code == 2 and "lies inside the input" in found.last


# -- several images --------------------------------------------------------------------------------
def test_several_stores_are_segmented_one_after_the_other(model, tmp_path, run):
    scale = {"Y": 1.0, "X": 1.0}
    sources = [
        write_store(tmp_path / f"{name}.zarr", noise(n), "YX", scale=scale)
        for n, name in enumerate("abc")
    ]
    for file in (tmp_path / "c.zarr").rglob(".zarray"):
        file.write_text("{")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["raw"] = noise(3)
    out, inputs = tmp_path / "out", [*sources, tmp_path / "d.h5"]
    found = run("predict", model, *inputs, "--axes", "YX", "-o", out)
    assert found.code == 1 and "1 of 4 images failed: c" in found.last, found.err
    assert "3 images written to" in found.out
    for source in (tmp_path / "b.zarr", tmp_path / "d.h5"):
        own = tmp_path / f"{source.stem}-own.zarr"
        single = run("predict", model, source, "--axes", "YX", "-o", own)
        assert single.code == 0, single.err
        np.testing.assert_array_equal(whole(out / f"{source.stem}.zarr"), whole(own))
        table = out / f"{source.stem}.csv"
        assert table.read_bytes() == own.with_suffix(".csv").read_bytes()
    assert {path.name for path in out.iterdir()} == {
        f"{name}.{suffix}" for name in ("a", "b", "d") for suffix in ("zarr", "csv")
    }
    again = run("predict", model, tmp_path / "[ab].zarr", "--axes", "YX", "-o", out)
    assert again.code == 0 and "2 of 2 have labels already and are skipped" in again.err


@pytest.mark.filterwarnings("ignore")  # ome-zarr's writer warns of itself
def test_outputs_of_several_stores(model, plate, tmp_path, run):
    (tmp_path / "day").mkdir()
    scale = {"Y": 1.0, "X": 1.0}
    one = write_store(tmp_path / "a.zarr", noise(), "YX", scale=scale)
    two = write_store(tmp_path / "day/a.zarr", noise(1), "YX", scale=scale)
    for output in ("cells.zarr", "cells.tif", "a.zarr/labels/cells"):
        refused = run("predict", model, one, two, "-o", tmp_path / output)
        assert refused.code == 2 and "expected a folder, for the labels of 2 images" in refused.last
    refused = run("predict", model, one, two, "-o", one / "out")
    assert refused.code == 2 and "lies inside the input" in refused.last
    dry = run("predict", model, one, two, "-o", tmp_path / "none", "--dry-run")
    assert dry.code == 0 and dry.out.startswith("images: 2, the first one:")
    assert not (tmp_path / "none").exists()
    out = tmp_path / "labels/all"
    found = run("predict", model, one, two, plate, "-o", out)
    assert found.code == 0 and "5 images written to" in found.out, found.err
    written = {path.relative_to(out).as_posix() for path in out.rglob("*.zarr")}
    assert written == {"a.zarr", "day/a.zarr", *(f"p/{name}.zarr" for name in NAMES)}
