"""Pictures of meshes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import plural
from embedseg.export._drawing_kernels import draw_triangles
from embedseg.export.mesh import Mesh
from embedseg.export.smoothing import in_parts
from embedseg.plots import paint_labels, save_figure

#: Direction of view, degrees above the XY plane and around Z.
ELEVATION, AZIMUTH = 25.0, -60.0
#: Ticks along the longest axis, about.
TICKS = 7
#: Direction of the light, x, y, z; and brightness of faces that it does not reach.
LIGHT, AMBIENT = (0.0, -0.6, 0.8), 0.45
#: Pixels drawn per pixel of the picture, along each side.
FINER = 2


class Preview:
    """A picture of surfaces, each in its colour and shaded, drawn one after the other.

    All faces are drawn and none is kept, so that any number of them takes the memory of a picture.

    Parameters
    ----------
    low, high : (3,) sequence of float
        x, y, z of the box around all surfaces.

    Examples
    --------
    >>> import tempfile
    >>> from embedseg.export.mesh import mesh_labels
    >>> preview = Preview((0, 0, 0), (3, 3, 3))
    >>> for mesh in mesh_labels(np.ones((4, 4, 4), np.int32), (1.0, 1.0, 1.0)):
    ...     preview.draw(mesh)
    >>> preview.save(Path(tempfile.mkdtemp()) / "cube.png")
    """

    def __init__(self, low: Any, high: Any) -> None:
        from matplotlib.figure import Figure
        from mpl_toolkits.mplot3d import Axes3D

        low, high = np.asarray(low, float), np.asarray(high, float)
        self._low, self._extent = low, np.maximum(high - low, 1e-3 * (high - low).max())
        self._count = 0
        self._figure = Figure(figsize=(9, 8), dpi=100, facecolor="white")
        self._axes = Axes3D(
            self._figure, auto_add_to_figure=False, proj_type="ortho", elev=ELEVATION, azim=AZIMUTH
        )
        self._figure.add_axes(self._axes)
        # A unit is equally long along all axes; an array would be changed in place.
        self._axes.set_box_aspect(tuple(self._extent), zoom=0.9)
        ends = zip(low, low + self._extent, strict=True)
        self._axes.set(**dict(zip(("xlim", "ylim", "zlim"), ends, strict=True)))
        width, height = (FINER * int(n) for n in self._figure.bbox.size)
        self._picture = np.zeros((height, width, 4), np.uint8)
        self._nearest = np.full((height, width), -np.inf, np.float32)
        self._onto_screen, self._origin = self._projection()

    def draw(self, mesh: Mesh) -> None:
        """Draw a surface."""
        self._count += 1
        colour = paint_labels(np.array(mesh.measures.label % 10**5 or 1))
        for corners in in_parts(mesh.vertices, mesh.faces):
            normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
            bright = AMBIENT + (1 - AMBIENT) * np.clip(normals @ np.asarray(LIGHT), 0, 1)
            paints = np.full((len(corners), 4), 255, np.uint8)
            paints[:, :3] = np.round(bright[:, np.newaxis] * colour)
            placed = corners @ self._onto_screen + self._origin
            draw_triangles(placed.astype(np.float32), paints, self._nearest, self._picture)

    def save(self, path: Path, *, title: str = "", unit: str = "µm") -> None:
        """Write the picture; its suffix selects the format, and `unit` is that of the axes."""
        from matplotlib.ticker import MaxNLocator

        for (axis, _, size), name in zip(self._sides(), "xyz", strict=True):
            axis.set_major_locator(MaxNLocator(max(1, round(TICKS * size / self._extent.max()))))
            axis.set_label_text(f"{name}, {unit}")
            axis.labelpad = 10
        over = self._figure.add_axes((0, 0, 1, 1))
        over.set_axis_off()
        over.imshow(self._picture, aspect="auto", interpolation="antialiased")
        # Labels of the axes of a flat volume lie beyond the figure, most of which is empty.
        over.set_in_layout(False)
        self._figure.suptitle(f"{title} ({plural(self._count, 'object')})", fontsize=13)
        save_figure(self._figure, path, bbox_inches="tight", pad_inches=0.2)

    def _sides(self) -> list[tuple[Any, float, float]]:
        """Return each axis, where it starts and its length."""
        axes = (self._axes.xaxis, self._axes.yaxis, self._axes.zaxis)
        return list(zip(axes, self._low, self._extent, strict=True))

    def _projection(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return matrix and shift from x, y, z to column, row and nearness."""
        from mpl_toolkits.mplot3d.proj3d import proj_transform

        self._figure.draw_without_rendering()
        # The projection is linear: four points tell it all.
        points = self._low + np.concatenate([np.zeros((1, 3)), np.diag(self._extent)])
        x, y, _ = proj_transform(*points.T, self._axes.get_proj())
        column, row = (FINER * self._axes.transData.transform(np.stack([x, y], 1))).T
        up, around = np.radians([ELEVATION, AZIMUTH])
        near = points @ [np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)]
        placed = np.stack([column, len(self._picture) - row, near], 1)
        matrix = (placed[1:] - placed[0]) / self._extent[:, np.newaxis]
        return matrix, placed[0] - self._low @ matrix
