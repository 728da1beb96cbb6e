"""Importers of outlines by format.

A further format is one file and one line in `IMPORTERS`. What reads it is imported when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from embedseg.export.rasterize import Drawn, Painted, paint
from embedseg.labels import link_slices
from embedseg.types import DataError, PerAxis, UsageError


class Canvas(NamedTuple):
    """What outlines are drawn on.

    Attributes
    ----------
    shape : tuple of int, optional
        Of the image or volume, where it is known.
    image : str, optional
        Its name.
    """

    shape: PerAxis | None = None
    image: str | None = None

    def plane(self, path: Path) -> Sequence[int]:
        """Return rows and columns.

        Raises
        ------
        UsageError
            If they are not known.
        """
        if self.shape is None:
            raise UsageError(
                f"{path}: does not say how large the image is; --like IMAGE does, or --shape Y,X"
            )
        return self.shape[-2:]


Reader = Callable[[Path, Canvas], tuple[PerAxis, Iterator[Drawn]]]


def _rois(path: Path, canvas: Canvas) -> tuple[PerAxis, Iterator[Drawn]]:
    from embedseg.export.roi import read_rois

    plane = canvas.plane(path)
    return canvas.shape or (), read_rois(path, plane)


def _geojson(path: Path, canvas: Canvas) -> tuple[PerAxis, Iterator[Drawn]]:
    from embedseg.export.geojson import read_geojson

    plane = canvas.plane(path)
    return canvas.shape or (), read_geojson(path, plane)


def _json(path: Path, canvas: Canvas) -> tuple[PerAxis, Iterator[Drawn]]:
    """Read COCO, or else GeoJSON: both are called like this."""
    from embedseg.export.coco import read_coco

    text = path.read_text(encoding="utf-8", errors="replace")
    keys = (re.search(rf'"{key}"\s*:\s*\[', text) for key in ("images", "annotations"))
    if all(keys):
        return read_coco(path, canvas.shape, canvas.image)
    return _geojson(path, canvas)


#: What reads a file, by its suffix.
IMPORTERS: dict[str, Reader] = {
    ".zip": _rois,
    ".roi": _rois,
    ".geojson": _geojson,
    ".json": _json,
}


def import_objects(
    path: Path | str, shape: PerAxis | None = None, *, image: str | None = None, link: bool = False
) -> Painted:
    """Make a label image of ImageJ ROIs, QuPath's GeoJSON or COCO.

    Outlines that carry a number of ours as name ("7", "0007-z0003") become the object of that
    number; every other one becomes an object of its own.

    Parameters
    ----------
    path : path
        `.zip`, `.roi`, `.geojson` or `.json`.
    shape : tuple of int, optional
        Of the image or volume; COCO says it itself.
    image : str, optional
        Name of the image, for COCO of several.
    link : bool
        Make one object of outlines that overlap from plane to plane of a volume, whatever their
        names.

    Raises
    ------
    DataError
        If the file is broken, or no object comes out of it.
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
    if path.suffix.lower() not in IMPORTERS:
        raise UsageError(
            f"{path}: outlines cannot be read from {path.suffix or 'this'!r}, "
            "expected " + " ".join(IMPORTERS)
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if shape is not None and (len(shape) not in (2, 3) or min(shape) < 1):
        raise UsageError(f"shape {tuple(shape)}: expected Y,X or Z,Y,X")
    found, drawn = IMPORTERS[path.suffix.lower()](path, Canvas(shape, image))
    try:
        painted = paint(drawn, found)
    except DataError as error:
        raise DataError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    if link and len(found) == 3:
        # Numbers of different planes have nothing to do with each other then.
        labels = link_slices(painted.labels)
        painted = painted._replace(labels=labels, objects=int(labels.max()))
    return painted
