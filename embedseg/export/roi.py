"""ImageJ ROIs, written and read."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedseg.common import free_memory
from embedseg.export.exporters import ObjectFormat, require
from embedseg.export.objects import Objects, label_of
from embedseg.export.outlines import Outline
from embedseg.export.rasterize import Canvas, Drawn, Mask, fill
from embedseg.types import DataError, PerAxis

if TYPE_CHECKING:
    from roifile import ImagejRoi

#: ImageJ reads larger integers as negative ones.
LARGEST = 60_535
#: Operations of a path and their numbers: move, line, quadratic and cubic curve, close.
MOVE, LINE, QUADRATIC, CUBIC, CLOSE = range(5)
#: Points of each operation.
POINTS = (1, 1, 2, 3, 0)
#: Pieces that a curve of a path, or an ellipse, is cut into.
CURVE, ELLIPSE = 16, 180
#: Time of all entries, so that the same objects give the same bytes.
LONG_AGO = (1980, 1, 1, 0, 0, 0)


# -- out -------------------------------------------------------------------------------------------
def write_rois(path: Path, objects: Objects) -> None:
    """Write objects as a zip of ROIs, one per object and plane, in pixels.

    An object without holes in one piece is a traced ROI, as ImageJ's wand makes it; others are
    composites. ROIs of one object begin with the same number. Of a volume, ROIs carry the number of
    their slice, from 1; where the image has channels, as position in a hyperstack. Of a film, so do
    frames; those of volumes are positions in a hyperstack.

    Parameters
    ----------
    path : Path
        File to write.
    objects : Objects
    """
    with zipfile.ZipFile(path, "w") as file:
        for frame in objects.each_frame():
            for outline in frame.outlines():
                roi = _roi(outline)
                roi.name = frame.title(outline)
                _locate(roi, frame, outline)
                file.writestr(zipfile.ZipInfo(f"{roi.name}.roi", LONG_AGO), roi.tobytes())


FORMAT = ObjectFormat(".zip", write_rois, "roifile", "rois", films=True)


def _locate(roi: ImagejRoi, objects: Objects, outline: Outline) -> None:
    """Set the slice and frame of a ROI: a stack has one number, a hyperstack one of each."""
    slice_ = outline.plane + 1 if objects.ndim == 3 else 0
    frame = 0 if objects.frame is None else objects.frame + 1
    channels = objects.image is not None and len(objects.image) > 1
    if channels or (slice_ and frame):
        roi.z_position, roi.t_position = slice_, frame
    else:
        roi.position = slice_ or frame


def _roi(outline: Outline) -> ImagejRoi:
    from roifile import ROI_TYPE, ImagejRoi

    roi, rings = ImagejRoi(), outline.rings
    left, top = np.min([ring.min(0) for ring in rings], 0).tolist()
    right, bottom = np.max([ring.max(0) for ring in rings], 0).tolist()
    if len(rings) == 1 and max(right, bottom) <= LARGEST:
        roi.roitype = ROI_TYPE.TRACED
        roi.integer_coordinates = rings[0] - np.array([left, top], np.int32)
        roi.n_coordinates = len(rings[0])
    else:
        roi.roitype = ROI_TYPE.RECT
        roi.multi_coordinates = np.concatenate([_path(ring) for ring in rings])
        roi.shape_roi_size = len(roi.multi_coordinates)
    # ImageJ takes the box of composites from the path, so it may be cropped here.
    roi.left, roi.top, roi.right, roi.bottom = (min(n, LARGEST) for n in (left, top, right, bottom))
    return roi


def _path(ring: NDArray[np.int32]) -> NDArray[np.float32]:
    steps = np.full((len(ring), 3), LINE, np.float32)
    steps[0, 0] = MOVE
    steps[:, 1:] = ring
    return np.append(steps.ravel(), np.float32(CLOSE))


# -- in --------------------------------------------------------------------------------------------
def read_rois(path: Path, canvas: Canvas) -> tuple[PerAxis, Iterator[Drawn]]:
    """Read ROIs from a `.zip` or a single `.roi`.

    Raises
    ------
    DataError
        If the file is broken, or holds files but no ROI.
    UsageError
        If the shape of the image is not known, or a library is missing.
    """
    shape = canvas.known_shape(path)
    return shape, _drawn(path, shape[-2:])


def _drawn(path: Path, shape: Sequence[int]) -> Iterator[Drawn]:
    roifile = require("roifile", "rois")
    for name, data in _entries(path):
        try:
            roi = roifile.ImagejRoi.frombytes(data)
            label = label_of(roi.name or Path(name).stem)
            # A stack has one number, a hyperstack one of each axis.
            plane, frame = roi.z_position or 0, roi.t_position or 0
            plane = plane or (0 if frame else roi.position or 0)
            yield Drawn(label, _index(plane), _mask(roi, shape), frame=_index(frame))
        except (ValueError, IndexError, TypeError, struct.error) as error:
            raise DataError(f"{path}: {name} is no ImageJ ROI, or broken ({error})") from error


def _entries(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.suffix.lower() == ".roi":
        yield path.name, path.read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as file:
            names = [name for name in file.namelist() if not name.startswith("__MACOSX")]
            found = [name for name in names if name.lower().endswith(".roi")]
            # No more than the declared size of an entry is ever unpacked.
            largest = max((file.getinfo(name).file_size for name in found), default=0)
            free = free_memory()
            if largest > free:
                raise DataError(
                    f"{path}: an entry of {largest / 1e9:.3g} GB unpacked, expected at most the "
                    f"free memory of {free / 1e9:.3g} GB"
                )
            for name in found:
                yield name, file.read(name)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
        raise DataError(f"{path}: corrupt or no zip of ImageJ ROIs ({error})") from error
    if names and not found:
        raise DataError(f"{path}: holds no ImageJ ROI")


def _index(place: int) -> int | None:
    return place - 1 if place > 0 else None


def _mask(roi: ImagejRoi, shape: Sequence[int]) -> Mask | None:
    """Return the pixels in a ROI; None if it has no area."""
    from roifile import ROI_SUBTYPE, ROI_TYPE

    if roi.composite and roi.multi_coordinates is not None:
        return fill([_subpaths(roi.multi_coordinates)], shape)
    if roi.subtype in (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE):
        return None
    if roi.roitype in (ROI_TYPE.RECT, ROI_TYPE.OVAL):
        x, y, width, height = (
            (roi.xd, roi.yd, roi.widthd, roi.heightd)
            if roi.subpixelrect
            else (roi.left, roi.top, roi.right - roi.left, roi.bottom - roi.top)
        )
        arcs = (
            (width, height)
            if roi.roitype == ROI_TYPE.OVAL
            else (min(roi.rounded_rect_arc_size, width), min(roi.rounded_rect_arc_size, height))
        )
        return fill([[_rounded(x, y, width, height, arcs)]], shape)
    if roi.roitype in (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED):
        return fill([[np.asarray(roi.coordinates())]], shape)
    return None


def _rounded(
    x: float, y: float, width: float, height: float, arcs: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the outline of a rectangle rounded by quarters of an ellipse of that size."""
    turn = np.arange(ELLIPSE) * 2 * math.pi / ELLIPSE
    unit = np.stack([np.cos(turn), np.sin(turn)], 1)
    # A polygon with its corners outside of the ellipse encloses as much as that.
    grown = 1 + (math.pi / ELLIPSE) ** 2 / 3
    middle = np.array([x + width / 2, y + height / 2])
    straight = np.array([width - arcs[0], height - arcs[1]]) / 2
    corners = middle + np.sign(np.round(unit, 9)) * straight + unit * np.array(arcs) / 2 * grown
    return np.asarray(corners, np.float64)


def _subpaths(path: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Return the closed lines of a path; curves become lines of many points."""
    rings: list[list[NDArray[np.float64]]] = []
    values, place = path.astype(np.float64), 0
    while place < len(values):
        operation = int(values[place])
        if not 0 <= operation <= CLOSE or not (rings or operation == MOVE):
            raise ValueError(f"operation {operation} of a path")
        size = 2 * POINTS[operation]
        points = values[place + 1 : place + 1 + size].reshape(POINTS[operation], 2)
        place += 1 + size
        if operation == MOVE:
            rings.append([points])
        elif operation == LINE:
            rings[-1].append(points)
        elif operation != CLOSE:
            rings[-1].append(_curve(np.concatenate([rings[-1][-1][-1:], points])))
    return [np.concatenate(ring) for ring in rings]


def _curve(controls: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points of a Bézier curve after its first one."""
    t = np.arange(1, CURVE + 1)[:, np.newaxis] / CURVE
    degree = len(controls) - 1
    parts = [
        math.comb(degree, k) * t**k * (1 - t) ** (degree - k) * controls[k]
        for k in range(degree + 1)
    ]
    return np.asarray(np.sum(parts, axis=0))
