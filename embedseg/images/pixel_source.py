"""Places where the pixels of images lie, and reading of boxes there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.images.axes import Places, reorder_axes
from embedseg.images.chunks import read_box
from embedseg.images.sources import OPENERS, StoredArray
from embedseg.images.stores import translate_errors
from embedseg.types import DataError


@dataclass(frozen=True)
class Colours:
    """Colours that are equal, as of a grey image that was saved with colours.

    Attributes
    ----------
    place : int
        The stored axis of the colours.
    opacity : float, optional
        The only value of the fourth channel, if there is one.
    """

    place: int
    opacity: float | None = None


@dataclass(frozen=True)
class PixelSource:
    """The place of an image's pixels, from which any process can open it.

    Attributes
    ----------
    kind : str
        Key of `embedseg.images.sources.OPENERS`.
    path, inside : str
        File, folder or URL; and the array in it.
    places : tuple of int or None
        As `embedseg.images.axes.locate_axes` returns them.
    token : str
        Different each time an image is opened, as the file may have changed.
    frame : tuple of int, optional
        A stored axis of which one index is read, and that index.
    channels : tuple of int, optional
        Numbers of the stored channels that are read, in this order; None for all of them.
    colours : Colours, optional
        Equal colours, of which the first is read.
    """

    kind: str
    path: str
    inside: str
    places: Places
    token: str
    frame: tuple[int, int] | None = None
    channels: tuple[int, ...] | None = None
    colours: Colours | None = None

    def open(self) -> StoredArray:
        """Open the stored array, once per process: handles do not survive a fork."""
        return opened(self.kind, self.path, self.inside, self.token, os.getpid())

    def read(self, source: str, axes: str, sides: Sequence[slice]) -> NDArray[Any]:
        """Read a box along `axes`; those without a place have length 1.

        Raises
        ------
        DataError
            If it cannot be read, or colours are not equal after all.
        """
        with translate_errors(source):
            stored = self.open()
            index = [slice(None)] * len(stored.shape)
            if self.frame is not None:
                axis, frame = self.frame
                index[axis] = slice(frame, frame + 1)
            for place, side in zip(self.places, sides, strict=True):
                if place is not None:
                    index[place] = side
            if self.channels is None:
                data = read_box(source, stored, tuple(index))
            else:
                data = self._read_channels(source, stored, index, axes.index("C"))
        if self.colours is not None:
            data = self._take_first_colour(source, data, sides)
        return reorder_axes(data, self.places)

    def _read_channels(
        self, source: str, stored: StoredArray, index: list[slice], axis: int
    ) -> NDArray[Any]:
        """Read the chosen channels one by one: those between them may be many."""
        place = self.places[axis]
        assert place is not None and self.channels is not None
        numbers, parts = self.channels[index[place]], []
        for side in [slice(number, number + 1) for number in numbers] or [slice(0)]:
            index[place] = side
            parts.append(read_box(source, stored, tuple(index)))
        return np.concatenate(parts, axis=place)

    def _take_first_colour(
        self, source: str, data: NDArray[Any], sides: Sequence[slice]
    ) -> NDArray[Any]:
        """Return the first colour of a box, in which all have to be equal."""
        assert self.colours is not None
        planes = np.moveaxis(data, self.colours.place, 0)
        if not are_equal_colours(planes, self.colours.opacity):
            box = ", ".join(f"{side.start}:{side.stop}" for side in sides)
            raise DataError(
                f"{source}: its {len(planes)} channels are equal where that was checked first, but "
                f"not in the box [{box}]; expected a grey image, or --channel with the one to read"
            )
        return data.take([0], axis=self.colours.place)


def are_equal_colours(planes: NDArray[Any], opacity: float | None = None) -> bool:
    """Return whether three or four channels are a grey image: equal colours, constant opacity.

    Parameters
    ----------
    planes : (C, ...) ndarray
    opacity : float, optional
        Value that the opacity, the fourth channel, has to have; by default any.

    Examples
    --------
    >>> grey = np.array([3, 5])
    >>> are_equal_colours(np.stack([grey] * 3)), are_equal_colours(np.stack([grey] * 4))
    (True, False)
    """
    if len(planes) not in (3, 4) or not (planes[1:3] == planes[0]).all():
        return False
    if opacity is None:
        opacity = planes[3:].max(initial=0)
    return bool((planes[3:] == opacity).all())


@lru_cache(maxsize=4)
def opened(kind: str, path: str, inside: str, token: str, process: int) -> StoredArray:
    """Open the stored array of an origin; the last few of a process stay open."""
    return OPENERS[kind](path, inside)
