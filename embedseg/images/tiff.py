"""TIFF files: OME, ImageJ, plain."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from embedseg.images.axes import SPACE, space_axes
from embedseg.images.content import Content, Layout, check_memory, to_microns, usable_sizes
from embedseg.images.display import Display, inverted_display, palette_display
from embedseg.images.ome_files import parse_xml
from embedseg.images.tiff_levels import coarsen_layout
from embedseg.images.tiff_series import choose_level, choose_series, list_series, open_file
from embedseg.types import DataError, Spacing

log = logging.getLogger("embedseg")

#: Values of the tag ResolutionUnit. Many writers put 2 without meaning it: it is the default.
RESOLUTION_UNITS = {2: "inch", 3: "cm", 4: "mm", 5: "µm"}
#: Range of a measured pixel size, µm. "72 dpi" and the like (1200 dpi is 21 µm) are for printing.
PLAUSIBLE = (1e-4, 20.0)
#: Warnings that tifffile logs where pixels were lost.
SERIOUS = re.compile(r"zeroed|corrupt|out of range|expected|does not match|invalid page|missing")
#: The last bytes of a JPEG, and in how many after them a writer may have filled up its part.
JPEG_END, PADDING = b"\xff\xd9", 62
#: A classic TIFF holds 4 GB; some room is left for metadata.
CLASSIC_BYTES = 2**32 - 2**25


def read_tiff(path: Path, part: str | None = None) -> Content:
    """Read a TIFF: OME, ImageJ, with the axes in JSON as tifffile writes them, or plain.

    Axes of length 1 are left out, save Y, X and those that JSON names. `part` is as in
    `embedseg.images.parts.choose_part`.

    Raises
    ------
    DataError
        If pixels are missing, or the file holds several images.
    Exception
        Other errors of decoders on a broken file.
    """
    with open_tiff(path, part) as (series, layout, _):
        check_memory(path, layout.shape, series.dtype)
        data = series.asarray(squeeze=False)
    pixels = data.reshape(layout.shape)
    return Content(pixels, layout.axes, layout.sizes, layout.channels, layout.display)


@contextmanager
def open_tiff(
    path: Path, part: str | None = None, level: int = 0
) -> Iterator[tuple[tifffile.TiffPageSeries, Layout, int]]:
    """Open a TIFF, check that it is complete, and return its layout, without reading pixels.

    The last value is the number of stored axes, those that the layout leaves out included.

    Raises
    ------
    DataError, Exception
        As in `read_tiff`.
    """
    with _warnings_as_errors(path), open_file(path) as file:
        image, full, axes = choose_series(path, file, part)
        series, shape, _ = choose_level(path, image, level)
        _check_complete(path, series)
        pixels = _ome_pixels(file, image) if image.kind == "ome" else None
        named = "TCZYXS" if image.kind == "shaped" else "YX"
        # An axis may have length 1 in a coarse level only.
        kept = tuple(i for i, axis in enumerate(axes) if full[i] != 1 or axis in named)
        layout = Layout(
            tuple(full[i] for i in kept),
            "".join(axes[i] for i in kept),
            _sizes(file, image, pixels),
            kept,
            _channels(file, image, pixels),
            find_display(series),
            levels=len(image.levels),
        )
        if level:
            layout = coarsen_layout(layout, tuple(shape[i] for i in kept))
        yield series, layout, len(axes)


def find_display(series: tifffile.TiffPageSeries) -> Display | None:
    """Return what the pixels of an image are shown as; None if as they are stored.

    The colours of ImageJ and OME are those of a lookup table for the screen: the values count.
    """
    page = series.keyframe
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        return inverted_display(series.dtype, page.bitspersample)
    if page.photometric != tifffile.PHOTOMETRIC.PALETTE or page.colormap is None:
        return None
    if series.kind in ("imagej", "ome") or series.dtype.kind not in "bu":
        return None
    return palette_display(np.asarray(page.colormap).T)


class _Collector(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.WARNING)
        self.records = records

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)


@contextmanager
def _warnings_as_errors(path: Path) -> Iterator[None]:
    """Raise warnings of tifffile about lost pixels; log the others."""
    records: list[logging.LogRecord] = []
    handler = _Collector(records)
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
    for record in records:
        message = re.sub(r"<tifffile\.\S+ [^>]*> ", "", record.getMessage())
        if record.levelno >= logging.ERROR or SERIOUS.search(message):
            raise DataError(f"{path}: corrupt or truncated: {message}")
        log.warning("%s: %s", path, message)


def _check_complete(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Check that all pixels lie in the file; tifffile returns zeros for some missing ones."""
    for number, page in enumerate(series.pages):
        if page is None:
            raise DataError(f"{path}: plane {number} of {len(series.pages)} is missing")
        size = page.parent.filehandle.size
        parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))
        if not parts or any(offset <= 0 or count <= 0 for offset, count in parts):
            raise DataError(f"{path}: pixels of plane {number} are missing")
        if (end := max(offset + count for offset, count in parts)) > size:
            raise DataError(
                f"{path}: truncated: plane {number} ends at byte {end}, the file at {size}"
            )
        if page.compression == tifffile.COMPRESSION.JPEG:
            _check_jpegs(path, number, page.parent.filehandle, parts)


def _check_jpegs(path: Path, number: int, file: Any, parts: Sequence[tuple[int, int]]) -> None:
    """Check that each JPEG of a plane has its end; the decoder makes up what is missing."""
    for index, (offset, count) in enumerate(parts):
        tail = min(count, len(JPEG_END) + PADDING)
        file.seek(offset + count - tail)
        if JPEG_END not in file.read(tail):
            raise DataError(f"{path}: truncated: part {index} of plane {number} has no end")


# -- metadata --------------------------------------------------------------------------------------
def _sizes(
    file: tifffile.TiffFile, series: tifffile.TiffPageSeries, pixels: ElementTree.Element | None
) -> dict[str, float]:
    """Return the sizes of pixels; `pixels` is the metadata of an OME image."""
    kind = series.kind
    if kind == "ome":
        return _ome_sizes(file.filehandle.path, pixels)
    if kind == "svs":
        described = tifffile.tifffile.svs_description_metadata(series.keyframe.description)
        size = (described.get("MPP"), "µm")
        return usable_sizes(file.filehandle.path, {"Y": size, "X": size})
    metadata: dict[str, Any] = {}
    if kind == "imagej":
        # ImageJ leaves out a depth of 1.
        metadata = {"spacing": 1.0, **(file.imagej_metadata or {})}
    elif kind == "shaped" and file.shaped_metadata:
        metadata = file.shaped_metadata[0]
    unit = metadata.get("unit")
    sizes = {
        **usable_sizes(
            file.filehandle.path, {"Z": (metadata.get("spacing"), metadata.get("zunit", unit))}
        ),
        "Y": _tag_size(series.keyframe, "YResolution", metadata.get("yunit", unit)),
        "X": _tag_size(series.keyframe, "XResolution", unit),
    }
    return {axis: size for axis, size in sizes.items() if size}


def _channels(
    file: tifffile.TiffFile, series: tifffile.TiffPageSeries, pixels: ElementTree.Element | None
) -> tuple[str, ...]:
    """Return the names of channels; in ImageJ, those of planes if they repeat by channel."""
    if series.kind == "ome":
        tags = [] if pixels is None else pixels.findall("{*}Channel")
        names = [channel.get("Name", "") for channel in tags]
    elif series.kind == "imagej":
        metadata = file.imagej_metadata or {}
        labels, count = list(metadata.get("Labels", ())), int(metadata.get("channels", 1))
        names = labels[:count]
        if len(labels) % count or any(name != names[i % count] for i, name in enumerate(labels)):
            return ()
    else:
        metadata = (file.shaped_metadata or ({},))[0]
        names = list(metadata.get("Channel", {}).get("Name", ()))
    return tuple(map(str, names)) if all(names) else ()


def _tag_size(page: tifffile.TiffPage, name: str, unit: object) -> float | None:
    """Return the pixel size in a resolution tag, in the unit of the description or of the tags."""
    code = page.tags.valueof("ResolutionUnit", default=2)
    # Inch is the default of writers; any other unit is meant.
    if unit is None or code > 2:
        unit = RESOLUTION_UNITS.get(code)
    try:
        pixels, units = page.tags.valueof(name, default=(0, 1))
        size = to_microns(units / pixels, unit)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    by_print = unit in ("inch", "cm") and size and not PLAUSIBLE[0] < size < PLAUSIBLE[1]
    return None if by_print else size


def _ome_pixels(
    file: tifffile.TiffFile, series: tifffile.TiffPageSeries
) -> ElementTree.Element | None:
    """Return the metadata of an image; of the first one if its own are not known."""
    images = parse_xml(file.filehandle.path, file.ome_metadata or "").findall("{*}Image")
    pages = [each.keyframe for each, *_ in list_series(file)]
    own_page = (series.keyframe.parent.filehandle.name, series.keyframe.offset)
    place = [(page.parent.filehandle.name, page.offset) for page in pages].index(own_page)
    named = [image for image in images if image.get("Name") == series.name]
    own = named if len(named) == 1 else images[place:] or images
    return own[0].find("{*}Pixels") if own else None


def _ome_sizes(path: str, pixels: ElementTree.Element | None) -> dict[str, float]:
    if pixels is None:
        return {}
    stored = {
        axis: (pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in SPACE
    }
    return usable_sizes(path, stored)


# -- writing ---------------------------------------------------------------------------------------
def write_tiff(
    path: Path,
    data: NDArray[Any],
    spacing: Spacing | None,
    axes: str,
    channels: Sequence[str] = (),
    software: str | None = None,
) -> None:
    """Write an image such that `read_tiff` gives back its axes, pixel size and names of channels.

    An ImageJ hyperstack if ImageJ has the type, else OME-TIFF; if an axis has length 1, which
    neither keeps, tifffile's JSON. All are compressed with zlib.

    Parameters
    ----------
    path : Path
        The file, with any suffix.
    data : ndarray
        One axis per letter of `axes`.
    spacing : tuple of float, optional
        Size of a pixel along Z, Y and X as far as they occur, µm.
    axes : str
        Some of "TZCYX" in that order.
    channels : sequence of str
        Names of the channels.
    software : str, optional
        What made the image, in ASCII; default: the library that writes it.
    """
    sizes = dict(zip(space_axes(axes), spacing, strict=True)) if spacing else {}
    metadata: dict[str, Any] = {"axes": axes}
    common: dict[str, Any] = {"compression": "zlib", "photometric": "minisblack"}
    imagej = data.dtype in (np.uint8, np.uint16, np.float32) and data.nbytes < CLASSIC_BYTES
    plain = 1 in data.shape
    if channels and imagej and not plain:
        # ImageJ takes a name for each plane.
        metadata["Labels"] = [*channels] * (int(np.prod(data.shape[:-2])) // len(channels))
    elif channels:
        metadata["Channel"] = {"Name": [*channels]}
    if imagej or plain:
        if sizes:
            metadata |= {"unit": "um"} | ({"spacing": sizes["Z"]} if "Z" in sizes else {})
            # In cm, ImageJ understands the tags of a plain TIFF too.
            per_unit = 1e4 if plain else 1.0
            common["resolution"] = (per_unit / sizes["X"], per_unit / sizes["Y"])
            common["resolutionunit"] = "CENTIMETER" if plain else "NONE"
    else:
        for axis, size in sizes.items():
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    tifffile.imwrite(
        path,
        data,
        metadata=metadata,
        imagej=imagej and not plain,
        ome=not (imagej or plain),
        bigtiff=data.nbytes >= CLASSIC_BYTES,
        software=software,
        **common,
    )
