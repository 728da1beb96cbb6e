"""Outlines: they enclose exactly the pixels, in files of other programs and on the way back."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import struct
import uuid
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roifile
from hypothesis import given
from pycocotools.coco import COCO
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi
from scipy import ndimage

from embedseg.export import EXPORTERS, Objects, export_objects, import_objects, require
from embedseg.export.coco import compress, expand
from embedseg.export.outlines import trace_outlines
from embedseg.export.painting import paint
from embedseg.export.rasterize import Drawn, Mask, fill
from embedseg.types import DataError, UsageError
from strategies import boxes, labels

BACK = {"roi": ".zip", "geojson": ".geojson", "coco": ".json"}

#: A hole, a piece in the hole, pieces that meet at a corner, one at each border, single pixels.
SCENE = np.array(
    [
        [1, 1, 1, 1, 1, 0, 2, 0],
        [1, 0, 0, 0, 1, 2, 0, 3],
        [1, 0, 1, 0, 1, 0, 3, 3],
        [1, 0, 0, 0, 1, 4, 3, 3],
        [1, 1, 1, 1, 0, 4, 4, 5],
    ],
    np.int32,
)


def export(folder: Path, kind: str, labels: np.ndarray, **known: Any) -> Path:
    path = folder / f"cells{EXPORTERS[kind].suffix}"
    spacing = (2.0, 0.5, 0.5)[-labels.ndim :]
    export_objects(path, Objects(labels, spacing, "cells.tif", **known), kind, overwrite=True)
    return path


def area(ring: np.ndarray) -> float:
    x, y = ring.T.astype(float)
    return float(x @ np.roll(y, -1) - np.roll(x, -1) @ y) / 2


# -- tracing ---------------------------------------------------------------------------------------
def test_by_eye() -> None:
    found = {outline.label: outline.polygons for outline in trace_outlines(SCENE)}
    assert [ring.tolist() for ring in found[5][0]] == [[[7, 4], [8, 4], [8, 5], [7, 5]]]
    assert [len(polygon) for polygon in found[1]] == [2, 1]
    # The hole meets the background outside at the corner x = y = 4.
    assert found[1][0][1].tolist() == [[4, 4], [4, 1], [1, 1], [1, 4]]
    assert [4, 4] in found[1][0][0].tolist()
    assert [polygon[0][0].tolist() for polygon in found[2]] == [[6, 0], [5, 1]]


def check_outlines(labels: np.ndarray) -> None:
    """Rings along edges of pixels that touch nothing twice, around one piece each, or a hole."""
    planes = labels if labels.ndim == 3 else labels[np.newaxis]
    seen = set()
    for label, plane, polygons in trace_outlines(labels):
        mask = planes[plane] == label
        pieces, count = ndimage.label(mask)
        assert len(polygons) == count
        for shell, *holes in polygons:
            own = fill([[shell, *holes]], mask.shape)
            part = np.zeros_like(mask)
            part[own.top :, own.left :][: own.inside.shape[0], : own.inside.shape[1]] = own.inside
            np.testing.assert_array_equal(part, pieces == pieces[part][0])
            assert area(shell) > 0 > max([area(hole) for hole in holes], default=-1)
            for ring in (shell, *holes):
                assert len(np.unique(ring, axis=0)) == len(ring)
                sides = np.roll(ring, -1, 0) - ring
                assert ((sides != 0).sum(1) == 1).all()
                # No corner on a straight line.
                assert ((sides != 0) != (np.roll(sides, 1, 0) != 0)).all()
        seen.add((label, plane))
    there = {
        (int(label), plane)
        for plane, image in enumerate(planes)
        for label in np.unique(image[image > 0])
    }
    assert seen == there


@given(labels(unannotated=True))
def test_outlines_of_anything(labels: np.ndarray) -> None:
    check_outlines(labels)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_outlines_of_noise(share: float) -> None:
    check_outlines((np.random.default_rng(0).random((40, 50)) < share).astype(np.int32))


def test_outlines_do_not_depend_on_what_is_traced_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.random.default_rng(0).integers(0, 9, (3, 12, 11)).astype(np.int32)
    whole = list(trace_outlines(labels))
    monkeypatch.setattr("embedseg.export.outlines.BATCH", 1)
    for one, other in zip(trace_outlines(labels), whole, strict=True):
        assert one[:2] == other[:2]
        for a, b in zip(one.rings, other.rings, strict=True):
            np.testing.assert_array_equal(a, b)


# -- there and back --------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", BACK)
@given(labels=labels(max_label=5, unannotated=True))
def test_anything_comes_back_as_it_was(
    kind: str, labels: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there_and_back(kind, labels, tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("kind", BACK)
@given(labels=boxes())
def test_boxes_come_back_as_they_were(
    kind: str, labels: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there_and_back(kind, labels * 70_001, tmp_path_factory.getbasetemp())


def there_and_back(kind: str, labels: np.ndarray, folder: Path) -> None:
    if not (labels > 0).any():
        return
    found = import_objects(export(folder, kind, labels), labels.shape)
    np.testing.assert_array_equal(found.labels, np.maximum(labels, 0))
    assert found.objects == len(np.unique(labels[labels > 0]))
    assert not found.warnings()


@pytest.mark.parametrize("kind", [kind for kind in EXPORTERS if not EXPORTERS[kind].tracks])
@pytest.mark.parametrize("ndim", [2, 3])
def test_labels_without_an_object_come_back(kind: str, ndim: int, tmp_path: Path) -> None:
    from embedseg.images import open_lazy

    shape = (3, 4, 5)[-ndim:]
    path = export(tmp_path, kind, np.zeros(shape, np.int32))
    if kind in BACK:
        found = import_objects(path, shape)
        assert (found.labels.shape, found.labels.any(), found.objects) == (shape, False, 0)
        assert not found.warnings()
    elif kind == "ome-zarr":
        assert not open_lazy(path).read((slice(None),) * ndim).any()
    else:
        assert len(path.read_text().splitlines()) == 1


# -- ImageJ ----------------------------------------------------------------------------------------
def test_rois_are_what_imagej_would_make(tmp_path: Path) -> None:
    rois = {roi.name: roi for roi in roifile.roiread(export(tmp_path, "roi", SCENE))}
    assert list(rois) == ["0001", "0002", "0003", "0004", "0005"]
    wand = rois["0005"]
    assert (wand.roitype, wand.position, wand.z_position) == (ROI_TYPE.TRACED, 0, 0)
    assert (wand.left, wand.top, wand.right, wand.bottom) == (7, 4, 8, 5)
    assert wand.coordinates().tolist() == [[7, 4], [8, 4], [8, 5], [7, 5]]
    composite = rois["0001"]
    assert composite.composite and composite.roitype == ROI_TYPE.RECT
    assert (composite.left, composite.top, composite.right, composite.bottom) == (0, 0, 5, 5)
    assert len(composite.coordinates(multi=True)) == 3
    with zipfile.ZipFile(tmp_path / "cells.zip") as file:
        assert file.namelist()[0] == "0001.roi"


@pytest.mark.parametrize(("channels", "position", "z"), [(None, 2, 0), (1, 2, 0), (3, 0, 2)])
def test_rois_of_a_volume_have_their_slice(
    channels: int | None, position: int, z: int, tmp_path: Path
) -> None:
    volume = np.stack([0 * SCENE, SCENE, SCENE * (SCENE == 3)])
    image = None if channels is None else np.zeros((channels, *volume.shape))
    rois = roifile.roiread(export(tmp_path, "roi", volume, image=image))
    assert [roi.name for roi in rois if roi.name.startswith("0003")] == ["0003-z0002", "0003-z0003"]
    assert (rois[0].position, rois[0].z_position) == (position, z)


def test_rois_far_out_are_kept(tmp_path: Path) -> None:
    labels = np.zeros((2, 70_000), np.int32)
    labels[:, 100:200], labels[1, 60_000:69_999] = 1, 2
    there_and_back("roi", labels, tmp_path)


def draw(folder: Path, *rois: ImagejRoi, name: str = "drawn.zip") -> Path:
    path = folder / name
    roifile.roiwrite(path, list(rois), name=[f"{i}-drawn" for i in range(len(rois))], mode="w")
    return path


def box(kind: ROI_TYPE, left: int, top: int, right: int, bottom: int, **more: Any) -> ImagejRoi:
    return ImagejRoi(roitype=kind, left=left, top=top, right=right, bottom=bottom, **more)


def polygon(kind: ROI_TYPE, corners: Any, **more: Any) -> ImagejRoi:
    roi = ImagejRoi.frompoints(np.array(corners))
    roi.roitype = kind
    for name, value in more.items():
        setattr(roi, name, value)
    return roi


def composite(path: list[float]) -> ImagejRoi:
    return ImagejRoi(
        roitype=ROI_TYPE.RECT,
        shape_roi_size=len(path),
        multi_coordinates=np.array(path, np.float32),
    )


def read(folder: Path, *rois: ImagejRoi, shape: tuple[int, ...] = (6, 8)) -> np.ndarray:
    return import_objects(draw(folder, *rois), shape).labels


def test_tools_of_imagej_by_eye(tmp_path: Path) -> None:
    expected = np.zeros((6, 8), int)
    expected[1:3, 2:5] = 1
    corners = [[2, 1], [5, 1], [5, 3], [2, 3]]
    exact = ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    for roi in (
        box(ROI_TYPE.RECT, 2, 1, 5, 3),
        box(ROI_TYPE.RECT, 0, 0, 0, 0, options=exact, xd=2.4, yd=1.4, widthd=3.0, heightd=2.0),
        polygon(ROI_TYPE.POLYGON, corners),
        polygon(ROI_TYPE.TRACED, corners),
        polygon(ROI_TYPE.FREEHAND, np.array(corners) + 0.3),
        composite([0, 2, 1, 1, 5, 1, 1, 5, 3, 1, 2, 3, 4]),
        # Its right side bulges by less than half a pixel.
        composite([0, 2, 1, 1, 5, 1, 2, 5.6, 2, 5, 3, 1, 2, 3, 4]),
        composite([0, 2, 1, 1, 5, 1, 3, 5.3, 1.7, 5.3, 2.4, 5, 3, 1, 2, 3, 4]),
    ):
        np.testing.assert_array_equal(read(tmp_path, roi), expected, err_msg=str(roi))


def test_edges_belong_to_pixels_as_in_imagej() -> None:
    # Through the middles of pixels: to the left out, to the right in; above in, below out.
    square = np.array([[1.5, 1.5], [4.5, 1.5], [4.5, 3.5], [1.5, 3.5]])
    found = fill([[square]], (6, 8))
    np.testing.assert_array_equal(
        np.argwhere(found.inside) + np.array([found.top, found.left]),
        [[y, x] for y in (1, 2) for x in (2, 3, 4)],
    )


@pytest.mark.parametrize("size", [3, 8, 21, 60])
def test_ovals_are_those_of_imagej(size: int, tmp_path: Path) -> None:
    x = np.arange(size) + 0.5 - size / 2
    y = np.arange(2 * size) + 0.5 - size
    expected = (x / (size / 2)) ** 2 + (y[:, None] / size) ** 2 <= 1
    found = read(
        tmp_path, box(ROI_TYPE.OVAL, 4, 5, 4 + size, 5 + 2 * size), shape=(2 * size + 9, size + 9)
    )
    assert np.count_nonzero(found[5:-4, 4:-5] != expected) <= 0.002 * size**2
    assert found.sum() == found[5:-4, 4:-5].sum()


def test_a_rounded_rectangle_has_no_corners(tmp_path: Path) -> None:
    found = read(
        tmp_path, box(ROI_TYPE.RECT, 0, 0, 20, 10, rounded_rect_arc_size=8), shape=(10, 20)
    )
    assert found[0, 0] == found[-1, -1] == 0 and found[0, 3:-3].all() and found[3:-3].all()
    assert found.sum() == pytest.approx(200 - (4 - np.pi) * 16, abs=4)


def test_what_has_no_area_is_left_out(tmp_path: Path) -> None:
    line = [[1, 1], [5, 4]]
    path = draw(
        tmp_path,
        box(ROI_TYPE.RECT, 1, 1, 3, 3),
        polygon(ROI_TYPE.POLYLINE, line),
        polygon(ROI_TYPE.POINT, line),
        ImagejRoi(roitype=ROI_TYPE.LINE, x2=5.0, y2=4.0),
        box(ROI_TYPE.RECT, 0, 0, 4, 4, subtype=ROI_SUBTYPE.TEXT, text="a", text_name="b"),
    )
    found = import_objects(path, (6, 8))
    assert (found.objects, found.lines) == (1, 4)
    assert "lines and points, which have no area: 4" in found.warnings()[0]


def test_slices_of_imagej(tmp_path: Path) -> None:
    rois = [
        box(ROI_TYPE.RECT, 0, 0, 2, 2, z_position=1),
        box(ROI_TYPE.RECT, 0, 0, 3, 3, position=2),
        box(ROI_TYPE.RECT, 5, 0, 6, 2, z_position=2),
        box(ROI_TYPE.RECT, 5, 5, 6, 6),
        box(ROI_TYPE.RECT, 5, 5, 6, 6, z_position=4),
    ]
    found = import_objects(draw(tmp_path, *rois), (3, 6, 8))
    assert [np.unique(plane).tolist() for plane in found.labels] == [[0, 1], [0, 2, 3], [0]]
    assert (found.planeless, found.outside) == (1, 1)
    linked = import_objects(tmp_path / "drawn.zip", (3, 6, 8), link=True)
    assert linked.labels[0, 0, 0] == linked.labels[1, 0, 0] != linked.labels[1, 0, 5]
    assert linked.objects == 2


def test_a_roi_file_and_names(tmp_path: Path) -> None:
    rois = [
        box(ROI_TYPE.RECT, x, 0, x + 1, 2, name=name)
        for x, name in enumerate(["0012", "0003-0004", "0012", "nucleus", "0013-z0001"])
    ]
    rois[0].tofile(tmp_path / "a.roi")
    assert import_objects(tmp_path / "a.roi", (2, 3)).labels[0].tolist() == [12, 0, 0]
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        for number, roi in enumerate(rois):
            file.writestr(f"{number}.roi", roi.tobytes())
        file.writestr("__MACOSX/._0.roi", b"x")
        file.writestr("notes.txt", b"x")
    found = import_objects(tmp_path / "b.zip", (2, 6)).labels[0]
    assert found.tolist() == [12, 14, 12, 15, 13, 0]


# -- QuPath ----------------------------------------------------------------------------------------
def test_geojson_is_what_qupath_reads(tmp_path: Path) -> None:
    path = export(tmp_path, "geojson", SCENE, scores={3: 0.87654321})
    read = json.loads(path.read_text())
    assert read["type"] == "FeatureCollection"
    features = {feature["properties"]["name"]: feature for feature in read["features"]}
    assert list(features) == ["0001", "0002", "0003", "0004", "0005"]
    assert len({uuid.UUID(feature["id"]) for feature in features.values()}) == 5
    ring, hole = features["0001"]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1] and hole[0] == hole[-1]
    assert features["0001"]["geometry"]["type"] == "MultiPolygon"
    assert features["0005"]["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[7, 4], [8, 4], [8, 5], [7, 5], [7, 4]]],
    }
    assert features["0003"]["properties"] == {
        "objectType": "detection",
        "name": "0003",
        "measurements": {"Label": 3, "Size px": 5, "Area µm^2": 1.25, "Score": 0.8765},
    }
    before = path.read_bytes()
    assert export(tmp_path, "geojson", SCENE, scores={3: 0.87654321}).read_bytes() == before


def test_geojson_has_no_area_where_no_spacing_is_known(tmp_path: Path) -> None:
    path = export(tmp_path, "geojson", SCENE, spacing_known=False)
    for feature in json.loads(path.read_text())["features"]:
        assert list(feature["properties"]["measurements"]) == ["Label", "Size px"]


def test_geojson_of_a_volume_has_planes(tmp_path: Path) -> None:
    volume = np.stack([0 * SCENE, SCENE, SCENE * (SCENE == 3)])
    features = json.loads(export(tmp_path, "geojson", volume).read_text())["features"]
    planes = [
        feature["geometry"]["plane"]
        for feature in features
        if feature["properties"]["name"].startswith("0003")
    ]
    assert planes == [{"c": -1, "z": 1, "t": 0}, {"c": -1, "z": 2, "t": 0}]
    assert features[0]["properties"]["measurements"]["Volume µm^3"] == 8.0
    assert len({feature["id"] for feature in features}) == 6


SQUARE = [[1, 1], [4, 1], [4, 3], [1, 3], [1, 1]]
HOLE = [[2, 1], [3, 1], [3, 2], [2, 2], [2, 1]]


@pytest.mark.parametrize(
    "content",
    [
        {
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [SQUARE, HOLE]}}
            ],
        },
        {
            "features": [
                {
                    "geometry": {"type": "Polygon", "coordinates": [SQUARE, HOLE]},
                    "properties": {"name": None, "classification": {"name": "Tumor"}},
                }
            ]
        },
        [
            {
                "type": "Feature",
                "geometry": {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE]]},
            }
        ],
        {
            "type": "Feature",
            "geometry": {
                "type": "GeometryCollection",
                "geometries": [{"type": "Polygon", "coordinates": [SQUARE, HOLE]}],
            },
        },
        {"type": "Polygon", "coordinates": [[[*corner, 0.0] for corner in SQUARE], HOLE]},
        {
            "crs": 1,
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [SQUARE, HOLE]}}
            ],
        },
    ],
)
@pytest.mark.parametrize("suffix", [".geojson", ".json"])
def test_geojson_as_people_have_it(content: Any, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"drawn{suffix}"
    path.write_text(json.dumps(content))
    expected = np.zeros((4, 5), int)
    expected[1:3, 1:4], expected[1, 2] = 1, 0
    np.testing.assert_array_equal(import_objects(path, (4, 5)).labels, expected)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.geojson", {"type": "FeatureCollection"}, "no GeoJSON.*features"),
        (
            "a.geojson",
            {"type": "Polygon", "coordinates": [[["1", 1], [4, 1], [4, 3], ["1", 1]]]},
            "coordinates.*expected numbers",
        ),
        (
            "a.json",
            {
                "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 5}],
                "annotations": [{"id": 7, "image_id": 1, "segmentation": [[1, 1, 4, 1, 4]]}],
            },
            "annotation 7.*polygon of 5 numbers, expected pairs",
        ),
    ],
)
def test_why_outlines_cannot_be_read(name: str, content: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=words):
        import_objects(path, (4, 5))


def rectangle(x: float, y: float, width: float, height: float, **properties: Any) -> Any:
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]
    geometry = {"type": "Polygon", "coordinates": [corners]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def write_features(folder: Path, *features: Any) -> Path:
    path = folder / "all.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.mark.parametrize("first", [True, False])
def test_an_annotation_around_others_is_a_region(first: bool, tmp_path: Path) -> None:
    region = rectangle(2, 2, 14, 10, objectType="annotation")
    cells = [
        rectangle(3, 3, 3, 3, objectType="cell"),
        rectangle(5, 3, 3, 3, objectType="cell"),  # overlaps the one before
        rectangle(14, 4, 3, 3, objectType="detection"),  # sticks out at the border
        rectangle(18, 0, 2, 2, objectType="annotation"),  # holds nothing: an object
    ]
    path = write_features(tmp_path, *([region, *cells] if first else [*cells, region]))
    found = import_objects(path, (14, 20))
    expected = np.zeros((14, 20), int)
    for number, (x, y, size) in enumerate([(5, 3, 3), (3, 3, 3), (14, 4, 3), (18, 0, 2)], 1):
        expected[y : y + size, x : x + size] = {1: 2, 2: 1}.get(number, number)
    np.testing.assert_array_equal(found.labels, expected)
    regions, overlap = sorted(found.warnings())
    assert "taken for regions: 1; --keep-regions" in regions and "leave 3 pixels" in overlap
    kept = import_objects(path, (14, 20), keep_regions=True)
    here = kept.labels[2:12, 2:16]
    assert kept.objects == 5 and (here > 0).all() and kept.regions == 0
    number = kept.labels[2, 2]
    np.testing.assert_array_equal(
        np.unique(kept.labels[kept.labels != number], return_counts=True)[1],
        np.unique(expected[(expected > 0) | (kept.labels == 0)], return_counts=True)[1],
    )


def test_a_region_is_told_from_an_object_by_its_type_and_plane(tmp_path: Path) -> None:
    spot = rectangle(3, 3, 2, 2, objectType="detection")
    for kind, objects in [("annotation", 1), ("cell", 2), (None, 2)]:
        path = write_features(tmp_path, rectangle(0, 0, 9, 9, objectType=kind), spot)
        found = import_objects(path, (10, 10))
        assert (found.objects, (found.labels > 0).sum()) == (objects, 4 if objects == 1 else 81)
        assert len(np.unique(found.labels[3:5, 3:5])) == 1
    apart = rectangle(0, 0, 9, 9, objectType="annotation")
    apart["geometry"]["plane"] = {"z": 1}
    assert import_objects(write_features(tmp_path, apart, spot), (2, 10, 10)).objects == 2


@pytest.mark.parametrize("kind", ["geojson", "coco"])
def test_a_byte_order_mark_is_no_part_of_a_file(kind: str, tmp_path: Path) -> None:
    path = export(tmp_path, kind, SCENE)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    shutil.copyfile(path, tmp_path / "other.json")
    for here in (path, tmp_path / "other.json"):
        np.testing.assert_array_equal(import_objects(here, SCENE.shape).labels, SCENE)


# -- COCO ------------------------------------------------------------------------------------------
def coco(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@given(labels=labels())
def test_pycocotools_sees_the_same_pixels(
    labels: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = coco(export(tmp_path_factory.getbasetemp(), "coco", labels, scores={2: 0.5}))
    planes = labels if labels.ndim == 3 else labels[np.newaxis]
    assert [image["id"] for image in data.loadImgs(data.getImgIds())] == [
        plane + 1 for plane in range(len(planes))
    ]
    seen = 0
    for row in data.loadAnns(data.getAnnIds()):
        mask = planes[row["image_id"] - 1] == row["label"]
        np.testing.assert_array_equal(data.annToMask(row), mask)
        (y, x) = np.nonzero(mask)
        assert row["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        assert (row["area"], row.get("score")) == (mask.sum(), 0.5 if row["label"] == 2 else None)
        seen += int(mask.sum())
    assert seen == np.count_nonzero(labels)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_run_lengths_are_compressed_as_pycocotools_does() -> None:
    from pycocotools import mask

    rng = np.random.default_rng(0)
    for share in (0.01, 0.5, 0.99):
        image = np.asfortranarray(rng.random((70, 90)) < share, np.uint8)
        image[0, 0] = 0
        text = mask.encode(image)["counts"].decode()
        np.testing.assert_array_equal(mask.decode({"size": [70, 90], "counts": text}), image)
        assert compress(expand(text)) == text


def test_coco_of_others(tmp_path: Path) -> None:
    path = tmp_path / "others.json"
    rows = [
        {
            "id": 1,
            "image_id": 7,
            "segmentation": [
                [1, 1, 4, 1, 4, 3, 1, 3],
                [6, 1, 7, 1, 7, 2, 6, 2],
            ],
        },
        {"id": 2, "image_id": 7, "segmentation": {"size": [4, 8], "counts": [4, 2, 26]}},
        {"id": 3, "image_id": 9, "segmentation": [[0, 0, 8, 0, 8, 4, 0, 4]]},
        {"id": 4, "image_id": 7, "bbox": [0, 0, 1, 1]},
    ]
    images = [
        {"id": 7, "file_name": "in/a.png", "height": 4, "width": 8},
        {"id": 9, "file_name": "in/b.png", "height": 4, "width": 8},
    ]
    path.write_text(json.dumps({"images": images, "annotations": rows}))
    found = import_objects(path, image="a.tif")
    expected = np.zeros((4, 8), int)
    expected[1:3, 1:4] = expected[1, 6] = 1
    expected[:2, 1] = [2, 1]
    np.testing.assert_array_equal(found.labels, expected)
    assert (found.overlapping, found.taken, found.missing) == (1, 1, 1)
    assert import_objects(path, (4, 8), image="b").labels.all()
    for name in (None, "c.tif"):
        with pytest.raises(DataError, match=r"2 images \(in/a.png, in/b.png \.\.\.\), --like"):
            import_objects(path, image=name)
    with pytest.raises(DataError, match="4 x 8 pixels, expected 5 x 8"):
        import_objects(path, (5, 8), image="a")
    # Two planes of a volume, in the order of their ids.
    assert import_objects(path, (2, 4, 8)).labels[:, 3, 7].tolist() == [0, 3]


# -- painting --------------------------------------------------------------------------------------
def test_later_objects_do_not_eat_earlier_ones() -> None:
    def strip(start: int, stop: int, label: int | None = None) -> Drawn:
        return Drawn(label, None, Mask(0, start, np.ones((1, stop - start), bool)))

    strips = [strip(2, 5), strip(0, 4), strip(2, 5), strip(6, 8, 9), strip(7, 9, 9)]
    found = paint(strips, (1, 10))
    assert found.labels.tolist() == [[11, 11, 10, 10, 10, 0, 9, 9, 9, 0]]
    assert found[1:5] == (3, 2, 5, 1)
    # What lies inside another one keeps its pixels, whichever is the first.
    for strips in ([strip(0, 6, 1), strip(2, 4, 2)], [strip(2, 4, 2), strip(0, 6, 1)]):
        found = paint(strips, (1, 6))
        assert found.labels.tolist() == [[1, 1, 2, 2, 1, 1]]
        assert not found.warnings()


def test_one_number_far_apart_is_two_objects(tmp_path: Path) -> None:
    def strip(start: int, stop: int, plane: int) -> Drawn:
        return Drawn(7, plane, Mask(0, start, np.ones((1, stop - start), bool)))

    found = paint([strip(0, 2, 0), strip(3, 5, 0), strip(12, 14, 0)], (1, 14))
    assert found.labels.tolist() == [[7, 7, 0, 7, 7, 0, 0, 0, 0, 0, 0, 0, 8, 8]]
    assert (found.objects, found.apart) == (2, 1)
    assert "far from another one of their number, which get a new one: 1" in found.warnings()[0]
    # In another plane, a far part may belong to it: so this package writes them.
    found = paint([strip(0, 2, 0), strip(12, 14, 1)], (2, 1, 14))
    assert (found.objects, found.apart) == (1, 0)


def test_numbers_that_do_not_fit_are_given_anew() -> None:
    mask = Mask(0, 0, np.ones((1, 1), bool))
    drawn = [Drawn(2**31 - 1, None, mask), Drawn(None, None, mask._replace(left=1))]
    assert paint(drawn, (1, 2)).labels.tolist() == [[1, 2]]


def test_what_is_outside_is_cut_off_and_counted(tmp_path: Path) -> None:
    rois = [
        box(ROI_TYPE.RECT, -3, -3, 2, 2),
        box(ROI_TYPE.RECT, 7, 5, 90, 90),
        box(ROI_TYPE.RECT, 20, 0, 30, 5),
        polygon(ROI_TYPE.FREEHAND, [[3.1, 3.1], [3.2, 3.1], [3.1, 3.2]]),
    ]
    found = import_objects(draw(tmp_path, *rois), (6, 8))
    assert np.argwhere(found.labels == 2).tolist() == [[5, 7]]
    assert (found.labels == 1).sum() == 4 and found.outside == 2
    with pytest.raises(DataError, match="no outline of an object in this image; outlines without"):
        import_objects(draw(tmp_path, rois[2]), (6, 8))


# -- what is wrong ---------------------------------------------------------------------------------
RING = {"type": "Polygon", "coordinates": [[[0, 0], [1, float("nan")], [1, 1]]]}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.zip", b"PK nonsense", "corrupt or no zip of ImageJ ROIs"),
        ("a.roi", b"Iout" + bytes(20), r"a\.roi is no ImageJ ROI, or broken"),
        ("a.roi", b"GIF8" + bytes(90), r"a\.roi is no ImageJ ROI"),
        ("a.geojson", b"{", "no GeoJSON"),
        (
            "a.geojson",
            b'{"features": [{"geometry": {"type": "Polygon"}}]}',
            "feature 1 of it is no",
        ),
        ("a.geojson", b'{"features": [{"a": 1', "this is no GeoJSON"),
        ("a.geojson", b"\xff\xfe", "no GeoJSON"),
        ("a.geojson", json.dumps(RING).encode(), "NaN or infinite coordinates"),
        ("a.geojson", b'{"type": "Point", "coordinates": [1, 2]}', "no outline.*lines and points"),
        ("a.json", b'{"images": [{}], "annotations": []}', "no 'id', 'height'"),
        ("a.json", b'{"images": [], "annotations": []}', "no COCO file|COCO file without images"),
        (
            "a.json",
            b'{"images": [{"id": 1, "height": 4, "width": 5}], "annotations": [{"image_id": 1, '
            b'"segmentation": {"size": [4, 5], "counts": [7]}}]}',
            "annotation None is no",
        ),
        ("a.json", b"[1]", "no GeoJSON"),
    ],
)
def test_broken_files_are_said(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.\w+: .*({words})"):
        import_objects(tmp_path / name, (4, 5))


def test_a_zip_of_other_files_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("notes.txt", b"x")
    with pytest.raises(DataError, match=r"a\.zip: holds no ImageJ ROI"):
        import_objects(tmp_path / "a.zip", (4, 5))


def test_a_truncated_roi_is_said(tmp_path: Path) -> None:
    data = polygon(ROI_TYPE.POLYGON, [[0, 0], [9, 0], [9, 9]]).tobytes()
    for length in range(64, len(data), 7):
        (tmp_path / "a.roi").write_bytes(data[:length])
        with contextlib.suppress(DataError):
            import_objects(tmp_path / "a.roi", (20, 20))
    (tmp_path / "a.roi").write_bytes(struct.pack(">4sHB", b"Iout", 228, 0) + bytes(60))
    with pytest.raises(DataError):
        import_objects(tmp_path / "a.roi", (20, 20))


def test_usage(tmp_path: Path) -> None:
    for name in ("a.zip", "a.geojson"):
        (tmp_path / name).write_bytes(b"{}")
        with pytest.raises(UsageError, match="does not hold the size of the image"):
            import_objects(tmp_path / name)
    with pytest.raises(UsageError, match=r"no reader of outlines '\.xml'; there are \.zip, \.roi"):
        import_objects(tmp_path / "a.xml", (4, 5))
    with pytest.raises(DataError, match="no such file"):
        import_objects(tmp_path / "b.zip", (4, 5))
    with pytest.raises(UsageError, match="expected Y,X or Z,Y,X"):
        import_objects(tmp_path / "a.zip", (4,))
    objects = Objects(SCENE, (1.0, 1.0))
    with pytest.raises(UsageError, match="no format 'xml'; there are roi, geojson"):
        export_objects(tmp_path / "a.xml", objects, "xml")
    with pytest.raises(UsageError, match=r"format roi end with \.zip"):
        export_objects(tmp_path / "a.roi", objects, "roi")
    with pytest.raises(UsageError, match=r"a\.zip: exists"):
        export_objects(tmp_path / "a.zip", objects, "roi")
    with pytest.raises(UsageError, match="has 3 values, the labels have 2 axes"):
        export_objects(tmp_path / "b.zip", Objects(SCENE, (1.0,) * 3), "roi")
    with pytest.raises(DataError, match=r"expected labels of an image \(YX\) or a volume"):
        export_objects(tmp_path / "b.zip", Objects(SCENE[None, None], (1.0,) * 4), "roi")
    with pytest.raises(UsageError, match=r"pip install roifile"):
        require("no_such_library", "rois")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.geojson", "a.zip"]


def test_zarr_is_replaced_only_by_zarr(tmp_path: Path) -> None:
    path = export(tmp_path, "ome-zarr", SCENE)
    export(tmp_path, "ome-zarr", 2 * SCENE)
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr/thesis.txt").touch()
    with pytest.raises(UsageError, match=r"mine\.zarr: holds thesis\.txt"):
        export_objects(
            tmp_path / "mine.zarr", Objects(SCENE, (1.0, 1.0)), "ome-zarr", overwrite=True
        )
    from embedseg.images import open_lazy

    image = open_lazy(path)
    assert (image.axes, image.spacing) == ("YX", (0.5, 0.5))
    np.testing.assert_array_equal(image.read(np.s_[:, :]), 2 * SCENE)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cells.zarr", "mine.zarr"]


def test_geojson_without_geometry_is_skipped_and_counted(tmp_path: Path) -> None:
    nothing = {"type": "Feature", "properties": {}, "geometry": None}
    square = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [SQUARE]}}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [nothing, square]}))
    painted = import_objects(path, (5, 6))
    assert (painted.objects, painted.missing) == (1, 1)
    assert painted.warnings() == ["entries without an outline, skipped: 1"]
    path.write_text(json.dumps(nothing))
    with pytest.raises(DataError, match=r"a\.geojson: no outline.*entries without an outline"):
        import_objects(path, (5, 6))


INSTANCES: dict[str, Any] = {
    "images": [{"id": 1, "height": 9, "width": 8, "file_name": "a.png"}],
    "annotations": [{"id": 1, "image_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]}],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "without 'images'"),
        ({"annotations": None}, "without 'annotations'"),
        ({"images": [{"id": 1, "file_name": "a.png"}]}, r"images\[0\].*'height', 'width'"),
        ({"annotations": [{"segmentation": []}]}, r"annotations\[0\].*'image_id'"),
    ],
)
def test_coco_with_missing_keys_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "a.json"
    read = {name: value for name, value in (INSTANCES | changes).items() if value is not None}
    path.write_text(json.dumps(read))
    with pytest.raises(DataError, match=rf"a\.json: .*{message}"):
        import_objects(path, (9, 8))


def test_coco_without_a_segmentation_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    box = {"id": 2, "image_id": 1, "bbox": [0, 0, 3, 3]}
    path.write_text(json.dumps(INSTANCES | {"annotations": [*INSTANCES["annotations"], box]}))
    painted = import_objects(path, (9, 8))
    assert (painted.objects, painted.missing, painted.lines) == (1, 1, 0)


@pytest.mark.parametrize("name", ["a.json", "a.geojson"])
def test_deep_nesting_is_an_error_of_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[" * 100_000)
    with pytest.raises(DataError, match=f"{name}: "):
        import_objects(tmp_path / name, (5, 6))
    (tmp_path / name).write_text('{"images": [' + "[" * 100_000)
    with pytest.raises(DataError, match=f"{name}: "):
        import_objects(tmp_path / name, (5, 6))


def test_shapes_that_do_not_fit_into_memory_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [SQUARE]}))
    with pytest.raises(UsageError, match=r"10000000 x 10000000 pixels take about 8e\+05 GB.*free"):
        import_objects(path, (10**7, 10**7))
    image = INSTANCES["images"][0] | {"height": 10**7, "width": 10**7}
    (tmp_path / "b.json").write_text(json.dumps(INSTANCES | {"images": [image]}))
    with pytest.raises(DataError, match=r"b\.json: .*8e\+05 GB.*free"):
        import_objects(tmp_path / "b.json")


# -- films -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("volume", "channels", "position", "z", "t"),
    [(False, 1, 2, 0, 0), (False, 2, 0, 0, 2), (True, 1, 0, 1, 2)],
)
def test_objects_of_a_film_have_their_frame(
    volume: bool, channels: int, position: int, z: int, t: int, tmp_path: Path
) -> None:
    one = np.stack([SCENE, SCENE * (SCENE == 3)]) if volume else SCENE
    film = np.stack([0 * one, one])
    objects = Objects(
        film, (1.0,) * one.ndim, "a.tif", image=np.zeros((2, channels, *one.shape)), film=True
    )
    for kind, suffix in BACK.items():
        export_objects(tmp_path / f"a{suffix}", objects, kind)
    roi = roifile.roiread(tmp_path / "a.zip")[0]
    assert (roi.position, roi.z_position, roi.t_position) == (position, z, t)
    assert roi.name == "0001-t0002" + "-z0001" * volume
    feature = json.loads((tmp_path / "a.geojson").read_text())["features"][0]
    assert feature["geometry"]["plane"] == {"c": -1, "z": 0, "t": 1}
    written = json.loads((tmp_path / "a.json").read_text())
    place = {each["id"]: each for each in written["images"]}[written["annotations"][0]["image_id"]]
    assert (place["frame"], place.get("plane", 0)) == (1, 0)
    assert place["file_name"] == "a_t0002" + "_z0001" * volume + ".tif"
    export_objects(tmp_path / "a.csv", objects, "csv")
    rows = (tmp_path / "a.csv").read_text().splitlines()
    assert rows[0].startswith("frame,label,") and {row.split(",")[0] for row in rows[1:]} == {"1"}
    with pytest.raises(DataError, match="has a time axis, ome-zarr is for images"):
        export_objects(tmp_path / "a.zarr", objects, "ome-zarr")


def film_of_volumes() -> np.ndarray:
    """Two frames of three planes: object 1 of each is another one."""
    film = np.zeros((2, 3, 12, 16), np.int32)
    film[0, 0, 2:6, 2:6] = film[1, 1:, 3:9, 8:12] = 1
    film[0, 1:, 7:11, 1:9] = 2
    return film


@pytest.mark.parametrize("kind", BACK)
@pytest.mark.parametrize("link", [False, True])
def test_frames_of_a_film_of_volumes_stay_apart(kind: str, link: bool, tmp_path: Path) -> None:
    film = film_of_volumes()
    path = tmp_path / f"film{BACK[kind]}"
    export_objects(path, Objects(film, (1.0,) * 3, "a.tif", film=True), kind)
    found = import_objects(path, film.shape, link=link)
    np.testing.assert_array_equal(found.labels, film)
    assert not found.warnings()
    if kind == "coco":
        np.testing.assert_array_equal(import_objects(path).labels, film)
    for shape in (film.shape[1:], (6, 12, 16), film.shape[2:]):
        with pytest.raises(DataError, match=r"in 2 frames and 3 planes, expected the shape T,Z"):
            import_objects(path, shape)
    # Frames and planes that there are not are outside.
    cut = import_objects(path, (1, 2, 12, 16))
    np.testing.assert_array_equal(cut.labels, film[:1, :2])
    assert cut.outside == 3


@pytest.mark.parametrize("kind", BACK)
@pytest.mark.parametrize("channels", [1, 2])
def test_frames_of_a_film_of_images_come_back(kind: str, channels: int, tmp_path: Path) -> None:
    film = film_of_volumes()[:, 1]
    path, image = tmp_path / f"film{BACK[kind]}", np.zeros((2, channels, 12, 16))
    export_objects(path, Objects(film, (1.0,) * 2, "a.tif", image=image, film=True), kind)
    for shape in (film.shape, (2, 1, 12, 16)):
        np.testing.assert_array_equal(import_objects(path, shape).labels, film.reshape(shape))


def test_a_position_of_a_stack_counts_all_planes_of_a_film(tmp_path: Path) -> None:
    rois = []
    for place, (z, t, position) in enumerate([(0, 0, 5), (2, 2, 0), (3, 0, 0), (1, 2, 0)]):
        roi = roifile.ImagejRoi.frompoints([[place, 0], [place + 1, 0], [place + 1, 1], [place, 1]])
        roi.roitype = roifile.ROI_TYPE.POLYGON
        roi.z_position, roi.t_position, roi.position = z, t, position
        roi.name = f"{place + 1}"
        rois.append(roi)
    roifile.roiwrite(tmp_path / "a.zip", rois)
    labels = import_objects(tmp_path / "a.zip", (2, 3, 2, 5)).labels
    assert np.argwhere(labels[:, :, 0]).tolist() == [[0, 2, 2], [1, 0, 3], [1, 1, 0], [1, 1, 1]]


def test_frames_of_a_hyperstack_without_depth(tmp_path: Path) -> None:
    rois = []
    for t in (1, 2, 3):
        roi = roifile.ImagejRoi.frompoints([[t, 0], [t + 1, 0], [t + 1, 1], [t, 1]])
        roi.roitype, roi.z_position, roi.t_position = roifile.ROI_TYPE.POLYGON, 1, t
        rois.append(roi)
    roifile.roiwrite(tmp_path / "a.zip", rois)
    assert np.argwhere(import_objects(tmp_path / "a.zip", (3, 2, 5)).labels[:, 0]).tolist() == [
        [0, 1],
        [1, 2],
        [2, 3],
    ]
