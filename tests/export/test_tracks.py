"""Linked films for TrackMate and the Cell Tracking Challenge."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile

from embedseg.export import Objects, export_objects
from embedseg.tracking import Track
from embedseg.types import DataError, UsageError

#: A cell that divides after a frame in which it is missing, and one that is seen once.
TRACKS = (Track(1, 0, 2, 0), Track(2, 1, 1, 0), Track(3, 3, 3, 1), Track(4, 3, 3, 1))


def film(ndim: int, spacing: tuple[float, ...] = (3.0, 0.5, 0.5)) -> Objects:
    labels = np.zeros((4, 2, 6, 9), np.int32)
    labels[0, :, 1:5, 2:6] = labels[2, :, 1:5, 3:7] = 1
    labels[1, :, 0, 0] = 2
    labels[3, :, 1:5, 2:4], labels[3, :, 1:5, 6:8] = 3, 4
    labels[:, :, 5, 8] = -1
    labels = labels if ndim == 3 else labels[:, 0]
    return Objects(labels, spacing[-ndim:], "cells.tif", film=True, tracks=TRACKS)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_challenge_gets_masks_and_tracks_without_gaps(ndim: int, tmp_path: Path) -> None:
    export_objects(tmp_path / "a.ctc", film(ndim), "ctc")
    files = sorted(path.name for path in (tmp_path / "a.ctc").iterdir())
    assert files == [*(f"mask{t:03d}.tif" for t in range(4)), "res_track.txt"]
    text = (tmp_path / "a.ctc/res_track.txt").read_text()
    assert text == "1 0 0 0\n2 1 1 0\n3 3 3 5\n4 3 3 5\n5 2 2 1\n"
    masks = [tifffile.imread(tmp_path / "a.ctc" / name) for name in files[:4]]
    assert {(mask.dtype.name, mask.ndim) for mask in masks} == {("uint16", ndim)}
    rows = [tuple(map(int, line.split())) for line in text.splitlines()]
    for frame, mask in enumerate(masks):
        listed = {number for number, first, last, _ in rows if first <= frame <= last}
        assert set(np.unique(mask).tolist()) - {0} == listed


def test_a_folder_of_the_challenge_is_replaced_only_if_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.ctc"
    export_objects(path, film(2), "ctc")
    with pytest.raises(UsageError, match="not empty"):
        export_objects(path, film(2), "ctc")
    (path / "mask009.tif").touch()
    export_objects(path, film(2), "ctc", overwrite=True)
    assert not (path / "mask009.tif").exists()
    (path / "notes.txt").touch()
    with pytest.raises(UsageError, match="notes"):
        export_objects(path, film(2), "ctc", overwrite=True)


def test_more_tracks_than_masks_have_numbers(tmp_path: Path) -> None:
    count = 2**16
    tracks = tuple(Track(number, 0, 0, 0) for number in range(1, count + 1))
    labels = np.arange(1, count + 1, dtype=np.int32).reshape(1, 256, 256)
    with pytest.raises(DataError, match="65536 tracks, ctc holds at most 65535"):
        export_objects(tmp_path / "a.ctc", Objects(labels, (1, 1), film=True, tracks=tracks), "ctc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ndim", [2, 3])
def test_trackmate_gets_spots_and_families(ndim: int, tmp_path: Path) -> None:
    export_objects(tmp_path / "a.xml", film(ndim), "trackmate")
    root = ET.parse(tmp_path / "a.xml").getroot()
    assert (root.tag, [each.tag for each in root]) == (
        "TrackMate",
        ["Model", "Settings", "GUIState"],
    )
    model = root.find("Model")
    assert model is not None and model.attrib == {"spatialunits": "µm", "timeunits": "frame"}
    assert [each.tag for each in model] == [
        *("FeatureDeclarations", "AllSpots", "AllTracks", "FilteredTracks")
    ]
    frames = model.findall("AllSpots/SpotsInFrame")
    assert [(each.get("frame"), len(each)) for each in frames] == [
        *(("0", 1), ("1", 1), ("2", 1), ("3", 2))
    ]
    declared = {each.get("feature") for each in model.findall(".//SpotFeatures/Feature")}
    spots = {spot.get("ID"): spot for spot in model.iter("Spot")}
    for spot in spots.values():
        assert set(spot.attrib) - {"ROI_N_POINTS"} == declared | {"ID", "name"}
    assert model.find("AllSpots").get("nspots") == str(len(spots)) == "5"  # type: ignore[union-attr]
    (track,) = model.findall("AllTracks/Track")
    names = [
        tuple(spots[edge.get(f"SPOT_{end}_ID")].get("name") for end in ("SOURCE", "TARGET"))
        for edge in track
    ]
    assert names == [("1", "1"), ("1", "3"), ("1", "4")]
    assert [each.get("TRACK_ID") for each in model.findall("FilteredTracks/TrackID")] == ["1"]


def test_spots_of_trackmate_lie_where_the_objects_do(tmp_path: Path) -> None:
    export_objects(tmp_path / "a.xml", film(2), "trackmate")
    spot = next(ET.parse(tmp_path / "a.xml").getroot().iter("Spot"))
    # Rows 1 to 4 and columns 2 to 5, of 0.5 µm; the middle of the first pixel is 0.
    assert (spot.get("POSITION_X"), spot.get("POSITION_Y")) == ("1.75", "1.25")
    assert float(spot.get("RADIUS", "")) == pytest.approx((16 * 0.25 / np.pi) ** 0.5, rel=1e-5)
    ring = np.array((spot.text or "").split(), float).reshape(-1, 2)
    assert len(ring) == int(spot.get("ROI_N_POINTS", ""))
    assert (ring.min(0).tolist(), ring.max(0).tolist()) == ([-1, -1], [1, 1])
    export_objects(tmp_path / "b.xml", film(3), "trackmate")
    spot = next(ET.parse(tmp_path / "b.xml").getroot().iter("Spot"))
    assert (spot.get("POSITION_Z"), spot.get("ROI_N_POINTS")) == ("1.5", None)


def test_the_settings_of_trackmate_have_the_size_of_the_film(tmp_path: Path) -> None:
    export_objects(tmp_path / "a.xml", film(3), "trackmate")
    settings = ET.parse(tmp_path / "a.xml").getroot().find("Settings")
    assert settings is not None
    image = settings.find("ImageData")
    assert image is not None
    size = ("width", "height", "nslices", "nframes", "pixelwidth", "pixelheight", "voxeldepth")
    assert [image.get(name) for name in size] == ["9", "6", "2", "4", "0.5", "0.5", "3.0"]
    assert {each.tag for each in settings} >= {"DetectorSettings", "TrackerSettings"}


@pytest.mark.parametrize("kind", ["trackmate", "ctc"])
def test_labels_that_are_not_linked_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.xml" if kind == "trackmate" else "a.ctc")
    labels = np.ones((2, 4, 5), np.int32)
    for film in (True, False):
        with pytest.raises(DataError, match="is for linked films"):
            export_objects(path, Objects(labels, (1.0,) * (3 - film), film=film), kind)
