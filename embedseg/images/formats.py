"""Readers of image files by suffix."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from embedseg.images.content import Content
from embedseg.images.display import Display, palette_display
from embedseg.images.hdf5 import read_hdf5
from embedseg.images.microscopes import PLUGINS, read_microscope
from embedseg.images.tiff import read_tiff

#: The first bytes of a PNG; the rest are parts of a length, a name, content and a checksum.
PNG = b"\x89PNG\r\n\x1a\n"
#: Place of the type of colours in the first part of a PNG, and the types of greys and of palettes.
COLOUR_TYPE, GREYS, PALETTE = 9, 0, 3


def read_png(path: Path) -> Content:
    """Read a PNG; colours are samples, those of a palette are given by `Content.display`."""
    from imagecodecs import png_decode

    stored, display = path.read_bytes(), None
    palette = stored.startswith(PNG) and stored[len(PNG) + 8 + COLOUR_TYPE] == PALETTE
    if palette:
        stored, display = _as_greys(stored)
    data = np.asarray(png_decode(stored))
    if palette:
        # Greys of fewer bits are spread over those of eight.
        data = data // (255 // (2 ** stored[len(PNG) + 8 + COLOUR_TYPE - 1] - 1))
    return Content(data, "YXS"[: data.ndim], {}, (), display)


def _as_greys(stored: bytes) -> tuple[bytes, Display]:
    """Return a PNG whose greys are the indices of another one, and the palette of that."""
    parts, colours, at = [PNG], np.zeros((256, 3), np.uint8), len(PNG)
    while at + 8 <= len(stored):
        length, name = struct.unpack(">I4s", stored[at : at + 8])
        content = stored[at + 8 : at + 8 + length]
        at += length + 12
        if name == b"PLTE":
            listed = np.frombuffer(content, np.uint8).reshape(-1, 3)
            colours[: len(listed)] = listed
        if name == b"IHDR":
            content = content[:COLOUR_TYPE] + bytes([GREYS]) + content[COLOUR_TYPE + 1 :]
        if name in (b"IHDR", b"IDAT", b"IEND"):
            check = zlib.crc32(name + content)
            parts.append(struct.pack(">I4s", length, name) + content + struct.pack(">I", check))
    return b"".join(parts), palette_display(colours)


#: The reader of a file, by its suffix.
READERS: dict[str, Callable[[Path], Content]] = {
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".png": read_png,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    **dict.fromkeys(PLUGINS, lambda path: Content(*read_microscope(path))),
}
