"""TIFF files, broken and odd."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from corpus.case import File
from numpy.typing import NDArray

#: Three objects, with a number left out.
LABELS = np.zeros((32, 32), np.uint16)
LABELS[2:10, 3:12] = 1
LABELS[14:25, 4:14] = 2
LABELS[12:30, 20:29] = 5
VOLUME = np.stack([np.zeros_like(LABELS), LABELS, LABELS, np.zeros_like(LABELS)])
FLAT, SOLID = LABELS.shape, VOLUME.shape
BROKEN = "corrupt|truncated|cannot read|cannot be read|no TIFF|not a TIFF|missing|empty|bytes"

Writer = Callable[[Path], object]


def tiff(data: Any = LABELS, **options: Any) -> Writer:
    """Return what writes a TIFF."""
    return partial(_write, data=data, options={"photometric": "minisblack", **options})


def _write(path: Path, data: NDArray[Any], options: dict[str, Any]) -> None:
    tifffile.imwrite(path, data, **options)


def bytes_of(data: bytes) -> Writer:
    return lambda path: path.write_bytes(data)


def part(share: float, **options: Any) -> Writer:
    """Return what writes the first part of a TIFF."""

    def write(path: Path) -> None:
        tiff(**options)(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return write


def changed(tag: str, value: int) -> Writer:
    """Return what writes a TIFF with another value of a tag."""

    def write(path: Path) -> None:
        tiff()(path)
        with tifffile.TiffFile(path, mode="r+b") as file:
            file.pages.first.tags[tag].overwrite(value)

    return write


def pages(*arrays: NDArray[Any], **options: Any) -> Writer:
    """Return what writes a TIFF of several images."""

    def write(path: Path) -> None:
        with tifffile.TiffWriter(path) as file:
            for array in arrays:
                file.write(array, photometric="minisblack", metadata=None, **options)

    return write


def flipped(path: Path) -> None:
    """Write a compressed TIFF with bytes changed in its pixels."""
    tiff(compression="zlib")(path)
    with tifffile.TiffFile(path) as file:
        at, count = file.pages.first.dataoffsets[0], file.pages.first.databytecounts[0]
    data = bytearray(path.read_bytes())
    for i in range(at + count // 3, at + count // 2):
        data[i] ^= 0xFF
    path.write_bytes(bytes(data))


def link_loop(path: Path) -> None:
    path.symlink_to("loop.tif")
    (path.parent / "loop.tif").symlink_to(path.name)


def page_loop(path: Path) -> None:
    """Write a TIFF whose only page is followed by itself."""
    tiff()(path)
    data = bytearray(path.read_bytes())
    first = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[first : first + 2])[0]
    data[first + 2 + 12 * count : first + 6 + 12 * count] = struct.pack("<I", first)
    path.write_bytes(bytes(data))


def _with(value: float) -> NDArray[Any]:
    data = LABELS.astype(np.float32)
    data[0, 0] = value
    return data


def _negative(value: int) -> NDArray[Any]:
    data = LABELS.astype(np.int32)
    data[0, :4] = value
    return data


def ome(**metadata: Any) -> Writer:
    return tiff(ome=True, metadata={"axes": "YX", **metadata})


def described(text: str, data: Any = LABELS) -> Writer:
    return tiff(data, description=text, metadata=None)


GREY = (LABELS * 40).astype(np.uint8)
COLOURS = np.stack([k * LABELS.astype(np.uint8) for k in (1, 2, 3)], -1)
UM = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}

TIFFS: dict[str, File] = {
    # -- no TIFF, or not all of it
    "empty file": File(bytes_of(b""), None, None, BROKEN),
    "one byte": File(bytes_of(b"I"), None, None, BROKEN),
    "header only": File(bytes_of(b"II*\0"), None, None, BROKEN),
    "header that leads nowhere": File(bytes_of(b"II*\0\xff\xff\xff\x7f"), None, None, BROKEN),
    "header without pages": File(bytes_of(b"II*\0\0\0\0\0"), None, None, BROKEN),
    "zeros": File(bytes_of(bytes(4096)), None, None, BROKEN),
    "text": File(bytes_of(b"no image, a sentence\n" * 20), None, None, BROKEN),
    "a PNG named tif": File(bytes_of(b"\x89PNG\r\n\x1a\n" + bytes(100)), None, None, BROKEN),
    "truncated in the header": File(part(0.002), None, None, BROKEN),
    "truncated in the tags": File(part(0.05), None, None, BROKEN),
    "truncated by half": File(part(0.5), None, None, BROKEN),
    "truncated by a little": File(part(0.99), None, None, BROKEN),
    "truncated, compressed": File(part(0.8, compression="zlib"), None, None, BROKEN),
    "truncated, tiled": File(part(0.8, tile=(16, 16)), None, None, BROKEN),
    "truncated, bigtiff": File(part(0.9, bigtiff=True), None, None, BROKEN),
    "truncated, ImageJ": File(part(0.9, imagej=True), None, None, BROKEN),
    "pixels flipped": File(flipped, None, None, BROKEN),
    "a page after itself": File(page_loop, None, None, BROKEN),
    # -- no file
    "dangling link": File(lambda path: path.symlink_to("gone.tif"), None, None, "broken link"),
    "loop of links": File(link_loop, None, None, "loop of links"),
    "folder named tif": File(
        lambda path: path.mkdir(), None, None, "is a folder|no such|no image files|no slices"
    ),
    # -- headers that lie
    "huge width": File(changed("ImageWidth", 2**31 - 1), None, None, f"{BROKEN}|memory|large"),
    "huge length": File(changed("ImageLength", 2**31 - 1), None, None, f"{BROKEN}|memory|large"),
    "zero width": File(changed("ImageWidth", 0), None, None, BROKEN),
    "unknown compression": File(changed("Compression", 65000), None, None, f"{BROKEN}|ompress"),
    "odd bits": File(changed("BitsPerSample", 77), None, None, f"{BROKEN}|bits|dtype"),
    # -- sizes
    "one pixel": File(tiff(np.ones((1, 1), np.uint16)), np.ones((1, 1)), (1, 1)),
    "one row": File(tiff(LABELS[5:6]), LABELS[5:6], (1, 32)),
    "one column": File(tiff(LABELS[:, 5:6]), LABELS[:, 5:6], (32, 1)),
    "odd size": File(tiff(LABELS[:31, :29]), LABELS[:31, :29], (31, 29)),
    # -- values
    "NaN": File(tiff(_with(np.nan)), None, FLAT, "NaN|finite"),
    "infinite": File(tiff(_with(np.inf)), None, None, "NaN|infinite|inf,"),
    "all NaN": File(tiff(np.full(FLAT, np.nan, np.float32)), None, None, "NaN|finite"),
    "constant": File(tiff(np.full(FLAT, 7, np.uint8)), np.full(FLAT, 7), FLAT),
    "all zero": File(tiff(np.zeros(FLAT, np.uint8)), np.zeros(FLAT), FLAT),
    "complex": File(tiff(LABELS.astype(np.complex64)), None, None, "complex"),
    "fractions": File(tiff(LABELS + np.float32(0.5)), None, FLAT, "whole|integer|fraction"),
    "negative labels": File(tiff(_negative(-5)), None, FLAT, "negative|-5"),
    "labels past int32": File(
        tiff(np.where(LABELS > 2, 2**40, LABELS.astype(np.int64))), None, FLAT, "values from"
    ),
    "uint64 past int64": File(
        tiff(np.where(LABELS > 2, 2**63 + 1, LABELS.astype(np.uint64))), None, FLAT, "values from"
    ),
    # -- types
    "bool": File(tiff(LABELS > 0), LABELS > 0, FLAT),
    "int8": File(tiff(LABELS.astype(np.int8)), LABELS, FLAT),
    "int32": File(tiff(LABELS.astype(np.int32)), LABELS, FLAT),
    "uint32": File(tiff(LABELS.astype(np.uint32)), LABELS, FLAT),
    "int64": File(tiff(LABELS.astype(np.int64)), LABELS, FLAT),
    "uint64": File(tiff(LABELS.astype(np.uint64)), LABELS, FLAT),
    "float16": File(tiff(LABELS.astype(np.float16)), LABELS, FLAT),
    "float32": File(tiff(LABELS.astype(np.float32)), LABELS, FLAT),
    "float64": File(tiff(LABELS.astype(np.float64)), LABELS, FLAT),
    "big-endian": File(tiff(byteorder=">"), LABELS, FLAT),
    # -- colours
    "RGB": File(tiff(COLOURS, photometric="rgb"), None, None, "colour|channel|S|axes"),
    "RGBA": File(
        tiff(
            np.dstack([COLOURS, COLOURS[..., :1]]), photometric="rgb", extrasamples=["unassalpha"]
        ),
        None,
        None,
        "colour|channel|axes",
    ),
    "RGB in planes": File(
        tiff(np.moveaxis(COLOURS, -1, 0).copy(), photometric="rgb", planarconfig="separate"),
        None,
        None,
        "colour|channel|axes",
    ),
    "palette": File(
        tiff(
            LABELS.astype(np.uint8),
            photometric="palette",
            colormap=np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1)),
        ),
        LABELS,
        FLAT,
    ),
    "white is zero": File(tiff(LABELS.astype(np.uint8), photometric="miniswhite"), LABELS, FLAT),
    "two channels": File(
        tiff(np.stack([LABELS, LABELS]), metadata={"axes": "CYX"}), None, None, "channel|axes"
    ),
    # -- containers
    "bigtiff": File(tiff(bigtiff=True), LABELS, FLAT),
    "tiled": File(tiff(tile=(16, 16)), LABELS, FLAT),
    "strips of one row": File(tiff(rowsperstrip=1), LABELS, FLAT),
    "deflate": File(tiff(compression="zlib", predictor=True), LABELS, FLAT),
    "LZW": File(tiff(compression="lzw"), LABELS, FLAT),
    "zstd": File(tiff(compression="zstd"), LABELS, FLAT),
    "packbits": File(tiff(compression="packbits"), LABELS, FLAT),
    "LZMA": File(tiff(compression="lzma"), LABELS, FLAT),
    # -- several images
    "volume": File(tiff(VOLUME, metadata={"axes": "ZYX"}), VOLUME, SOLID, "axes|2D"),
    "volume of one plane": File(
        tiff(VOLUME[1:2], metadata={"axes": "ZYX"}), VOLUME[1:2], (1, 32, 32), "axes|2D"
    ),
    "pages of two shapes": File(pages(LABELS, LABELS[:20]), None, None, "holds 2 images"),
    "two series": File(pages(LABELS, LABELS.astype(np.float32)), None, None, "holds 2 images"),
    "pages without axes": File(pages(*VOLUME), None, None, "axes", solid=VOLUME),
    # -- sizes of pixels
    "ImageJ": File(
        tiff(imagej=True, resolution=(2, 2), metadata={"unit": "um", "axes": "YX"}), LABELS, FLAT
    ),
    "ImageJ without a unit": File(tiff(imagej=True), LABELS, FLAT),
    "ImageJ with zero pixels": File(
        tiff(imagej=True, resolution=((0, 1), (0, 1)), metadata={"unit": "um"}), LABELS, FLAT
    ),
    "ImageJ with negative slices": File(
        described("ImageJ=1.54\nimages=-3\nslices=-3\n"), None, None, BROKEN
    ),
    "ImageJ with more slices than pages": File(
        described("ImageJ=1.54\nimages=9\nslices=9\n"), None, None, BROKEN + "|expected"
    ),
    "ImageJ with text as spacing": File(
        described("ImageJ=1.54\nimages=1\nspacing=wide\nunit=um\n"), LABELS, FLAT
    ),
    "OME": File(ome(PhysicalSizeX=0.5, PhysicalSizeY=0.5, **UM), LABELS, FLAT),
    "OME with negative pixels": File(
        ome(PhysicalSizeX=-0.5, PhysicalSizeY=-0.5, **UM), LABELS, FLAT
    ),
    "OME with pixels of zero": File(ome(PhysicalSizeX=0, PhysicalSizeY=0, **UM), LABELS, FLAT),
    "OME with pixels of NaN": File(
        ome(PhysicalSizeX="NaN", PhysicalSizeY="NaN", **UM), LABELS, FLAT
    ),
    "OME with a unit of no length": File(
        ome(PhysicalSizeX=1, PhysicalSizeXUnit="pixel", PhysicalSizeY=1), LABELS, FLAT
    ),
    "OME with pixels of a metre": File(
        ome(PhysicalSizeX=1e6, PhysicalSizeY=1e6, **UM), LABELS, None, "spacing|pixel"
    ),
    "OME that is no XML": File(
        described('<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/" <broken</OME>'),
        None,
        None,
        BROKEN,
    ),
    "JSON that is none": File(described('{"shape": [32, 32'), None, None, BROKEN),
    "JSON of another shape": File(described('{"shape": [64, 64]}'), None, None, BROKEN),
}
