"""Surfaces: closed, the right way out, as large as the objects, and in files as they were made."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from matplotlib.image import imread
from stores import write_store

from commands import Run
from embedseg.export import MeshOptions, save_surfaces
from embedseg.export.mesh import Mesh, mesh_labels
from embedseg.export.mesh_files import count_vertices
from embedseg.export.mesh_preview import Preview
from embedseg.images import write_labels
from embedseg.labels import boxes_by_label
from embedseg.types import DataError, UsageError

RAW = MeshOptions(smooth=0)
#: A record of a binary STL file, as its description has it.
TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def alone(mask: Any, spacing: tuple[float, ...] = (1.0, 1.0, 1.0), **options: Any) -> Mesh:
    """Mesh of a mask with a voxel of background around it."""
    labels = np.pad(np.asarray(mask, np.int32), 1)
    (mesh,) = mesh_labels(labels, spacing, options=MeshOptions(**options))
    return mesh


def draw(path: Path, meshes: list[Mesh], **options: Any) -> None:
    """Draw meshes into a file."""
    corners = np.concatenate([mesh.vertices for mesh in meshes])
    preview = Preview(corners.min(0), corners.max(0))
    for mesh in meshes:
        preview.draw(mesh)
    preview.save(path, **options)


def ellipsoid(radii: tuple[float, ...], spacing: tuple[float, ...]) -> np.ndarray:
    """Mask of an ellipsoid of these radii in µm, off the grid's centre."""
    axes = [
        np.arange(-math.ceil(r / s) - 2, math.ceil(r / s) + 3) * s + offset
        for r, s, offset in zip(radii, spacing, (0.3, 0.2, 0.1), strict=True)
    ]
    grids = np.meshgrid(*axes, indexing="ij")
    return sum((g / r) ** 2 for g, r in zip(grids, radii, strict=True)) <= 1


def area_of(radii: tuple[float, ...]) -> float:
    """Area of an ellipsoid: its element integrated over the angles."""
    a, b, c = radii
    theta, phi = np.meshgrid(
        (np.arange(400) + 0.5) * np.pi / 400, (np.arange(400) + 0.5) * np.pi / 200
    )
    element = np.sin(theta) * np.sqrt(
        (b * c * np.sin(theta) * np.cos(phi)) ** 2
        + (a * c * np.sin(theta) * np.sin(phi)) ** 2
        + (a * b * np.cos(theta)) ** 2
    )
    return float(element.sum() * np.pi / 400 * np.pi / 200)


def signed_volume(triangles: np.ndarray) -> float:
    return float(
        np.einsum("ij,ij->", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])) / 6
    )


def open_edges(faces: np.ndarray) -> int:
    """Edges that do not belong to two triangles, seen in the two directions."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there = {tuple(edge) for edge in edges.tolist()}
    return len(edges) - len(there) + sum((b, a) not in there for a, b in there)


def read_stl(path: Path) -> np.ndarray:
    """Triangles of a binary STL file, (n, 3, 3) float32."""
    data = path.read_bytes()
    count = int(np.frombuffer(data, "<u4", 1, 80)[0])
    assert len(data) == 84 + TRIANGLE.itemsize * count
    return np.frombuffer(data, TRIANGLE, count, 84)["corners"]


# -- what can be checked by eye --------------------------------------------------------------------
def test_one_voxel_is_an_octahedron() -> None:
    mesh = alone([[[1]]], (2.0, 1.0, 1.0), smooth=0)
    tips = [(1, 1, 1), (1, 1, 3), (0.5, 1, 2), (1.5, 1, 2), (1, 0.5, 2), (1, 1.5, 2)]
    found = np.array(sorted(map(tuple, mesh.vertices.tolist())))
    np.testing.assert_allclose(found, sorted(tips), atol=1e-4)  # x, y, z in µm
    assert (mesh.measures.vertices, mesh.measures.faces, mesh.measures.euler) == (6, 8, 2)
    assert mesh.measures.volume == pytest.approx(2 / 6, rel=1e-3)


def test_a_cube_of_two_voxels_has_flat_sides_and_bevelled_edges() -> None:
    mesh = alone(np.ones((2, 2, 2)), smooth=0)
    assert mesh.measures[:2] == (1, 8)
    # Each of the 8 corners is half an octahedron short of a cube's, each of the 12 edges a wedge.
    assert mesh.measures.volume == pytest.approx(8 - 12 / 8 - 8 * (1 / 8 - 1 / 48), rel=1e-3)
    assert (mesh.vertices.min(), mesh.vertices.max()) == pytest.approx((0.5, 2.5), abs=1e-4)
    assert (mesh.measures.vertices, mesh.measures.faces, mesh.measures.euler) == (24, 44, 2)


def test_places_are_those_of_the_voxels() -> None:
    labels = np.zeros((9, 9, 9), np.int32)
    labels[6, 2:5, 1:8] = 4
    (mesh,) = mesh_labels(labels, (3.0, 2.0, 1.0), options=RAW)
    np.testing.assert_allclose(mesh.vertices.min(0), (0.5, 3, 16.5), atol=1e-3)
    np.testing.assert_allclose(mesh.vertices.max(0), (7.5, 9, 19.5), atol=1e-3)


@pytest.mark.parametrize(
    ("mask", "euler"),
    [
        (np.ones((3, 3, 3)), 2),
        (np.pad(np.zeros((1, 2, 2)), 2, constant_values=1)[2:-2], 0),  # a hole all through
        (np.pad(np.zeros((2, 2, 2)), 2, constant_values=1), 4),  # a cavity
        ([[[1, 1, 0, 0, 1, 1]] * 2] * 2, 4),  # two pieces
    ],
)
def test_euler_number_counts_holes_and_pieces(mask: Any, euler: int) -> None:
    for smooth in (0, 15):
        assert alone(mask, smooth=smooth).measures.euler == euler


# -- closed and the right way out ------------------------------------------------------------------
THIN = {
    "voxel": np.ones((1, 1, 1)),
    "plate": np.ones((1, 9, 9)),
    "standing plate": np.ones((9, 9, 1)),
    "line": np.ones((1, 1, 12)),
    "diagonal": np.eye(5)[np.newaxis],
    "corner": np.eye(3)[:, :, None] * np.eye(3)[:, None, :],
    "noise": np.random.default_rng(0).random((9, 10, 11)) < 0.3,
    "dense noise": np.random.default_rng(1).random((9, 10, 11)) < 0.7,
}


@pytest.mark.parametrize("name", THIN)
@pytest.mark.parametrize(
    "options",
    [
        {"smooth": 0},
        {},
        {"step": 2},
        {"step": 5},
        {"decimate": 0.2},
        {"smooth": 0, "decimate": 0.1},
    ],
    ids=str,
)
def test_whatever_the_shape_its_surface_is_closed(name: str, options: dict[str, Any]) -> None:
    mesh = alone(THIN[name], (2.0, 1.0, 1.0), **options)
    assert mesh.measures.watertight
    assert len(mesh.faces) >= 8
    assert open_edges(mesh.faces) == 0
    assert signed_volume(mesh.vertices[mesh.faces].astype(float)) > 0


@pytest.mark.parametrize("name", ["voxel", "plate", "line", "diagonal"])
def test_smoothing_leaves_thin_objects_their_volume(name: str) -> None:
    mesh = alone(THIN[name], (2.0, 1.0, 1.0))
    assert mesh.measures.volume == pytest.approx(2 * mesh.measures.voxels, rel=0.05)


def test_what_the_border_cuts_is_capped_and_said() -> None:
    labels = np.zeros((6, 7, 8), np.int32)
    labels[:, :, :2], labels[2:4, 2:5, 4:6] = 1, 2
    cut, inside = mesh_labels(labels, (1.0, 1.0, 1.0), options=RAW)
    assert (cut.measures.capped, inside.measures.capped) == (True, False)
    assert open_edges(cut.faces) == 0
    assert cut.vertices.min() == pytest.approx(-0.5, abs=1e-3)


def test_objects_that_touch_are_apart() -> None:
    labels = np.zeros((8, 8, 8), np.int32)
    labels[2:6, 2:6, 1:4], labels[2:6, 2:6, 4:7] = 3, 9
    left, right = mesh_labels(labels, (1.0, 1.0, 1.0), options=RAW)
    assert (left.measures.label, right.measures.label) == (3, 9)
    assert left.vertices[:, 0].max() == pytest.approx(right.vertices[:, 0].min(), abs=1e-3) == 3.5
    assert open_edges(left.faces) == open_edges(right.faces) == 0


# -- accuracy --------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [{}, {"decimate": 0.2}, {"step": 2}], ids=str)
@pytest.mark.parametrize(
    ("radii", "spacing"),
    [
        ((20, 20, 20), (1, 1, 1)),
        ((20, 20, 20), (2, 1, 1)),
        ((20, 20, 20), (3, 1, 1)),
        ((24, 30, 20), (2, 1, 1)),
        ((5, 8, 6), (0.5, 0.25, 0.25)),
    ],
)
def test_balls_and_ellipsoids_are_as_large_as_they_are(
    radii: tuple[float, ...], spacing: tuple[float, ...], options: dict[str, Any]
) -> None:
    mesh = alone(ellipsoid(radii, spacing), spacing, **options)
    assert mesh.measures.volume == pytest.approx(4 / 3 * math.pi * math.prod(radii), rel=0.02)
    assert mesh.measures.area == pytest.approx(area_of(radii), rel=0.05)
    assert mesh.measures.euler == 2
    assert signed_volume(mesh.vertices[mesh.faces].astype(float)) == pytest.approx(
        mesh.measures.volume, rel=1e-4
    )


def test_options_do_what_they_say() -> None:
    ball = ellipsoid((12, 12, 12), (1, 1, 1))
    full, coarse, fewer, stairs = (
        alone(ball, **options) for options in ({}, {"step": 2}, {"decimate": 0.2}, {"smooth": 0})
    )
    assert len(coarse.faces) < len(full.faces) / 3.5
    assert len(fewer.faces) == pytest.approx(0.2 * len(full.faces), rel=0.02)
    assert len(stairs.faces) == len(full.faces)
    assert stairs.measures.area > 1.05 * full.measures.area


def test_what_must_not_be_decimated_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "embedseg"):
        mesh = alone([[[1]]], decimate=0.1)
    assert len(mesh.faces) == 8
    assert "1 of 1 meshes keep more faces than asked" in caplog.text


# -- which objects ---------------------------------------------------------------------------------
def test_boxes_are_found_whatever_the_numbers() -> None:
    labels = np.zeros((3, 4, 5), np.int32)
    labels[0, 0, 0], labels[1, 1:3, 2], labels[2] = 2**31 - 1, 7, -1
    boxes = boxes_by_label(labels)
    assert list(boxes) == [7, 2**31 - 1]
    assert boxes[7] == np.s_[1:2, 1:3, 2:3]


def test_as_many_vertices_as_faces_of_voxels() -> None:
    labels = np.random.default_rng(0).integers(-1, 4, (5, 6, 7)).astype(np.int32)
    labels[0, 0, 0] = 50
    meshes = list(mesh_labels(labels, (1.0, 1.0, 1.0), options=RAW))
    ids = np.array([mesh.measures.label for mesh in meshes], np.int32)
    assert ids.tolist() == [1, 2, 3, 50]
    faces = count_vertices(labels, ids)
    for mesh, count in zip(meshes, faces, strict=True):
        assert count <= len(mesh.vertices) <= 1.05 * count


def test_only_what_is_wanted(tmp_path: Path) -> None:
    labels = two_objects()
    assert [mesh.measures.label for mesh in mesh_labels(labels, (1, 1, 1), wanted=[9])] == [9]
    with pytest.raises(DataError, match=r"cells: no object 4, 5 here, there are 3, 9"):
        list(mesh_labels(labels, (1, 1, 1), wanted=[5, 9, 4], name="cells"))
    with pytest.raises(DataError, match="cells: no object here"):
        list(mesh_labels(0 * labels, (1, 1, 1), name="cells"))


# -- files -----------------------------------------------------------------------------------------
def two_objects() -> np.ndarray:
    labels = np.zeros((10, 12, 14), np.int32)
    labels[2:8, 2:9, 1:6], labels[4:7, 3:8, 6:14] = 3, 9
    return labels


@pytest.mark.parametrize("each", [False, True])
def test_stl_holds_what_was_made(tmp_path: Path, each: bool) -> None:
    meshes = list(mesh_labels(two_objects(), (2.0, 1.0, 1.0)))
    made = [mesh.vertices[mesh.faces] for mesh in meshes]
    save_surfaces(tmp_path / "cells.stl", two_objects(), (2.0, 1.0, 1.0), each=each)
    if each:
        files = [tmp_path / f"cells/cells_{label}.stl" for label in (3, 9)]
        assert sorted((tmp_path / "cells").iterdir()) == files
        found = [read_stl(file) for file in files]
    else:
        found = [read_stl(tmp_path / "cells.stl")]
        made = [np.concatenate(made)]
    for a, b in zip(found, made, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".glb", ".STL"])
def test_other_formats_hold_it_too(tmp_path: Path, suffix: str) -> None:
    import trimesh

    path = tmp_path / f"cells{suffix}"
    rows = save_surfaces(path, two_objects(), (2.0, 1.0, 1.0))
    read = trimesh.load(path)
    parts = list(read.geometry.values()) if suffix == ".glb" else read.split()
    assert sorted(part.volume for part in parts) == pytest.approx(
        sorted(row.volume for row in rows), rel=1e-4
    )
    if suffix != ".STL":
        colours = {tuple(part.visual.vertex_colors[0][:3]) for part in parts}
        assert len(colours) == 2
    if suffix == ".glb":
        assert sorted(read.geometry) == ["object_3", "object_9"]
    if suffix == ".obj":
        assert path.read_text().count("\no object_") == 2


def test_table_in_voxels(tmp_path: Path) -> None:
    save_surfaces(tmp_path / "a.ply", two_objects(), (1.0, 1.0, 1.0), spacing_known=False)
    header = (tmp_path / "a.csv").read_text().splitlines()[0]
    assert header.startswith("label,voxels,volume_px3,area_px2,")


def test_table(tmp_path: Path) -> None:
    labels = two_objects()
    rows = save_surfaces(tmp_path / "a.ply", labels, (2.0, 1.0, 1.0))
    with (tmp_path / "a.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == [
        "label",
        "voxels",
        "volume_um3",
        "area_um2",
        "vertices",
        "faces",
        "watertight",
        "capped",
        "euler",
    ]
    assert [row["label"] for row in read] == ["3", "9"]
    assert [int(row["voxels"]) for row in read] == [(labels == 3).sum(), (labels == 9).sum()]
    assert [row["capped"] for row in read] == ["False", "True"]
    assert [float(row["volume_um3"]) for row in read] == [row.volume for row in rows]
    assert rows[0].volume == pytest.approx(2 * rows[0].voxels, rel=0.01)


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    labels, spacing = two_objects(), (1.0, 1.0, 1.0)
    for name in ("a.stl", "a.csv", "a.png"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UsageError, match=rf"{name}: exists"):
            save_surfaces(tmp_path / "a.stl", labels, spacing, preview=tmp_path / "a.png")
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    save_surfaces(tmp_path / "a.stl", labels, spacing, each=True)
    (tmp_path / "a/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        save_surfaces(tmp_path / "a.stl", labels, spacing, each=True)
    with pytest.raises(UsageError, match=r"holds notes\.txt, which embedseg did not write"):
        save_surfaces(tmp_path / "a.stl", labels, spacing, each=True, overwrite=True)
    (tmp_path / "a/notes.txt").unlink()
    save_surfaces(tmp_path / "a.stl", labels, spacing, each=True, wanted=[3], overwrite=True)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["a_3.stl"]
    # A folder is not replaced by a file.
    (tmp_path / "b.stl").mkdir()
    with pytest.raises(UsageError, match=r"b\.stl: exists"):
        save_surfaces(tmp_path / "b.stl", labels, spacing, overwrite=True)


@pytest.mark.parametrize(
    ("labels", "options", "error", "words"),
    [
        (np.ones((4, 5), np.int32), {}, DataError, r"shape \(4, 5\), a surface needs a volume"),
        (np.full((3, 3, 3), 0.5), {}, DataError, "fractional"),
        (np.ones((3, 3, 3)), {"spacing": (1.0, 1.0)}, UsageError, "has 2 values, the volume has 3"),
        (np.zeros((3, 3, 3)), {}, DataError, "no object here"),
        (np.ones((3, 3, 3)), {"wanted": [2]}, DataError, "no object 2 here, there are 1"),
        (np.ones((3, 3, 3)), {"path": "a.step"}, UsageError, r"'\.step', expected \.stl \.ply"),
        (np.ones((3, 3, 3)), {"path": "a"}, UsageError, "without a suffix"),
        (np.ones((3, 3, 3)), {"preview": Path("a.xyz")}, UsageError, r"a\.xyz.* is a \.png"),
    ],
)
def test_bad_input(
    labels: Any, options: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    given = {"path": "a.stl", "spacing": (1.0, 1.0, 1.0), "name": "cells"} | options
    path = tmp_path / given.pop("path")
    with pytest.raises(error, match=words):
        save_surfaces(path, labels, **given)
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_said_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedseg.export.mesh_files.free_memory", lambda: 2 * 10**5)
    with pytest.raises(DataError, match=r"2 objects take about .* GB .*--step.*--label.*--each"):
        save_surfaces(tmp_path / "a.ply", two_objects(), (1.0, 1.0, 1.0))
    save_surfaces(
        tmp_path / "a.ply", two_objects(), (1.0, 1.0, 1.0), options=MeshOptions(step=2), wanted=[9]
    )


@pytest.mark.parametrize("library", ["trimesh", "fast_simplification"])
def test_missing_library_is_said_in_one_line(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"{library}.*pip install fast-simplification trimesh"):
        save_surfaces(tmp_path / "a.ply", two_objects(), (1.0, 1.0, 1.0))


def test_many_faces_are_warned_of_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save_surfaces(tmp_path / "a.stl", two_objects(), (1.0, 1.0, 1.0))
    assert not [each for each in caplog.records if each.levelname == "WARNING"]
    monkeypatch.setattr("embedseg.export.mesh_files.MANY_FACES", 100)
    rows = save_surfaces(tmp_path / "b.stl", two_objects(), (1.0, 1.0, 1.0))
    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert f"b.stl: surfaces of {sum(row.faces for row in rows):,} faces" in record.getMessage()
    assert "--step 2" in record.getMessage() and "--decimate" in record.getMessage()


# -- pictures --------------------------------------------------------------------------------------
def test_preview_shows_each_object_in_its_colour(tmp_path: Path) -> None:
    from matplotlib.colors import rgb_to_hsv

    from embedseg.plots import paint_labels

    meshes = list(mesh_labels(two_objects(), (2.0, 1.0, 1.0)))
    draw(tmp_path / "new/a.png", meshes, title="two")
    picture = imread(tmp_path / "new/a.png")[..., :3]
    assert min(picture.shape[:2]) >= 600
    hues = rgb_to_hsv(picture)
    for label in (3, 9):
        hue = rgb_to_hsv(paint_labels(np.array(label)) / 255)[0]
        share = ((np.abs(hues[..., 0] - hue) < 0.03) & (hues[..., 1] > 0.3)).mean()
        assert share > 0.02


def test_preview_of_a_flat_volume_holds_all_labels_of_axes(tmp_path: Path) -> None:
    labels = np.zeros((16, 33, 66), np.int32)
    labels[:, :, :] = 1
    draw(tmp_path / "flat.png", list(mesh_labels(labels, (3.0, 3.0, 3.0))))
    picture = imread(tmp_path / "flat.png")[..., :3]
    for rim in (picture[:3], picture[-3:], picture[:, :3], picture[:, -3:]):
        assert rim.min() > 0.99


def test_surfaces_of_many_faces_are_drawn_without_holes(tmp_path: Path) -> None:
    """A net of thin walls, of which a picture of few faces would be rags."""
    walls = np.zeros((10, 200, 200), bool)
    walls[:, ::8], walls[:, :, ::8] = True, True
    mesh = alone(walls)
    assert len(mesh.faces) > 2 * 10**5
    draw(tmp_path / "walls.png", [mesh])
    draw(tmp_path / "block.png", [alone(np.ones_like(walls))])
    shown, whole = (imread(tmp_path / name)[..., :3] for name in ("walls.png", "block.png"))
    assert shown.shape == whole.shape
    coloured = [picture.max(-1) - picture.min(-1) > 0.1 for picture in (shown, whole)]
    # What one sees of the walls fills nearly all of the outline of the block.
    assert coloured[0].sum() > 0.9 * coloured[1].sum()


def test_nearer_surfaces_hide_those_behind(tmp_path: Path) -> None:
    from embedseg.plots import paint_labels

    labels = np.zeros((20, 20, 20), np.int32)
    labels[6:14, 6:14, 6:14] = 1
    labels[:, :3], labels[17:], labels[:, :, 17:] = 2, 2, 2  # in front, above, at the right
    meshes = list(mesh_labels(labels, (1.0, 1.0, 1.0)))
    for order in (meshes, meshes[::-1]):
        draw(tmp_path / "a.png", order)
        picture = imread(tmp_path / "a.png")[..., :3]
        hidden = paint_labels(np.array(1)) / 255
        leaning = (
            picture
            @ hidden
            / np.maximum(np.linalg.norm(picture, axis=-1) * np.linalg.norm(hidden), 1e-9)
        )
        assert (leaning > 0.999).sum() < 20


# -- the command -----------------------------------------------------------------------------------
@pytest.fixture
def cells(tmp_path: Path) -> Path:
    write_labels(tmp_path / "cells.tif", two_objects(), (2.0, 1.0, 1.0), "ZYX")
    return tmp_path / "cells.tif"


def test_mesh_of_a_file(cells: Path, tmp_path: Path, run: Run) -> None:
    code, out, err = run("mesh", cells, "-o", tmp_path / "out/a.glb", "--plot", tmp_path / "a.png")
    assert (code, "spacing 2,1,1 µm, from the file" in err) == (0, True)
    assert "2 surfaces of" in out and "1 capped at the border" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.csv", "a.glb"]
    assert imread(tmp_path / "a.png").std() > 0.02
    code, _, err = run("mesh", cells, "-o", tmp_path / "out/a.glb")
    assert (code, "a.glb: exists" in err) == (2, True)
    assert run("mesh", cells, "-o", tmp_path / "out/a.glb", "--overwrite")[0] == 0


def test_mesh_options(cells: Path, tmp_path: Path, run: Run) -> None:
    code, out, err = run(
        "mesh",
        cells,
        "-o",
        tmp_path / "a.stl",
        "--label",
        "3",
        "--each",
        "--spacing",
        "4,2,2",
        "--step",
        2,
        "--smooth",
        5,
        "--decimate",
        0.5,
        "--json",
    )
    assert (code, "as given" in err) == (0, True)
    (row,) = json.loads(out)["surfaces"]
    assert (row["label"], row["watertight"], row["capped"]) == (3, True, False)
    assert row["volume"] == pytest.approx(16 * row["voxels"], rel=0.1)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["a_3.stl"]


def test_unknown_spacing_is_said(tmp_path: Path, run: Run) -> None:
    tifffile.imwrite(
        tmp_path / "plain.tif",
        two_objects().astype(np.uint8),
        metadata=None,
        photometric="minisblack",
    )
    code, _, err = run("mesh", tmp_path / "plain.tif", "-o", tmp_path / "a.stl")
    assert (code, "taken to be 1,1,1" in err) == (0, True)
    named = (tmp_path / "a.stl").read_bytes()
    asked = ("--axes", "zyx", "--overwrite")
    assert run("mesh", tmp_path / "plain.tif", "-o", tmp_path / "a.stl", *asked)[0] == 0
    assert (tmp_path / "a.stl").read_bytes() == named
    tifffile.imwrite(tmp_path / "four.tif", np.ones((2, 3, 4, 5), np.uint8), photometric=1)
    code, _, err = run("mesh", tmp_path / "four.tif", "-o", tmp_path / "b.stl")
    assert (code, "--axes" in err) == (1, True)


def test_bad_usage_and_bad_data(cells: Path, tmp_path: Path, run: Run) -> None:
    write_labels(tmp_path / "flat.tif", np.ones((5, 6), np.int32), None, "YX")
    write_labels(tmp_path / "frames.tif", np.ones((3, 5, 6), np.int32), None, "TYX")
    out = tmp_path / "a.stl"
    for args, wanted, words in [
        ((tmp_path / "flat.tif", "-o", out), 1, "(5, 6) (YX), expected labels of a volume"),
        ((tmp_path / "frames.tif", "-o", out), 1, "(TYX)"),
        ((cells, "-o", out, "--label", "3,4"), 1, "no object 4 here, there are 3, 9"),
        ((cells, "-o", out, "--label", "x"), 2, "--label 'x': expected whole numbers such as 3,5"),
        ((cells, "-o", out, "--label", "0"), 2, "--label '0'"),
        ((cells, "-o", out, "--spacing", "1,1"), 2, "--spacing 1,1: 2 values"),
        ((cells, "-o", tmp_path / "a.stp"), 2, "expected .stl .ply .obj .glb"),
        ((cells, "-o", out, "--decimate", "0"), 2, "--decimate"),
        ((cells, "-o", out, "--step", "0"), 2, "--step"),
        ((tmp_path / "none.tif", "-o", out), 2, "none.tif"),
    ]:
        code, _, err = run("mesh", *args)
        assert (code, words in err) == (wanted, True), err
        assert not out.exists()


# -- size ------------------------------------------------------------------------------------------
MANY = """
import resource, sys
from pathlib import Path
import numpy as np
from embedseg.export import save_surfaces

n, cell = int(sys.argv[1]), int(sys.argv[2])
grid = np.ogrid[:cell, :cell, :cell]
ball = sum((g - cell // 2) ** 2 for g in grid) <= (cell // 2 - 4) ** 2
labels = np.zeros((512, 512, 512), np.int32)
for number, (z, y, x) in enumerate(np.ndindex(n, n, n), 1):
    z, y, x = z * cell, y * cell, x * cell
    labels[z : z + cell, y : y + cell, x : x + cell][ball] = number
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = save_surfaces(Path(sys.argv[3]), labels, (1.0, 1.0, 1.0))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(rows), sum(row.watertight for row in rows), after - before)
"""


@pytest.mark.slow
def test_ten_thousand_objects_take_little_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY, "22", "23", str(tmp_path / "many.stl")],
        capture_output=True,
        text=True,
        check=True,
    )
    count, closed, kilobytes = map(int, done.stdout.split())
    assert count == closed == 22**3
    # What finding boxes takes beside 512 MiB of labels; nothing that grows with the objects.
    assert kilobytes < 2**20


def test_steps_larger_than_an_object_leave_its_volume() -> None:
    mask = np.zeros((8, 20, 20), bool)
    mask[2:6, 4:12, 4:10] = True
    dot = np.zeros((8, 20, 20), bool)
    dot[7, 15, 15] = True
    for step in (2, 10, 1000):
        assert abs(alone(mask, step=step).measures.volume - 192) < 10
        assert abs(alone(dot, step=step).measures.volume - 1) < 0.2


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".obj", ".glb"])
def test_surfaces_lie_where_the_labels_do(suffix: str, tmp_path: Path, run: Run) -> None:
    import trimesh

    labels = np.zeros((6, 12, 14), np.uint16)
    labels[1:4, 2:9, 3:10] = 1
    scale, moved = {"Z": 2000.0, "Y": 500.0, "X": 250.0}, {"Z": 40e3, "Y": -7e3, "X": 1e3}
    place = {"scale": scale, "translation": moved, "unit": "nanometer", "levels": 1}
    write_store(tmp_path / "a.zarr", labels, "ZYX", **place)
    write_labels(tmp_path / "a.tif", labels.astype(np.int32), (2.0, 0.5, 0.25), "ZYX")
    found = {}
    for name, options in (("a.zarr", ()), ("a.tif", ()), ("a.zarr", ("--spacing", "4,1,0.5"))):
        out = tmp_path / f"{name}{len(options)}{suffix}"
        assert run("mesh", tmp_path / name, "-o", out, *options)[0] == 0
        found[name, len(options)] = trimesh.load(out, force="mesh").vertices
    here, there, given = found.values()
    np.testing.assert_allclose(here, np.add(there, (1.0, -7.0, 40.0)), atol=1e-4)
    # The place is then the same in voxels.
    np.testing.assert_allclose(given, 2 * here, atol=1e-4)
