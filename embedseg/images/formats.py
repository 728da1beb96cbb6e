"""Readers of image files by suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from embedseg.images.content import Content
from embedseg.images.hdf5 import read_hdf5
from embedseg.images.microscopes import PLUGINS, read_microscope
from embedseg.images.tiff import read_tiff


def read_png(path: Path) -> Content:
    """Read a PNG; colours are samples."""
    from imagecodecs import png_decode

    data = np.asarray(png_decode(path.read_bytes()))
    return Content(data, "YXS"[: data.ndim], {})


#: The reader of a file, by its suffix.
READERS: dict[str, Callable[[Path], Content]] = {
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".png": read_png,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    **dict.fromkeys(PLUGINS, lambda path: Content(*read_microscope(path))),
}
