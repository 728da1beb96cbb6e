"""Stacks of slices: read as a volume, resized, written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from imagecodecs import png_encode
from matplotlib.image import imread

from embedseg.images import read_stack, resize_slices, write_slices
from embedseg.types import DataError, UsageError

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5)


def slices(folder: Path, names: str, data: Any = GREY) -> Path:
    """Folder of PNGs; each slice is brighter by one."""
    folder.mkdir(exist_ok=True)
    for place, name in enumerate(names.split()):
        (folder / f"{name}.png").write_bytes(
            png_encode(np.ascontiguousarray(data + place).astype(data.dtype))
        )
    return folder


@pytest.mark.parametrize(
    "names",
    [
        "z0 z1 z2",
        "z9 z10 z11",
        "a_z098_x a_z099_x a_z100_x",
        "slice",
        "1 2",
        "img10 img20 img30",
        "s_0001_z=0.10um s_0002_z=0.15um s_0003_z=0.20um",
        "scan2_1 scan2_2 scan2_3",
    ],
)
def test_slices_are_read_in_natural_order(tmp_path: Path, names: str) -> None:
    volume = read_stack(slices(tmp_path, names))
    assert (volume.axes, volume.spacing, volume.data.dtype) == ("ZYX", None, np.uint8)
    assert volume.data[:, 0, 0].tolist() == list(range(len(names.split())))


def test_the_number_of_the_slice_gives_the_order(tmp_path: Path) -> None:
    slices(tmp_path, "t2_z1 t1_z2 t1_z3")
    assert read_stack(tmp_path).data[:, 0, 0].tolist() == [0, 1, 2]


def test_tiffs_and_hidden_files(tmp_path: Path) -> None:
    for place in range(3):
        tifffile.imwrite(
            tmp_path / f"z{place}.tif", GREY.astype(np.uint16) + place, photometric="minisblack"
        )
    (tmp_path / ".z3.tif").write_text("left by a system")
    (tmp_path / "notes.txt").write_text("mine")
    volume = read_stack(tmp_path, "ZYX")
    assert (volume.data.shape, volume.data.dtype) == ((3, 4, 5), np.uint16)


def test_colours_are_channels(tmp_path: Path) -> None:
    volume = read_stack(slices(tmp_path, "z1 z2", np.dstack([GREY, GREY + 1, GREY + 2])))
    assert (volume.axes, volume.data.shape) == ("CZYX", (3, 2, 4, 5))
    assert volume.data[:, :, 0, 0].tolist() == [[0, 1], [1, 2], [2, 3]]


def test_slices_of_masks_are_read_as_stored(tmp_path: Path) -> None:
    for place in range(2):
        tifffile.imwrite(tmp_path / f"z{place}.tif", GREY + place, photometric="miniswhite")
    masks = read_stack(tmp_path, as_stored=True)
    assert np.array_equal(masks.data, [GREY, GREY + 1])
    assert np.array_equal(read_stack(tmp_path).data, 255 - masks.data)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("z1 z2 z4", "slice 3 is missing, between z2.png and z4.png"),
        ("z1 z3", "slice 2 is missing"),
        ("z1 z2 z9", "slices 3 to 8 are missing, between z2.png and z9.png"),
        ("z10 z20 z40", "slice 30 is missing"),
        ("z1 z01 z2", "z01.png and z1.png are both slice 1|z1.png and z01.png are both slice 1"),
        ("z1 z2 mask_2", "differ in more than a number"),
        ("a b", "a.png and b.png differ in more than a number"),
        ("20260101120000 20260101120001 20260301120000", "missing"),
    ],
)
def test_what_is_wrong_with_numbers(tmp_path: Path, names: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_stack(slices(tmp_path, names))


def test_one_slice_in_two_formats(tmp_path: Path) -> None:
    slices(tmp_path, "z1 z2")
    tifffile.imwrite(tmp_path / "z2.tif", GREY, photometric="minisblack")
    with pytest.raises(DataError, match=r"z2\.png and z2\.tif are both slice 2"):
        read_stack(tmp_path)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (GREY[:3], r"z3\.png: shape \(3, 5\), but z1\.png has \(4, 5\)"),
        (GREY.astype(np.uint16), r"z3\.png: type uint16, but z1\.png has uint8"),
        (np.dstack([GREY] * 3), r"z3\.png: axes CYX, but z1\.png has YX"),
    ],
)
def test_slices_of_several_kinds(tmp_path: Path, other: Any, words: str) -> None:
    slices(tmp_path, "z1 z2")
    slices(tmp_path, "z3", other)
    with pytest.raises(DataError, match=words):
        read_stack(tmp_path)


def test_no_slices_and_broken_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no slices in this folder, expected files"):
        read_stack(tmp_path)
    slices(tmp_path, "z1 z2")
    (tmp_path / "z2.png").write_bytes((tmp_path / "z2.png").read_bytes()[:40])
    with pytest.raises(DataError, match=r"z2\.png: corrupt"):
        read_stack(tmp_path)
    tifffile.imwrite(
        tmp_path / "z2.tif", np.zeros((3, 4, 5)), metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    for name in ("z1.png", "z2.png"):
        (tmp_path / name).unlink()
    with pytest.raises(DataError, match=r"z2\.tif: .*expected a slice"):
        read_stack(tmp_path)


def test_a_file_with_a_volume(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.zeros((3, 4, 5), np.uint8),
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"},
    )
    volume = read_stack(path)
    assert (volume.axes, volume.spacing) == ("ZYX", (2.0, 0.5, 0.25))
    tifffile.imwrite(
        path, np.zeros((3, 4, 5), np.uint8), metadata={"axes": "TYX"}, photometric="minisblack"
    )
    with pytest.raises(DataError, match=r"a\.tif: shape \(3, 4, 5\) \(TYX\), expected a volume"):
        read_stack(path)
    assert read_stack(path, "ZYX").axes == "ZYX"


@pytest.mark.parametrize(("size", "shape"), [(20, (10, 20)), (80, (40, 80)), ((8, 9), (8, 9))])
def test_working_size(size: Any, shape: tuple[int, int]) -> None:
    ramp = np.broadcast_to(np.linspace(0, 1000, 40), (2, 3, 20, 40)).astype(np.uint16)
    small = resize_slices(ramp, size)
    assert (small.shape, small.dtype) == ((2, 3, *shape), np.float32)
    assert small.mean() == pytest.approx(ramp.mean(), rel=0.01)
    assert (np.diff(small[0, 0, 0]) > 0).all()


def test_shrinking_smooths() -> None:
    stripes = np.tile([0.0, 1.0], (1, 64, 32))
    assert resize_slices(stripes, 16).std() < 0.1


@pytest.mark.parametrize(("largest", "kind"), [(255, np.uint8), (256, np.uint16)])
def test_slices_are_written_as_they_were_read(tmp_path: Path, largest: int, kind: type) -> None:
    labels = np.random.default_rng(0).integers(0, largest + 1, (3, 6, 7)).astype(np.int32)
    labels[0, 0, 0] = largest
    write_slices(tmp_path / "new/out", labels, ["z9", "z10", "z11"])
    volume = read_stack(tmp_path / "new/out")
    assert volume.data.dtype == kind
    np.testing.assert_array_equal(volume.data, labels)


@pytest.mark.parametrize("largest", [1, 255, 256])
def test_slices_in_colours_hold_the_labels(tmp_path: Path, largest: int) -> None:
    labels = np.random.default_rng(0).integers(0, largest + 1, (3, 6, 7)).astype(np.int32)
    labels[0, 0, 0] = largest
    colours = np.random.default_rng(1).integers(0, 256, (256, 3)).astype(np.uint8)
    write_slices(tmp_path / "out", labels, ["z1", "z2", "z3"], colours)
    np.testing.assert_array_equal(read_stack(tmp_path / "out", as_stored=True).data, labels)
    if largest < 256:  # as any other program reads it
        picture = np.round(255 * imread(tmp_path / "out/z2.png")[..., :3])
        np.testing.assert_array_equal(picture, colours[labels[1]])


def test_all_slices_or_none(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for labels, names, words in [
        (np.zeros((2, 3, 3), np.int32), ["a"], "2 slices, but 1 names"),
        (np.full((1, 3, 3), 2**16), ["a"], "65536, a PNG holds 0 to 65535"),
        (np.full((1, 3, 3), -1), ["a"], "labels from -1"),
    ]:
        with pytest.raises(DataError, match=words):
            write_slices(folder, labels, names)
    with pytest.raises(OSError):
        write_slices(folder, np.zeros((2, 3, 3), np.int32), ["a", "no/such/folder"])
    assert not list(tmp_path.iterdir())
    write_slices(folder, np.zeros((2, 3, 3), np.int32), ["a1", "a2"])
    (folder / "notes.txt").write_text("mine")
    write_slices(folder, np.zeros((1, 3, 3), np.int32), ["b1"])
    assert sorted(path.name for path in folder.iterdir()) == ["b1.png", "notes.txt"]


def test_sizes_that_do_not_fit_into_memory_are_refused() -> None:
    with pytest.raises(UsageError, match=r"10000000 x 5000000 pixels take about .* GB are free"):
        resize_slices(np.zeros((3, 40, 20), np.uint8), 10**7)
