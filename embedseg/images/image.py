"""Images and label images read and written."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from embedseg.common import write_file
from embedseg.images.axes import (
    are_named,
    check_axes,
    check_label_axes,
    get_channel_names,
    get_spacing,
    locate_axes,
    reorder_axes,
)
from embedseg.images.content import Content, Scale
from embedseg.images.display import log_display
from embedseg.images.formats import LOSSY, READERS
from embedseg.images.inputs import check_file, split_container
from embedseg.images.origins import Origin, origin_tag
from embedseg.images.tiff import write_tiff
from embedseg.types import NOT_ANNOTATED, DataError, Spacing, UsageError, check_labels


@final
@dataclass(frozen=True)
class Image:
    """An image as read from a file.

    Attributes
    ----------
    data : ndarray
        Values in the type of the file.
    axes : str
        Axes of `data`, in the order (T, C, Z, Y, X): "YX", "ZYX", "CYX", "TZYX" ...
    spacing : tuple of float, optional
        Size of a pixel along Z, Y and X as far as they occur, µm; None unless all are known.
    path : Path, optional
        The file.
    channels : tuple of str
        Names of the channels; empty unless all are known.
    scales : tuple of Scale
        Place along each axis but channels, as of `embedseg.images.LazyImage`.
    """

    data: NDArray[Any]
    axes: str
    spacing: Spacing | None = None
    path: Path | None = None
    channels: tuple[str, ...] = ()
    scales: tuple[Scale, ...] = ()


def read_image(
    path: Path | str,
    axes: str | None = None,
    *,
    as_stored: bool = False,
    unnamed: str | None = None,
) -> Image:
    """Read an image: TIFF, PNG, JPEG, HDF5, or with bioio CZI, ND2 and LIF.

    Of an HDF5 file the only dataset is read, or the one called "raw"; `file.h5/group/name` names
    another. Of a TIFF or microscope file with several images, `file.czi#2` names the second one,
    and `file.czi#NAME` one by its name.

    Axes are never guessed: they come from the metadata or from `axes`; only a plain image with two
    axes is taken to be YX. Colours are channels.

    Parameters
    ----------
    path : path
        File to read.
    axes : str, optional
        Axes of the stored array, such as "ZYX"; override the file's metadata. An axis that the
        file leaves out gets length 1.
    as_stored : bool
        Whether a mask is read: values are those of the file. Those of an image are what they are
        shown as: colours or greys of a palette, and inverted where white is stored as 0.
    unnamed : str, optional
        Axes of an array of as many axes that the file does not name, where only these make sense.

    Raises
    ------
    DataError
        If the file is missing or broken, its axes are unknown, or `axes` do not fit.
    UsageError
        If `axes` are invalid, or a library to read the file with is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.tif"
    >>> write_labels(path, np.ones((3, 4, 5), np.int32), (2.0, 0.5, 0.5), "ZYX")
    >>> image = read_image(path)
    >>> image.axes, image.data.shape, image.spacing
    ('ZYX', (3, 4, 5), (2.0, 0.5, 0.5))
    """
    path = Path(path)
    wanted = None if axes is None else check_axes(axes)
    content = _read(path, as_stored=as_stored)
    if not as_stored:
        log_display(path, content.display)
        content = content.shown()
    if wanted is None and unnamed and len(unnamed) == content.data.ndim:
        wanted = None if are_named(content.axes) else unnamed
    # Colours of more bits, and labels, are hardly ever stored in separate planes.
    colours = content.data.dtype == np.uint8 and not as_stored
    order, places = locate_axes(path, content.data.shape, content.axes, wanted, colours=colours)
    spacing = get_spacing(order, content.sizes)
    data = reorder_axes(content.data, places)
    return Image(data, order, spacing, path, get_channel_names(order, data.shape, content.channels))


def read_labels(
    path: Path | str,
    axes: str | None = None,
    ignore_label: int | None = None,
    *,
    unnamed: str | None = None,
) -> Image:
    """Read a label image as int32: 0 is background, -1 not annotated.

    Parameters
    ----------
    path, axes, unnamed
        As in `read_image`.
    ignore_label : int, optional
        Value of pixels that are not annotated in this file; it becomes -1.

    Raises
    ------
    DataError
        As in `read_image`; and for colours or channels, and values that are not labels.
    """
    image = read_image(path, axes, as_stored=True, unnamed=unnamed)
    if "C" in image.axes:
        raise DataError(
            f"{path}: shape {image.data.shape} ({image.axes}) has colours or channels, "
            "expected one label per pixel"
        )
    data = image.data
    unknown = data == ignore_label if ignore_label is not None else np.zeros((), bool)
    if unknown.any():
        data = np.where(unknown, data.dtype.type(0), data)
    labels = check_labels(data, name=str(path))
    if unknown.any():
        labels = np.where(unknown, np.int32(NOT_ANNOTATED), labels)
    return Image(labels, image.axes, image.spacing, image.path)


def read_label_values(path: Path | str) -> NDArray[Any]:
    """Return the values that occur in a label file, ascending; its axes may be unknown."""
    return np.unique(_read(Path(path), as_stored=True).data)


def write_labels(
    path: Path | str,
    labels: NDArray[Any],
    spacing: Spacing | None,
    axes: str,
    *,
    origin: Origin | None = None,
) -> None:
    """Write a label image as TIFF, with zlib; `read_labels` gives back its axes and spacing.

    uint16 where the labels fit, as an ImageJ hyperstack; else uint32, or int32 if there is a -1, as
    OME-TIFF. The file is written whole or not at all.

    Parameters
    ----------
    path : path
        File to write; its folder is made.
    labels : (T?, *space) ndarray
        Labels.
    spacing : tuple of float, optional
        Size of a pixel along each axis of space, µm.
    axes : str
        "YX", "ZYX", "TYX" or "TZYX".
    origin : mapping, optional
        What made the labels, for `embedseg.images.read_origin`.

    Raises
    ------
    DataError
        If the values are not labels, or `axes` or `spacing` do not fit them.
    """
    labels = check_labels(labels, name=str(path))
    check_label_axes(path, labels.shape, axes, spacing)
    smallest, largest = int(labels.min(initial=0)), int(labels.max(initial=0))
    fitting = np.int32 if smallest < 0 else np.uint16 if largest < 2**16 else np.uint32
    fitted, software = labels.astype(fitting), origin_tag(origin)
    write_file(
        Path(path), lambda aside: write_tiff(aside, fitted, spacing, axes, software=software)
    )


def _read(path: Path, *, as_stored: bool) -> Content:
    """Read a file with the reader of its suffix; every error names the file."""
    path, part = split_container(path)
    check_file(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path}: files of type {path.suffix!r} cannot be read, expected " + " ".join(READERS)
        )
    if as_stored and path.suffix.lower() in LOSSY:
        raise DataError(
            f"{path}: a JPEG holds no labels, as its compression changes values; expected a mask "
            "as TIFF or PNG"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = reader(path, part)
    except (DataError, UsageError):
        raise
    except Exception as error:  # decoders raise anything on a broken file
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(
            f"{path}: corrupt, truncated or no {path.suffix} file ({reason})"
        ) from error
    if content.data.size == 0:
        raise DataError(f"{path}: shape {content.data.shape} holds no pixels")
    return content
