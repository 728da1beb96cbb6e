"""The command that takes labels to other programs and back."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import roifile
import tifffile
import zarr
from stores import write_store

from commands import Run
from embedseg.export import Objects, export_objects, import_objects
from embedseg.images import blobs, open_lazy, read_image, read_labels, write_labels, write_tiff

SHAPES = {2: (60, 70), 3: (8, 40, 36)}
SPACINGS = {2: (0.5, 0.25), 3: (2.0, 0.5, 0.25)}
#: Formats that hold the pixels, by their suffixes.
EXACT = (".zip", ".geojson", ".json", ".zarr", ".tif")


@pytest.fixture(params=[2, 3], ids=["2d", "3d"])
def cells(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Labels, and beside them the image of two channels, both with spacing."""
    ndim = request.param
    image, labels = blobs(SHAPES[ndim], 8, seed=2)
    axes = "ZYX"[-ndim:]
    write_labels(tmp_path / "cells.tif", labels, SPACINGS[ndim], axes)
    both = np.stack([image, 2 * image], 1 if ndim == 3 else 0)
    write_tiff(tmp_path / "image.tif", both, SPACINGS[ndim], axes.replace("Y", "CY"))
    return tmp_path / "cells.tif"


@pytest.mark.parametrize("suffix", EXACT)
def test_there_and_back(suffix: str, cells: Path, tmp_path: Path, run: Run) -> None:
    labels = read_labels(cells)
    there, back = tmp_path / f"out/cells{suffix}", tmp_path / "back.tif"
    code, out, _ = run("convert", cells, "-o", there)
    count = len(np.unique(labels.data)) - 1
    assert (code, out.strip()) == (0, f"{count} objects written to {there}")
    like = ["--like", tmp_path / "image.tif"] if suffix in (".zip", ".geojson", ".json") else []
    done = run("convert", there, "-o", back, *like)
    assert done.code == 0
    found = read_labels(back)
    np.testing.assert_array_equal(found.data, labels.data)
    assert (found.axes, found.spacing) == (labels.axes, labels.spacing)
    assert sorted(path.name for path in there.parent.iterdir()) == [there.name]


def test_a_table_with_intensities(cells: Path, tmp_path: Path, run: Run) -> None:
    labels = read_labels(cells)
    assert (
        run("convert", cells, "-o", tmp_path / "a.csv", "--image", tmp_path / "image.tif").code == 0
    )
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    image = tifffile.imread(tmp_path / "image.tif")
    first = image[:, 0] if labels.data.ndim == 3 else image[0]
    for row in rows:
        inside = labels.data == int(row["label"])
        assert float(row["mean_c1"]) == pytest.approx(first[inside].mean(), rel=1e-4)
        assert float(row["max_c2"]) == pytest.approx(2 * first[inside].max(), rel=1e-4)
        assert int(row["size_px"]) == inside.sum()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_intensities_from_a_store_with_named_channels(
    cells: Path, tmp_path: Path, run: Run
) -> None:
    from ome_zarr.writer import write_image

    image = read_image(tmp_path / "image.tif")
    group = zarr.open_group(tmp_path / "image.zarr", mode="w")
    write_image(image.data, group, scale_factors=(2,), axes=image.axes.lower())
    group.attrs["ome"] = group.attrs["ome"] | {
        "omero": {"channels": [{"label": "DAPI"}, {"label": "GFP"}]}
    }
    rows: list[list[dict[str, str]]] = []
    for suffix in (".tif", ".zarr"):
        done = run(
            "convert",
            cells,
            "-o",
            tmp_path / f"{suffix[1:]}.csv",
            "--image",
            tmp_path / f"image{suffix}",
        )
        assert done.code == 0, done.err
        with (tmp_path / f"{suffix[1:]}.csv").open(newline="") as file:
            rows.append(list(csv.DictReader(file)))
    assert {"mean_DAPI", "mean_GFP", "max_GFP"} <= set(rows[1][0])
    assert [list(row.values()) for row in rows[0]] == [list(row.values()) for row in rows[1]]


def test_cleaning_before_anything_is_written(tmp_path: Path, run: Run) -> None:
    labels = np.zeros((12, 14), np.int32)
    labels[0:3, 0:3], labels[4:9, 4:9], labels[6, 6] = 1, 2, 0
    labels[10, 12], labels[10, 3] = 2, 3
    write_labels(tmp_path / "a.tif", labels, None, "YX")
    done = run(
        "convert",
        tmp_path / "a.tif",
        "-o",
        tmp_path / "b.tif",
        "--clear-border",
        "--fill-holes",
        "--min-size",
        "2",
        "--largest-piece",
    )
    assert "1 object written" in done.out
    expected = np.zeros_like(labels)
    expected[4:9, 4:9] = 2
    found = read_labels(tmp_path / "b.tif")
    np.testing.assert_array_equal(found.data, expected)
    assert found.spacing is None
    run("convert", tmp_path / "a.tif", "-o", tmp_path / "b.zip", "--clear-border")
    assert [roi.name for roi in roifile.roiread(tmp_path / "b.zip")] == ["0002", "0003"]


def test_one_format_into_another(cells: Path, tmp_path: Path, run: Run) -> None:
    like = ["--like", tmp_path / "image.tif"]
    run("convert", cells, "-o", tmp_path / "a.zip")
    assert run("convert", tmp_path / "a.zip", "-o", tmp_path / "b.geojson", *like).code == 0
    assert (
        run(
            "convert",
            tmp_path / "b.geojson",
            "-o",
            tmp_path / "c.csv",
            "--image",
            tmp_path / "image.tif",
        ).code
        == 0
    )
    run("convert", cells, "-o", tmp_path / "d.csv", "--image", tmp_path / "image.tif")
    assert (tmp_path / "c.csv").read_text() == (tmp_path / "d.csv").read_text()


def test_size_by_hand_or_from_coco(cells: Path, tmp_path: Path, run: Run) -> None:
    labels = read_labels(cells).data
    shape = ",".join(map(str, labels.shape))
    run("convert", cells, "-o", tmp_path / "a.geojson")
    run("convert", cells, "-o", tmp_path / "b.json", "--to", "coco")
    for args in (["a.geojson", "--shape", shape], ["b.json"], ["b.json", "--shape", shape]):
        name, *rest = args
        done = run(
            "convert",
            tmp_path / name,
            "-o",
            tmp_path / "c.tif",
            "--overwrite",
            "--spacing",
            ",".join(["0.5"] * labels.ndim),
            *rest,
        )
        assert done.code == 0
        found = read_labels(tmp_path / "c.tif")
        np.testing.assert_array_equal(found.data, labels)
        assert set(found.spacing or ()) == {0.5}


def test_what_is_lost_is_said(tmp_path: Path, run: Run) -> None:
    squares = [[[x, 0], [x + 3, 0], [x + 3, 3], [x, 3], [x, 0]] for x in (0, 2, 40)]
    (tmp_path / "a.geojson").write_text(
        json.dumps(
            [
                {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [square]}}
                for square in squares
            ]
        )
    )
    done = run("convert", tmp_path / "a.geojson", "-o", tmp_path / "a.tif", "--shape", "4,9")
    assert "2 objects written" in done.out
    assert "objects that overlap earlier ones: 1, which leave 3 pixels to these" in done.err
    assert "outlines without a pixel in the image: 1" in done.err
    assert read_labels(tmp_path / "a.tif").data[0].tolist() == [1, 1, 1, 2, 2, 0, 0, 0, 0]


@pytest.mark.parametrize("suffix", EXACT)
def test_labels_without_an_object_come_back(suffix: str, tmp_path: Path, run: Run) -> None:
    write_labels(tmp_path / "a.tif", np.zeros((5, 6), np.int32), None, "YX")
    assert run("convert", tmp_path / "a.tif", "-o", tmp_path / f"b{suffix}").code == 0
    more = ["--shape", "5,6"] if suffix in (".zip", ".geojson", ".json") else []
    done = run("convert", tmp_path / f"b{suffix}", "-o", tmp_path / "c.tif", *more)
    assert (done.code, done.out.startswith("0 objects")) == (0, True), done.err
    np.testing.assert_array_equal(read_labels(tmp_path / "c.tif").data, np.zeros((5, 6)))


def test_regions_are_objects_if_asked_for(tmp_path: Path, run: Run) -> None:
    features = [
        {
            "type": "Feature",
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[a, a], [b, a], [b, b], [a, b], [a, a]]],
            },
            "properties": {"objectType": kind},
        }
        for a, b, kind in ((0, 6, "annotation"), (1, 3, "detection"))
    ]
    (tmp_path / "a.geojson").write_text(json.dumps(features))
    options = ["-o", tmp_path / "a.tif", "--shape", "6,6", "--overwrite"]
    for more, sizes in ([], [4]), (["--keep-regions"], [4, 32]):
        done = run("convert", tmp_path / "a.geojson", *options, *more)
        assert ("taken for regions: 1" in done.err) == (not more)
        found = read_labels(tmp_path / "a.tif").data
        assert sorted(np.bincount(found.ravel())[1:].tolist()) == sizes


def test_planes_drawn_one_by_one_are_linked(tmp_path: Path, run: Run) -> None:
    features = [
        {
            "type": "Feature",
            "geometry": {
                "type": "Polygon",
                "plane": {"c": -1, "z": z, "t": 0},
                "coordinates": [[[1, 1], [4, 1], [4, 4], [1, 4], [1, 1]]],
            },
        }
        for z in range(3)
    ]
    (tmp_path / "a.geojson").write_text(json.dumps(features))
    for more, count in (([], 3), (["--link"], 1)):
        done = run(
            "convert",
            tmp_path / "a.geojson",
            "-o",
            tmp_path / "a.tif",
            "--shape",
            "3,6,6",
            "--overwrite",
            *more,
        )
        assert done.out.startswith(f"{count} object")


def test_stores_are_read(tmp_path: Path, run: Run) -> None:
    _, labels = blobs((50, 60), 5, seed=1)
    write_labels(tmp_path / "a.tif", labels, (0.5, 0.5), "YX")
    run("convert", tmp_path / "a.tif", "-o", tmp_path / "a.zarr", "--to", "ome-zarr")
    np.testing.assert_array_equal(open_lazy(tmp_path / "a.zarr").read(np.s_[:, :]), labels)
    assert "5 objects" in run("convert", tmp_path / "a.zarr", "-o", tmp_path / "a.zip").out
    like = ["--like", tmp_path / "a.zarr"]
    assert run("convert", tmp_path / "a.zip", "-o", tmp_path / "b.tif", *like).code == 0
    found = read_labels(tmp_path / "b.tif")
    np.testing.assert_array_equal(found.data, labels)
    assert found.spacing == (0.5, 0.5)


@pytest.mark.parametrize(
    ("args", "wanted", "words"),
    [
        (["a.tif", "-o", "b.xml"], 2, "--to: roi, geojson, csv, coco, ome-zarr, tif"),
        (["a.tif", "-o", "b.zip", "--to", "coco"], 2, "files of the format coco end with .json"),
        (["a.tif", "-o", "b.zip", "--to", "tif"], 2, "label images end with .tif"),
        (["a.tif", "-o", "b.zip", "--to", "svg"], 2, "no format 'svg'; there are roi"),
        (["a.tif", "-o", "b.zip", "--shape", "4,4"], 2, "are for outlines"),
        (["a.tif", "-o", "b.zip", "--like", "a.tif"], 2, "are for outlines"),
        (["a.tif", "-o", "a.tif"], 2, "a.tif: would replace the input"),
        (
            ["a.tif", "-o", "b.csv", "--spacing", "1,1,1"],
            2,
            "--spacing 1,1,1: 3 values, expected 2",
        ),
        (["a.tif", "-o", "b.csv", "--image", "movie.tif"], 1, "has a time axis (TYX)"),
        (
            ["a.tif", "-o", "b.csv", "--image", "c.tif"],
            1,
            "do not belong to an image of shape (9, 9)",
        ),
        (["a.geojson", "-o", "b.tif"], 2, "--like IMAGE or --shape Y,X"),
        (["a.geojson", "-o", "b.tif", "--shape", "4"], 2, "--shape '4': expected Y,X or Z,Y,X"),
        (["a.geojson", "-o", "b.tif", "--shape", "0,4"], 2, "--shape '0,4'"),
        (
            ["a.geojson", "-o", "b.tif", "--shape", "4,4", "--like", "a.tif"],
            2,
            "expected one of them",
        ),
        (["a.geojson", "-o", "b.tif", "--shape", "4,4"], 1, "a.geojson: this is no GeoJSON"),
        (["none.tif", "-o", "b.zip"], 1, "none.tif: no such file"),
        (["none.zip", "-o", "b.tif", "--shape", "4,4"], 1, "none.zip: no such file"),
        (["movie.tif", "-o", "b.zip"], 1, "(TYX), expected labels of an image (YX) or a volume"),
        (["a.md", "-o", "b.zip"], 1, "files of type '.md' cannot be read"),
        (["a.tif", "-o", "b.zip", "--min-size", "-1"], 2, "--min-size"),
    ],
)
def test_bad_usage_and_bad_data(
    args: list[str],
    wanted: int,
    words: str,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_labels("a.tif", np.ones((5, 6), np.int32), None, "YX")
    write_labels("c.tif", np.ones((9, 9), np.int32), None, "YX")
    write_labels("movie.tif", np.ones((3, 5, 6), np.int32), None, "TYX")
    for name in ("a.geojson", "a.md"):
        Path(name).write_text("x")
    done = run("convert", *args)
    assert (done.code, words in done.err) == (wanted, True), done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.geojson",
        "a.md",
        "a.tif",
        "c.tif",
        "movie.tif",
    ]


def test_nothing_is_replaced_unasked(tmp_path: Path, run: Run) -> None:
    write_labels(tmp_path / "a.tif", np.ones((5, 6), np.int32), None, "YX")
    for name in ("a.zip", "a.csv", "a.zarr", "b.tif"):
        assert run("convert", tmp_path / "a.tif", "-o", tmp_path / name).code == 0
        done = run("convert", tmp_path / "a.tif", "-o", tmp_path / name)
        assert (done.code, f"{name}: exists" in done.err) == (2, True)
        assert run("convert", tmp_path / "a.tif", "-o", tmp_path / name, "--overwrite").code == 0
    (tmp_path / "c.zip").mkdir()
    assert run("convert", tmp_path / "a.tif", "-o", tmp_path / "c.zip", "--overwrite").code == 2


@pytest.mark.parametrize(
    ("library", "name", "command"),
    [
        ("roifile", "a.zip", "pip install roifile"),
        ("zarr", "a.zarr", "pip install bokeh 'dask[distributed]' ome-zarr zarr"),
    ],
)
def test_a_missing_library_is_said_in_one_line(
    library: str, name: str, command: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_labels(tmp_path / "a.tif", np.ones((5, 6), np.int32), None, "YX")
    monkeypatch.setitem(sys.modules, library, None)
    done = run("convert", tmp_path / "a.tif", "-o", tmp_path / name)
    assert done.code == 2
    assert done.last == f"error: this needs {library}: {command}"


def test_another_spacing_of_the_image_is_remarked_on(tmp_path: Path, run: Run) -> None:
    labels = np.ones((5, 6), np.int32)
    write_labels(tmp_path / "a.tif", labels, (0.5, 0.5), "YX")
    for name, spacing in {"same": (0.5, 0.5), "other": (0.5, 0.25), "none": None}.items():
        write_tiff(tmp_path / f"{name}.tif", labels.astype(np.uint8), spacing, "YX")
        command = ["convert", tmp_path / "a.tif", "--image", tmp_path / f"{name}.tif"]
        done = run(*command, "-o", tmp_path / f"{name}.csv")
        assert done.code == 0
        remark = f"{name}.tif: spacing 0.5,0.25 µm, that of the labels is 0.5,0.5 µm"
        assert (remark in done.err) == (name == "other")
    done = run(*command[:3], tmp_path / "other.tif", "-o", tmp_path / "b.csv", "--spacing=0.5,0.25")
    assert "that of the labels" not in done.err


def test_unknown_spacing_is_said(tmp_path: Path, run: Run) -> None:
    write_labels(tmp_path / "a.tif", np.ones((5, 6), np.int32), None, "YX")
    assert (
        "taken to be 1,1; --spacing"
        in run("convert", tmp_path / "a.tif", "-o", tmp_path / "a.csv").err
    )
    assert "area_px2" in (tmp_path / "a.csv").read_text().splitlines()[0]
    done = run("convert", tmp_path / "a.tif", "-o", tmp_path / "b.csv", "--spacing", "0.5,0.5")
    assert "area_um2" in (tmp_path / "b.csv").read_text().splitlines()[0]
    assert "spacing 0.5,0.5 µm, as given" in done.err
    assert ",7.5," in (tmp_path / "b.csv").read_text()


def test_labels_of_a_store_keep_their_place(tmp_path: Path, run: Run) -> None:
    labels = np.zeros((1, 1, 1, 20, 30), np.uint8)
    labels[..., 4:8, 10:15] = 3
    source = write_store(
        tmp_path / "a.zarr",
        labels,
        scale={"Y": 500.0, "X": 250.0},
        translation={"Y": 1e8, "X": -2000.0},
        unit="nanometer",
    )
    assert run("convert", source, "-o", tmp_path / "b.zarr").code == 0
    assert open_lazy(tmp_path / "b.zarr").scales == open_lazy(source).scales
    for path in (source, tmp_path / "b.zarr"):
        run("convert", path, "-o", tmp_path / "a.csv", "--overwrite")
        with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        # The middle of pixels 4 to 7 is 5.5, of 10 to 14 it is 12; boxes and GeoJSON are in pixels.
        assert (row["centre_y_um"], row["centre_x_um"]) == ("100002.75", "1")
        assert (row["box_y_start"], row["box_x_stop"]) == ("4", "15")
    run("convert", source, "-o", tmp_path / "a.geojson")
    (feature,) = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert np.max(feature["geometry"]["coordinates"][0]) < 30


def test_surfaces_are_made_of_stores(tmp_path: Path, run: Run) -> None:
    labels = np.zeros((1, 1, 8, 20, 20), np.uint8)
    labels[..., 2:6, 4:14, 4:14] = 7
    write_store(tmp_path / "a.zarr", labels)
    found = run("mesh", tmp_path / "a.zarr", "-o", tmp_path / "a.stl")
    assert found.code == 0 and "1 surface" in found.out, found.err


def test_outlines_of_films_become_labels_of_frames(tmp_path: Path, run: Run) -> None:
    film = np.zeros((2, 3, 12, 16), np.int32)
    film[0, 0, 2:6, 2:6] = film[1, 1:, 3:9, 8:12] = 1
    export_objects(tmp_path / "a.zip", Objects(film, (1.0,) * 3, "a", film=True), "roi")
    image = np.zeros((2, 2, 3, 12, 16), np.float32).swapaxes(1, 2)
    metadata = {"axes": "TZCYX", "spacing": 2, "unit": "um"}
    pixels = {"resolution": (2, 2), "metadata": metadata}
    tifffile.imwrite(tmp_path / "film.tif", image, imagej=True, **pixels)
    for options in (["--like", tmp_path / "film.tif"], ["--shape", "2,3,12,16"]):
        out = tmp_path / f"{options[0]}.tif"
        assert run("convert", tmp_path / "a.zip", "-o", out, *options).code == 0
        labels = read_labels(out)
        assert labels.axes == "TZYX"
        np.testing.assert_array_equal(labels.data, film)
    refused = run("convert", tmp_path / "a.zip", "-o", tmp_path / "b.tif", "--shape", "3,12,16")
    assert refused.code == 1 and "expected the shape T,Z,Y,X of a film of volumes" in refused.last
    # Each frame is tidied by itself: as one volume both would be one object.
    options = ["--shape", "2,3,12,16", "--min-size", "40"]
    assert run("convert", tmp_path / "a.zip", "-o", tmp_path / "c.geojson", *options).code == 0
    kept = import_objects(tmp_path / "c.geojson", film.shape).labels
    assert not kept[0].any() and (kept[1] == film[1]).all()
    refused = run(
        "convert", tmp_path / "a.zip", "-o", tmp_path / "d.tif", *options, "--plot", "d.png"
    )
    assert refused.code == 1 and "drawn on a film (TZYX), --plot is for images" in refused.last
