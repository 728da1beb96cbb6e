"""Stored values and what they are shown as: white as 0, palettes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("embedseg")


@dataclass(frozen=True, eq=False)
class Display:
    """What stored values are shown as.

    Attributes
    ----------
    description : str
        For messages; empty if it goes without saying.
    inverted : int
        Largest value of unsigned integers that are stored with white as 0; -1 for signed ones.
    table : (n,) or (n, 3) ndarray, optional
        Grey or colour of each index, for values that are indices of a palette.

    Examples
    --------
    >>> Display("inverted", 255).show(np.array([0, 1, 255], np.uint8)).tolist()
    [255, 254, 0]
    >>> Display("palette", table=np.array([7, 9])).show(np.array([[1, 0]])).tolist()
    [[9, 7]]
    """

    description: str
    inverted: int = 0
    table: NDArray[Any] | None = None

    @property
    def coloured(self) -> bool:
        """Whether an axis of colours is added."""
        return self.table is not None and self.table.ndim == 2

    def show(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return what values are shown as; colours are the last axis."""
        if self.table is not None:
            # Indices of one bit are read as bool.
            return np.asarray(
                self.table[values.astype(np.uint8) if values.dtype == bool else values]
            )
        mask = np.array(self.inverted).astype(values.dtype)
        return np.asarray(np.bitwise_xor(values, mask))


def inverted_display(dtype: np.dtype[Any], bits: int) -> Display | None:
    """Return the display of values whose 0 is white; None for floats, which stay as they are."""
    if dtype.kind not in "bui":
        return None
    most = -1 if dtype.kind == "i" else 2**bits - 1
    return Display("stored with white as 0, its values are inverted", inverted=most)


def palette_display(colours: NDArray[Any]) -> Display:
    """Return the display of indices of a palette, (n, 3) integers; of greys if all are grey.

    16-bit colours that are 8-bit ones in all but form become these.

    Examples
    --------
    >>> palette_display(np.array([[0, 0, 0], [257, 257, 257]], np.uint16)).table
    array([0, 1], dtype=uint8)
    """
    table = colours
    if table.dtype != np.uint8:
        high = table >> 8
        if (table == high * 257).all() or (table == high * 256).all():
            table = high.astype(np.uint8)
        elif table.max(initial=0) < 2**8:
            table = table.astype(np.uint8)
    if (table == table[:, :1]).all():
        return Display("stored with a palette of greys, read as these", table=table[:, 0].copy())
    return Display("stored with a palette, read as its colours", table=table)


def few_bits_display(bits: int) -> Display:
    """Return the display of greys of fewer than 8 bits, spread over those of 8 bits.

    Examples
    --------
    >>> few_bits_display(2).table
    array([  0,  85, 170, 255], dtype=uint8)
    """
    greys = np.arange(2**bits) * (255 // (2**bits - 1))
    return Display("", table=greys.astype(np.uint8))


@lru_cache(maxsize=256)
def log_once(path: str, description: str) -> None:
    """Log a remark on a file, once for readings close to each other."""
    log.info("%s: %s", path, description)


def log_display(path: Path, display: Display | None) -> None:
    """Log that the values of a file are shown as others, once for readings close to each other."""
    if display is not None and display.description:
        log_once(str(path), display.description)


class Displayed:
    """A stored array as it is shown, read box by box.

    Attributes
    ----------
    shape, dtype, chunks
        As of an array.
    """

    def __init__(self, stored: Any, display: Display) -> None:
        self._stored, self._display = stored, display
        colours = (3,) if display.coloured else ()
        shape = tuple(stored.shape)
        pieces = getattr(stored, "chunks", None) or (1,) * (len(shape) - 1) + shape[-1:]
        self.shape, self.chunks = shape + colours, tuple(pieces) + colours
        self.dtype: np.dtype[Any] = stored.dtype if display.table is None else display.table.dtype

    def __getitem__(self, box: tuple[slice, ...]) -> NDArray[Any]:
        ndim = len(self._stored.shape)
        shown = self._display.show(np.asarray(self._stored[box[:ndim]]))
        return shown[..., box[-1]] if self._display.coloured else shown
