"""Images of a TIFF file, and the one that is meant."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import tifffile

from embedseg.geometry import resample_to_shape
from embedseg.images.content import check_memory
from embedseg.images.display import log_once
from embedseg.images.ome_files import check_members, check_xml, find_metadata
from embedseg.images.parts import choose_part
from embedseg.types import DataError, Floats

#: An image of a file, its shape and its axes.
Series = tuple[tifffile.TiffPageSeries, tuple[int, ...], str]
#: Names of pictures that scanners of slides write beside the image.
BESIDE = ("thumbnail", "label", "macro", "overview", "map")
#: Correlation above which a smaller image is a copy of a larger one.
COPY = 0.9


def open_file(path: Path | str) -> tifffile.TiffFile:
    """Open a TIFF; if its image lies in several files, all of them have to exist.

    Raises
    ------
    DataError
        If one is missing, or metadata have a document type.
    """
    path = Path(path)
    with ExitStack() as stack:
        file = stack.enter_context(tifffile.TiffFile(path))
        # Of slide scanners tifffile parses the description, of some writers OME-XML.
        check_xml(path, file.pages.first.description)
        opened, xml = find_metadata(path, file)
        check_xml(path, xml or "")
        check_members(path, xml)
        if xml == file.ome_metadata:
            stack.pop_all()
            return file
    return tifffile.TiffFile(opened, omexml=xml)


def list_series(file: tifffile.TiffFile) -> list[Series]:
    """List the images of a file, each with its shape and axes, lengths of 1 included."""
    # From tifffile 2026.5 on it is a function.
    found = file.series(squeeze=False) if callable(file.series) else file.series
    return [_with_all_axes(series) for series in found]


def _with_all_axes(series: tifffile.TiffPageSeries) -> Series:
    if hasattr(series, "get_shape"):  # up to tifffile 2026.4
        return series, series.get_shape(squeeze=False), series.get_axes(squeeze=False)
    return series, series.shape, series.axes


def choose_level(path: Path | str, image: tifffile.TiffPageSeries, level: int) -> Series:
    """Return a level of the pyramid of an image; 0 is the image itself.

    Raises
    ------
    DataError
        If there is no such level.
    """
    if not 0 <= level < len(image.levels):
        raise DataError(f"{path}: has no level {level}, there are 0 to {len(image.levels) - 1}")
    return _with_all_axes(image.levels[level])


def choose_series(path: Path | str, file: tifffile.TiffFile, part: str | None) -> Series:
    """Return the image of a file that is meant: the only one, or the one that is named.

    Smaller copies and pictures of labels and slides do not count, and neither do images of other
    files that the metadata list.

    Raises
    ------
    DataError
        If there is none, or several, or none of that name.
    """
    images = list_series(file)
    if not images:
        raise DataError(f"{path}: corrupt or truncated: holds no image")
    names = [series.name or "x".join(map(str, series.shape)) for series, *_ in images]
    if part is None and len(images) > 1:
        own = [image for image in images if _is_inside(image[0], Path(path).name)]
        main = _without_copies(own)
        if len(main) == 1:
            if len(own) > 1:
                log_once(str(path), f"read without {len(own) - 1} smaller copies or other pictures")
            return main[0]
    return images[choose_part(path, names, part)]


def _is_inside(series: tifffile.TiffPageSeries, name: str) -> bool:
    """Return whether any plane of an image lies in the file of a name."""
    return any(page is not None and page.parent.filehandle.name == name for page in series.pages)


def _without_copies(images: list[Series]) -> list[Series]:
    images = [
        image
        for image in images
        if not (image[0].keyframe.is_reduced or image[0].name.lower() in BESIDE)
    ]
    if not images:
        return []
    largest = max(images, key=lambda image: image[0].size)
    return [image for image in images if image is largest or not _is_copy(image[0], largest[0])]


def _is_copy(small: tifffile.TiffPageSeries, large: tifffile.TiffPageSeries) -> bool:
    """Return whether a plane is one of half the size or less that shows the same."""
    if any(series.axes not in ("YX", "YXS") for series in (small, large)):
        return False
    (height, width), (full_height, full_width) = small.shape[:2], large.shape[:2]
    other = abs(full_height * width - full_width * height) > max(full_height, full_width)
    if other or min(height, width) < 2 or 2 * max(height, width) > max(full_height, full_width):
        return False
    shown = resample_to_shape(_as_grey(large)[np.newaxis], (height, width))[0]
    correlation = np.corrcoef(shown.ravel(), _as_grey(small).ravel())[0, 1]
    return bool(correlation > COPY)


def _as_grey(series: tifffile.TiffPageSeries) -> Floats:
    check_memory(series.keyframe.parent.filehandle.path, series.shape, series.dtype)
    data = series.asarray().astype(np.float32)
    return data.mean(axis=-1) if data.ndim == 3 else data
