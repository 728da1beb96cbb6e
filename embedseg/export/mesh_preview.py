"""Pictures of meshes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import plural
from embedseg.export.mesh import Mesh, libraries
from embedseg.plots import paint_labels, save_figure

#: Faces of a picture, and of an object in it at least; objects at most.
FACES, FEWEST, OBJECTS = 30_000, 60, 1000
#: Direction of view, degrees above the XY plane and around Z.
ELEVATION, AZIMUTH = 25.0, -60.0
#: Ticks along the longest axis, about.
TICKS = 7
#: Direction of the light, x, y, z; and brightness of faces that it does not reach.
LIGHT, AMBIENT = (0.0, -0.6, 0.8), 0.45


def thinned(mesh: Mesh, faces: int) -> Mesh:
    """Return a mesh of about `faces` faces, closed or not, with the same measures."""
    if len(mesh.faces) <= faces:
        return mesh
    surface = libraries().Trimesh(mesh.vertices, mesh.faces, process=False)
    fewer = surface.simplify_quadric_decimation(face_count=faces)
    return Mesh(
        np.asarray(fewer.vertices, np.float32), np.asarray(fewer.faces, np.int32), mesh.measures
    )


def save_mesh_preview(
    path: Path | str, meshes: Sequence[Mesh], *, title: str = "", unit: str = "µm"
) -> None:
    """Draw surfaces, shaded and each in its colour, into one image file.

    Parameters
    ----------
    path : path
        Its suffix selects the format.
    meshes : sequence of Mesh
        The largest thousand are shown, of a few ten thousand faces together.
    title : str
        Title above the picture.
    unit : str
        Unit of the axes.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
    from mpl_toolkits.mplot3d import Axes3D
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    shown = sorted(meshes, key=lambda mesh: -mesh.measures.volume)[:OBJECTS]
    faces = np.array([len(mesh.faces) for mesh in shown])
    budget = np.maximum(FEWEST, FACES * faces // faces.sum())
    shown = [thinned(mesh, int(n)) for mesh, n in zip(shown, budget, strict=True)]
    triangles, colours = _visible(shown)
    low, high = triangles.min((0, 1)), triangles.max((0, 1))
    figure = Figure(figsize=(9, 8), dpi=100, facecolor="white")
    axes = Axes3D(figure, auto_add_to_figure=False, proj_type="ortho", elev=ELEVATION, azim=AZIMUTH)
    figure.add_axes(axes)
    axes.add_collection3d(
        Poly3DCollection(triangles, facecolors=colours, edgecolors=colours, linewidths=0.5)
    )
    extent = np.maximum(high - low, 1e-3 * (high - low).max())
    for axis, name, start, size in zip(
        (axes.xaxis, axes.yaxis, axes.zaxis), "xyz", low, extent, strict=True
    ):
        axis.set_view_interval(start, start + size, ignore=True)
        axis.set_major_locator(MaxNLocator(max(1, round(TICKS * size / extent.max()))))
        axis.set_label_text(f"{name}, {unit}")
        axis.labelpad = 10
    # A unit is equally long along all axes.
    axes.set_box_aspect(extent, zoom=0.9)
    figure.suptitle(title + _count(len(shown), len(meshes)), fontsize=13)
    # Labels of the axes of a flat volume lie beyond the figure, and most of the figure is empty.
    save_figure(figure, Path(path), bbox_inches="tight", pad_inches=0.2)


def _count(shown: int, all_: int) -> str:
    if shown < all_:
        return f" (the {shown} largest of {all_} objects)"
    return f" ({plural(all_, 'object')})"


def _visible(meshes: Sequence[Mesh]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the triangles that face the viewer, (n, 3, 3), and their colours, (n, 3)."""
    paints = paint_labels(np.array([mesh.measures.label % 10**5 or 1 for mesh in meshes])) / 255
    triangles = np.concatenate([mesh.vertices[mesh.faces] for mesh in meshes])
    colours = np.repeat(paints, [len(mesh.faces) for mesh in meshes], axis=0)
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    up, around = np.radians([ELEVATION, AZIMUTH])
    viewer = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
    front = normals @ viewer > 0
    lit = np.clip(normals @ np.asarray(LIGHT), 0, 1)[:, np.newaxis]
    shaded: NDArray[Any] = colours * (AMBIENT + (1 - AMBIENT) * lit)
    return triangles[front], shaded[front]
