"""Channels of an image, chosen by name or number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from embedseg.images.display import log_once
from embedseg.images.image import Image
from embedseg.images.lazy import LazyImage
from embedseg.images.pixel_source import Colours, are_equal_colours
from embedseg.types import DataError

Picture = TypeVar("Picture", Image, LazyImage)

#: Longest side of the boxes of a large image whose colours are compared at first.
SIDE = 256
#: Most digits of the number of a channel.
DIGITS = 9


def count_channels(image: Image | LazyImage) -> int:
    """Return the number of channels; 1 without an axis for them.

    Examples
    --------
    >>> count_channels(Image(np.zeros((2, 4, 5)), "CYX")), count_channels(Image(np.eye(3), "YX"))
    (2, 1)
    """
    return _shape(image)[image.axes.index("C")] if "C" in image.axes else 1


def list_channels(image: Image | LazyImage) -> str:
    """Return the numbers and names of the channels, for messages.

    Examples
    --------
    >>> list_channels(Image(np.zeros((2, 4, 5)), "CYX", channels=("DAPI", "GFP")))
    '0 DAPI, 1 GFP'
    >>> list_channels(Image(np.zeros((40, 4, 5)), "CYX"))
    '0 to 39, without names'
    """
    count = count_channels(image)
    if image.channels:
        return ", ".join(f"{number} {name}" for number, name in enumerate(image.channels))
    return f"0 to {count - 1}, without names" if count > 1 else "0, without a name"


def take_channels(image: Picture, wanted: Sequence[str]) -> Picture:
    """Return an image with some of its channels only, in the order in which they are wanted.

    Parameters
    ----------
    image : Image or LazyImage
    wanted : sequence of str
        Names, or numbers from 0 on; a name counts first, if it looks like a number.

    Raises
    ------
    DataError
        If the image does not have one, has several of that name, or one is wanted twice.

    Examples
    --------
    >>> image = Image(np.arange(6).reshape(3, 1, 2), "CYX", channels=("DAPI", "GFP", "BF"))
    >>> take_channels(image, ["BF", "0"]).data.tolist()
    [[[4, 5]], [[0, 1]]]
    """
    numbers = [_find(image, each) for each in wanted]
    if None in numbers or len(set(numbers)) < len(numbers):
        raise DataError(
            f"{_source(image)}: channels {', '.join(wanted)}: expected some of "
            f"{list_channels(image)}, each once"
        )
    return _take(image, tuple(number for number in numbers if number is not None))


def fit_channels(
    image: Picture, count: int, asked: Sequence[str] = (), usual: Sequence[str] = ()
) -> Picture:
    """Return an image with the channels that a model takes.

    Those that are asked for; else those of the training images, if it has them; else all, or the
    only one of equal colours.

    Parameters
    ----------
    image : Image or LazyImage
    count : int
        Channels that the model takes.
    asked, usual : sequence of str
        Channels as in `take_channels`: asked for, and those of the training images.

    Raises
    ------
    DataError
        If the image does not have those that are asked for, or their number is not `count`.

    Examples
    --------
    >>> image = Image(np.arange(4).reshape(2, 1, 2), "CYX", channels=("DAPI", "GFP"))
    >>> fit_channels(image, 1, usual=["GFP"]).data.tolist()
    [[[2, 3]]]
    """
    if asked:
        fitting = take_channels(image, asked)
    elif usual and all(_find(image, each) is not None for each in usual):
        fitting = take_channels(image, usual)
        if fitting is not image:
            # Once for all files with these channels.
            log_once(f"channels {list_channels(image)}", f"{', '.join(usual)} read, as in training")
    else:
        fitting = drop_equal_colours(image) if count == 1 else image
    if (found := count_channels(fitting)) != count:
        more = f"; --channel chooses from {list_channels(image)}" if found > count else ""
        chosen = f" are chosen ({', '.join(asked)})" if asked else ""
        raise DataError(
            f"{_source(image)}: {found} channel(s){chosen}, the model has {count}{more}"
        )
    return fitting


def drop_equal_colours(image: Picture) -> Picture:
    """Return a grey image that was saved as RGB or RGBA as grey, and log that; others as they are.

    Of a large image a few boxes are compared first, and each one that is read later: if colours
    differ in it, reading it is a DataError.

    Examples
    --------
    >>> grey = np.array([[3, 5]])
    >>> drop_equal_colours(Image(np.stack([grey] * 3), "CYX")).data.tolist()
    [[3, 5]]
    """
    colours = _find_colours(image)
    if colours is None:
        return image
    found = count_channels(image)
    log_once(_source(image), f"its {found} channels are equal colours, read as grey")
    axis, axes = image.axes.index("C"), image.axes.replace("C", "")
    if isinstance(image, Image):
        return replace(image, data=image.data.take(0, axis=axis), axes=axes, channels=())
    places = image.origin.places
    return replace(
        image,
        axes=axes,
        shape=image.shape[:axis] + image.shape[axis + 1 :],
        chunks=image.chunks[:axis] + image.chunks[axis + 1 :],
        channels=(),
        origin=replace(image.origin, places=places[:axis] + places[axis + 1 :], colours=colours),
    )


def _find(image: Image | LazyImage, wanted: str) -> int | None:
    """Return the number of a channel; None if the image has none or several of that name."""
    named = image.channels.count(wanted)
    # A longer number may be more than Python reads, and no image has as many.
    if named or not wanted.isdecimal() or len(wanted) > DIGITS:
        return image.channels.index(wanted) if named == 1 else None
    return int(wanted) if int(wanted) < count_channels(image) else None


def _take(image: Picture, numbers: tuple[int, ...]) -> Picture:
    if "C" not in image.axes or numbers == tuple(range(count_channels(image))):
        return image
    axis: int = image.axes.index("C")
    names = tuple(image.channels[number] for number in numbers) if image.channels else ()
    if isinstance(image, Image):
        return replace(image, data=image.data.take(numbers, axis=axis), channels=names)
    if image.origin.channels is not None:
        numbers = tuple(image.origin.channels[number] for number in numbers)
    return replace(
        image,
        shape=(*image.shape[:axis], len(numbers), *image.shape[axis + 1 :]),
        chunks=(*image.chunks[:axis], 1, *image.chunks[axis + 1 :]),
        channels=names,
        origin=replace(image.origin, channels=numbers),
    )


def _find_colours(image: Image | LazyImage) -> Colours | None:
    """Return the equal colours of an image, as far as it is read here; None if they differ."""
    if "C" not in image.axes or count_channels(image) not in (3, 4):
        return None
    axis = image.axes.index("C")
    place = axis if isinstance(image, Image) else image.origin.places[axis]
    if isinstance(image, LazyImage) and image.origin.channels is not None:
        return None
    opacity = None
    for values in [image.data] if isinstance(image, Image) else map(image.read, _boxes(image)):
        planes = np.moveaxis(values, axis, 0)
        if place is None or not are_equal_colours(planes, opacity):
            return None
        opacity = float(planes[3].flat[0]) if len(planes) == 4 else None
    return Colours(place, opacity) if place is not None else None


def _boxes(image: LazyImage) -> list[tuple[slice, ...]]:
    """Return small boxes at both ends and in the middle of an image, with all channels."""
    boxes = []
    for part in (0.0, 0.5, 1.0):
        sides = []
        for axis, length in zip(image.axes, image.shape, strict=True):
            size = min(length, SIDE if axis in "YX" else length if axis == "C" else 1)
            start = int(part * (length - size))
            sides.append(slice(start, start + size))
        boxes.append(tuple(sides))
    return boxes


def _shape(image: Image | LazyImage) -> tuple[int, ...]:
    return image.data.shape if isinstance(image, Image) else image.shape


def _source(image: Image | LazyImage) -> str:
    return str(image.path) if isinstance(image, Image) else image.source
