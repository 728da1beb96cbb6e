"""GeoJSON as QuPath writes and reads it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.export.exporters import ObjectFormat
from embedseg.export.objects import Objects, label_of
from embedseg.export.outlines import Outline
from embedseg.export.rasterize import Canvas, Drawn, Mask, fill
from embedseg.types import DataError, PerAxis

#: Ids of features are derived from it and from the names of outlines.
NAMESPACE = uuid.UUID("6f9d0f3c-9a53-5c0e-8f4e-3c2b6d1a7e55")
#: What only labelme's files hold.
LABELME = re.compile(r'"shape_type"\s*:')
#: Type of a collection of features.
COLLECTION = "FeatureCollection"
#: Beginning of a collection whose features can be read one by one.
OPENING = re.compile(r'\s*\{\s*(?:"type"\s*:\s*"FeatureCollection"\s*,\s*)?"features"\s*:\s*\[')
#: Types of objects that may be regions, now and in older versions of QuPath.
REGIONS = ("annotation", "PathAnnotationObject")
BETWEEN = re.compile(r"[\s,]*")


# -- out -------------------------------------------------------------------------------------------
def write_geojson(path: Path, objects: Objects) -> None:
    """Write objects as a collection of QuPath's detections, one per object and plane, in pixels.

    Of a film, each has its frame.

    Each has an id that follows from its label, its label as name, and as measurements the label,
    the size of the whole object in pixels and, where they are known, in µm, and its score.

    Parameters
    ----------
    path : Path
        File to write.
    objects : Objects
    """
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        between = "\n"
        for frame in objects.each_frame():
            for outline in frame.outlines():
                file.write(between + json.dumps(_feature(frame, outline)))
                between = ",\n"
        file.write("\n]}\n")


FORMAT = ObjectFormat(".geojson", write_geojson, films=True)


def _feature(objects: Objects, outline: Outline) -> dict[str, Any]:
    title, label = objects.title(outline), outline.label
    polygons = [[_closed(ring) for ring in polygon] for polygon in outline.polygons]
    geometry: dict[str, Any] = (
        {"type": "Polygon", "coordinates": polygons[0]}
        if len(polygons) == 1
        else {"type": "MultiPolygon", "coordinates": polygons}
    )
    if objects.ndim == 3 or objects.frame is not None:
        geometry["plane"] = {"c": -1, "z": outline.plane, "t": objects.frame or 0}
    size = objects.sizes[label]
    measurements: dict[str, float] = {
        "Label": label,
        "Size px": size,
    }
    if objects.spacing_known:
        measured = float(np.prod(objects.spacing)) * size
        measurements[f"{objects.quantity.title()} µm^{objects.ndim}"] = float(f"{measured:.6g}")
    if label in objects.scores:
        measurements["Score"] = round(objects.scores[label], 4)
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(NAMESPACE, title)),
        "geometry": geometry,
        "properties": {"objectType": "detection", "name": title, "measurements": measurements},
    }


def _closed(ring: NDArray[np.int32]) -> list[list[int]]:
    corners: list[list[int]] = ring.tolist()
    return [*corners, corners[0]]


# -- in --------------------------------------------------------------------------------------------
def read_geojson(path: Path, canvas: Canvas) -> tuple[PerAxis, Iterator[Drawn]]:
    """Read objects from GeoJSON: a collection, a list of features, a feature or a geometry.

    Raises
    ------
    DataError
        If the file is broken.
    UsageError
        If the shape of the image is not known.
    """
    shape = canvas.known_shape(path)
    return shape, _objects(path, shape[-2:])


def _objects(path: Path, shape: Sequence[int]) -> Iterator[Drawn]:
    count = 0
    try:
        text = path.read_text(encoding="utf-8-sig")
        if LABELME.search(text):
            raise DataError(
                f"{path}: labelme's format, expected GeoJSON or COCO; convert it to COCO first, "
                "as with labelme2coco"
            )
        for feature in _features(text):
            count += 1
            yield _drawn(feature, shape)
    except DataError:
        raise
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        IndexError,
        RecursionError,
    ) as error:
        place = f"feature {count} of it" if count else "this"
        raise DataError(
            f"{path}: {place} is no GeoJSON ({type(error).__name__}: {error})"
        ) from error


def _features(text: str) -> Iterator[dict[str, Any]]:
    """Yield features; from a collection without holding more than one of them."""
    opening = OPENING.match(text)
    if not opening:
        read = json.loads(text)
        if isinstance(read, dict) and ("features" in read or read.get("type") == COLLECTION):
            read = read["features"]
        yield from [read] if isinstance(read, dict) else read
        return
    decoder, place = json.JSONDecoder(), opening.end()
    while True:
        place = BETWEEN.match(text, place).end()  # type: ignore[union-attr]
        if text[place : place + 1] == "]":
            return
        feature, place = decoder.raw_decode(text, place)
        yield feature


def _drawn(feature: dict[str, Any], shape: Sequence[int]) -> Drawn:
    geometry = feature["geometry"] if "geometry" in feature else feature
    if geometry is None:
        return Drawn(None, None, None, missing=True)
    properties = feature.get("properties") or {}
    plane = geometry.get("plane") or properties.get("plane") or {}
    name = properties.get("name")
    kind = properties.get("objectType") or properties.get("object_type") or feature.get("id")
    return Drawn(
        label_of(name) if isinstance(name, str) else None,
        int(plane.get("z", 0)),
        _mask(geometry, shape),
        region=kind in REGIONS,
        frame=int(plane.get("t", 0)),
    )


def _mask(geometry: dict[str, Any], shape: Sequence[int]) -> Mask | None:
    polygons = _polygons(geometry)
    return fill(polygons, shape) if polygons else None


def _polygons(geometry: dict[str, Any]) -> list[list[NDArray[np.float64]]]:
    """Return polygons of rings; none if the geometry has no area."""
    kind = geometry["type"]
    if kind == "GeometryCollection":
        return [polygon for part in geometry["geometries"] for polygon in _polygons(part)]
    if kind not in ("Polygon", "MultiPolygon"):
        return []
    polygons = geometry["coordinates"] if kind == "MultiPolygon" else [geometry["coordinates"]]
    return [[_ring(corners) for corners in polygon] for polygon in polygons]


def _ring(corners: Sequence[Any]) -> NDArray[np.float64]:
    # Corners may have a third coordinate, a height.
    ring = np.array([corner[:2] for corner in corners])
    if ring.dtype.kind not in "iuf":
        raise ValueError(f"coordinates {ring.ravel()[:2].tolist()}, expected numbers")
    return ring.astype(np.float64)
