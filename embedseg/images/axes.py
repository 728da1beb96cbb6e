"""Axes of stored arrays, and their order (T, C, Z, Y, X)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from embedseg.types import DataError, Spacing, UsageError

#: Order of the axes of everything that is read.
ORDER = "TCZYX"
#: Which axis of an array each axis of an image is; None for one of length 1 that it does not have.
Places = tuple[int | None, ...]


def check_axes(axes: str) -> str:
    """Return axes as they were asked for, in capitals; colours are channels.

    Raises
    ------
    UsageError
        If they make no sense.
    """
    axes = axes.upper().replace("S", "C")
    if len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes) <= set(ORDER):
        raise UsageError(
            f"axes {axes!r}: expected Y and X, each once, and some of T, C and Z, such as ZYX"
        )
    return axes


def check_label_axes(
    path: Path | str, shape: tuple[int, ...], axes: str, spacing: Spacing | None
) -> None:
    """See that labels that are to be written have the axes and the pixel size that they should.

    Raises
    ------
    DataError
        If they do not.
    """
    ndim = len(axes.replace("T", ""))
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


def place_axes(
    path: Path | str, shape: tuple[int, ...], found: str, wanted: str | None
) -> tuple[str, Places]:
    """Say which axes an array has, in the order (T, C, Z, Y, X), and where it has them.

    Parameters
    ----------
    path : path
        Where it came from.
    shape, found
        Shape and axes, as the file says them.
    wanted : str, optional
        Axes as `check_axes` returns them; go before what the file says.

    Returns
    -------
    axes : str
    places : tuple of int or None
        The array's axis for each of `axes`; None for one of length 1 that it does not have. An axis
        of length 1 may be in no place.

    Raises
    ------
    DataError
        If the file does not say what its axes are, or those that are wanted do not fit.

    Examples
    --------
    >>> place_axes("a.tif", (40, 30, 3), "YXS", None)
    ('CYX', (2, 0, 1))
    >>> place_axes("a.tif", (40, 30), "YX", "ZYX")
    ('ZYX', (None, 0, 1))
    """
    places: Places = tuple(range(len(shape)))
    if wanted is None:
        letters = _check_found(path, shape, found)
    else:
        places, letters = _fit(path, shape, found, wanted)
    order = "".join(axis for axis in ORDER if axis in letters)
    return order, tuple(places[letters.index(axis)] for axis in order)


def arranged(data: NDArray[Any], places: Places) -> NDArray[Any]:
    """Bring the axes of an array into the order that `place_axes` returned.

    Examples
    --------
    >>> import numpy as np
    >>> arranged(np.zeros((40, 30, 3, 1)), (None, 2, 0, 1)).shape
    (1, 3, 40, 30)
    """
    used = [place for place in places if place is not None]
    unused = [axis for axis in range(data.ndim) if axis not in used]
    lengths = [1 if place is None else data.shape[place] for place in places]
    return data.transpose([*used, *unused]).reshape(lengths)


def known_spacing(axes: str, sizes: Mapping[str, float]) -> Spacing | None:
    """Return the size of a pixel along the axes of space; None unless all are known."""
    spacing = tuple(sizes.get(axis, 0.0) for axis in axes if axis in "ZYX")
    return spacing if all(spacing) else None


def known_channels(axes: str, shape: tuple[int, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of an image's channels; none unless each channel has one.

    Examples
    --------
    >>> known_channels("CYX", (2, 40, 30), ("DAPI", "GFP")), known_channels("YX", (40, 30), ())
    (('DAPI', 'GFP'), ())
    """
    count = shape[axes.index("C")] if "C" in axes else 1
    return names if len(names) == count else ()


def _fit(path: Path | str, shape: tuple[int, ...], found: str, wanted: str) -> tuple[Places, str]:
    """Give the axes names: in the order of the file if that is known to be another one."""
    letters, places = found.replace("S", "C"), tuple(range(len(shape)))
    if "S" not in found and len(wanted) == len(shape):
        return places, wanted
    if set(letters) <= set(wanted) and len(set(letters)) == len(letters):
        missing = "".join(axis for axis in wanted if axis not in letters)
        return (None,) * len(missing) + places, missing + letters
    kept = tuple(i for i, n in enumerate(shape) if n != 1 or found[i] in "YX")
    if "S" not in found and len(kept) == len(wanted):
        return kept, wanted
    raise DataError(f"{path}: shape {shape} ({found}) does not have the axes {wanted}")


def _check_found(path: Path | str, shape: tuple[int, ...], found: str) -> str:
    if "C" in found and "S" in found:
        raise DataError(
            f"{path}: shape {shape} ({found}) has both channels and colours, expected one of them"
        )
    letters = found.replace("S", "C")
    if len(set(letters)) != len(letters) or not {"Y", "X"} <= set(letters) <= set(ORDER):
        raise DataError(
            f"{path}: shape {shape}, and the file does not say what its axes are "
            f"({found}); pass --axes, such as ZYX, TYX or CYX"
        )
    return letters
