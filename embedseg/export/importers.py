"""Importers of outlines by suffix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path

import numpy as np

from embedseg.common import Registry, format_shape, free_memory
from embedseg.export.painting import Painted, paint
from embedseg.export.rasterize import Canvas, Drawn
from embedseg.labels import link_slices
from embedseg.types import DataError, PerAxis, UsageError

#: Bytes per pixel while labels are painted and written.
PAINTED = 8

#: Reads a file of outlines: shape of the image or volume, and the outlines one by one.
Reader = Callable[[Path, Canvas], tuple[PerAxis, Iterator[Drawn]]]


def read_json(path: Path, canvas: Canvas) -> tuple[PerAxis, Iterator[Drawn]]:
    """Read GeoJSON, or COCO if there are images or annotations: both have the suffix `.json`."""
    from embedseg.export.coco import read_coco
    from embedseg.export.geojson import read_geojson

    text = path.read_text(encoding="utf-8-sig", errors="replace")
    coco = re.search(r'"(images|annotations)"\s*:\s*\[', text)
    other = re.search(r'"(features|coordinates|geometries)"\s*:\s*\[', text)
    return read_coco(path, canvas) if coco and not other else read_geojson(path, canvas)


#: Readers by suffix. A further one is one file and one line here; in another package, an entry
#: point of the group `embedseg.importers`.
IMPORTERS: Registry[Reader] = Registry(
    "reader of outlines",
    "embedseg.importers",
    {
        ".zip": "embedseg.export.roi:read_rois",
        ".roi": "embedseg.export.roi:read_rois",
        ".geojson": "embedseg.export.geojson:read_geojson",
        ".json": "embedseg.export.importers:read_json",
    },
)


def import_objects(
    path: Path | str,
    shape: PerAxis | None = None,
    *,
    image: str | None = None,
    link: bool = False,
    keep_regions: bool = False,
) -> Painted:
    """Make a label image of ImageJ ROIs, QuPath's GeoJSON or COCO.

    An outline whose name is a label as `Objects.title` writes it ("7", "0007-z0003") becomes part
    of that object; any other one becomes a new object. One inside another keeps its pixels.
    QuPath's annotations that hold others are regions and no objects.

    Parameters
    ----------
    path : path
        `.zip`, `.roi`, `.geojson` or `.json`.
    shape : tuple of int, optional
        Shape of the image, volume or film: (Y, X), (Z, Y, X), (T, Y, X) or (T, Z, Y, X); a COCO
        file holds it. In a film outlines of one number are one object of each frame.
    image : str, optional
        Name of the image, for a COCO file of several images.
    link : bool
        Join outlines that overlap from plane to plane of a volume into one object, whatever their
        names; in a film of volumes frame by frame.
    keep_regions : bool
        Make objects of such annotations, too.

    Raises
    ------
    DataError
        If the file is broken, or none of its outlines is an object in the image.
    UsageError
        If it is of another type, the shape is not known, or a library is missing.

    Examples
    --------
    >>> import json, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "drawn.geojson"
    >>> ring = [[1, 0], [3, 0], [3, 1], [1, 1], [1, 0]]
    >>> _ = path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    >>> import_objects(path, (2, 4)).labels
    array([[0, 1, 1, 0], [0, 0, 0, 0]], dtype=int32)
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in IMPORTERS:
        raise UsageError(f"{path}: {IMPORTERS.unknown(suffix)}")
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if shape is not None and (len(shape) not in (2, 3, 4) or min(shape) < 1):
        raise UsageError(f"shape {tuple(shape)}: expected Y,X or Z,Y,X or T,Z,Y,X")
    size, drawn = IMPORTERS[suffix](path, Canvas(shape, image))
    needed, free = prod(size) * PAINTED, free_memory()
    if needed > free:
        problem = UsageError if shape is not None else DataError
        raise problem(
            f"{path}: labels of {format_shape(size)} pixels take about {needed / 1e9:.3g} GB of "
            f"memory, {free / 1e9:.3g} GB are free; expected a smaller shape"
        )
    try:
        painted = paint(drawn, size, keep_regions=keep_regions)
    except DataError as error:
        raise DataError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    if link and len(size) > 2:
        # Then the numbers of different planes are independent.
        volumes = painted.labels.reshape(-1, *size[-3:])
        labels = np.stack([link_slices(volume) for volume in volumes]).reshape(size)
        painted = painted._replace(labels=labels, objects=int(labels.max()))
    return painted
