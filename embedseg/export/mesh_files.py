"""Mesh files (STL, PLY, OBJ, GLB) and their table."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from embedseg.common import (
    check_output_file,
    check_output_folder,
    free_memory,
    plural,
    write_file,
    write_folder,
    write_rows,
)
from embedseg.export.mesh import (
    Measures,
    Mesh,
    MeshOptions,
    check_volume,
    choose,
    libraries,
    mesh_labels,
)
from embedseg.export.mesh_preview import Preview
from embedseg.export.smoothing import in_parts
from embedseg.labels import boxes_by_label
from embedseg.plots import paint_labels
from embedseg.types import Box, DataError, Spacing, UsageError

log = logging.getLogger("embedseg")

#: Faces of a file beyond which most programs become slow.
MANY_FACES = 10**6
#: Bytes per vertex and its two faces: kept until the file is written, taken by writing it, and by
#: the object that is worked on; and bytes per voxel of the box around that.
KEPT = 36
WRITING = {".stl": 0, ".ply": 400, ".obj": 600, ".glb": 400}
WORKING, BOX = 500, 8
#: Share of the free memory that may be used.
SHARE = 0.7
#: A triangle of a binary STL file.
TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
#: Exponents of the unit of columns in the table.
EXPONENTS = {"volume": 3, "area": 2}


def save_surfaces(
    path: Path | str,
    labels: NDArray[Any],
    spacing: Spacing,
    *,
    wanted: Sequence[int] = (),
    options: MeshOptions | None = None,
    each: bool = False,
    preview: Path | None = None,
    overwrite: bool = False,
    name: str = "labels",
    progress: bool = False,
    spacing_known: bool = True,
    offset: Sequence[float] = (0.0, 0.0, 0.0),
) -> list[Measures]:
    """Make surfaces of the objects of a volume and write them, and a table beside them.

    Parameters
    ----------
    path : path
        File for all surfaces, `.stl`, `.ply`, `.obj` or `.glb`; the table is `<stem>.csv`.
    labels, spacing, wanted, options, offset, name
        As in `embedseg.export.mesh.mesh_labels`.
    each : bool
        Write a file per object instead, `<stem>_<label>`, into the folder `<stem>`.
    preview : path, optional
        File for a picture of the surfaces.
    overwrite : bool
        Overwrite existing files.
    progress : bool
        Whether to show a progress bar.
    spacing_known : bool
        Whether the spacing is in µm; otherwise columns are `volume_px3` and `area_px2`.

    Returns
    -------
    list of Measures

    Raises
    ------
    DataError
        As in `mesh_labels`; and if the surfaces would not fit into memory.
    UsageError
        As in `mesh_labels`; if a file exists, or the format is unknown.

    Examples
    --------
    >>> import tempfile
    >>> labels = np.pad(np.ones((3, 3, 3), np.int32), 1)
    >>> path = Path(tempfile.mkdtemp()) / "ball.stl"
    >>> (ball,) = save_surfaces(path, labels, (1.0, 1.0, 1.0))
    >>> sorted(file.name for file in path.parent.iterdir()), ball.watertight
    (['ball.csv', 'ball.stl'], True)
    """
    path = Path(path)
    check_outputs(path, each=each, preview=preview, overwrite=overwrite)
    labels = check_volume(labels, spacing, name)
    boxes = boxes_by_label(labels)
    chosen = choose(list(boxes), wanted, name)
    options = options or MeshOptions()
    ids = np.array(list(boxes), np.int32)
    expected = count_vertices(labels, ids)[np.searchsorted(ids, chosen)]
    largest = max(math.prod(part.stop - part.start for part in boxes[label]) for label in chosen)
    _check_memory(expected / options.step**2, largest, path.suffix.lower(), each, name)
    rows: list[Measures] = []
    picture = Preview(*_extent([boxes[label] for label in chosen], spacing)) if preview else None

    def made() -> Iterator[Mesh]:
        meshes = mesh_labels(
            labels,
            spacing,
            wanted=chosen,
            options=options,
            boxes=boxes,
            offset=offset,
            name=name,
        )
        for mesh in tqdm(meshes, "surfaces", len(chosen), disable=not progress, leave=False):
            rows.append(mesh.measures)
            if picture:
                picture.draw(mesh)
            yield mesh
        log.info("writing %s and %s", path, path.with_suffix(".csv").name)

    log.info("meshing %s", plural(len(chosen), "object"))
    write_meshes(path, made(), each=each)
    _warn_of_many(path, [row.faces for row in rows], each)
    _write_table(path.with_suffix(".csv"), rows, "um" if spacing_known else "px")
    if preview and picture:
        log.info("drawing %s", preview)
        picture.save(preview, title=Path(name).name, unit="µm" if spacing_known else "px")
    return rows


def _extent(
    boxes: Sequence[Box], spacing: Spacing
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and the highest x, y, z of the surfaces in some boxes."""
    sides = np.array([[(part.start, part.stop) for part in box] for box in boxes])
    low, high = sides[..., 0].min(0) - 0.5, sides[..., 1].max(0) - 0.5
    return (low * spacing)[::-1], (high * spacing)[::-1]


def _warn_of_many(path: Path, faces: Sequence[int], each: bool) -> None:
    """Warn of a file with more faces than most programs can turn."""
    most = max(faces) if each else sum(faces)
    if most > MANY_FACES:
        log.warning(
            "%s: %s of %s faces, which many programs show slowly; --step 2 makes about a quarter "
            "of them, --decimate %.1g keeps a share",
            path,
            "a surface" if each else "surfaces",
            f"{most:,}",
            max(0.001, 0.5 * MANY_FACES / most),
        )


def check_outputs(
    path: Path, *, each: bool = False, preview: Path | None = None, overwrite: bool = False
) -> None:
    """Check that surfaces can be written, before they are computed.

    Raises
    ------
    UsageError
        If the format is unknown, a library is missing, or a file exists.
    """
    if path.suffix.lower() not in WRITERS:
        raise UsageError(
            f"{path}: surfaces cannot be written "
            + (f"as {path.suffix!r}" if path.suffix else "without a suffix")
            + ", expected "
            + " ".join(WRITERS)
            + ("; the folder has the name without it" if each else "")
        )
    if preview and preview.suffix.lower() != ".png":
        raise UsageError(f"{preview}: the picture of surfaces is a .png")
    libraries()
    if each:
        check_output_folder(path.with_suffix(""), overwrite, (_pattern(path),))
    for output in [*([] if each else [path]), path.with_suffix(".csv"), *filter(None, [preview])]:
        check_output_file(output, overwrite)


def write_meshes(path: Path, meshes: Iterable[Mesh], *, each: bool = False) -> None:
    """Write meshes into one file, or each into a separate one; see `save_surfaces`."""
    suffix = path.suffix.lower()
    write = WRITERS[suffix]
    if not each:
        write_file(path, lambda aside: write(aside, meshes))
        return

    def fill(aside: Path) -> None:
        for mesh in meshes:
            write(aside / f"{path.stem}_{mesh.measures.label}{suffix}", [mesh])

    write_folder(path.with_suffix(""), fill, (_pattern(path),))


def _pattern(path: Path) -> str:
    """Return the pattern of the names of files with one object each."""
    return f"{escape(path.stem)}_*{path.suffix.lower()}"


def count_vertices(labels: NDArray[Any], ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the number of vertices of each object's surface: its outer faces of voxels.

    Parameters
    ----------
    labels : (Z, Y, X) integer ndarray
    ids : (n,) int32 ndarray
        Its labels, ascending.

    Examples
    --------
    >>> count_vertices(np.array([[[5, 7, 7]]]), np.array([5, 7], np.int32)).tolist()
    [6, 10]
    """
    counts = np.zeros(len(ids), np.int64)
    empty = np.zeros(labels.shape[1:], labels.dtype)
    before = empty
    for plane in [*labels, empty]:
        framed = np.pad(plane, 1)
        for a, b in ((framed[1:], framed[:-1]), (framed[:, 1:], framed[:, :-1]), (plane, before)):
            differ = a != b
            for values in (a[differ], b[differ]):
                counts += np.bincount(np.searchsorted(ids, values[values > 0]), minlength=len(ids))
        before = plane
    return counts


def _check_memory(
    vertices: NDArray[np.float64], box: int, suffix: str, each: bool, name: str
) -> None:
    """Check that surfaces of this many vertices fit into the free memory."""
    at_once = vertices.max() if each else vertices.sum()
    # STL is written object by object.
    kept = KEPT + WRITING[suffix] if suffix != ".stl" else 0
    needed = at_once * kept + vertices.max() * WORKING + box * BOX
    free = SHARE * free_memory()
    if needed > free:
        raise DataError(
            f"{name}: surfaces of {len(vertices)} objects take about "
            f"{needed / 1e9:.2g} GB of memory, expected at most {free / 1e9:.2g} GB; "
            "a larger --step, some objects by --label, or --each takes less"
        )


def _write_table(path: Path, rows: Sequence[Measures], unit: str) -> None:
    names = [
        f"{field}_{unit}{EXPONENTS[field]}" if field in EXPONENTS else field
        for field in Measures._fields
    ]
    write_rows(path, names, rows)


# -- formats ---------------------------------------------------------------------------------------
def _trimesh(mesh: Mesh) -> Any:
    return libraries().Trimesh(mesh.vertices, mesh.faces, process=False)


def _painted(meshes: Iterable[Mesh]) -> list[Any]:
    """Return meshes of trimesh with names and colours."""
    meshes = list(meshes)
    # More colours could not be distinguished anyway.
    colours = paint_labels(np.array([mesh.measures.label % 10**5 or 1 for mesh in meshes]))
    painted = [_trimesh(mesh) for mesh in meshes]
    for mesh, surface, colour in zip(meshes, painted, colours, strict=True):
        surface.metadata["name"] = f"object_{mesh.measures.label}"
        surface.visual.vertex_colors = np.tile([*colour, 255], (len(mesh.vertices), 1))
    return painted


def _write_stl(path: Path, meshes: Iterable[Mesh]) -> None:
    """Write mesh after mesh: the format is a header, a count and triangles."""
    count = 0
    with path.open("wb") as file:
        file.write(bytes(84))
        for mesh in meshes:
            for corners in in_parts(mesh.vertices, mesh.faces):
                part = np.zeros(len(corners), TRIANGLE)
                normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
                long = np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
                part["normal"], part["corners"] = normals / long, corners
                file.write(part.tobytes())
            count += len(mesh.faces)
        file.seek(80)
        file.write(struct.pack("<I", count))


def _write_ply(path: Path, meshes: Iterable[Mesh]) -> None:
    from trimesh.exchange.ply import export_ply

    path.write_bytes(export_ply(libraries().util.concatenate(_painted(meshes))))


def _write_obj(path: Path, meshes: Iterable[Mesh]) -> None:
    from trimesh.exchange.obj import export_obj

    text = export_obj(libraries().Scene(_painted(meshes)))  # type: ignore[no-untyped-call]
    path.write_text(text, encoding="utf-8")


def _write_glb(path: Path, meshes: Iterable[Mesh]) -> None:
    from trimesh.exchange.gltf import export_glb

    scene = libraries().Scene()
    for surface in _painted(meshes):
        scene.add_geometry(surface, geom_name=surface.metadata["name"])
    path.write_bytes(export_glb(scene))  # type: ignore[no-untyped-call]


#: Writers by suffix.
WRITERS: dict[str, Callable[[Path, Iterable[Mesh]], None]] = {
    ".stl": _write_stl,
    ".ply": _write_ply,
    ".obj": _write_obj,
    ".glb": _write_glb,
}
