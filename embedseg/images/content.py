"""Content of a file: pixels, axes, pixel size, names of channels."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.common import format_shape, free_memory
from embedseg.images.display import Display, log_once
from embedseg.types import DataError, Spacing

log = logging.getLogger("embedseg")

#: µm per unit, by the names that files give to units.
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


class Content(NamedTuple):
    """Pixels and metadata of a file.

    Attributes
    ----------
    data : ndarray
        The pixels as they are stored.
    axes : str
        One letter per axis of `data`: T, C, Z, Y, X, S (colour samples), or the format's own
        letter for an unknown axis.
    sizes : mapping of str to float
        Size of a pixel along the axes for which it is known, µm.
    channels : tuple of str
        Names of the channels, as far as they are known.
    display : Display, optional
        What the pixels of an image are shown as; those of a mask count as they are stored.
    """

    data: NDArray[Any]
    axes: str
    sizes: Mapping[str, float]
    channels: tuple[str, ...] = ()
    display: Display | None = None

    def shown(self) -> Content:
        """Return the content as it is shown."""
        if self.display is None:
            return self
        axes = self.axes + "S" * self.display.coloured
        return self._replace(data=self.display.show(self.data), axes=axes, display=None)


class Scale(NamedTuple):
    """Scale of an axis: pixel i has its middle at `start + i * size`.

    Attributes
    ----------
    size, start : float
        Size of a pixel, and where the first one lies.
    unit : str, optional
        Of both, as in the file.
    """

    size: float
    start: float = 0.0
    unit: str | None = None


def first_pixel(scales: Sequence[Scale], ndim: int) -> tuple[float, ...]:
    """Return where the first pixel lies along each axis of space, in pixels.

    Parameters
    ----------
    scales : sequence of Scale
        Of the axes of an image but channels; none if it has no place.
    ndim : int
        Axes of space, which are the last ones.

    Examples
    --------
    >>> first_pixel([Scale(60.0), Scale(0.5, 10.0), Scale(0.5)], 2), first_pixel((), 2)
    ((20.0, 0.0), (0.0, 0.0))
    """
    return tuple(each.start / each.size for each in scales[-ndim:]) or (0.0,) * ndim


class Layout(NamedTuple):
    """Shape and metadata of stored pixels.

    Attributes
    ----------
    shape : tuple of int
        Shape of the pixels as they are stored.
    axes, sizes, channels, display
        As in `Content`.
    kept : tuple of int
        Index of each of these axes among all axes of the format; the others have length 1.
    scales : mapping of str to Scale
        Of each axis, if the format gives images a place.
    levels : int
        Levels of the image's pyramid.
    """

    shape: tuple[int, ...]
    axes: str
    sizes: Mapping[str, float]
    kept: tuple[int, ...]
    channels: tuple[str, ...] = ()
    display: Display | None = None
    scales: Mapping[str, Scale] = MappingProxyType({})
    levels: int = 1

    def squeezed(self, lengths: Sequence[int] | None = None) -> Layout:
        """Return the layout without axes of length 1, save Y, X and those without a name.

        Parameters
        ----------
        lengths : sequence of int, optional
            Lengths that count in place of those of the pixels.

        Examples
        --------
        >>> layout = make_plain_layout((1, 3, 1, 40, 50))._replace(axes="TCZYX").squeezed()
        >>> layout.axes, layout.shape, layout.kept
        ('CYX', (3, 40, 50), (1, 3, 4))
        """
        sides = zip(self.axes, lengths or self.shape, strict=True)
        used = [i for i, (axis, n) in enumerate(sides) if n != 1 or axis in "QYX"]
        return self._replace(
            shape=tuple(self.shape[i] for i in used),
            axes="".join(self.axes[i] for i in used),
            kept=tuple(self.kept[i] for i in used),
        )

    def place(self, axes: str, spacing: Spacing | None) -> tuple[Scale, ...]:
        """Return the scales of some axes, none if no place is known.

        Parameters
        ----------
        axes : str
            Those that are not in the file get a scale of 1.
        spacing : tuple of float, optional
            Sizes that hold for the axes of space, µm; starts stay the same in pixels.

        Examples
        --------
        >>> layout = make_plain_layout((4, 5))._replace(scales={"X": Scale(500.0, 1000.0, "nm")})
        >>> layout.place("X", None), layout.place("X", (2.0,))[0].start
        ((Scale(size=500.0, start=1000.0, unit='nm'),), 4.0)
        """
        if not self.scales:
            return ()
        stored = [self.scales.get(axis, Scale(1.0)) for axis in axes]
        sizes = spacing or ()
        first = len(stored) - len(sizes)
        given = [
            Scale(float(step), start / size * float(step), "micrometer")
            for (size, start, _), step in zip(stored[first:], sizes, strict=True)
        ]
        return (*stored[:first], *given)

    def shown(self, ndim: int) -> Layout:
        """Return the layout of pixels as they are shown, given the number of stored axes."""
        if self.display is None or not self.display.coloured:
            return self
        return self._replace(shape=(*self.shape, 3), axes=self.axes + "S", kept=(*self.kept, ndim))


def check_memory(source: Path | str, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """Check that an array fits into the free memory, before it is read as a whole.

    Parameters
    ----------
    source : path
        File, for messages.
    shape, dtype
        As the file declares them.

    Raises
    ------
    DataError
        If it does not fit.

    Examples
    --------
    >>> check_memory("a.tif", (40, 50), np.dtype("uint8"))
    """
    needed, free = prod(map(int, shape)) * dtype.itemsize, free_memory()
    if needed > free:
        raise DataError(
            f"{source}: {format_shape(shape)} pixels of type {dtype} take {needed / 1e9:.3g} GB, "
            f"expected at most the {free / 1e9:.3g} GB of free memory; crop it, or segment it "
            "in blocks, with an output FILE.zarr or FILE.tif"
        )


def to_microns(value: object, unit: object) -> float | None:
    r"""Convert a length to µm; None if it is not positive, or its unit is unknown.

    Examples
    --------
    >>> to_microns(250, "nm"), to_microns("0.5", r"\u00B5m")
    (0.25, 0.5)
    >>> to_microns(1, "pixel"), to_microns(0, "um")
    (None, None)
    """
    name = str(unit).strip().lower().replace("\\u00b5", "µ").replace("μ", "µ")
    try:
        length = float(value) * MICRONS[name]  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        return None
    return length if 0 < length < np.inf else None


def usable_sizes(
    source: Path | str, stored: Mapping[str, tuple[object, object]]
) -> dict[str, float]:
    """Return the sizes of pixels in µm, as far as they are known; warn of impossible ones.

    Some microscopes store a negative depth for stacks taken downwards: its absolute value counts.

    Parameters
    ----------
    source : path
        File, for messages.
    stored : mapping of str to (value, unit)
        Size of a pixel along each axis, as it is stored.

    Examples
    --------
    >>> usable_sizes("a.tif", {"Z": (-2, "µm"), "Y": (500, "nm"), "X": (None, "µm")})
    {'Z': 2.0, 'Y': 0.5}
    """
    stored = {
        axis: (_positive(source, axis, value), unit) for axis, (value, unit) in stored.items()
    }
    sizes = {axis: to_microns(value, unit) for axis, (value, unit) in stored.items()}
    for axis, (value, unit) in stored.items():
        if value is not None and sizes[axis] is None and to_microns(1, unit) is not None:
            log.warning(
                "%s: size of a pixel along %s is %s %s, expected a positive number; taken as "
                "not known",
                source,
                axis,
                value,
                unit,
            )
    return {axis: size for axis, size in sizes.items() if size}


def _positive(source: Path | str, axis: str, value: object) -> object:
    """Return the absolute value of a negative number, and log that; anything else as it is."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value
    if not -np.inf < number < 0:
        return value
    log_once(str(source), f"size of a pixel along {axis} is {value}, read as {-number:g}")
    return -number


def make_plain_layout(shape: tuple[int, ...]) -> Layout:
    """Return the layout of an array without metadata: its last two axes are Y and X.

    Examples
    --------
    >>> make_plain_layout((4, 5)).axes, make_plain_layout((3, 4, 5)).axes
    ('YX', 'QYX')
    """
    ndim = len(shape)
    return Layout(shape, "Q" * (ndim - 2) + "YX", {}, tuple(range(ndim)))
