"""Films that are linked: by `embedseg track`, and by `embedseg predict --track`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile

from commands import Run
from embedseg.images import (
    add_pyramid,
    blobs,
    cell_film,
    create_labels,
    open_array,
    read_image,
    write_labels,
)

pytest.importorskip("laptrack", reason="needs pip install '.[track]'")

LIMITS = "tracks are guesses"
#: The model is hardly trained: so that it finds anything.
LOOSE = [
    *("--set", "method.seed_threshold=0.1", "--set", "method.fg_threshold=0.08"),
    *("--set", "method.min_object_size=0"),
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "labels.tif"
    _, labels, _ = cell_film((64, 72), 10, 12, 3, cycle=6)
    write_labels(path, labels, (0.5, 0.5), "TYX")
    return path


def table(path: Path) -> list[dict[str, int]]:
    with path.open(newline="") as file:
        return [{name: int(cell) for name, cell in row.items()} for row in csv.DictReader(file)]


def test_track_writes_labels_table_and_formats(film: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out/tracked.tif"
    done = run("track", film, "-o", out, "--also", "trackmate,ctc,csv")
    assert done.code == 0, done.err
    assert LIMITS in done.err and "links up to" in done.out and " µm written to" in done.out
    names = ["tracked.csv", "tracked.ctc", "tracked.tif", "tracked.xml", "tracked_tracks.csv"]
    assert sorted(path.name for path in out.parent.iterdir()) == names
    found, before = read_image(out), read_image(film)
    assert (found.axes, found.spacing) == ("TYX", pytest.approx((0.5, 0.5)))
    np.testing.assert_array_equal(found.data > 0, before.data > 0)
    rows = table(tmp_path / "out/tracked_tracks.csv")
    assert list(rows[0]) == ["track", "parent", "first_frame", "last_frame"]
    for row in rows:
        (frames,) = np.nonzero((found.data == row["track"]).any(axis=(1, 2)))
        assert (frames[0], frames[-1]) == (row["first_frame"], row["last_frame"])
    assert len(rows) == found.data.max()
    assert any(row["parent"] for row in rows)


def test_track_reads_volumes_and_stores(tmp_path: Path, run: Run) -> None:
    _, labels, _ = cell_film((12, 32, 32), 4, 10, 2, spacing=(2.0, 1.0, 1.0), radius=5.0)
    write_labels(tmp_path / "a.tif", labels, (2.0, 1.0, 1.0), "TZYX")
    store = tmp_path / "a.zarr"
    chunks = (1, *labels.shape[1:])
    create_labels(store, labels.shape, np.uint16, "TZYX", (2.0, 1.0, 1.0), chunks=chunks)
    open_array(store)[:] = labels.astype(np.uint16)
    add_pyramid(store)
    found = []
    for source in (tmp_path / "a.tif", store):
        done = run("track", source, "-o", tmp_path / "out.tif", "--overwrite")
        assert done.code == 0, done.err
        found.append(read_image(tmp_path / "out.tif"))
        assert (found[-1].axes, found[-1].spacing) == ("TZYX", pytest.approx((2.0, 1.0, 1.0)))
    np.testing.assert_array_equal(found[0].data, found[1].data)
    assert found[0].data.any()


def test_track_overwrites_nothing_unasked(film: Path, tmp_path: Path, run: Run) -> None:
    for name, also in (("a_tracks.csv", []), ("a.xml", ["--also", "trackmate"])):
        (tmp_path / name).write_text("mine")
        done = run("track", film, "-o", tmp_path / "a.tif", *also)
        assert (done.code, f"{tmp_path / name}: exists" in done.last) == (2, True), done.err
        (tmp_path / name).unlink()
    assert not list(tmp_path.iterdir())
    assert run("track", film, "-o", tmp_path / "a.tif").code == 0
    assert run("track", film, "-o", tmp_path / "a.tif").code == 2
    assert run("track", film, "-o", tmp_path / "a.tif", "--overwrite").code == 0


def test_track_names_what_it_cannot_take(film: Path, tmp_path: Path, run: Run) -> None:
    volume = tmp_path / "volume.tif"
    write_labels(volume, np.ones((3, 8, 8), np.int32), (1.0, 1.0, 1.0), "ZYX")
    for args, code, words in (
        ([volume, "-o", tmp_path / "a.tif"], 1, "(ZYX), expected labels of a film"),
        ([film, "-o", tmp_path / "a.png"], 2, "label films end with .tif"),
        ([film, "-o", tmp_path / "a.tif", "--also", "svg"], 2, "no format 'svg'"),
        ([film, "-o", tmp_path / "a.tif", "--max-distance", "0"], 2, "--max-distance"),
    ):
        done = run("track", *args)
        assert (done.code, words in done.last) == (code, True), done.err


def test_predict_links_films(model: Path, tmp_path: Path, run: Run) -> None:
    frames = np.stack([blobs((40, 48), 3, 1)[0]] * 3).astype(np.float32)
    tifffile.imwrite(tmp_path / "movie.tif", frames, imagej=True, metadata={"axes": "TYX"})
    out, options = tmp_path / "out", ["--track", "--also", "trackmate,ctc,csv"]
    done = run("predict", model, tmp_path / "movie.tif", "-o", out, *options, *LOOSE)
    assert done.code == 0, done.err
    assert LIMITS in done.err and "tracks" in done.err
    names = {"movie.csv", "movie.ctc", "movie.tif", "movie.xml", "movie_tracks.csv"}
    assert {path.name for path in out.iterdir()} == names | {"report.html"}
    labels = read_image(out / "movie.tif").data
    # Three equal frames: every object keeps its number.
    assert labels.any() and (labels == labels[0]).all()
    assert {row["last_frame"] for row in table(out / "movie_tracks.csv")} == {2}
    (out / "movie_tracks.csv").unlink()
    done = run("predict", model, tmp_path / "movie.tif", "-o", out, "--track", *LOOSE)
    assert (done.code, "`embedseg track` links the labels" in done.err) == (0, True), done.err


def test_predict_names_what_it_cannot_link(model: Path, tmp_path: Path, run: Run) -> None:
    tifffile.imwrite(tmp_path / "image.tif", blobs((40, 48), 3, 1)[0])
    image = [tmp_path / "image.tif", "-o", tmp_path / "out"]
    for args, code, words in (
        ([*image, "--track"], 1, "--track is for films"),
        ([*image, "--also", "trackmate"], 2, "add --track"),
        ([image[0], "-o", tmp_path / "a.zarr", "--track"], 2, "`embedseg track` links"),
    ):
        done = run("predict", model, *args)
        assert (done.code, words in done.err) == (code, True), done.err
