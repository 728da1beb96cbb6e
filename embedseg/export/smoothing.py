"""Mesh smoothing, decimation and measures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vertices = NDArray[np.floating[Any]]
Faces = NDArray[np.int32]

#: Taubin's steps, one that shrinks and one that grows: together they keep wide shapes.
SHRINK, GROW = 0.5, 0.53
#: Share of the volume that smoothing must leave; objects of a voxel or two would vanish.
LEFT = 0.8
#: Most steps towards the volume of the voxels; large objects need one or none.
ROUNDS = 4
#: Share of the volume that decimation may change.
CHANGED = 0.05
#: Faces whose corners are in memory at once.
PART = 2**17


# -- measures --------------------------------------------------------------------------------------
def in_parts(vertices: Vertices, faces: Faces) -> Iterator[NDArray[np.float64]]:
    """Yield the corners of some faces after the other, (n, 3, 3)."""
    for start in range(0, len(faces), PART):
        yield vertices[faces[start : start + PART]].astype(np.float64)


def volume_and_area(vertices: Vertices, faces: Faces) -> tuple[float, float]:
    """Return the signed volume of a closed mesh, positive if faces look outwards, and its area.

    Examples
    --------
    >>> corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    >>> faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    >>> [round(value, 3) for value in volume_and_area(corners, faces)]
    [0.167, 2.366]
    """
    volume = area = 0.0
    middle = vertices.mean(0) if len(vertices) else 0
    for corners in in_parts(vertices, faces):
        # Far from the origin, small differences of large numbers would be lost.
        corners -= middle
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        volume += float(np.einsum("ij,ij->", corners[:, 0], across)) / 6
        area += float(np.linalg.norm(across, axis=1).sum()) / 2
    return volume, area


def edges_of(faces: Faces) -> tuple[int, bool]:
    """Return the number of edges, and whether each belongs to two faces.

    Examples
    --------
    >>> edges_of(np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])), edges_of([[0, 1, 2]])
    ((6, True), (3, False))
    """
    faces = np.asarray(faces)
    ends = np.empty((3, len(faces)), np.int64)
    for k in range(3):
        a, b = faces[:, k], faces[:, (k + 1) % 3]
        ends[k] = np.minimum(a, b).astype(np.int64) << 32 | np.maximum(a, b)
    keys = ends.reshape(-1)
    keys.sort()
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return len(starts), bool((np.diff(starts, append=len(keys)) == 2).all())


# -- smoothing -------------------------------------------------------------------------------------
def smoothed(
    vertices: NDArray[np.float64], faces: Faces, iterations: int, volume: float, reach: float
) -> NDArray[np.float64]:
    """Take the stairs out of a surface, then move it along its normals to the volume given.

    Parameters
    ----------
    vertices, faces : ndarray
        Of a closed surface.
    iterations : int
        Of Taubin's filter; fewer where thin objects would vanish.
    volume : float
        Of the object, µm³.
    reach : float
        Farthest that the surface moves in each of a few steps, µm.

    Returns
    -------
    (n, 3) float64 ndarray
        The vertices moved.

    References
    ----------
    Taubin, G. A signal processing approach to fair surface design. SIGGRAPH 1995.
    https://doi.org/10.1145/218380.218473

    Examples
    --------
    >>> from trimesh.creation import box
    >>> cube = box().subdivide().subdivide()
    >>> round(volume_and_area(smoothed(cube.vertices, cube.faces, 3, 1.0, 0.1), cube.faces)[0], 2)
    1.0
    """
    neighbours, before = _neighbours(faces, len(vertices)), volume_and_area(vertices, faces)[0]
    while iterations:
        trial = _filtered(vertices, neighbours, iterations)
        if volume_and_area(trial, faces)[0] >= LEFT * before:
            vertices = trial
            break
        iterations //= 2
    del neighbours
    for _ in range(ROUNDS):
        now, area = volume_and_area(vertices, faces)
        if abs(volume - now) <= 1e-3 * volume:
            break
        shift = np.clip((volume - now) / max(area, 1e-30), -reach, reach)
        vertices = vertices + shift * _normals(vertices, faces)
    return vertices


def _neighbours(faces: Faces, count: int) -> Any:
    """Return the matrix that takes the mean over the neighbours of each vertex."""
    from scipy.sparse import csr_array

    # On a closed surface an edge is seen in both directions, from its two faces.
    ends = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    joined = csr_array((np.ones(faces.size), ends), shape=(count, count))
    joined.data /= np.repeat(joined.sum(axis=1), np.diff(joined.indptr))
    return joined


def _filtered(
    vertices: NDArray[np.float64], neighbours: Any, iterations: int
) -> NDArray[np.float64]:
    moved = np.array(vertices)
    for step in iterations * (SHRINK, -GROW):
        moved += step * (neighbours @ moved - moved)
    return moved


def _normals(vertices: NDArray[np.float64], faces: Faces) -> NDArray[np.float64]:
    """Return the normal of each vertex: the mean over its faces, weighted by their areas."""
    normals = np.zeros_like(vertices)
    for part, corners in enumerate(in_parts(vertices, faces)):
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        for ends in faces[part * PART : (part + 1) * PART].T:
            for axis in range(3):
                normals[:, axis] += np.bincount(ends, across[:, axis], len(vertices))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    return normals


# -- decimation ------------------------------------------------------------------------------------
def decimated(surface: Any, share: float) -> Any:
    """Return a mesh with a share of the faces, or with more until it stays closed and as large.

    Parameters
    ----------
    surface : trimesh.Trimesh
    share : float
        In (0, 1].

    Examples
    --------
    >>> from trimesh.creation import icosphere
    >>> len(decimated(icosphere(), 0.25).faces)
    320
    """
    from trimesh.repair import fill_holes

    volume = volume_and_area(surface.vertices, surface.faces)[0]
    while share < 1:
        count = max(4, round(share * len(surface.faces)))
        fewer = surface.simplify_quadric_decimation(face_count=count)
        if not fewer.is_watertight:
            fill_holes(fewer)
        closed = len(fewer.faces) and fewer.is_watertight and fewer.is_winding_consistent
        if closed:
            left = volume_and_area(fewer.vertices, fewer.faces)[0]
            if abs(left / volume - 1) <= CHANGED:
                return fewer
        share *= 2
    return surface
