"""File formats: pixels, axes, pixel size and names of channels, as files say them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from embedseg.microscopes import PLUGINS, read_microscope
from embedseg.types import DataError, Spacing, UsageError

log = logging.getLogger("embedseg")

#: µm in one unit, as names of units are found in files.
MICRONS = {
    **dict.fromkeys(("µm", "um", "micron", "microns", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("in", "inch"), 25400.0),
    **dict.fromkeys(("pm", "picometer", "picometre"), 1e-6),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
}
#: Values of the tag ResolutionUnit. Many writers put 2 without meaning it: it is the default.
RESOLUTION_UNITS = {2: "inch", 3: "cm", 4: "mm", 5: "µm"}
#: µm. "72 dpi" and its like (1200 dpi is 21 µm) say how to print, not what was measured.
PLAUSIBLE = (1e-4, 20.0)
#: What tifffile logs as a mere warning where pixels were lost.
SERIOUS = re.compile(r"zeroed|corrupt|out of range|expected|does not match|invalid page|missing")
#: A classic TIFF holds 4 GB; some room is left for what is not pixels.
CLASSIC_BYTES = 2**32 - 2**25


class Content(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    data : ndarray
        The pixels as they are stored.
    axes : str
        One letter per axis of `data`: T, C, Z, Y, X, S (colour samples), or what the format
        calls an axis of which nothing is known.
    sizes : mapping of str to float
        Size of a pixel along the axes for which it is known, µm.
    channels : tuple of str
        Their names, as far as the file says them.
    """

    data: NDArray[Any]
    axes: str
    sizes: Mapping[str, float]
    channels: tuple[str, ...] = ()


class Layout(NamedTuple):
    """What a file says of its pixels.

    Attributes
    ----------
    shape : tuple of int
        Of the pixels as they are stored.
    axes, sizes, channels
        As in `Content`.
    kept : tuple of int
        Which axes these are of all that the format counts; the others have length 1.
    """

    shape: tuple[int, ...]
    axes: str
    sizes: Mapping[str, float]
    kept: tuple[int, ...]
    channels: tuple[str, ...] = ()


def read_tiff(path: Path) -> Content:
    """Read a TIFF: OME, ImageJ, with the axes in JSON as tifffile writes them, or plain.

    Axes of length 1 are left out, save Y, X and those that JSON names.

    Raises
    ------
    DataError
        If pixels are missing, or the file holds several images.
    Exception
        Whatever else the decoders raise on a broken file.
    """
    with open_tiff(path) as (series, layout):
        data = series.asarray(squeeze=False)
    return Content(data.reshape(layout.shape), layout.axes, layout.sizes, layout.channels)


@contextmanager
def open_tiff(path: Path) -> Iterator[tuple[tifffile.TiffPageSeries, Layout]]:
    """Open a TIFF, see that all is there, and say what is in it; pixels are not read.

    Raises
    ------
    DataError, Exception
        As in `read_tiff`.
    """
    with _complaints(path), tifffile.TiffFile(path) as file:
        images = whole_series(file)
        if len(images) != 1:
            shapes = ", ".join(str(series.shape) for series, *_ in images[:4])
            raise DataError(
                f"{path}: holds {len(images)} separate images ({shapes} ...), expected one"
            )
        series, shape, axes = images[0]
        _check_complete(path, series)
        named = "TCZYXS" if series.kind == "shaped" else "YX"
        kept = tuple(i for i, axis in enumerate(axes) if shape[i] != 1 or axis in named)
        yield (
            series,
            Layout(
                tuple(shape[i] for i in kept),
                "".join(axes[i] for i in kept),
                _sizes(file, series.kind),
                kept,
                _channels(file, series.kind),
            ),
        )


def whole_series(
    file: tifffile.TiffFile,
) -> list[tuple[tifffile.TiffPageSeries, tuple[int, ...], str]]:
    """Return the images of a file, each with its shape and axes, lengths of 1 included."""
    if callable(file.series):  # from tifffile 2026.5 on
        return [(series, series.shape, series.axes) for series in file.series(squeeze=False)]
    return [
        (series, series.get_shape(squeeze=False), series.get_axes(squeeze=False))
        for series in file.series
    ]


class _Collector(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.WARNING)
        self.records = records

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)


@contextmanager
def _complaints(path: Path) -> Iterator[None]:
    """Turn what tifffile logs into an error where pixels are at stake, else into our log."""
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
        words = re.sub(r"<tifffile\.\S+ [^>]*> ", "", record.getMessage())
        if record.levelno >= logging.ERROR or SERIOUS.search(words):
            raise DataError(f"{path}: corrupt or truncated: {words}")
        log.warning("%s: %s", path, words)


def _check_complete(path: Path, series: tifffile.TiffPageSeries) -> None:
    """See that all pixels lie in the file; tifffile gives zeros for some that do not."""
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


# -- pixel size ------------------------------------------------------------------------------------
def microns(value: object, unit: object) -> float | None:
    r"""Convert a length to µm; None if it is no length, or in no unit that is known.

    Examples
    --------
    >>> microns(250, "nm"), microns("0.5", r"\u00B5m"), microns(1, "pixel"), microns(0, "um")
    (0.25, 0.5, None, None)
    """
    name = str(unit).strip().lower().replace("\\u00b5", "µ").replace("μ", "µ")
    try:
        length = float(value) * MICRONS[name]  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        return None
    return length if 0 < length < np.inf else None


def _sizes(file: tifffile.TiffFile, kind: str) -> dict[str, float]:
    if kind == "ome":
        return _ome_sizes(file.ome_metadata or "")
    metadata: dict[str, Any] = {}
    if kind == "imagej":
        # ImageJ leaves out a depth of 1.
        metadata = {"spacing": 1.0, **(file.imagej_metadata or {})}
    elif kind == "shaped" and file.shaped_metadata:
        metadata = file.shaped_metadata[0]
    unit = metadata.get("unit")
    sizes = {
        "Z": microns(metadata.get("spacing"), metadata.get("zunit", unit)),
        "Y": _tag_size(file.pages.first, "YResolution", metadata.get("yunit", unit)),
        "X": _tag_size(file.pages.first, "XResolution", unit),
    }
    return {axis: size for axis, size in sizes.items() if size}


def _channels(file: tifffile.TiffFile, kind: str) -> tuple[str, ...]:
    """Return the names of channels; ImageJ knows names of planes, which may be those."""
    if kind == "ome":
        found = ElementTree.fromstring(file.ome_metadata or "").findall(".//{*}Pixels/{*}Channel")
        names = [channel.get("Name", "") for channel in found]
    elif kind == "imagej":
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
    """Return what a resolution tag says, in the unit of the description or that of the tags."""
    code = page.tags.valueof("ResolutionUnit", default=2)
    # Inch is what writers put who say nothing; any other unit is meant.
    if unit is None or code > 2:
        unit = RESOLUTION_UNITS.get(code)
    try:
        pixels, units = page.tags.valueof(name, default=(0, 1))
        size = microns(units / pixels, unit)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    by_print = unit in ("inch", "cm") and size and not PLAUSIBLE[0] < size < PLAUSIBLE[1]
    return None if by_print else size


def _ome_sizes(xml: str) -> dict[str, float]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return {}
    found = {
        axis: microns(
            pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")
        )
        for axis in "ZYX"
    }
    return {axis: size for axis, size in found.items() if size}


# -- writing ---------------------------------------------------------------------------------------
def write_tiff(
    path: Path, data: NDArray[Any], spacing: Spacing | None, axes: str, channels: Sequence[str] = ()
) -> None:
    """Write an image such that `read_tiff` gives back its axes, pixel size and names of channels.

    An ImageJ hyperstack where ImageJ knows the type, else OME-TIFF; only where an axis has length
    1, which neither keeps, tifffile's JSON. All are compressed with zlib.

    Parameters
    ----------
    path : Path
        The file, whatever its suffix.
    data : ndarray
        One axis per letter of `axes`.
    spacing : tuple of float, optional
        Size of a pixel along Z, Y and X as far as they occur, µm.
    axes : str
        Some of "TZCYX" in that order.
    channels : sequence of str
        Names of the channels.
    """
    sizes = dict(zip((a for a in axes if a in "ZYX"), spacing, strict=True)) if spacing else {}
    metadata: dict[str, Any] = {"axes": axes}
    common: dict[str, Any] = {"compression": "zlib", "photometric": "minisblack"}
    imagej = data.dtype in (np.uint8, np.uint16, np.float32) and data.nbytes < CLASSIC_BYTES
    plain = 1 in data.shape
    if channels and imagej and not plain:
        # One name for each plane, of which there are as many as not in Y and X.
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
        **common,
    )


# -- other formats ---------------------------------------------------------------------------------
def _read_png(path: Path) -> Content:
    from imagecodecs import png_decode

    data = np.asarray(png_decode(path.read_bytes()))
    return Content(data, "YXS"[: data.ndim], {})


def read_hdf5(path: Path, name: str | None = None) -> Content:
    """Read a dataset of two axes or more; see what ilastik, PlantSeg and Fiji say of it.

    Without a name it is the only one, or else the one called "raw".
    """
    with open_hdf5(path, name) as (dataset, layout):
        return Content(dataset[()], layout.axes, layout.sizes)


@contextmanager
def open_hdf5(path: Path, name: str | None = None) -> Iterator[tuple[Any, Layout]]:
    """Open a dataset as `read_hdf5` does, and say what is in it; pixels are not read."""
    try:
        import h5py
    except ImportError as error:
        raise UsageError(f"{path}: needs h5py: pip install 'embedseg-nd[hdf5]'") from error
    with h5py.File(path, "r") as file:
        sets: dict[str, Any] = {}
        file.visititems(
            lambda at, item: (
                sets.update({at: item})
                if isinstance(item, h5py.Dataset) and item.ndim > 1
                else None
            )
        )
        chosen = name or (next(iter(sets)) if len(sets) == 1 else RAW)
        if chosen not in sets:
            names = ", ".join(sets) or "none"
            wanted = f"a dataset {name!r}" if name else "one dataset with two axes or more"
            raise DataError(f"{path}: expected {wanted}, found {names}; {path.name}/NAME names one")
        yield sets[chosen], _hdf5_layout(sets[chosen])


def _hdf5_layout(dataset: Any) -> Layout:
    attributes, ndim = dict(dataset.attrs), dataset.ndim
    labels = "".join(dimension.label for dimension in dataset.dims)
    steps = np.ravel(attributes.get("element_size_um", ()))
    axes = _hdf5_axes(attributes) or labels.upper()
    if len(axes) != ndim and len(steps) == ndim:
        # It has a value per space axis, in the order Z, Y, X.
        axes = "ZYX"[-ndim:]
    plain = plain_layout(dataset.shape)
    found = {axis: microns(step, "µm") for axis, step in zip("XYZ", steps[::-1], strict=False)}
    sizes = {axis: size for axis, size in found.items() if size}
    return plain._replace(axes=axes if len(axes) == ndim else plain.axes, sizes=sizes)


def plain_layout(shape: tuple[int, ...]) -> Layout:
    """Return what there is to say of an array that says nothing: two axes are Y and X.

    Examples
    --------
    >>> plain_layout((4, 5)).axes, plain_layout((3, 4, 5)).axes
    ('YX', 'QYX')
    """
    ndim = len(shape)
    return Layout(shape, "Q" * (ndim - 2) + "YX", {}, tuple(range(ndim)))


def _hdf5_axes(attributes: dict[str, Any]) -> str:
    if "axistags" in attributes:
        tags = json.loads(attributes["axistags"])["axes"]
        return "".join(tag["key"] for tag in tags).upper()
    axes = attributes.get("axes", "")
    return (axes if isinstance(axes, str) else "".join(map(str, axes))).upper()


#: What reads a file, by its suffix.
READERS: dict[str, Callable[[Path], Content]] = {
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".png": _read_png,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    **dict.fromkeys(PLUGINS, lambda path: Content(*read_microscope(path))),
}
#: Suffixes of files that hold several arrays by name, and the names that image and labels have
#: where nobody says others: those of PlantSeg.
CONTAINERS, RAW, LABEL = (".h5", ".hdf5"), "raw", "label"
