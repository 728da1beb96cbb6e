"""Outlines of objects along pixel edges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.export._tracing_kernels import trace
from embedseg.labels import boxes_by_label
from embedseg.types import Box

#: Pixels of the boxes that are traced at once.
BATCH = 2**22

Ring = NDArray[np.int32]
#: The ring around a piece and the rings of its holes.
Polygon = list[Ring]


class Outline(NamedTuple):
    """An object's outline in one plane.

    Attributes
    ----------
    label : int
        Number of the object.
    plane : int
        Index along Z; 0 in an image.
    polygons : list of list of (n, 2) int32 ndarray
        One per piece whose pixels share edges. Corners as x, y, the pixel at index i reaching from
        i to i + 1; rings are not closed by their first corner again, do not touch themselves, and
        have a positive area by the shoelace formula around pieces, a negative one around holes.
    """

    label: int
    plane: int
    polygons: list[Polygon]

    @property
    def rings(self) -> list[Ring]:
        """All rings, those of pieces and those of holes."""
        return [ring for polygon in self.polygons for ring in polygon]


def trace_outlines(
    labels: NDArray[Any], boxes: Mapping[int, Box] | None = None
) -> Iterator[Outline]:
    """Trace the objects of an image, or in each plane those of a volume, one after the other.

    Time grows with the boxes around objects; memory holds a few of them.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X) int32 ndarray
    boxes : mapping of int to tuple of slice, optional
        Result of `boxes_by_label`, if known.

    Yields
    ------
    Outline
        In the order of labels, then planes; planes without the object are left out.

    Examples
    --------
    >>> (outline,) = trace_outlines(np.array([[0, 7, 0], [7, 0, 0]], np.int32))
    >>> [polygon[0].tolist() for polygon in outline.polygons]
    [[[1, 0], [2, 0], [2, 1], [1, 1]], [[0, 1], [1, 1], [1, 2], [0, 2]]]
    """
    volume = np.ascontiguousarray(labels if labels.ndim == 3 else labels[np.newaxis], np.int32)
    boxes = boxes_by_label(labels) if boxes is None else boxes
    batch: list[tuple[int, ...]] = []
    size = 0
    for label, box in boxes.items():
        rows, columns = box[-2:]
        planes = range(box[0].start, box[0].stop) if labels.ndim == 3 else (0,)
        for plane in planes:
            batch.append((label, plane, rows.start, rows.stop, columns.start, columns.stop))
            size += (rows.stop - rows.start) * (columns.stop - columns.start)
            if size >= BATCH:
                yield from _traced(volume, batch)
                batch, size = [], 0
    yield from _traced(volume, batch)


def _traced(volume: NDArray[np.int32], batch: list[tuple[int, ...]]) -> Iterator[Outline]:
    jobs = np.array(batch, np.int64).reshape(-1, 6)
    points, ends, pieces, last = trace(volume, jobs[:, 0].astype(np.int32), jobs[:, 1], jobs[:, 2:])
    starts = np.concatenate([[0], ends[:-1]])
    owner, hole = np.where(pieces < 0, -1 - pieces, pieces).tolist(), (pieces < 0).tolist()
    spans = list(zip(starts.tolist(), ends.tolist(), strict=True)) if len(ends) else []
    begin = 0
    for (label, plane, *_), end in zip(batch, last.tolist(), strict=True):
        if end == begin:
            continue
        polygons: list[Polygon] = [[] for _ in range(max(owner[begin:end]) + 1)]
        for k in range(begin, end):
            ring = points[slice(*spans[k])]
            polygons[owner[k]].insert(len(polygons[owner[k]]) if hole[k] else 0, ring)
        yield Outline(label, plane, polygons)
        begin = end
