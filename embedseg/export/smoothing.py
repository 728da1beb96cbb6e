"""Mesh smoothing and decimation."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Taubin's steps, one that shrinks and one that grows: together they keep wide shapes.
SHRINK, GROW = 0.5, 0.53
#: Share of the volume that smoothing must leave; objects of a voxel or two would vanish.
LEFT = 0.8
#: Most steps towards the volume of the voxels; large objects need one or none.
ROUNDS = 4
#: Share of the volume that decimation may change.
CHANGED = 0.05


def volume_of(surface: Any) -> float:
    """Return the signed volume of a closed trimesh.Trimesh: positive if its faces look outwards.

    Examples
    --------
    >>> from trimesh.creation import box
    >>> round(volume_of(box((1, 2, 3))), 6)
    6.0
    """
    # Far from the origin, small differences of large numbers would be lost.
    corners = surface.triangles - surface.triangles.reshape(-1, 3).mean(0)
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def smoothed(surface: Any, iterations: int, volume: float, reach: float) -> Any:
    """Take the stairs out of a surface, then move it along its normals to the volume given.

    Parameters
    ----------
    surface : trimesh.Trimesh
        A closed one; may be changed.
    iterations : int
        Of Taubin's filter; fewer where thin objects would vanish.
    volume : float
        Of the object, µm³.
    reach : float
        Farthest that the surface moves in each of a few steps, µm.

    Returns
    -------
    trimesh.Trimesh

    References
    ----------
    Taubin, G. A signal processing approach to fair surface design. SIGGRAPH 1995.
    https://doi.org/10.1145/218380.218473

    Examples
    --------
    >>> from trimesh.creation import box
    >>> print(round(smoothed(box().subdivide().subdivide(), 3, 1.0, 0.1).volume, 2))
    1.0
    """
    from trimesh.smoothing import filter_taubin, laplacian_calculation

    neighbours = laplacian_calculation(surface).tocsr()
    while iterations:
        trial = surface.copy()
        filter_taubin(  # type: ignore[no-untyped-call]
            trial, SHRINK, GROW, 2 * iterations, neighbours
        )
        if volume_of(trial) >= LEFT * volume_of(surface):
            surface = trial
            break
        iterations //= 2
    for _ in range(ROUNDS):
        missing = volume - volume_of(surface)
        if abs(missing) <= 1e-3 * volume:
            break
        shift = np.clip(missing / max(surface.area, 1e-30), -reach, reach)
        surface.vertices = surface.vertices + shift * surface.vertex_normals
    return surface


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

    while share < 1:
        count = max(4, round(share * len(surface.faces)))
        fewer = surface.simplify_quadric_decimation(face_count=count)
        if not fewer.is_watertight:
            fill_holes(fewer)
        closed = len(fewer.faces) and fewer.is_watertight and fewer.is_winding_consistent
        if closed and abs(volume_of(fewer) / volume_of(surface) - 1) <= CHANGED:
            return fewer
        share *= 2
    return surface
