"""Objects of a label image, as exporters write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from embedseg.export.outlines import Outline, trace_outlines
from embedseg.images import Scale
from embedseg.labels import boxes_by_label, object_sizes
from embedseg.tracking import Track
from embedseg.types import Box, Spacing


@dataclass(frozen=True)
class Objects:
    """The objects of a label image, with scores, spacing and image.

    Attributes
    ----------
    labels : (Y, X) or (Z, Y, X) int32 ndarray
        0 is background; pixels that are not annotated (-1) are left out. Of a film with a first
        axis T.
    spacing : tuple of float
        Size of a pixel along each axis, µm; 1 where it is not known.
    name : str
        Name of the image.
    scores : mapping of int to float
        Scores of objects by label, as far as they are known.
    image : (C, *space) ndarray, optional
        The image that the labels belong to. Of a film with a first axis T.
    channels : tuple of str
        Names of its channels, if they are known.
    progress : bool
        Whether to show a progress bar.
    spacing_known : bool
        Whether the spacing is known; otherwise measures are in pixels.
    film : bool
        Whether the first axis is time: then `each_frame` gives what is written.
    frame : int, optional
        The frame of a film that these are the objects of, from 0.
    scales : tuple of Scale
        Place of the labels along each axis, if they are from a store that gives them one.
    tracks : tuple of Track, optional
        Tracks of a film whose labels are their numbers.

    Examples
    --------
    >>> objects = Objects(np.array([[0, 7], [7, 7]], np.int32), (1.0, 1.0))
    >>> objects.sizes, [outline.label for outline in objects.outlines()]
    ({7: 3}, [7])
    """

    labels: NDArray[np.int32]
    spacing: Spacing
    name: str = "labels"
    scores: Mapping[int, float] = field(default_factory=dict)
    image: NDArray[Any] | None = None
    channels: tuple[str, ...] = ()
    progress: bool = False
    spacing_known: bool = True
    film: bool = False
    frame: int | None = None
    scales: tuple[Scale, ...] = ()
    tracks: tuple[Track, ...] | None = None

    @property
    def unit(self) -> str:
        """The unit of lengths in the names of columns."""
        return "um" if self.spacing_known else "px"

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self.labels.ndim - self.film

    def each_frame(self) -> Iterator[Objects]:
        """Yield the objects of each frame of a film, or these."""
        if not self.film:
            yield self
            return
        for k, labels in enumerate(self.labels):
            image = None if self.image is None else self.image[k]
            yield replace(self, labels=labels, image=image, film=False, frame=k)

    @cached_property
    def boxes(self) -> dict[int, Box]:
        """The box around each object by its label, ascending."""
        return boxes_by_label(self.labels)

    @cached_property
    def sizes(self) -> dict[int, int]:
        """The pixels of each object by its label."""
        return dict(zip(self.boxes, object_sizes(self.labels).tolist(), strict=True))

    @property
    def quantity(self) -> str:
        """The quantity of a size times the spacing: area or volume."""
        return "area" if self.ndim == 2 else "volume"

    def outlines(self) -> Iterator[Outline]:
        """Trace the objects, plane by plane in a volume."""
        last, hidden = None, not self.progress
        with tqdm(total=len(self.boxes), desc="objects", disable=hidden, leave=False) as bar:
            for outline in trace_outlines(self.labels, self.boxes):
                bar.update(outline.label != last)
                last = outline.label
                yield outline

    @cached_property
    def _digits(self) -> int:
        return max(4, len(str(max(self.boxes, default=0))))

    def title(self, outline: Outline) -> str:
        """Return the name of an outline: its label, frame of a film and plane, both from 1."""
        frame = "" if self.frame is None else f"-t{self.frame + 1:04d}"
        plane = f"-z{outline.plane + 1:04d}" if self.ndim == 3 else ""
        return f"{outline.label:0{self._digits}d}{frame}{plane}"


def label_of(title: str) -> int | None:
    """Return the label in a name as `Objects.title` writes it, else None.

    Examples
    --------
    >>> label_of("0007-z0003"), label_of("12-t0001"), label_of("0123-0456"), label_of("nucleus")
    (7, 12, None, None)
    """
    match = re.fullmatch(r"0*([1-9]\d{0,9})(-t\d+)?(-z\d+)?", title.strip())
    label = int(match[1]) if match else 0
    return label if 0 < label <= np.iinfo(np.int32).max else None
