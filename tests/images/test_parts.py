"""Files with several images, and images in several files."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from embedseg.images import (
    expand_inputs,
    find_slices,
    open_lazy,
    read_image,
    read_labels,
    read_stack,
    stem,
)
from embedseg.types import DataError
from image_files import VOLUME, save, touch

PLANES = VOLUME[:3, 0]
XMLNS = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
RNG = np.random.default_rng(0)


def read_both(path: Any) -> Any:
    """Read an image as a whole, and check that boxes give the same."""
    image, lazy = read_image(path), open_lazy(path)
    assert (lazy.axes, lazy.spacing, lazy.channels) == (image.axes, image.spacing, image.channels)
    np.testing.assert_array_equal(lazy.read((slice(None),) * image.data.ndim), image.data)
    return image


# -- an image in several files ---------------------------------------------------------------------
def make_set(
    folder: Path, *, images: bool = False, metadata: str = "", prefix: str = "", axis: str = "Z"
) -> list[Path]:
    """Write planes into a file each, as one image or several; metadata in each file or another."""
    folder.mkdir(exist_ok=True)
    names = [f"{prefix}z{z}.ome.tif" for z in range(3)]
    ids = {name: f"urn:uuid:{uuid.uuid4()}" for name in names}
    pixels = (
        '<Pixels DimensionOrder="XYZCT" Type="uint16" SizeX="7" SizeY="6" SizeZ="{0}" SizeC="{3}" '
        'SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5" PhysicalSizeZ="{1}">'
        "{4}{2}</Pixels>"
    )
    data = [
        f'<TiffData First{axis}="{0 if images else z}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}">{ids[name]}</UUID></TiffData>'
        for z, name in enumerate(names)
    ]
    count = 1 if images else 3
    depth, channels = (count, 1) if axis == "Z" else (1, count)
    tag = '<Channel Name="DAPI" SamplesPerPixel="1"/>'
    groups = data if images else ["".join(data)]
    body = "".join(
        f'<Image Name="position {number}">'
        + pixels.format(depth, 2 + number, group, channels, tag * channels)
        + "</Image>"
        for number, group in enumerate(groups)
    )
    root = '<?xml version="1.0"?><OME xmlns="{}" UUID="{}">{}</OME>'
    reference = f'<BinaryOnly MetadataFile="{metadata}" UUID="urn:uuid:{uuid.uuid4()}"/>'
    for name, plane in zip(names, PLANES, strict=True):
        own = metadata and metadata != name
        xml = root.format(XMLNS, ids[name], reference if own else body)
        save(folder / name, plane, description=xml, metadata=None)
    if metadata.endswith(".companion.ome"):
        xml = root.format(XMLNS, f"urn:uuid:{uuid.uuid4()}", body)
        (folder / metadata).write_text(xml, encoding="utf-8")
    return [folder / name for name in names]


@pytest.mark.parametrize("metadata", ["", "a.companion.ome", "z0.ome.tif"])
def test_an_ome_tiff_in_several_files_is_one_image(tmp_path: Path, metadata: str) -> None:
    paths = make_set(tmp_path, metadata=metadata)
    for path in paths:
        image = read_both(path)
        assert (image.axes, image.spacing, image.channels) == ("ZYX", (2, 0.5, 0.5), ("DAPI",))
        np.testing.assert_array_equal(image.data, PLANES)
    save(tmp_path / "other.tif", PLANES[0])
    assert expand_inputs([tmp_path]) == [tmp_path / "other.tif", paths[0]]
    assert expand_inputs(paths[1:]) == paths[1:2]


@pytest.mark.parametrize("metadata", ["", "a.companion.ome", "z0.ome.tif"])
def test_a_missing_file_of_an_image_is_named(tmp_path: Path, metadata: str) -> None:
    paths = make_set(tmp_path, metadata=metadata)
    paths[1].unlink()
    for read in (read_image, open_lazy):
        with pytest.raises(DataError, match=r"z0\.ome\.tif: .*z1\.ome\.tif is missing"):
            read(paths[0])
    if metadata:
        (tmp_path / metadata).unlink()
        with pytest.raises(DataError, match=rf"metadata are in '{metadata}', which is missing"):
            read_image(paths[2])
    assert paths[2] in expand_inputs(paths[2:])


@pytest.mark.parametrize("metadata", ["", "a.companion.ome", "z0.ome.tif"])
def test_a_folder_with_the_files_of_one_image_is_that_image(tmp_path: Path, metadata: str) -> None:
    make_set(tmp_path, metadata=metadata)
    volume, lazy = read_stack(tmp_path), open_lazy(tmp_path)
    for image in (volume, lazy.load()):
        assert (image.axes, image.spacing, image.channels) == ("ZYX", (2, 0.5, 0.5), ("DAPI",))
        np.testing.assert_array_equal(image.data, PLANES)


def test_slices_in_several_files_each_are_put_together(tmp_path: Path) -> None:
    for z in (8, 9, 10):
        make_set(tmp_path, prefix=f"s{z}_", axis="C")
    assert [path.name for path in find_slices(tmp_path)] == [f"s{z}_z0.ome.tif" for z in (8, 9, 10)]
    for image in (read_stack(tmp_path), open_lazy(tmp_path).load()):
        assert image.axes == "CZYX"
        np.testing.assert_array_equal(image.data, np.repeat(PLANES[:, None], 3, axis=1))


def test_the_files_of_one_plane_are_no_volume(tmp_path: Path) -> None:
    make_set(tmp_path, axis="C")
    assert open_lazy(tmp_path).axes == "CYX"
    with pytest.raises(DataError, match=r"\(CYX\), expected a volume"):
        read_stack(tmp_path)


def test_files_whose_metadata_list_other_images_are_separate(tmp_path: Path) -> None:
    paths = make_set(tmp_path, images=True)
    assert expand_inputs([tmp_path]) == paths
    for number, (path, plane) in enumerate(zip(paths, PLANES, strict=True)):
        image = read_both(path)
        assert image.axes == "YX"
        np.testing.assert_array_equal(image.data, plane)
        assert read_image(path, "ZYX").spacing == (2 + number, 0.5, 0.5)


# -- several images in a file ----------------------------------------------------------------------
def test_images_of_a_tiff_are_chosen_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(VOLUME[0, 0], metadata={}, resolution=(2e4, 2e4), resolutionunit="CENTIMETER")
        writer.write(VOLUME[0, 1, :3], metadata={}, resolution=(1e4, 1e4), resolutionunit=3)
    for read in (read_image, open_lazy, read_labels):
        with pytest.raises(
            DataError, match=r"a\.tif: holds 2 images: #1 6x7, #2 3x7; expected one"
        ):
            read(path)
        with pytest.raises(DataError, match=r"a\.tif: has no image '3', or several; there are #1"):
            read(f"{path}#3")
    first, second = read_both(f"{path}#1"), read_both(f"{path}#2")
    np.testing.assert_array_equal(first.data, VOLUME[0, 0])
    np.testing.assert_array_equal(second.data, VOLUME[0, 1, :3])
    assert (first.spacing, second.spacing) == ((0.5, 0.5), (1, 1))


def test_images_of_an_ome_tiff_are_chosen_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for place, (name, size) in enumerate({"left": 0.5, "right/1": 0.25}.items()):
            metadata = {
                "axes": "CYX",
                "Name": name,
                "Channel": {"Name": [f"{name}{c}" for c in "abc"]},
            }
            sizes = {f"PhysicalSize{axis}": size for axis in "YX"}
            writer.write(VOLUME[place], photometric="minisblack", metadata=metadata | sizes)
    with pytest.raises(DataError, match=r"holds 2 images: #1 left, #2 right/1; expected one"):
        read_image(path)
    for place, name in enumerate(("left", "right/1")):
        image = read_both(f"{path}#{name}")
        np.testing.assert_array_equal(image.data, VOLUME[place])
        assert image.spacing == ((0.5, 0.5), (0.25, 0.25))[place]
        assert image.channels == (f"{name}a", f"{name}b", f"{name}c")
    inputs = expand_inputs([f"{path}#left", f"{path}#right/1"])
    assert [stem(each) for each in inputs] == ["a_left", "a_right_1"]


def test_images_of_one_name_have_their_own_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for place, size in enumerate((0.5, 0.25)):
            metadata = {"axes": "YX", "Name": "a", "PhysicalSizeX": size, "PhysicalSizeY": size}
            writer.write(VOLUME[place, 0], metadata=metadata)
    assert [read_both(f"{path}#{number}").spacing for number in (1, 2)] == [(0.5,) * 2, (0.25,) * 2]
    with pytest.raises(DataError, match="has no image 'a', or several"):
        read_image(f"{path}#a")


@pytest.mark.parametrize("flagged", [False, True])
@pytest.mark.parametrize("colours", [False, True])
def test_a_thumbnail_is_left_out(tmp_path: Path, flagged: bool, colours: bool) -> None:
    data = np.kron(RNG.integers(0, 200, (8, 10)), np.ones((8, 8))).astype(np.uint8)
    small = data[::4, ::4]
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(data, metadata={})
        writer.write(
            np.dstack([small] * 3) if colours else small,
            photometric="rgb" if colours else "minisblack",
            subfiletype=int(flagged),
            metadata={},
        )
    np.testing.assert_array_equal(read_both(path).data, data)
    if not flagged:
        assert read_image(f"{path}#2").data.shape[-2:] == small.shape


def test_a_smaller_image_of_something_else_is_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for shape in ((64, 80), (16, 20)):
            writer.write(RNG.integers(0, 200, shape).astype(np.uint8), metadata={})
    with pytest.raises(DataError, match="holds 2 images: #1 64x80, #2 16x20"):
        read_image(path)


def test_a_number_sign_in_a_name_is_no_choice(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif#1.tif", VOLUME[0, 0])
    save(tmp_path / "a.tif", VOLUME[0, 1])
    np.testing.assert_array_equal(read_image(path).data, VOLUME[0, 0])
    assert stem(path) == "a.tif#1"
    touch(tmp_path, "b.png")
    with pytest.raises(DataError, match=r"b\.png: has no image '2'"):
        read_image(tmp_path / "b.png#2")
    with pytest.raises(DataError, match=r"c\.tif: no such file"):
        read_image(tmp_path / "c.tif#2")
