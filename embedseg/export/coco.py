"""COCO instances, written and read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.export.exporters import ObjectFormat
from embedseg.export.objects import Objects, label_of
from embedseg.export.outlines import Outline
from embedseg.export.rasterize import Canvas, Drawn, Mask, fill
from embedseg.images import stem
from embedseg.types import DataError, PerAxis

#: The only category.
CATEGORY = {"id": 1, "name": "object", "supercategory": ""}
#: What is read: lists, and the keys of each of their entries.
NEEDED = {"images": ("id", "height", "width"), "annotations": ("image_id",)}


# -- out -------------------------------------------------------------------------------------------
def write_coco(path: Path, objects: Objects) -> None:
    """Write objects as COCO instances, in pixels.

    A volume becomes an image per plane, a film one per frame. An annotation has the object's label
    beside COCO's own fields, and its score where it is known. Its segmentation is a list of
    polygons, or for an object with holes, which these cannot say, run lengths as pycocotools
    compresses them: both hold exactly its pixels.

    Parameters
    ----------
    path : Path
        File to write.
    objects : Objects
    """
    head = {
        "info": {"description": objects.name},
        "licenses": [],
        "categories": [CATEGORY],
        "images": _images(objects),
    }
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + ', "annotations": [')
        number = 0
        for frame in objects.each_frame():
            for outline in frame.outlines():
                number += 1
                row = {"id": number} | _annotation(frame, outline)
                file.write((",\n" if number > 1 else "\n") + json.dumps(row))
        file.write("\n]}\n")


FORMAT = ObjectFormat(".json", write_coco, films=True)


def _images(objects: Objects) -> list[dict[str, Any]]:
    """Return the image of each frame and plane, numbered from 1."""
    height, width = objects.labels.shape[-2:]
    images = []
    for number, place in enumerate(np.ndindex(objects.labels.shape[:-2]), 1):
        letters = ("t" if objects.film else "") + ("z" if objects.ndim == 3 else "")
        marks = "".join(f"_{key}{k + 1:04d}" for key, k in zip(letters, place, strict=True))
        image = {
            "id": number,
            "width": width,
            "height": height,
            "file_name": f"{stem(objects.name)}{marks}.tif" if marks else objects.name,
        }
        keys = {"t": "frame", "z": "plane"}
        images.append(image | {keys[key]: k for key, k in zip(letters, place, strict=True)})
    return images


def _annotation(objects: Objects, outline: Outline) -> dict[str, Any]:
    rings, shape = outline.rings, objects.labels.shape[-2:]
    planes = len(objects.labels) if objects.ndim == 3 else 1
    corners = np.concatenate(rings)
    left, top = corners.min(0).tolist()
    right, bottom = corners.max(0).tolist()
    segmentation: Any = [ring.ravel().tolist() for ring in rings]
    if len(rings) > len(outline.polygons):
        plane = objects.labels if objects.ndim == 2 else objects.labels[outline.plane]
        inside = plane[top:bottom, left:right] == outline.label
        segmentation = {
            "size": list(shape),
            "counts": compress(run_lengths(Mask(top, left, inside), shape)),
        }
    row = {
        "image_id": (objects.frame or 0) * planes + outline.plane + 1,
        "category_id": CATEGORY["id"],
        "iscrowd": 0,
        "area": round(sum(_area(ring) for ring in rings)),
        "bbox": [left, top, right - left, bottom - top],
        "label": outline.label,
        "segmentation": segmentation,
    }
    if outline.label in objects.scores:
        row["score"] = round(objects.scores[outline.label], 4)
    return row


def _area(ring: NDArray[np.int32]) -> float:
    x, y = ring[:, 0].astype(np.int64), ring[:, 1].astype(np.int64)
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1] + x[-1] * y[0] - x[0] * y[-1]) / 2


# -- run lengths -----------------------------------------------------------------------------------
def run_lengths(mask: Mask, shape: Sequence[int]) -> NDArray[np.int64]:
    """Return the lengths of runs of background and object in turn, column after column.

    Examples
    --------
    >>> run_lengths(Mask(0, 1, np.ones((2, 1), bool)), (3, 3))
    array([3, 2, 4])
    """
    rows, columns = mask.inside.shape
    framed = np.zeros((columns, rows + 2), np.int8)
    framed[:, 1:-1] = mask.inside.T
    column, row = np.nonzero(np.diff(framed, axis=1))
    changes = (column + mask.left) * shape[0] + row + mask.top
    # A run at the foot of a column continues at the head of the next one.
    places, counts = np.unique(changes, return_counts=True)
    ends = np.concatenate([[0], places[counts == 1], [shape[0] * shape[1]]])
    lengths = np.diff(ends)
    return lengths[:-1] if len(lengths) > 1 and not lengths[-1] else lengths


def compress(lengths: NDArray[np.int64]) -> str:
    """Return run lengths as the string that pycocotools makes of them.

    Each length from the fourth on stands as its difference to the one two places before, in digits
    of five bits, the lowest first.

    Examples
    --------
    >>> compress(np.array([3, 2, 4])), expand("324").tolist()
    ('324', [3, 2, 4])
    """
    values = lengths.copy()
    values[3:] -= lengths[1:-2]
    digits = []
    for value in values.tolist():
        while True:
            digit, value = value & 31, value >> 5
            done = value == (-1 if digit & 16 else 0)
            digits.append(digit + (0 if done else 32) + 48)
            if done:
                break
    return bytes(digits).decode("ascii")


def expand(text: str) -> NDArray[np.int64]:
    """Return the run lengths that a string stands for; see `compress`."""
    values: list[int] = []
    value = shift = 0
    for byte in text.encode("ascii"):
        digit = byte - 48
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            values.append(value + (values[-2] if len(values) > 2 else 0))
            value = shift = 0
    return np.array(values, np.int64)


# -- in --------------------------------------------------------------------------------------------
def read_coco(path: Path, canvas: Canvas) -> tuple[PerAxis, Iterator[Drawn]]:
    """Read the instances of one image, or of a volume or film whose planes are the images.

    Raises
    ------
    DataError
        If the file is broken, its image has another shape, or is missing.
    """
    shape, image = canvas
    try:
        read = json.loads(path.read_text(encoding="utf-8-sig"))
        _check_keys(path, read)
        images = sorted(read["images"], key=lambda one: (one.get("plane", 0), one["id"]))
        planes = _planes(path, images, shape, image)
        size = next((one["height"], one["width"]) for one in images if one["id"] in planes)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        StopIteration,
        RecursionError,
    ) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: no COCO file of instances ({type(error).__name__}: {error})"
        ) from error
    if shape is not None and tuple(shape[-2:]) != size:
        raise DataError(
            f"{path}: is of an image of {size[0]} x {size[1]} pixels, expected "
            f"{shape[-2]} x {shape[-1]}"
        )
    if shape is not None and len(shape) == 4:
        full = tuple(shape)
    elif shape is None and _is_film_of_volumes(images):
        full = (*(1 + max(one[key] for one in images) for key in ("frame", "plane")), *size)
    else:
        flat = len(shape) == 2 if shape else not any("plane" in one for one in images)
        full = size if flat else (len(planes), *size)
    return full, _instances(path, read, planes, size)


def _is_film_of_volumes(images: list[dict[str, Any]]) -> bool:
    return all("frame" in one and "plane" in one for one in images)


def _check_keys(path: Path, read: Any) -> None:
    """Check that a file has all keys that are needed."""
    if not isinstance(read, dict):
        raise DataError(f"{path}: no COCO file of instances, expected an object of lists")
    for name, keys in NEEDED.items():
        listed = read.get(name)
        if not isinstance(listed, list):
            raise DataError(f"{path}: a COCO file without {name!r}, expected a list of them")
        for number, one in enumerate(listed):
            missing = [key for key in keys if not isinstance(one, dict) or key not in one]
            if missing:
                raise DataError(
                    f"{path}: {name}[{number}] of this COCO file has no "
                    + ", ".join(map(repr, missing))
                )
    if not read["images"]:
        raise DataError(f"{path}: a COCO file without images")


def _planes(
    path: Path, images: list[dict[str, Any]], shape: Sequence[int] | None, name: str | None
) -> dict[Any, tuple[int | None, int]]:
    """Return the frame and the plane of each image to read, by its id."""
    if _is_film_of_volumes(images):
        return {one["id"]: (int(one["frame"]), int(one["plane"])) for one in images}
    whole: dict[Any, tuple[int | None, int]] = {
        one["id"]: (None, place) for place, one in enumerate(images)
    }
    if (
        len(images) == 1
        or all("plane" in one for one in images)
        or (shape is not None and len(shape) > 2 and math.prod(shape[:-2]) == len(images))
    ):
        return whole
    found = [one for one in images if name and stem(str(one.get("file_name", ""))) == stem(name)]
    if len(found) != 1:
        names = ", ".join(str(one.get("file_name")) for one in images[:5])
        raise DataError(
            f"{path}: holds {len(images)} images ({names} ...), --like names one of them"
        )
    return {found[0]["id"]: (None, 0)}


def _instances(
    path: Path,
    read: dict[str, Any],
    planes: dict[Any, tuple[int | None, int]],
    size: tuple[int, int],
) -> Iterator[Drawn]:
    listed = {one["id"] for one in read["images"]}
    for row in read["annotations"]:
        if row["image_id"] not in listed:
            raise DataError(
                f"{path}: annotation {row.get('id')} is of the image {row['image_id']!r}, "
                "which is not listed"
            )
        if row["image_id"] not in planes:
            continue
        try:
            label = label_of(str(row.get("label", "")))
            drawn = row.get("segmentation")
            frame, plane = planes[row["image_id"]]
            yield Drawn(label, plane, _mask(drawn, size), missing=not drawn, frame=frame)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise DataError(
                f"{path}: annotation {row.get('id')} is no instance "
                f"({type(error).__name__}: {error})"
            ) from error


def _mask(segmentation: Any, size: tuple[int, int]) -> Mask | None:
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        if odd := [len(ring) for ring in segmentation if len(ring) % 2]:
            raise ValueError(f"a polygon of {odd[0]} numbers, expected pairs of x and y")
        return fill([[np.array(ring, np.float64).reshape(-1, 2)] for ring in segmentation], size)
    counts = segmentation["counts"]
    lengths = expand(counts) if isinstance(counts, str) else np.array(counts, np.int64)
    if (
        tuple(segmentation["size"]) != size
        or lengths.sum() != size[0] * size[1]
        or (lengths < 0).any()
    ):
        raise ValueError(f"run lengths of {lengths.sum()} pixels in an image of {size}")
    return _unrolled(lengths, size[0])


def _unrolled(lengths: NDArray[np.int64], rows: int) -> Mask:
    """Return the pixels that runs cover, column after column."""
    ends = np.cumsum(lengths)
    starts, stops = ends[:-1:2], ends[1::2]
    kept = stops > starts
    starts, stops = starts[kept], stops[kept]
    if not len(starts):
        return Mask(0, 0, np.zeros((0, 0), bool))
    # Each run in pieces, one per column.
    first, last = starts // rows, (stops - 1) // rows
    pieces = last - first + 1
    run = np.repeat(np.arange(len(starts)), pieces)
    column = first[run] + np.arange(len(run)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = np.where(column == first[run], starts[run] % rows, 0)
    stop = np.where(column == last[run], (stops[run] - 1) % rows + 1, rows)
    top, left = int(start.min()), int(first[0])
    steps = np.zeros((int(last[-1]) - left + 1, int(stop.max()) - top + 1), np.int8)
    np.add.at(steps, (column - left, start - top), 1)
    np.add.at(steps, (column - left, stop - top), -1)
    return Mask(top, left, np.cumsum(steps[:, :-1], axis=1).T > 0)
