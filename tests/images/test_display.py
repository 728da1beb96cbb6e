"""Images as they are shown, masks as they are stored, whole and in boxes."""

from __future__ import annotations

import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from embedseg.images import display, open_lazy, read_image, read_labels
from embedseg.images.display import Displayed, inverted_display, log_display

GREY = np.random.default_rng(0).integers(0, 256, (9, 7)).astype(np.uint8)
#: A palette in which each index stands for another grey, and one with colours.
GREYS = np.stack([np.random.default_rng(1).permutation(256)] * 3).astype(np.uint16)
COLOURS = np.random.default_rng(2).integers(0, 256, (3, 256)).astype(np.uint16)


def boxes(path: Path) -> Any:
    image = open_lazy(path)
    parts = [
        image.read((slice(None),) * (len(image.shape) - 2) + (slice(y, y + 4), slice(1, 7)))
        for y in (0, 4, 8)
    ]
    return image.axes, image.dtype, np.concatenate(parts, axis=-2)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "bool", "float32"])
def test_white_as_0_is_inverted_but_not_in_masks(
    tmp_path: Path, dtype: str, compression: str | None
) -> None:
    stored = (GREY > 99) if dtype == "bool" else GREY.astype(dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="miniswhite", compression=compression)
    shown = stored if dtype == "float32" else np.invert(stored)
    if dtype.startswith("uint"):
        assert np.array_equal(shown, np.iinfo(dtype).max - stored)
    image = read_image(path)
    assert image.axes == "YX" and image.data.dtype == dtype
    assert np.array_equal(image.data, shown)
    axes, read, parts = boxes(path)
    assert (axes, read) == ("YX", dtype) and np.array_equal(parts, shown[:, 1:7])
    assert np.array_equal(read_labels(path).data, stored)


def test_values_of_few_bits_are_inverted_within_them() -> None:
    display = inverted_display(np.dtype("uint8"), 4)
    assert display is not None and display.show(np.array([0, 15], np.uint8)).tolist() == [15, 0]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("factor", [257, 256, 1])
def test_a_palette_of_greys_is_read_as_greys(
    tmp_path: Path, factor: int, compression: str | None
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.stack([GREY] * 2),
        photometric="palette",
        colormap=GREYS * np.uint16(factor),
        compression=compression,
        metadata={"axes": "ZYX"},
    )
    shown = GREYS[0].astype(np.uint8)[np.stack([GREY] * 2)]
    image = read_image(path)
    assert (image.axes, image.data.dtype) == ("ZYX", np.uint8)
    assert np.array_equal(image.data, shown)
    axes, dtype, parts = boxes(path)
    assert (axes, dtype) == ("ZYX", np.uint8) and np.array_equal(parts, shown[..., 1:7])
    assert np.array_equal(read_labels(path).data, np.stack([GREY] * 2))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_palette_of_colours_is_read_as_channels(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        GREY,
        photometric="palette",
        colormap=COLOURS * np.uint16(257),
        compression=compression,
    )
    shown = COLOURS.astype(np.uint8)[:, GREY]
    image = read_image(path)
    assert image.axes == "CYX" and np.array_equal(image.data, shown)
    axes, dtype, parts = boxes(path)
    assert (axes, dtype) == ("CYX", np.uint8) and np.array_equal(parts, shown[..., 1:7])
    assert np.array_equal(read_labels(path).data, GREY)


def test_colours_of_16_bits_keep_them(tmp_path: Path) -> None:
    colours = np.random.default_rng(3).integers(0, 2**16, (3, 256)).astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, photometric="palette", colormap=colours)
    assert np.array_equal(read_image(path).data, colours[:, GREY])


def png_of(values: np.ndarray, colours: np.ndarray | None, bits: int) -> bytes:
    """A PNG of indices or greys, of which each takes some bits; one of them is transparent."""

    def part(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    height, width = values.shape
    rows = np.unpackbits(values[..., None], axis=-1)[..., 8 - bits :].reshape(height, -1)
    packed = np.packbits(rows, axis=1)
    lines = b"".join(b"\0" + row.tobytes() for row in packed)
    kind = 0 if colours is None else 3
    more = part(b"tRNS", struct.pack(">H", 1))
    if colours is not None:
        more = part(b"PLTE", colours.astype(np.uint8).tobytes())
        more += part(b"tRNS", bytes(len(colours)))
    return (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
        + more
        + part(b"IDAT", zlib.compress(lines))
        + part(b"IEND", b"")
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("colours", [GREYS, COLOURS], ids=["greys", "colours"])
def test_palettes_of_png(tmp_path: Path, colours: np.ndarray, bits: int) -> None:
    indices = GREY & np.uint8(2**bits - 1)
    table = colours.T[: 2**bits]
    path = tmp_path / "a.png"
    path.write_bytes(png_of(indices, table, bits))
    image = read_image(path)
    if colours is GREYS:
        assert image.axes == "YX" and np.array_equal(image.data, table[indices, 0])
    else:
        assert image.axes == "CYX" and np.array_equal(image.data, colours[:, indices])
    axes, _, parts = boxes(path)
    assert axes == image.axes and np.array_equal(parts, image.data[..., 1:7])
    assert np.array_equal(read_labels(path).data, indices)


@pytest.mark.parametrize("bits, step", [(1, 255), (2, 85), (4, 17), (8, 1)])
def test_greys_of_png(tmp_path: Path, bits: int, step: int) -> None:
    values = GREY & np.uint8(2**bits - 1)
    path = tmp_path / "a.png"
    path.write_bytes(png_of(values, None, bits))
    image = read_image(path)
    assert image.axes == "YX" and np.array_equal(image.data, values * step)
    axes, _, parts = boxes(path)
    assert axes == "YX" and np.array_equal(parts, image.data[..., 1:7])
    assert np.array_equal(read_labels(path).data, values)


@pytest.mark.parametrize("palette", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_values_of_few_bits_in_tiff(tmp_path: Path, bits: int, palette: bool) -> None:
    values = GREY & np.uint8(2**bits - 1)
    rows = np.unpackbits(values[..., None], axis=-1)[..., 8 - bits :].reshape(len(values), -1)
    path = tmp_path / "a.tif"
    packed, table = np.packbits(rows, axis=1), COLOURS[:, : 2**bits] * np.uint16(257)
    # tifffile writes whole bytes only.
    tags = [("ColorMap", "H", table.size, table.ravel().tolist())]
    tifffile.imwrite(path, packed, photometric=0, metadata=None, extratags=tags * palette)
    with tifffile.TiffFile(path, mode="r+") as file:
        tags = file.pages.first.tags
        tags["ImageWidth"].overwrite(values.shape[1])
        tags["BitsPerSample"].overwrite(bits)
        tags["PhotometricInterpretation"].overwrite(3 if palette else 1)
    image = read_image(path)
    shown = COLOURS.astype(np.uint8)[:, values] if palette else values
    assert np.array_equal(image.data, shown)
    axes, _, parts = boxes(path)
    assert axes == image.axes and np.array_equal(parts, shown[..., 1:7])
    assert np.array_equal(read_labels(path).data, values)


def test_lookup_tables_of_imagej_do_not_change_values(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, imagej=True, photometric="palette", colormap=COLOURS * 257)
    assert np.array_equal(read_image(path).data, GREY)


def test_it_is_logged_once_per_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, photometric="miniswhite")
    with caplog.at_level(logging.INFO, "embedseg"):
        for _ in range(2):
            read_image(path)
            open_lazy(path)
    (line,) = [record.getMessage() for record in caplog.records if str(path) in record.getMessage()]
    assert "white as 0" in line


def test_few_files_that_were_logged_are_kept() -> None:
    for number in range(1000):
        log_display(Path(f"{number}.tif"), inverted_display(GREY.dtype, 8))
    assert display.log_once.cache_info().currsize < 500


def test_a_displayed_array_reads_boxes() -> None:
    shown = inverted_display(GREY.dtype, 8)
    assert shown is not None
    array = Displayed(GREY, shown)
    assert (array.shape, array.chunks) == ((9, 7), (1, 7))
    assert np.array_equal(array[1:3, 2:4], 255 - GREY[1:3, 2:4])
