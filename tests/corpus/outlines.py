"""GeoJSON, COCO and ImageJ ROIs, broken and odd."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from corpus.case import Case, Expected, Result, naming
from corpus.tiffs import bytes_of

SQUARE = [[2, 2], [8, 2], [8, 8], [2, 8], [2, 2]]
FILLED = np.zeros((20, 30), np.int32)
FILLED[2:8, 2:8] = 1


def polygon(ring: Any = SQUARE) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring]}


def feature(geometry: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {}, "geometry": geometry}


def collection(*geometries: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": [*map(feature, geometries)]}


def coco(**changes: Any) -> dict[str, Any]:
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "segmentation": [[2, 2, 8, 2, 8, 8, 2, 8]],
        "bbox": [2, 2, 6, 6],
        "area": 36,
        "iscrowd": 0,
    }
    image = {"id": 1, "file_name": "a.tif", "height": 20, "width": 30}
    return {
        "images": [image],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{**annotation, **changes}],
    }


def text(value: Any) -> Callable[[Path], object]:
    return bytes_of(value if isinstance(value, bytes) else json.dumps(value).encode())


def zipped(members: Mapping[str, bytes]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name, data in members.items():
                file.writestr(name, data)

    return write


def drawn(pixels: int) -> Callable[[Path, Result], object]:
    """Return the check of one object of so many pixels."""

    def check(out: Path, _: Result) -> None:
        labels = tifffile.imread(out / "read.tif")
        assert labels.shape == (20, 30)
        assert np.count_nonzero(labels) == pixels

    return check


def outline_case(name: str, make: Callable[[Path], object], expected: Expected) -> Case:
    if isinstance(expected, str):
        expected = naming(name, expected)
    line = f"convert IN/{name} -o OUT/read.tif --shape 20,30"
    return Case(lambda folder: make(folder / name), {line: expected})


def roi() -> bytes:
    from roifile import ImagejRoi

    data: bytes = ImagejRoi.frompoints(np.array(SQUARE[:4], np.float32)).tobytes()
    return data


GEOJSON: dict[str, tuple[Any, Expected]] = {
    "a square": (collection(polygon()), drawn(36)),
    "a null geometry": (collection(None), "without an outline"),
    "a null geometry among others": (collection(None, polygon()), drawn(36)),
    "no features": (collection(), drawn(0)),
    "crossing itself": (collection(polygon([[2, 2], [8, 8], [8, 2], [2, 8], [2, 2]])), drawn(18)),
    "NaN": (collection(polygon([[float("nan"), 2], [8, 2], [8, 8], [2, 2]])), "NaN or"),
    "infinite": (
        collection(polygon([[float("inf"), 2], [8, 2], [8, 8], [2, 2]])),
        "NaN or infinite",
    ),
    "huge": (collection(polygon([[1e300, 2], [8, 2], [8, 1e300], [2, 2]])), lambda out, _: None),
    "outside": (collection(polygon([[x + 100, y + 100] for x, y in SQUARE])), "without a pixel"),
    "of one point": (collection(polygon([[2, 2]])), "without a pixel"),
    "without points": (collection(polygon([])), "without a pixel"),
    "of text": (collection(polygon([["a", "b"], ["c", "d"]])), "feature 1"),
    "a point": (collection({"type": "Point", "coordinates": [2, 2]}), "no area"),
    "an unknown type": (collection({"type": "Circle", "coordinates": [2, 2]}), "no area"),
    "coordinates as a number": (
        collection({"type": "Polygon", "coordinates": 7}),
        "feature 1",
    ),
    "features as a number": ({"type": "FeatureCollection", "features": 7}, "is no GeoJSON"),
    "a number": (7, "is no GeoJSON"),
    "of labelme": ({"shapes": [{"points": SQUARE, "shape_type": "polygon"}]}, "labelme's format"),
    "an empty file": (b"", "is no GeoJSON"),
    "half a file": (b'{"type": "FeatureColl', "is no GeoJSON"),
    "deep": (b"[" * 100_000, "is no GeoJSON"),
    "bytes that are no text": (b"\xff\xfe\x00\x01" * 9, "is no GeoJSON"),
}
COCO: dict[str, tuple[Any, Expected]] = {
    "a square": (coco(), drawn(36)),
    "no images": ({**coco(), "images": []}, "without images"),
    "no annotations": ({**coco(), "annotations": []}, drawn(0)),
    "an image that is not listed": (coco(image_id=7), "not listed|image_id|image 7"),
    "no segmentation": (coco(segmentation=None), "without an outline"),
    "an odd number of coordinates": (coco(segmentation=[[2, 2, 8]]), "annotation 1 is no instance"),
    "NaN": (coco(segmentation=[[float("nan"), 2, 8, 2, 8, 8]]), "NaN or"),
    "a mask of another size": (
        coco(segmentation={"size": [9, 9], "counts": [40, 41]}),
        "81 pixels",
    ),
    "a mask that is too long": (
        coco(segmentation={"size": [20, 30], "counts": [1, 10**9]}),
        "10{8}1",
    ),
    "a negative mask": (
        coco(segmentation={"size": [20, 30], "counts": [-5, 605]}),
        "600 pixels",
    ),
    "images as a number": ({**coco(), "images": [7]}, "images.0. .*has no 'id'"),
}
ROIS: dict[str, tuple[Callable[[Path], object], Expected]] = {
    "a square": (lambda path: zipped({"1.roi": roi()})(path), drawn(36)),
    "an empty zip": (zipped({}), drawn(0)),
    "a zip of text": (zipped({"readme.txt": b"text"}), "holds no ImageJ ROI"),
    "an empty ROI": (zipped({"1.roi": b""}), "1.roi is no ImageJ ROI"),
    "half a ROI": (lambda path: zipped({"1.roi": roi()[:40]})(path), "1.roi is no ImageJ ROI"),
    "zeros": (zipped({"1.roi": bytes(64)}), "1.roi is no ImageJ ROI"),
    "an empty file": (bytes_of(b""), "no zip of ImageJ ROIs"),
    "no zip": (bytes_of(b"text"), "no zip of ImageJ ROIs"),
}
OUTLINES: dict[str, Case] = {
    **{f"GeoJSON, {n}": outline_case("a.geojson", text(v), e) for n, (v, e) in GEOJSON.items()},
    **{f"COCO, {n}": outline_case("a.json", text(v), e) for n, (v, e) in COCO.items()},
    **{f"ROIs, {n}": outline_case("a.zip", make, e) for n, (make, e) in ROIS.items()},
}
