"""Labels as OME-Zarr: what others read of them, and that coarser levels are what they should be."""

from __future__ import annotations

import warnings
from collections import Counter
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from ome_zarr.io import parse_url
from ome_zarr.reader import Label, Labels, Multiscales, Node, Reader
from ome_zarr_models.v04.image_label import ImageLabelAttrs
from ome_zarr_models.v05.image_label import ImageLabel

from embedseg.images import (
    add_pyramid,
    create_labels,
    insert_labels,
    ome_zarr as ngff,
    open_array,
    open_lazy,
    store_version,
)
from embedseg.images.multiscales import Version
from embedseg.images.pyramid import choose_factors, coarser_shape, most_frequent
from embedseg.types import DataError, Spacing, UsageError
from strategies import boxes, labels

with warnings.catch_warnings():
    # It uses what it says is deprecated while it is imported.
    warnings.filterwarnings("ignore", message="Call to deprecated class Scaler")
    from ome_zarr.writer import write_image

VERSIONS: tuple[Version, ...] = ("0.4", "0.5")
FORMATS = {"0.4": 2, "0.5": 3}
LABELS = np.kron(np.arange(5 * 6 * 7).reshape(5, 6, 7) % 4, np.ones((4, 4, 4), int))[:19, :23, :27]


def made(
    path: Path,
    data: Any = LABELS,
    version: Version = "0.5",
    *,
    axes: str = "ZYX",
    spacing: Spacing | None = (2.0, 0.5, 0.5),
    smallest: int = 4,
    **options: Any,
) -> Path:
    """Labels with all their levels."""
    create_labels(
        path,
        data.shape,
        np.uint32,
        axes,
        spacing,
        version=version,
        **{"chunks": (8,) * data.ndim, **options},
    )
    open_array(path)[:] = data
    add_pyramid(path, smallest=smallest)
    return path


def content(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }


def image(path: Path, version: Version, levels: int = 2, consolidated: bool = False) -> Path:
    """OME-Zarr image as ome-zarr writes it."""
    from ome_zarr.format import format_from_version

    group = zarr.open_group(path, mode="w", zarr_format=FORMATS[version])
    write_image(
        LABELS.astype(np.uint16),
        group,
        axes="zyx",
        fmt=format_from_version(version),
        scale_factors=[2**k for k in range(1, levels)],
        scale={"z": 2, "y": 0.5, "x": 0.5},
    )
    if consolidated:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            zarr.consolidate_metadata(path)
    return path


def nodes(path: Path) -> list[Node]:
    location = parse_url(path, mode="r")
    assert location is not None
    return list(Reader(location)())


# -- what a coarser pixel is -----------------------------------------------------------------------
def literally(data: NDArray[Any], step: tuple[int, ...]) -> NDArray[Any]:
    """Most frequent label of each cell, one cell after the other."""
    result = np.empty(coarser_shape(data.shape, step), data.dtype)
    for cell in np.ndindex(result.shape):
        inside = data[tuple(slice(c * f, (c + 1) * f) for c, f in zip(cell, step, strict=True))]
        counts = Counter(inside.ravel().tolist())
        result[cell] = min(counts, key=lambda label: (-counts[label], label))
    return result


@given(st.data())
def test_a_coarser_pixel_has_the_most_frequent_label(data: st.DataObject) -> None:
    fine = data.draw(st.one_of(boxes(), labels(), labels(max_label=1)))
    step = data.draw(st.tuples(*[st.integers(1, 2)] * fine.ndim))
    coarse = most_frequent(fine, step)
    assert coarse.dtype == fine.dtype
    np.testing.assert_array_equal(coarse, literally(fine, step))


def test_background_counts_and_the_smallest_of_several_wins() -> None:
    fine = np.array(
        [
            [0, 0, 5, 7, 2, 9],
            [0, 4, 7, 5, 3, 1],
        ],
        np.uint64,
    )
    np.testing.assert_array_equal(most_frequent(fine, (2, 2)), [[0, 5, 1]])


@settings(max_examples=20)
@given(hnp.array_shapes(min_dims=2, max_dims=3, max_side=9), st.integers(1, 4), st.data())
def test_levels_are_those_of_the_whole_image(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, ...],
    chunk: int,
    data: st.DataObject,
) -> None:
    fine = data.draw(labels(shape))
    path = tmp_path_factory.mktemp("labels") / "a"
    made(
        path, fine, axes="ZYX"[-fine.ndim :], spacing=None, smallest=1, chunks=(chunk,) * fine.ndim
    )
    expected: NDArray[Any] = fine
    for level, (before, after) in enumerate(pairwise(shapes(path)), 1):
        step = tuple(1 + (a < b) for b, a in zip(before, after, strict=True))
        expected = literally(expected, step)
        np.testing.assert_array_equal(open_array(path, level)[:], expected)
    assert set(shapes(path)[-1]) == {1}


def shapes(path: Path) -> list[tuple[int, ...]]:
    count = sum(entry.is_dir() for entry in path.iterdir())
    return [open_array(path, level, "r").shape for level in range(count)]


def elongation(sizes: NDArray[Any]) -> float:
    return float(sizes.max() / sizes.min())


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=3), st.integers(2, 9))
def test_halving_brings_voxels_closest_to_cubes(sizes: list[float], levels: int) -> None:
    factors = np.array(choose_factors([2**20] * len(sizes), sizes, 1, levels))
    assert len(factors) == levels
    for before, after in pairwise(factors * sizes):
        choices = [before * step for step in product((1, 2), repeat=len(sizes)) if max(step) == 2]
        assert after.tolist() in [choice.tolist() for choice in choices]
        assert elongation(after) == min(map(elongation, choices))
        # What is no closer to a cube is at least smaller.
        assert elongation(after) <= elongation(before)


def test_which_axes_are_halved() -> None:
    assert choose_factors((100, 800, 800), (2, 0.5, 0.5), 100) == [
        (1, 1, 1),
        (1, 2, 2),
        (1, 4, 4),
        (2, 8, 8),
    ]
    # Time never is, nor is one pixel; and it ends where nothing can be.
    assert choose_factors((9, 1, 4), (None, 0.1, 1), 1) == [(1, 1, 1), (1, 1, 2), (1, 1, 4)]
    assert choose_factors((1, 1), (1, 1), 1, levels=3) == [(1, 1)]
    assert choose_factors((300, 200), (1, 1), 300) == [(1, 1)]


# -- what is written -------------------------------------------------------------------------------
@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_group_says(tmp_path: Path, version: Version) -> None:
    path = made(tmp_path / "a.zarr", version=version, source="../../", smallest=10)
    held: Any = zarr.open_group(path, mode="r").attrs.asdict()
    ours = held["ome"] if version == "0.5" else held
    described = ours["multiscales"][0]
    assert (ours if version == "0.5" else described)["version"] == version
    assert described["axes"] == [
        {"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"
    ]
    assert described["type"] == "mode"
    assert ours["image-label"]["source"] == {"image": "../../"}
    scales = [
        [step[step["type"]] for step in dataset["coordinateTransformations"]]
        for dataset in described["datasets"]
    ]
    # The first pixel of level 2 covers 4 pixels of 0.5 µm, at 0, 0.5, 1 and 1.5.
    assert scales == [
        [[2.0, 0.5, 0.5]],
        [[2.0, 1.0, 1.0], [0, 0.25, 0.25]],
        [[2.0, 2.0, 2.0], [0, 0.75, 0.75]],
        [[4.0, 4.0, 4.0], [1.0, 1.75, 1.75]],
    ]
    array: Any = open_array(path)
    assert (array.fill_value, array.chunks, array.dtype) == (0, (8, 8, 8), np.uint32)
    assert array.metadata.zarr_format == FORMATS[version]
    assert "zstd" in str(array.compressors)
    assert (path / "0" / ("0/0/0" if version == "0.4" else "c/0/0/0")).is_file()


def test_pixels_of_all_levels_lie_where_they_are(tmp_path: Path) -> None:
    # The position of a pixel along an axis, as its label, is found again at its centre.
    place = np.broadcast_to(np.arange(32), (1, 8, 32))
    path = made(tmp_path / "a.zarr", np.array(place), spacing=(1, 1, 1))
    held: Any = zarr.open_group(path, mode="r").attrs["ome"]
    for level, dataset in enumerate(held["multiscales"][0]["datasets"]):
        (scale, *moved) = dataset["coordinateTransformations"]
        start = moved[0]["translation"][2] if moved else 0
        row: Any = open_array(path, level)[0, 0]
        centres = start + scale["scale"][2] * np.arange(len(row))
        covered = place[0, 0].reshape(len(row), -1)
        np.testing.assert_array_equal(centres, covered.mean(axis=1))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "axes, spacing",
    [("YX", None), ("YX", (0.5, 0.25)), ("TYX", (0.5, 0.5)), ("ZYX", (2.0, 0.5, 0.5))],
)
def test_others_read_it(
    tmp_path: Path, version: Version, axes: str, spacing: Spacing | None
) -> None:
    path = made(
        tmp_path / "a.zarr", LABELS[(0,) * (3 - len(axes))], version, axes=axes, spacing=spacing
    )
    (node,) = nodes(path)
    assert {type(spec) for spec in node.specs} == {Label, Multiscales}
    assert [axis["name"] for axis in node.metadata["axes"]] == list(axes.lower())
    assert [data.shape for data in node.data] == shapes(path)
    assert len(node.data) > 2
    np.testing.assert_array_equal(node.data[1].compute(), open_array(path, 1)[:])
    group = zarr.open_group(path, mode="r")
    # The models of the specification refuse what it does not allow.
    if version == "0.4":
        ImageLabelAttrs.model_validate(group.attrs.asdict())
    else:
        ImageLabel.from_zarr(group)
    for level, data in enumerate(node.data):
        ours = open_lazy(path, level=level)
        assert (ours.axes, ours.shape) == (axes, data.shape)
        assert ours.spacing == (
            None
            if spacing is None
            else pytest.approx(
                tuple(
                    node.metadata["coordinateTransformations"][level][0]["scale"][-len(spacing) :]
                )
            )
        )


def test_chunks_without_labels_are_not_stored(tmp_path: Path) -> None:
    data = np.zeros((40, 40), int)
    data[:8, :8] = 1
    path = made(tmp_path / "a", data, axes="YX", spacing=None, smallest=10)
    open_array(path)[8:, 8:] = 0
    for level in range(3):
        assert [file.name for file in (path / str(level) / "c").rglob("*") if file.is_file()] == [
            "0"
        ], level


def test_all_labels_fit(tmp_path: Path) -> None:
    create_labels(tmp_path / "a", (4, 4), np.uint64, "YX", None, chunks=(64, 2))
    open_array(tmp_path / "a")[:] = 2**63
    add_pyramid(tmp_path / "a", smallest=1)
    assert open_array(tmp_path / "a", 2)[:] == 2**63


@pytest.mark.parametrize("version", VERSIONS)
def test_a_run_after_a_kill_leaves_the_same_bytes(
    tmp_path: Path, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = content(made(tmp_path / "whole", version=version))
    path = tmp_path / "killed"
    create_labels(
        path, LABELS.shape, np.uint32, "ZYX", (2.0, 0.5, 0.5), chunks=(8, 8, 8), version=version
    )
    open_array(path)[:] = LABELS
    fill, calls = ngff.fill_box, []

    def dies(*args: Any) -> None:
        fill(*args)
        calls.append(args)
        if len(calls) == 14:
            (path / "2" / "left.1234.partial").touch()
            raise KeyboardInterrupt

    monkeypatch.setattr(ngff, "fill_box", dies)
    with pytest.raises(KeyboardInterrupt):
        add_pyramid(path, smallest=4)
    assert (path / "2").exists()
    # Nobody takes it for an image yet.
    with pytest.raises(DataError, match="without multiscales"):
        open_lazy(path)
    for _ in range(2):
        add_pyramid(path, smallest=4)
        assert content(path) == whole


def test_memory_does_not_grow_with_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(
        ngff,
        "most_frequent",
        lambda labels, step: (seen.append(labels.size), most_frequent(labels, step))[1],
    )
    made(tmp_path / "a")
    assert len(seen) > 10
    assert max(seen) <= 16**3 < LABELS.size / 2


@pytest.mark.parametrize(
    "change, words",
    [
        ({"dtype": float}, "labels of type float64, expected integers"),
        ({"axes": "CYX"}, r"shape \(4, 5, 6\) do not have the axes 'CYX'"),
        ({"axes": "YX"}, r"shape \(4, 5, 6\) do not have the axes 'YX'"),
        ({"spacing": (1.0, 1.0)}, "2 values, the labels have 3 space axes"),
        ({"chunks": (4, 4)}, r"chunks \(4, 4\) do not fit"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    options: dict[str, Any] = {
        "shape": (4, 5, 6),
        "dtype": np.uint32,
        "axes": "ZYX",
        "spacing": None,
        "chunks": (4, 4, 4),
        **change,
    }
    with pytest.raises(DataError, match=words):
        create_labels(tmp_path / "a", **options)
    assert not (tmp_path / "a").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    made(tmp_path / "a")
    with pytest.raises(UsageError, match="a: exists"):
        made(tmp_path / "a")


def test_versions(tmp_path: Path) -> None:
    for version in VERSIONS:
        assert store_version(made(tmp_path / version, version=version)) == version
        assert store_version(tmp_path / version / "0") == version
    with pytest.raises(DataError, match="not a zarr store"):
        store_version(tmp_path)


# -- inside of an image ----------------------------------------------------------------------------
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("consolidated", [False, True])
def test_labels_inside_of_an_image(tmp_path: Path, version: Version, consolidated: bool) -> None:
    home = image(tmp_path / "image.zarr", version, consolidated=consolidated)
    before = content(home)
    for name in ("cells", "nuclei"):
        path = insert_labels(made(tmp_path / name, version=version, source="../../"), home, name)
        assert path == home / "labels" / name
        assert not (tmp_path / name).exists()
    found = {node.zarr.basename(): node for node in nodes(home)}
    assert {"cells", "nuclei"} <= set(found)
    top = zarr.open_group(home, mode="r")
    listed: Any = top["labels"].attrs.asdict()
    assert listed.get("ome", listed)["labels"] == ["cells", "nuclei"]
    assert top["labels/cells/0"].shape == LABELS.shape  # type: ignore[union-attr]
    for name in ("cells", "nuclei"):
        # Labels have as many levels as their image.
        assert len(found[name].data) == len(nodes(home)[0].data) == 2
        assert found[name].metadata["name"] == name
        np.testing.assert_array_equal(found[name].data[0].compute(), LABELS)
        assert any(isinstance(spec, Label) for spec in found[name].specs)
    assert any(isinstance(spec, Labels) for node in nodes(home) for spec in node.specs)
    # And whoever opens the labels finds the image.
    assert "image.zarr" in {node.zarr.basename() for node in nodes(home / "labels/cells")}
    after = content(home)
    assert all(
        after[name] == data
        for name, data in before.items()
        if not name.endswith(("zarr.json", ".zmetadata"))
    )


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_labels_get_as_many_levels_as_the_image(tmp_path: Path, levels: int) -> None:
    home = image(tmp_path / "image.zarr", "0.5", levels)
    path = insert_labels(made(tmp_path / "a", smallest=20), home, "a")
    assert len(nodes(path)[-1].data) == levels
    # They are what they would have been anyway.
    made(tmp_path / "b", smallest=1)
    for level in range(levels):
        np.testing.assert_array_equal(
            open_array(path, level)[:], open_array(tmp_path / "b", level)[:]
        )


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_inside_already_stays(tmp_path: Path, version: Version) -> None:
    home = image(tmp_path / "image.zarr", version)
    insert_labels(made(tmp_path / "a", version=version), home, "a")
    before = content(home)
    left = made(tmp_path / "b", version=version)
    with pytest.raises(UsageError, match=r"image\.zarr/labels/a: exists"):
        insert_labels(left, home, "a")
    with pytest.raises(UsageError, match="labels 'c/d': expected a plain name"):
        insert_labels(left, home, "c/d")
    other = made(tmp_path / "c", version="0.4" if version == "0.5" else "0.5")
    with pytest.raises(UsageError, match=rf"c: is stored as NGFF .*image\.zarr as {version}"):
        insert_labels(other, home, "c")
    with pytest.raises(DataError, match="not a zarr store"):
        insert_labels(left, tmp_path, "b")
    assert content(home) == before
    assert left.exists() and other.exists()


def test_what_others_say_of_labels_is_kept(tmp_path: Path) -> None:
    home = image(tmp_path / "image.zarr", "0.5")
    group = zarr.open_group(home / "labels", mode="w")
    group.attrs.put({"ome": {"version": "0.5", "labels": ["theirs"]}, "note": 1})
    insert_labels(made(tmp_path / "a"), home, "a")
    assert zarr.open_group(home / "labels", mode="r").attrs.asdict() == {
        "ome": {"version": "0.5", "labels": ["theirs", "a"]},
        "note": 1,
    }


def test_a_kill_before_the_move_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, path = image(tmp_path / "image.zarr", "0.5"), made(tmp_path / "a")

    def dies(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", dies)
        insert_labels(path, home, "a")
    assert nodes(home)  # a name without labels disturbs nobody
    insert_labels(path, home, "a")
    listed: Any = zarr.open_group(home / "labels", mode="r").attrs["ome"]
    assert listed["labels"] == ["a"]
    assert "a" in {node.zarr.basename() for node in nodes(home)}


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_impossible_scales_are_warned_of_and_not_used(
    tmp_path: Path, value: float, caplog: pytest.LogCaptureFixture
) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", shape=(4, 5), dtype="u1")
    scale = {"type": "scale", "scale": [0.5, value]}
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    assert open_lazy(tmp_path / "a.zarr").spacing is None
    (line,) = caplog.messages
    assert "a.zarr: size of a pixel along X" in line and str(value) in line
