"""A job: all that a process needs to work on any block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from embedseg.blockwise.joining import JOININGS, Joining
from embedseg.blockwise.resampled import Resampled
from embedseg.geometry import Block, find_blocks, split_blocks
from embedseg.images import LazyImage
from embedseg.methods import Method
from embedseg.model import Predictor, open_model
from embedseg.nets import resolve_device
from embedseg.types import Box, Maps, MapSpec, PerAxis, Spacing, check_image

#: Largest box that is decoded again, in pixels, if nothing else limits the memory.
MOST = 2**28


class MapSource(Protocol):
    """A source of raw maps, (M, *space) float16, of a box of an image, (C, *space)."""

    def __call__(self, image: NDArray[Any], device: str, keep: Box) -> NDArray[np.float16]:
        """Return the maps of a part of the box."""


@dataclass(frozen=True)
class ModelMaps:
    """Maps by the model in a folder, loaded once in a process.

    Attributes
    ----------
    folder : str
        Of a model or an ensemble whose normalisation does not depend on the box it is given.
    spacing : tuple of float, optional
        Of the image.
    name : str
        Of the image, for messages.
    """

    folder: str
    spacing: Spacing | None
    name: str

    def __call__(self, image: NDArray[Any], device: str, keep: Box) -> NDArray[np.float16]:
        """Return the maps of a part of the box."""
        return self.maps(image, device, keep).data

    def maps(self, image: NDArray[Any], device: str, keep: Box | None = None) -> Maps:
        """Return the maps with their specs and spacing."""
        ready = check_image(image, image.ndim - 1, len(image), self.name, part=True)
        return load_source(self.folder, device).maps(ready, self.spacing, keep=keep)


@lru_cache(maxsize=1)
def load_source(folder: str, device: str) -> Predictor:
    """Return the model or the ensemble in a folder; the last one is kept in memory."""
    return open_model(folder, resolve_device(device))


@dataclass(frozen=True)
class StoredMaps:
    """Maps from a store: the channels of the image are the raw maps."""

    def __call__(self, image: NDArray[Any], device: str, keep: Box) -> NDArray[np.float16]:
        """Return a part of the box itself."""
        return image[(slice(None), *keep)].astype(np.float16, copy=False)


@dataclass(frozen=True)
class BlockJob:
    """All that a process needs to work on any block.

    Attributes
    ----------
    image : LazyImage or Resampled
        Channels first if it has any; in the spacing of the model.
    source : MapSource
        Of its maps.
    method : Method
        As it decodes blocks.
    specs, spacing
        Of the maps.
    scratch : str
        Folder for files between the steps; all processes reach it.
    size : tuple of int
        Of the inner boxes whose maps are made at once, a multiple of `divisor`.
    part : tuple of int
        Of the inner boxes that are decoded and written.
    divisor : tuple of int
        Boxes of which maps are made begin at its multiples.
    net_halo, decode_halo : tuple of int
        Pixels beyond an inner box up to which the image is read, and maps are decoded.
    device : str
    threads : int, optional
        Of a process; results depend on it in the last digits.
    most : int
        Largest box that is decoded again with a wider halo, in pixels.
    frame : int, optional
        Of a film; the scratch folder is then one in that of the film.
    """

    image: LazyImage | Resampled
    source: MapSource
    method: Method
    specs: tuple[MapSpec, ...]
    spacing: Spacing
    scratch: str
    size: PerAxis
    part: PerAxis
    divisor: PerAxis
    net_halo: PerAxis
    decode_halo: PerAxis
    device: str = "cpu"
    threads: int | None = None
    most: int = MOST
    frame: int | None = None

    @property
    def joining(self) -> Joining:
        """How the labels of blocks are joined."""
        return JOININGS[self.method.join]

    @property
    def shape(self) -> PerAxis:
        """Shape of the image in space, in the spacing of the model."""
        return self.image.shape[-len(self.size) :]

    @property
    def grid(self) -> PerAxis:
        """Shape of the image itself in space, and of the output."""
        image = self.image.image if isinstance(self.image, Resampled) else self.image
        return image.shape[-len(self.size) :]

    @property
    def net_blocks(self) -> list[Block]:
        """Outer boxes that are read, and inner ones whose maps are kept."""
        return _split(self.shape, self.size, self.net_halo, self.divisor)

    def decode_blocks(self, level: int = 0) -> list[Block]:
        """Return outer boxes that are decoded, and inner ones whose labels are kept."""
        halo = tuple(reach * 2**level for reach in self.decode_halo)
        return _split(self.shape, self.part, halo, (1,) * len(halo))

    def needs(self, k: int, level: int = 0) -> list[int]:
        """Return the blocks whose maps are needed to decode a block."""
        return find_blocks(self.shape, self.size, self.decode_blocks(level)[k].outer)

    def around(self, k: int, level: int = 0) -> list[int]:
        """Return the blocks that meet the outer box of a block, itself included."""
        return find_blocks(self.shape, self.part, self.decode_blocks(level)[k].outer)

    def widest(self, level: int = 0) -> int:
        """Return the pixels of the largest box that is decoded."""
        return max(prod(block.outer_shape) for block in self.decode_blocks(level))

    def maps_file(self, k: int) -> Path:
        """Return the file of the maps of a block."""
        return Path(self.scratch) / "maps" / f"{k}.npy"

    def objects_file(self, k: int, level: int = 0) -> Path:
        """Return the file of the labels and objects of a block."""
        return Path(self.scratch) / "found" / f"{k}-{level}.npz"

    def written_file(self, k: int) -> Path:
        """Return the empty file that marks a block whose labels are in the output."""
        return Path(self.scratch) / "written" / str(k)

    @property
    def output(self) -> Path:
        """Folder in which the labels are put together, those of all frames in one."""
        scratch = Path(self.scratch)
        return (scratch if self.frame is None else scratch.parent) / "labels"


#: The same few lists are asked for again and again.
_split = lru_cache(maxsize=8)(split_blocks)


def read_box(image: LazyImage | Resampled, box: Box) -> NDArray[Any]:
    """Return a box of an image as (C, *space)."""
    if "C" in image.axes:
        return image.read((slice(0, image.shape[0]), *box))
    return image.read(box)[np.newaxis]
