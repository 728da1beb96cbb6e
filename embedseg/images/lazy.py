"""Images of any size, read box by box."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from embedseg.images.axes import (
    Places,
    check_axes,
    get_channel_names,
    get_spacing,
    label_axes,
    locate_axes,
    space_axes,
)
from embedseg.images.content import Scale, check_memory, first_pixel
from embedseg.images.image import Image
from embedseg.images.pixel_source import PixelSource
from embedseg.images.sources import StoredArray, inspect_file
from embedseg.images.stores import inspect_store, is_lazy_source, translate_errors
from embedseg.types import DataError, Spacing, UsageError


@final
@dataclass(frozen=True)
class LazyImage:
    """An image whose boxes are read on demand.

    Can be pickled; each process opens the source for itself.

    Attributes
    ----------
    source : str
        Path or URL, as it was given; of a group of bioformats2raw that of its only series.
    shape : tuple of int
        Lengths along `axes`.
    dtype : dtype
        Type of the values, in the byte order of this machine.
    axes : str
        Some of (T, C, Z, Y, X), in that order.
    spacing : tuple of float, optional
        Size of a pixel along Z, Y and X as far as they occur, µm; None unless all are known.
    chunks : tuple of int
        Shape of the smallest piece that is read, along `axes`.
    origin : PixelSource
        The place of the pixels.
    channels : tuple of str
        Names of the channels; none unless each has one.
    scales : tuple of Scale
        Place of the pixels along each axis but channels, of the level that is read: translation and
        scale, in any unit. None if the file gives none.
    levels : int
        Levels of the image's pyramid.
    """

    source: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: str
    spacing: Spacing | None
    chunks: tuple[int, ...]
    origin: PixelSource = field(repr=False, compare=False)
    channels: tuple[str, ...] = ()
    scales: tuple[Scale, ...] = ()
    levels: int = 1

    @property
    def offset(self) -> tuple[float, ...]:
        """Where the first pixel lies along each axis of space, in pixels."""
        return first_pixel(self.scales, len(space_axes(self.axes)))

    def at_frame(self, frame: int) -> LazyImage:
        """Return one frame of an image with a time axis, as an image without one.

        Examples
        --------
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> np.save(path, np.arange(12).reshape(3, 2, 2))
        >>> frame = open_lazy(path, "TYX").at_frame(1)
        >>> frame.axes, frame.read((slice(0, 2), slice(0, 2))).tolist()
        ('YX', [[4, 5], [6, 7]])
        """
        # Time is the first axis.
        place, *places = self.origin.places
        return replace(
            self,
            shape=self.shape[1:],
            axes=self.axes[1:],
            chunks=self.chunks[1:],
            scales=self.scales[1:],
            origin=replace(
                self.origin,
                places=tuple(places),
                frame=None if place is None else (place, frame),
            ),
        )

    def read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        """Read a box.

        Parameters
        ----------
        box : tuple of slice
            One per axis, without steps; cropped to the image.

        Returns
        -------
        ndarray
            Axes as in `axes`; a copy.

        Raises
        ------
        DataError
            If it cannot be read.

        Examples
        --------
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> np.save(path, np.arange(12).reshape(3, 4))
        >>> open_lazy(path).read((slice(1, 3), slice(0, 2)))
        array([[4, 5],
               [8, 9]])
        """
        if len(box) != len(self.axes) or any(side.step not in (None, 1) for side in box):
            raise ValueError(
                f"box {box} does not fit an image with the axes {self.axes}: expected a "
                "slice for each, without steps"
            )
        places = self.origin.places
        sides = [slice(*side.indices(n)[:2]) for side, n in zip(box, self.shape, strict=True)]
        data = self.origin.read(self.source, self.axes, sides)
        added = tuple(
            side if place is None else slice(None)
            for place, side in zip(places, sides, strict=True)
        )
        return np.require(data[added], self.dtype, ["C", "W"])

    def load(self) -> Image:
        """Read all of the image; errors as in `read`.

        Examples
        --------
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> np.save(path, np.eye(3))
        >>> open_lazy(path).load().data.shape
        (3, 3)
        """
        check_memory(self.source, self.shape, self.dtype)
        data = self.read((slice(None),) * len(self.shape))
        return Image(data, self.axes, self.spacing, Path(self.source), self.channels, self.scales)


def open_lazy(
    source: Path | str, axes: str | None = None, spacing: Spacing | None = None, level: int = 0
) -> LazyImage:
    """Open an image to read boxes of it.

    OME-Zarr and zarr arrays, local or at a URL of fsspec, without axes of length 1; TIFF, HDF5
    (`file.h5/group/name` names a dataset), npy, PNG and JPEG; a folder with a file
    per slice, which adds Z. TIFF, HDF5, npy and zarr are read piece by piece; slices, PNG and JPEG
    only as a whole.

    Parameters
    ----------
    source : path or str
        Path or URL.
    axes : str, optional
        As in `embedseg.images.read_image`; of a folder those of a slice, with or without Z.
    spacing : tuple of float, optional
        Size of a pixel along Z, Y and X as far as they occur, µm; overrides the metadata.
    level : int
        Level of the pyramid of an OME-Zarr image or a TIFF; 0 is the finest.

    Raises
    ------
    DataError
        If the source is missing or broken, its axes are unknown, or it has no such level.
    UsageError
        If `axes` or `spacing` are invalid, or a library is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.npy"
    >>> np.save(path, np.zeros((3, 40, 50), np.uint8))
    >>> image = open_lazy(path, "ZYX", (2.0, 0.5, 0.5))
    >>> image.axes, image.shape, image.spacing, image.chunks
    ('ZYX', (3, 40, 50), (2.0, 0.5, 0.5), (1, 1, 50))
    """
    name, wanted = str(source), None if axes is None else check_axes(axes)
    with translate_errors(name):
        if is_lazy_source(name):
            opened = inspect_store(name, level)
        else:
            opened = inspect_file(name, wanted, level)
        layout = opened.layout
        name = opened.name
        order, places = locate_axes(
            name,
            layout.shape,
            layout.axes,
            None if opened.kind == "slices" else wanted,
            colours=opened.colours,
        )
        # The opened array may have more axes than its layout keeps.
        places = tuple(None if place is None else layout.kept[place] for place in places)
        origin = PixelSource(opened.kind, opened.path, opened.inside, places, uuid.uuid4().hex)
        stored = origin.open()
    _check_values(name, stored)
    pieces = getattr(stored, "chunks", None) or (1,) * (len(stored.shape) - 1) + stored.shape[-1:]
    shape = _placed(stored.shape, places)
    steps = get_spacing(order, layout.sizes)
    return LazyImage(
        name,
        shape,
        stored.dtype.newbyteorder("="),
        order,
        steps if spacing is None else _check_spacing(name, spacing, order),
        _placed(pieces, places),
        origin,
        get_channel_names(order, shape, layout.channels),
        layout.place(label_axes(order), spacing),
        layout.levels,
    )


def _placed(lengths: Sequence[int], places: Places) -> tuple[int, ...]:
    return tuple(1 if place is None else int(lengths[place]) for place in places)


def _check_values(name: str, stored: StoredArray) -> None:
    if stored.dtype.kind not in "biuf":
        raise DataError(f"{name}: values of type {stored.dtype}, expected integers or floats")
    if 0 in stored.shape:
        raise DataError(f"{name}: shape {tuple(stored.shape)} holds no pixels")


def _check_spacing(name: str, spacing: Sequence[float], axes: str) -> Spacing:
    space = space_axes(axes)
    if len(spacing) != len(space) or not all(0 < step < np.inf for step in spacing):
        raise UsageError(
            f"{name}: spacing {','.join(f'{step:g}' for step in spacing)}, expected "
            f"{len(space)} positive values, for the axes {', '.join(space)}"
        )
    return tuple(map(float, spacing))
