"""Content of a file: pixels, axes, pixel size, names of channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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


def plain_layout(shape: tuple[int, ...]) -> Layout:
    """Return what there is to say of an array that says nothing: two axes are Y and X.

    Examples
    --------
    >>> plain_layout((4, 5)).axes, plain_layout((3, 4, 5)).axes
    ('YX', 'QYX')
    """
    ndim = len(shape)
    return Layout(shape, "Q" * (ndim - 2) + "YX", {}, tuple(range(ndim)))
