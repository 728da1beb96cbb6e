"""Microscope files (CZI, ND2, LIF) through bioio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import missing_library
from embedseg.images.content import check_memory
from embedseg.images.parts import choose_part

#: The bioio plugin for each suffix.
PLUGINS = {".czi": "bioio-czi", ".nd2": "bioio-nd2", ".lif": "bioio-lif"}


def read_microscope(
    path: Path, part: str | None = None
) -> tuple[NDArray[Any], str, dict[str, float], tuple[str, ...]]:
    """Read an image of a file.

    Parameters
    ----------
    path : Path
    part : str, optional
        As in `embedseg.images.parts.choose_part`.

    Returns
    -------
    data : ndarray
        Axes of length 1 are left out, save Y and X.
    axes : str
        A letter for each: T, C, Z, Y, X, S.
    sizes : dict of str to float
        Size of a pixel along the axes for which it is known, µm.
    channels : tuple of str
        Names of the channels.

    Raises
    ------
    DataError
        If the file holds several images, or none of that name.
    UsageError
        If the library to read it with is not installed.
    """
    plugin = PLUGINS[path.suffix.lower()]
    try:
        from bioio import BioImage
        from bioio_base.exceptions import UnsupportedFileFormatError
    except ImportError as error:
        raise missing_library(f"{path}: needs {plugin} and", error, "bioio") from error
    try:
        image = BioImage(path)
    except UnsupportedFileFormatError as error:
        needs = f"{path}: cannot be read by {plugin}, or needs"
        raise missing_library(needs, ImportError(name=plugin), "bioio") from error
    image.set_scene(choose_part(path, image.scenes, part))
    check_memory(path, image.shape, image.dtype)
    axes, data = str(image.dims.order), np.asarray(image.data)
    kept = [i for i, axis in enumerate(axes) if data.shape[i] != 1 or axis in "YX"]
    pixel = image.physical_pixel_sizes
    sizes = {
        axis: float(size)
        for axis, size in zip("ZYX", (pixel.Z, pixel.Y, pixel.X), strict=True)
        if size
    }
    data = data.reshape([data.shape[i] for i in kept])
    return data, "".join(axes[i] for i in kept), sizes, tuple(map(str, image.channel_names or ()))
