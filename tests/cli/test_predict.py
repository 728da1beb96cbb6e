"""The command predict, file by file."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from commands import Run
from embedseg.images import blobs, read_image


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
    whole = first.read_bytes()
    done = run("predict", model, pattern, "-o", out)
    assert (done.code, "skipped" in done.err, first.read_bytes()) == (0, True, whole)
    tifffile.imwrite(tmp_path / "small.tif", np.ones((3, 4), np.uint16))
    # Half a copy, another program's file, and labels of another image are not labels of this one.
    for held, words in (
        (whole[: len(whole) // 2], "truncated"),
        (b"mine", "corrupt"),
        ((tmp_path / "small.tif").read_bytes(), "has Y 3, X 4, expected Y "),
    ):
        first.write_bytes(held)
        done = run("predict", model, pattern, "-o", out)
        assert done.code == 2 and str(first) in done.last and words in done.last
        assert "remove it" in done.last
        assert first.read_bytes() == held
    assert run("predict", model, pattern, "-o", out, "--overwrite", "--tta").code == 0
    assert first.read_bytes() != held
    first.unlink()
    assert run("predict", model, pattern, "-o", out, "--tta").code == 0 and first.exists()


def test_predict_refuses_clashes_up_front(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    image = next((data / "test/images").iterdir())
    (tmp_path / "a").mkdir()
    for name in ("same.tif", "same.ome.tif"):
        shutil.copy(image, tmp_path / "a" / name)
    done = run("predict", model, tmp_path / "a", "-o", tmp_path / "out")
    assert done.code == 1
    assert "same" in done.last
    assert not (tmp_path / "out").exists()
    (tmp_path / "a/same.ome.tif").unlink()
    done = run("predict", model, tmp_path / "a", "-o", tmp_path / "a")
    assert done.code == 2
    assert "is an input too" in done.last


def test_predict_keeps_the_folders_of_its_inputs(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    images = sorted((data / "test/images").iterdir())[:2]
    for day, image in zip(("day1", "day2"), images, strict=True):
        (tmp_path / day).mkdir()
        shutil.copy(image, tmp_path / day / "a.tif")
    out = tmp_path / "out"
    command = ["predict", model, tmp_path / "day*/*.tif", "-o", out, "--also", "csv", "--maps"]
    done = run(*command, "--plot")
    assert done.code == 0
    assert "day2/a.tif: " in done.err
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert written > {f"{day}/a{end}" for day in ("day1", "day2") for end in (".tif", ".csv")}
    for folder in ("maps/", "plots/"):
        found = {path for path in written if path.startswith(folder)}
        names = [{path for path in found if f"{folder}{day}/a" in path} for day in ("day1", "day2")]
        assert len(names[0]) == len(names[1]) > 0 and names[0] | names[1] == found
    for day, image in zip(("day1", "day2"), images, strict=True):
        run("predict", model, image, "-o", tmp_path / day / "alone")
        alone = read_image(tmp_path / day / "alone" / image.name).data
        np.testing.assert_array_equal(read_image(out / day / "a.tif").data, alone)
    assert "day1/a" in (out / "report.html").read_text()


def test_predict_reads_equal_colours_as_grey(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    image = read_image(next((data / "test/images").iterdir())).data
    small = (image / image.max() * 255).astype(np.uint8)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in/grey.tif", small)
    tifffile.imwrite(tmp_path / "in/rgb.tif", np.dstack([small] * 3), photometric="rgb")
    assert run("predict", model, tmp_path / "in", "-o", tmp_path / "out").code == 0
    grey, rgb = (read_image(tmp_path / f"out/{name}.tif").data for name in ("grey", "rgb"))
    np.testing.assert_array_equal(rgb, grey)


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
    (store := tmp_path / "a.zarr").mkdir()
    for args, words in (
        ([image, "-o", out, "--also", "svg"], "no format 'svg'"),
        ([store, "-o", "b.zarr", "--also", "roi"], "not for images in blocks"),
        ([store, "-o", "b.zarr", "--fill-holes"], "not for images in blocks"),
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
        "ome-zarr",
    )
    words = (
        "has a time axis, ome-zarr is for images and volumes; frames are written as roi, geojson"
    )
    assert (done.code, words in done.err) == (1, True)
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


def test_objects_of_frames_are_written_with_their_frame(
    model: Path, tmp_path: Path, run: Run
) -> None:
    frames = np.stack([blobs((40, 48), 3, seed)[0] for seed in range(3)]).astype(np.float32)
    tifffile.imwrite(tmp_path / "movie.tif", frames, imagej=True, metadata={"axes": "TYX"})
    options = ["--frames", "--also", "roi,geojson,csv,coco"]
    done = run("predict", model, tmp_path / "movie.tif", "-o", tmp_path / "out", *options)
    assert done.code == 0, done.err
    labels = read_image(tmp_path / "out/movie.tif").data
    expected = [(t, int(n)) for t in range(3) for n in np.unique(labels[t])[1:]]
    with (tmp_path / "out/movie.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["frame"]), int(row["label"])) for row in rows] == expected
    for row in rows:
        inside = labels[int(row["frame"])] == int(row["label"])
        assert int(row["size_px"]) == inside.sum()
        mean = frames[int(row["frame"])][inside].mean()
        assert float(row["mean_c1"]) == pytest.approx(mean, rel=1e-4)
    for suffix in (".zip", ".geojson", ".json"):
        shape = ["--shape", "3,40,48", "--overwrite", "-o", tmp_path / "back.tif"]
        assert run("convert", tmp_path / f"out/movie{suffix}", *shape).code == 0
        np.testing.assert_array_equal(read_image(tmp_path / "back.tif").data, labels)


def test_a_flat_file_is_not_called_a_volume(model: Path, tmp_path: Path, run: Run) -> None:
    tifffile.imwrite(tmp_path / "flat.tif", np.ones((32, 32), np.uint16))
    done = run("predict", model, tmp_path / "flat.tif", "-o", tmp_path / "out", "--axes", "ZYX")
    assert done.code == 1 and "flat.tif: has one plane" in done.err
    assert "expected --axes YX" in done.err and "3D" not in done.err


@pytest.mark.parametrize(
    "options, named",
    [
        ("predict MODEL IMAGE -o OUT --spacing 1,1,1", "--spacing 1,1,1: 3 values, expected 2"),
        ("predict MODEL IMAGE -o OUT/a.zarr --spacing 1,1,1", "test0.tif: spacing 1,1,1, expected"),
        ("predict MODEL IMAGE -o OUT/a.zarr --spacing 0", "--spacing '0'"),
        ("predict MODEL IMAGE -o OUT/a.zarr --spacing 900,900", "test0.tif: pixels"),
        ("predict MODEL IMAGE -o OUT/a/b.tif --block 5", "block 5"),
        ("convert IMAGE -o OUT/a.tif --spacing 1,1,1", "--spacing 1,1,1: 3 values, expected 2"),
        ("convert IMAGE -o OUT/a.csv --spacing 1", "--spacing 1: 1 values, expected 2"),
    ],
)
def test_a_refused_option_is_named_and_leaves_no_folder(
    model: Path, data: Path, tmp_path: Path, run: Run, options: str, named: str
) -> None:
    paths = {
        "MODEL": model,
        "IMAGE": data / "test/images/test0.tif",
        "OUT": tmp_path / "new/out",
    }
    for name, path in paths.items():
        options = options.replace(name, str(path))
    done = run(*options.split())
    assert done.code == 2 and named in done.last
    assert not any(tmp_path.iterdir())


def test_planes_of_a_flat_image_are_refused_with_its_name(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    image = data / "test/images/test0.tif"
    done = run("predict", model, image, "-o", tmp_path / "out", "--planes")
    assert done.code == 1 and f"error: {image}: 2D (YX), but --planes is for volumes" in done.err
    done = run("evaluate", model, data, "--planes")
    assert done.code == 1 and "test0.tif: 2D (YX), but --planes" in done.last
