"""Axes of stored arrays, and their order (T, C, Z, Y, X)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from embedseg.images.display import log_once
from embedseg.types import DataError, Spacing, UsageError

#: Order of the axes of every image that is read.
ORDER = "TCZYX"
#: Axes of space, in their order.
SPACE = "ZYX"
#: Index of the stored axis for each axis of an image; None for an axis of length 1 that the stored
#: array does not have.
Places = tuple[int | None, ...]


def space_axes(axes: str) -> str:
    """Return the axes of space.

    Examples
    --------
    >>> space_axes("TCZYX")
    'ZYX'
    """
    return "".join(axis for axis in axes if axis in SPACE)


def label_axes(axes: str) -> str:
    """Return the axes of the labels of an image: all but channels.

    Examples
    --------
    >>> label_axes("TCZYX")
    'TZYX'
    """
    return axes.replace("C", "")


def axis_lengths(shape: tuple[int, ...], axes: str, wanted: str) -> tuple[int, ...]:
    """Return the lengths of the wanted axes.

    Examples
    --------
    >>> axis_lengths((2, 40, 30), "CYX", "YX")
    (40, 30)
    """
    return tuple(length for length, axis in zip(shape, axes, strict=True) if axis in wanted)


def check_axes(axes: str) -> str:
    """Return the axes that a user names, in capitals; colours become channels.

    Raises
    ------
    UsageError
        If Y or X is missing, or an axis is unknown or occurs twice.
    """
    axes = axes.upper().replace("S", "C")
    if len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes) <= set(ORDER):
        raise UsageError(
            f"axes {axes!r}: expected Y and X, each once, and some of T, C and Z, such as ZYX"
        )
    return axes


def are_named(stored: str) -> bool:
    """Return whether a file names its axes; colours count as channels.

    Examples
    --------
    >>> are_named("YXS"), are_named("QYX")
    (True, False)
    """
    letters = stored.replace("S", "C")
    return len(set(letters)) == len(letters) and {"Y", "X"} <= set(letters) <= set(ORDER)


def check_label_axes(
    path: Path | str, shape: tuple[int, ...], axes: str, spacing: Spacing | None
) -> None:
    """Check that labels to write have valid axes and a spacing that fits.

    Raises
    ------
    DataError
        If they do not.
    """
    ndim = len(space_axes(axes))
    if axes not in ("YX", "ZYX", "TYX", "TZYX") or len(shape) != len(axes):
        raise DataError(
            f"{path}: labels of shape {shape} do not have the axes {axes!r}; "
            "expected YX or ZYX, with T before them for time"
        )
    if spacing is not None and len(spacing) != ndim:
        raise DataError(
            f"{path}: spacing {spacing} has {len(spacing)} values, "
            f"the labels have {ndim} space axes"
        )


def locate_axes(
    path: Path | str,
    shape: tuple[int, ...],
    stored: str,
    wanted: str | None,
    *,
    colours: bool = True,
) -> tuple[str, Places]:
    """Return the axes of an image, in the order (T, C, Z, Y, X), and where they are stored.

    Parameters
    ----------
    path : path
        File of the array, for messages.
    shape, stored
        Shape and axes of the stored array.
    wanted : str, optional
        Axes as `check_axes` returns them; override `stored`.
    colours : bool
        Whether samples in separate planes, (S, Y, X), may be colours. Any volume or mask of three
        or four planes may have been written so, with no other sign of its axes.

    Returns
    -------
    axes : str
    places : tuple of int or None
        The stored axis for each of `axes`; None for an axis of length 1 that is not stored. A
        stored axis of length 1 may be left out.

    Raises
    ------
    DataError
        If the axes are unknown or may be several, or `wanted` does not fit the shape.

    Examples
    --------
    >>> locate_axes("a.tif", (40, 30, 3), "YXS", None)
    ('CYX', (2, 0, 1))
    >>> locate_axes("a.tif", (40, 30), "YX", "ZYX")
    ('ZYX', (None, 0, 1))
    >>> locate_axes("a.tif", (3, 40, 30), "SYX", "ZYX")
    ('ZYX', (0, 1, 2))
    """
    places: Places = tuple(range(len(shape)))
    if wanted is None:
        letters = _check_stored(path, shape, stored, colours)
    else:
        places, letters = _fit_wanted(path, shape, stored, wanted)
    order = "".join(axis for axis in ORDER if axis in letters)
    return order, tuple(places[letters.index(axis)] for axis in order)


def reorder_axes(data: NDArray[Any], places: Places) -> NDArray[Any]:
    """Bring the axes of an array into the order that `locate_axes` returned.

    Examples
    --------
    >>> import numpy as np
    >>> reorder_axes(np.zeros((40, 30, 3, 1)), (None, 2, 0, 1)).shape
    (1, 3, 40, 30)
    """
    used = [place for place in places if place is not None]
    unused = [axis for axis in range(data.ndim) if axis not in used]
    lengths = [1 if place is None else data.shape[place] for place in places]
    return data.transpose([*used, *unused]).reshape(lengths)


def get_spacing(axes: str, sizes: Mapping[str, float]) -> Spacing | None:
    """Return the size of a pixel along the axes of space; None unless all are known."""
    spacing = tuple(sizes.get(axis, 0.0) for axis in space_axes(axes))
    return spacing if all(spacing) else None


def get_channel_names(axes: str, shape: tuple[int, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of an image's channels; none unless each channel has one.

    Examples
    --------
    >>> get_channel_names("CYX", (2, 4, 3), ("DAPI", "GFP")), get_channel_names("YX", (4, 3), ())
    (('DAPI', 'GFP'), ())
    """
    count = shape[axes.index("C")] if "C" in axes else 1
    return names if len(names) == count else ()


def _fit_wanted(
    path: Path | str, shape: tuple[int, ...], stored: str, wanted: str
) -> tuple[Places, str]:
    """Name the axes as wanted; if the file is known to store them in another order, in that one."""
    letters = stored.replace("S", "C")
    samples = "S" in stored and not _in_planes(stored)
    if not samples and len(wanted) == len(shape):
        return tuple(range(len(shape))), wanted
    used = [i for i, n in enumerate(shape) if n != 1 or letters[i] in wanted]
    named = "".join(letters[i] for i in used)
    if set(named) <= set(wanted) and len(set(named)) == len(named):
        missing = "".join(axis for axis in wanted if axis not in named)
        return (*(None,) * len(missing), *used), missing + named
    kept = tuple(i for i, n in enumerate(shape) if n != 1 or stored[i] in "YX")
    if not samples and len(kept) == len(wanted):
        return kept, wanted
    raise DataError(f"{path}: shape {shape} ({stored}) does not have the axes {wanted}")


def _in_planes(stored: str) -> bool:
    """Return whether colour samples are stored as separate planes."""
    return "S" in stored and not stored.endswith("S")


def _check_stored(path: Path | str, shape: tuple[int, ...], stored: str, colours: bool) -> str:
    if "C" in stored and "S" in stored:
        raise DataError(
            f"{path}: shape {shape} ({stored}) has both channels and colours, expected one of them"
        )
    letters = stored.replace("S", "C")
    if not are_named(letters):
        raise DataError(
            f"{path}: shape {shape}, axes unknown ({stored}); pass --axes, such as ZYX, TYX or CYX"
        )
    if _in_planes(stored) and (number := shape[stored.index("S")]) in (3, 4):
        planes = f"{number} separate planes"
        if not colours:
            raise DataError(
                f"{path}: shape {shape}, {planes} of unknown meaning; pass --axes: ZYX for a "
                "volume, CYX for channels"
            )
        log_once(str(path), f"{planes}, read as colours; --axes ZYX reads them as a volume")
    return letters
