"""Whole-slide images as scanners write them, small: SVS, NDPI, and TIFFs with pyramids."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

TILED: dict[str, Any] = {"tile": (64, 64), "compression": "zlib", "metadata": None}


def coarser(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the middle pixel of each cell of a plane, (Y, X, S?)."""
    return np.ascontiguousarray(pixels[factor // 2 :: factor, factor // 2 :: factor])


def write_svs(path: Path, pixels: NDArray[np.uint8], size: float, factors: Any = (4, 16)) -> Path:
    """Write a slide as Aperio does: thumbnail, label and macro beside the levels."""
    text = f"Aperio Image Library v12.0.15\r\n (64x64) JPEG/RGB Q=70|AppMag = 20|MPP = {size}"
    rgb = {"photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as file:
        file.write(pixels, description=text, photometric="rgb", **TILED)
        file.write(coarser(pixels, 8), description=text, **rgb)
        for factor in factors:
            file.write(coarser(pixels, factor), description=text, photometric="rgb", **TILED)
        file.write(pixels[:50, :60], description="Aperio\r\nlabel 60x50", subfiletype=1, **rgb)
        file.write(pixels[:50, :70], description="Aperio\r\nmacro 70x50", subfiletype=9, **rgb)
    return path


def write_ndpi(path: Path, pixels: NDArray[np.uint8], size: float, factors: Any = (4, 16)) -> Path:
    """Write a slide as Hamamatsu does: 8 bytes for the places of directories, a macro image.

    Tiles and zlib stand in for the JPEG in one strip of a scanner.
    """

    def tags(magnification: float) -> list[Any]:
        return [
            (271, "s", 0, "Hamamatsu", True),
            (65420, "I", 1, 1, True),
            (65421, "f", 1, magnification, True),
        ]

    plain = path.with_suffix(".part")
    with tifffile.TiffWriter(plain) as file:
        for factor in (1, *factors):
            file.write(
                coarser(pixels, factor),
                extratags=tags(20 / factor),
                photometric="rgb",
                resolution=(1e4 / size / factor,) * 2,
                resolutionunit="CENTIMETER",
                **TILED,
            )
        file.write(pixels[:50, :70], extratags=tags(-1.0), photometric="rgb", metadata=None)
    path.write_bytes(_as_ndpi(plain.read_bytes()))
    plain.unlink()
    return path


def _as_ndpi(content: bytes) -> bytes:
    """Return a TIFF with its directories in the layout of NDPI, behind all the rest."""
    (at,) = struct.unpack_from("<I", content, 4)
    directories = []
    while at:
        (count,) = struct.unpack_from("<H", content, at)
        directories.append(content[at : at + 2 + 12 * count])
        (at,) = struct.unpack_from("<I", content, at + 2 + 12 * count)
    ends, parts = len(content), []
    for number, directory in enumerate(directories):
        size = len(directory) + 8 + 4 * ((len(directory) - 2) // 12)
        following = ends + size if number + 1 < len(directories) else 0
        parts.append(directory + struct.pack("<Q", following) + bytes(size - len(directory) - 8))
        ends += size
    first = struct.pack("<Q", len(content))
    return content[:4] + first + content[12:] + b"".join(parts)


def write_pyramid(
    path: Path, pixels: NDArray[np.uint8], size: float, factors: Any = (4, 16)
) -> Path:
    """Write a plain TIFF whose coarser levels are pages marked as reduced."""
    with tifffile.TiffWriter(path) as file:
        for factor in (1, *factors):
            file.write(
                coarser(pixels, factor),
                photometric="rgb",
                subfiletype=factor > 1,
                resolution=(1e4 / size,) * 2,
                resolutionunit="CENTIMETER",
                **TILED,
            )
    return path


def write_ome_pyramid(
    path: Path, pixels: NDArray[np.uint8], size: float, factors: Any = (4, 16)
) -> Path:
    """Write an OME-TIFF whose coarser levels are SubIFDs."""
    tiled = TILED | {"photometric": "rgb"}
    sizes = {f"PhysicalSize{axis}": size for axis in "YX"}
    with tifffile.TiffWriter(path, ome=True) as file:
        metadata = {"axes": "YXS", **sizes}
        file.write(pixels, subifds=len(factors), **tiled | {"metadata": metadata})
        for factor in factors:
            file.write(coarser(pixels, factor), subfiletype=1, **tiled)
    return path
