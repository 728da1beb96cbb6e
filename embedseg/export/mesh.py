"""Meshes of objects by marching cubes, in µm."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from embedseg.common import missing_library, shorten
from embedseg.export.smoothing import decimated, edges_of, smoothed, volume_and_area
from embedseg.labels import boxes_by_label
from embedseg.types import Box, DataError, Spacing, UsageError, check_labels

log = logging.getLogger("embedseg")

#: Of a mask of 0 and 1, marching cubes at exactly 0.5 meets ties and makes edges of four faces.
LEVEL = 0.49999
#: Samples along the shortest axis of an object, at least, with larger steps.
SAMPLES = 4


class MeshOptions(BaseModel):
    """Options of surfaces.

    Attributes
    ----------
    step : int
        Voxels between samples of the volume; smaller objects get a smaller step.
    smooth : int
        Taubin iterations that take the stairs out of a surface. Its volume is then that of the
        voxels; without smoothing, area is some 10 % too large and small objects lose corners.
    decimate : float
        Share of the faces to keep, in (0, 1]. A mesh that would not stay closed, or change its
        volume by more than 5 %, keeps more.

    Examples
    --------
    >>> MeshOptions(step=2).smooth
    15
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    step: int = Field(1, ge=1, le=1000)
    smooth: int = Field(15, ge=0, le=1000)
    decimate: float = Field(1.0, gt=0, le=1)


class Measures(NamedTuple):
    """Measures of a mesh.

    Attributes
    ----------
    label, voxels : int
        Number of the object, and its number of voxels.
    volume, area : float
        Of the mesh, µm³ and µm². Without smoothing its edges are bevelled, so that the volume is
        less than that of the voxels: by 5 % for some hundred, by much for a few.
    vertices, faces : int
    watertight : bool
        Whether each edge belongs to two faces.
    capped : bool
        Whether the object touches the border of the volume, which crops it.
    euler : int
        Vertices - edges + faces: 2 for a ball, 0 for a ring; pieces and cavities add 2 each.
    """

    label: int
    voxels: int
    volume: float
    area: float
    vertices: int
    faces: int
    watertight: bool
    capped: bool
    euler: int


@dataclass(frozen=True)
class Mesh:
    """The surface of one object.

    Attributes
    ----------
    vertices : (n, 3) float32 ndarray
        x, y, z in µm from the middle of the first voxel, or from where its place is counted.
    faces : (m, 3) int32 ndarray
        Vertices of each triangle, anticlockwise as seen from outside.
    measures : Measures
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    measures: Measures


def mesh_labels(
    labels: NDArray[Any],
    spacing: Spacing,
    *,
    wanted: Sequence[int] = (),
    options: MeshOptions | None = None,
    boxes: Mapping[int, Box] | None = None,
    offset: Sequence[float] = (0.0, 0.0, 0.0),
    name: str = "labels",
) -> Iterator[Mesh]:
    """Make closed surfaces of objects, one after the other, each from the box around it.

    Parameters
    ----------
    labels : (Z, Y, X) integer ndarray
        0 is background.
    spacing : tuple of float
        Size of a voxel along Z, Y and X, µm.
    wanted : sequence of int
        Labels of the objects; default: all.
    options : MeshOptions, optional
    boxes : mapping of int to tuple of slice, optional
        Result of `boxes_by_label`, if known.
    offset : sequence of float
        Where the first voxel lies along Z, Y and X, voxels, as `embedseg.images.first_pixel` gives
        it.
    name : str
        Name of the labels in messages, such as a file name.

    Yields
    ------
    Mesh
        In the order of the labels.

    Raises
    ------
    DataError
        If there is no object, a wanted one is missing, or these are no labels of a volume.
    UsageError
        If there are not three spacings, or a library is not installed.

    Examples
    --------
    >>> labels = np.zeros((4, 6, 6), np.int32)
    >>> labels[1:3, 1:5, 1:5] = 7
    >>> (mesh,) = mesh_labels(labels, (2.0, 1.0, 1.0))
    >>> mesh.measures.label, mesh.measures.euler, round(mesh.measures.volume)
    (7, 2, 64)
    """
    labels = check_volume(labels, spacing, name)
    options, dense = options or MeshOptions(), 0
    boxes = boxes_by_label(labels) if boxes is None else boxes
    chosen = choose(list(boxes), wanted, name)
    for label in chosen:
        mesh, more = _mesh(labels, label, boxes[label], spacing, options, offset)
        dense += more
        yield mesh
    if dense:
        log.info(
            "%d of %d meshes keep more faces than asked: with fewer they would not stay "
            "closed or keep their volume",
            dense,
            len(chosen),
        )


def libraries() -> Any:
    """Return the module trimesh.

    Raises
    ------
    UsageError
        If it, or the library that it decimates with, is not installed.
    """
    try:
        import fast_simplification  # noqa: F401
        import trimesh
    except ImportError as error:
        raise missing_library("meshes need", error, "mesh") from error
    return trimesh


# -- checks -----------------------------------------------------------------------------
def check_volume(labels: NDArray[Any], spacing: Spacing, name: str = "labels") -> NDArray[np.int32]:
    """Check and return the labels of a volume.

    Raises
    ------
    DataError, UsageError
        As in `mesh_labels`.
    """
    if labels.ndim != 3:
        raise DataError(
            f"{name}: shape {labels.shape}, a surface needs a volume of three axes (Z, Y, X)"
        )
    if len(spacing) != 3:
        raise UsageError(
            f"spacing {tuple(spacing)} has {len(spacing)} values, the volume has 3 axes (Z, Y, X)"
        )
    return check_labels(labels, name=name)


def choose(there: Sequence[int], wanted: Sequence[int], name: str = "labels") -> list[int]:
    """Return the labels to make meshes of, ascending: those wanted, or all.

    Raises
    ------
    DataError
        If there is none, or a wanted one is missing.

    Examples
    --------
    >>> choose([1, 2, 5], [5, 1]), choose([1, 2, 5], [])
    ([1, 5], [1, 2, 5])
    """
    if not there:
        raise DataError(f"{name}: no object here, all is background")
    if missing := sorted(set(wanted) - set(there)):
        raise DataError(
            f"{name}: no object {shorten(map(str, missing))} here, there are "
            + shorten(map(str, there))
        )
    return sorted(set(wanted)) or list(there)


# -- one object ------------------------------------------------------------------------------------
def _mesh(
    labels: NDArray[np.int32],
    label: int,
    box: Box,
    spacing: Spacing,
    options: MeshOptions,
    offset: Sequence[float],
) -> tuple[Mesh, bool]:
    """Return the mesh of an object, and whether it has many more faces than asked."""
    mask = labels[box] == label
    voxels = int(np.count_nonzero(mask))
    corners, faces = _march(mask, options.step)
    start = np.array([part.start for part in box]) + offset
    vertices = np.ascontiguousarray((corners * spacing)[:, ::-1])
    if options.smooth:
        volume, reach = voxels * float(np.prod(spacing)), 0.5 * options.step * min(spacing)
        vertices = smoothed(vertices, faces, options.smooth, volume, reach)
    before = len(faces)
    if options.decimate < 1:
        surface = libraries().Trimesh(vertices, faces, process=False)
        surface = decimated(surface, options.decimate)
        vertices, faces = np.asarray(surface.vertices), np.asarray(surface.faces, np.int32)
    capped = any(
        part.start == 0 or part.stop == n for part, n in zip(box, labels.shape, strict=True)
    )
    dense = len(faces) > 1.5 * max(4, options.decimate * before)
    place = (start * spacing)[::-1]
    return _measured(vertices, faces, label, voxels, capped, place), dense


def _march(mask: NDArray[np.bool_], step: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return vertices in voxels of the mask, (n, 3), and faces."""
    from skimage.measure import marching_cubes

    # The volume of an object of fewer samples would be that of the steps.
    step = min(step, max(1, min(mask.shape) // SAMPLES))
    while not (samples := mask[::step, ::step, ::step]).any():
        step //= 2
    # Background on all sides.
    vertices, faces, _, _ = marching_cubes(  # type: ignore[no-untyped-call]
        np.pad(samples, 1).astype(np.float32), LEVEL
    )
    return (vertices.astype(np.float64) - 1) * step, np.ascontiguousarray(faces, np.int32)


def _measured(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int32],
    label: int,
    voxels: int,
    capped: bool,
    place: NDArray[np.float64],
) -> Mesh:
    """Return a mesh, moved to its place after it is measured: far from 0 digits are lost."""
    edges, watertight = edges_of(faces)
    measures = Measures(
        label,
        voxels,
        *volume_and_area(vertices, faces),
        len(vertices),
        len(faces),
        watertight,
        capped,
        len(vertices) - edges + len(faces),
    )
    return Mesh((vertices + place).astype(np.float32), faces, measures)
