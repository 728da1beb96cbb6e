"""Readers of image files by suffix."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedseg.images.content import Content, check_memory
from embedseg.images.display import few_bits_display, log_once, palette_display
from embedseg.images.hdf5 import read_hdf5
from embedseg.images.microscopes import PLUGINS, read_microscope
from embedseg.images.parts import only_image
from embedseg.images.tiff import read_tiff
from embedseg.types import DataError

#: The first bytes of a PNG; the rest are parts of a length, a name, content and a checksum.
PNG = b"\x89PNG\r\n\x1a\n"
#: Places of the number of bits and of the type of colours in the content of the first part, and the
#: types of greys and of palettes.
BITS, COLOUR_TYPE, GREYS, PALETTE = 8, 9, 0, 3
#: Samples per pixel of the other types of colours.
SAMPLES = {2: 3, 4: 2, 6: 4}
#: Suffixes of files whose compression changes values, so that they hold no labels.
LOSSY = (".jpg", ".jpeg")
#: Suffixes of files that are only read as a whole, and have no pixel size.
PICTURES = (".png", *LOSSY)
#: Start of the compressed pixels of a JPEG, and its end.
JPEG_PIXELS, JPEG_END = 0xDA, b"\xff\xd9"


def read_png(path: Path, part: str | None = None) -> Content:
    """Read a PNG; colours are samples.

    The values of palettes and of greys of fewer than 8 bits are those stored: `Content.display` has
    what they are shown as.
    """
    from imagecodecs import png_decode

    only_image(path, part)
    stored, display = path.read_bytes(), None
    bits, kind = stored[len(PNG) + 8 + BITS], stored[len(PNG) + 8 + COLOUR_TYPE]
    if stored.startswith(PNG):
        width, height = struct.unpack_from(">II", stored, len(PNG) + 8)
        size = (height, width, SAMPLES.get(kind, 1))
        check_memory(path, size, np.dtype(np.uint16 if bits > 8 else np.uint8))
    single = stored.startswith(PNG) and kind in (GREYS, PALETTE)
    if single:
        stored, colours = _as_greys(stored)
        if kind == PALETTE:
            display = palette_display(colours)
        elif bits < 8:
            display = few_bits_display(bits)
    data = np.asarray(png_decode(stored))
    if single and bits < 8:
        # The decoder spreads them over the values of 8 bits.
        data = data // (255 // (2**bits - 1))
    return Content(data, "YXS"[: data.ndim], {}, (), display)


def _as_greys(stored: bytes) -> tuple[bytes, NDArray[np.uint8]]:
    """Return a PNG whose greys are the values of another one, and the palette of that."""
    parts, colours, at = [PNG], np.zeros((256, 3), np.uint8), len(PNG)
    while at + 8 <= len(stored):
        length, name = struct.unpack(">I4s", stored[at : at + 8])
        part, at = stored[at : at + length + 12], at + length + 12
        content = part[8:-4]
        if name == b"PLTE":
            listed = np.frombuffer(content, np.uint8).reshape(-1, 3)
            colours[: len(listed)] = listed
        if name == b"IHDR" and content[COLOUR_TYPE] != GREYS:
            content = content[:COLOUR_TYPE] + bytes([GREYS]) + content[COLOUR_TYPE + 1 :]
            part = _part(name, content)
        # Without the others, which may make one grey or index transparent.
        if name in (b"IHDR", b"IDAT", b"IEND"):
            parts.append(part)
    return b"".join(parts), colours


def as_palette(stored: bytes, colours: NDArray[np.uint8]) -> bytes:
    """Return a PNG of 8-bit greys as one whose values are indices of colours, (n, 3), n <= 256.

    Examples
    --------
    >>> from imagecodecs import png_encode
    >>> grey = png_encode(np.array([[0, 1]], np.uint8))
    >>> _as_greys(as_palette(grey, np.array([[0, 0, 0], [9, 8, 7]], np.uint8)))[1][1].tolist()
    [9, 8, 7]
    """
    start = len(PNG) + 8
    end = start + struct.unpack(">I", stored[len(PNG) : len(PNG) + 4])[0] + 4  # and its checksum
    header = bytearray(stored[start : end - 4])
    header[COLOUR_TYPE] = PALETTE
    parts = _part(b"IHDR", bytes(header)) + _part(b"PLTE", colours.tobytes())
    return PNG + parts + stored[end:]


def _part(name: bytes, content: bytes) -> bytes:
    """Return a part of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


#: Suffixes of slides, TIFFs with pyramids.
SLIDES = (".svs", ".ndpi")


def read_jpeg(path: Path, part: str | None = None) -> Content:
    """Read a JPEG; colours are samples.

    Raises
    ------
    DataError
        If its end is missing: the decoder would make it up.
    """
    from imagecodecs import jpeg_decode

    only_image(path, part)
    stored = path.read_bytes()
    data = np.asarray(jpeg_decode(stored))
    if stored.find(JPEG_END, _find_pixels(stored)) < 0:
        raise DataError(f"{path}: truncated: a JPEG without its end")
    log_once("JPEG images", "their compression changed values; better take the originals")
    return Content(data, "YXS"[: data.ndim], {})


def _find_pixels(stored: bytes) -> int:
    """Return where the compressed pixels of a JPEG start; parts before may hold another one."""
    at = 2
    while at + 4 <= len(stored) and stored[at + 1] != JPEG_PIXELS:
        at += 2 + int.from_bytes(stored[at + 2 : at + 4], "big")
    return at


#: The reader of a file, by its suffix; it gets the path, and number or name of the image in it.
READERS: dict[str, Callable[[Path, str | None], Content]] = {
    ".tif": read_tiff,
    ".tiff": read_tiff,
    **dict.fromkeys(SLIDES, read_tiff),
    ".png": read_png,
    **dict.fromkeys(LOSSY, read_jpeg),
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    **dict.fromkeys(PLUGINS, lambda path, part: Content(*read_microscope(path, part))),
}
