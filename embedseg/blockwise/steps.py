"""Maps, objects and labels of one block.

Each step is a function of a `Job` and the place of a block. It leaves one file, written aside and
then renamed, and does nothing where that is there: what was killed goes on from there.

::

    make_maps      image of the outer box -> maps of the inner box          maps/7.npy
    decode_block   maps of the decode box -> labels of the inner box, and
                   what others have to know of its objects                  found/7-0.npz
    release        maps that all blocks around have decoded are deleted
    write_block    labels, numbered as in the whole image -> the output     written/7
    coarsen        a chunk of a coarser level of the output
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from embedseg.blockwise.joining import Found, cut_down
from embedseg.blockwise.resampled import Resampled, on_grid
from embedseg.common import write_aside
from embedseg.geometry import Block, overlapping, relative, split
from embedseg.images import LazyImage, fill_box, open_array
from embedseg.methods import Method
from embedseg.model import ENSEMBLE, Ensemble, TrainedNet, load_trained_net, read_ensemble
from embedseg.nets import resolve_device
from embedseg.types import Box, Maps, MapSpec, PerAxis, Segmentation, Spacing, check_image

#: How often blocks are decoded again, each time with twice the halo, because objects were cut.
RETRIES = 2
#: Pixels of a box that is decoded again at most, if nothing else limits the memory.
MOST = 2**28


class MapSource(Protocol):
    """What makes raw maps, (M, *space) float16, of a box of an image, (C, *space)."""

    def __call__(self, image: NDArray[Any], device: str, keep: Box) -> NDArray[np.float16]:
        """Return the maps of a box of it."""


@dataclass(frozen=True)
class ModelMaps:
    """Maps by the model in a folder, loaded once in a process.

    Attributes
    ----------
    folder : str
        Of a model or an ensemble whose normalisation does not depend on the box it is given.
    spacing : tuple of float, optional
        Of the image.
    """

    folder: str
    spacing: Spacing | None

    def __call__(self, image: NDArray[Any], device: str, keep: Box) -> NDArray[np.float16]:
        """Return the maps of a box of it."""
        return self.maps(image, device, keep).data

    def maps(self, image: NDArray[Any], device: str, keep: Box | None = None) -> Maps:
        """Return the maps with what they are."""
        ready = check_image(image, image.ndim - 1, len(image))
        return load_source(self.folder, device).maps(ready, self.spacing, keep=keep)


@lru_cache(maxsize=1)
def load_source(folder: str, device: str) -> TrainedNet | Ensemble:
    """Return the model or the ensemble in a folder; the last one is kept in memory."""
    path, on = Path(folder), resolve_device(device)
    return read_ensemble(path, on) if (path / ENSEMBLE).is_file() else load_trained_net(path, on)


@dataclass(frozen=True)
class StoredMaps:
    """Maps that are there already: the channels of the image are the raw maps."""

    def __call__(self, image: NDArray[Any], device: str, keep: Box) -> NDArray[np.float16]:
        """Return the box itself."""
        return image[(slice(None), *keep)].astype(np.float16, copy=False)


@dataclass(frozen=True)
class Job:
    """All that a process has to know to work on any block.

    Attributes
    ----------
    image : LazyImage or Resampled
        Channels first if it has any; in the spacing of the model.
    source : MapSource
        What makes maps of it.
    method : Method
        As it decodes blocks.
    specs, spacing
        Of the maps.
    scratch : str
        Folder for what lies between the steps; all processes reach it.
    size : tuple of int
        Of the inner boxes that maps are made of, a multiple of `divisor`.
    part : tuple of int
        Of the inner boxes that are decoded and written: they take more memory.
    divisor : tuple of int
        Boxes of which maps are made begin at its multiples.
    net_halo, decode_halo : tuple of int
        How far beyond an inner box the image is read, and maps are decoded.
    device : str
    threads : int, optional
        Of a process; results depend on it in the last digits.
    most : int
        Pixels of a box that is decoded again, with a wider halo, at most.
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

    @property
    def shape(self) -> PerAxis:
        """Shape of what is worked on, in space."""
        return self.image.shape[-len(self.size) :]

    @property
    def grid(self) -> PerAxis:
        """Shape of the image itself in space, and of the output."""
        image = self.image.image if isinstance(self.image, Resampled) else self.image
        return image.shape[-len(self.size) :]

    @property
    def net_blocks(self) -> list[Block]:
        """What is read, and of which part maps are kept."""
        return _split(self.shape, self.size, self.net_halo, self.divisor)

    def decode_blocks(self, level: int = 0) -> list[Block]:
        """Return what is decoded, and of which part labels are kept."""
        halo = tuple(reach * 2**level for reach in self.decode_halo)
        return _split(self.shape, self.part, halo, (1,) * len(halo))

    def needs(self, k: int, level: int = 0) -> list[int]:
        """Return the blocks whose maps are needed to decode a block."""
        return overlapping(self.shape, self.size, self.decode_blocks(level)[k].outer)

    def around(self, k: int, level: int = 0) -> list[int]:
        """Return the blocks that meet what is decoded for a block, itself included."""
        return overlapping(self.shape, self.part, self.decode_blocks(level)[k].outer)

    def widest(self, level: int = 0) -> int:
        """Return the pixels of the largest box that is decoded."""
        return max(prod(block.outer_shape) for block in self.decode_blocks(level))

    def maps_file(self, k: int) -> Path:
        """Return where the maps of a block are."""
        return Path(self.scratch) / "maps" / f"{k}.npy"

    def found_file(self, k: int, level: int = 0) -> Path:
        """Return where labels and objects of a block are."""
        return Path(self.scratch) / "found" / f"{k}-{level}.npz"

    def written_file(self, k: int) -> Path:
        """Return what says that the labels of a block are in the output."""
        return Path(self.scratch) / "written" / str(k)

    @property
    def output(self) -> Path:
        """Where the labels are put together."""
        return Path(self.scratch) / "labels"


#: The same few lists are asked for again and again.
_split = lru_cache(maxsize=8)(split)


# -- the steps -------------------------------------------------------------------------------------
def make_maps(job: Job, k: int) -> None:
    """Compute the maps of a block's inner box."""
    if job.maps_file(k).exists():
        return
    block = job.net_blocks[k]
    kept = np.ascontiguousarray(job.source(read(job.image, block.outer), job.device, block.local))
    _save(job.maps_file(k), lambda file: np.save(file, kept))


def read(image: LazyImage | Resampled, box: Box) -> NDArray[Any]:
    """Return a box of an image as (C, *space)."""
    if "C" in image.axes:
        return image.read((slice(0, image.shape[0]), *box))
    return image.read(box)[np.newaxis]


def decode_block(job: Job, k: int, level: int = 0) -> None:
    """Find the objects of a block."""
    if job.found_file(k, level).exists():
        return
    block = job.decode_blocks(level)[k]
    segmentation = job.method.decode(_assembled(job, block, job.needs(k, level)))
    if segmentation.objects is None:
        labels, found = _classes(segmentation, block)
    else:
        labels, found = cut_down(segmentation, block, job.shape)
    del segmentation
    save_found(job.found_file(k, level), labels, found)


def _assembled(job: Job, block: Block, blocks: Sequence[int]) -> Maps:
    """Return the maps of an outer box, put together from those of blocks."""
    count = sum(spec.channels for spec in job.specs)
    data = np.empty((count, *block.outer_shape), np.float16)
    for j in blocks:
        inner = job.net_blocks[j].inner
        there = tuple(
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(inner, block.outer, strict=True)
        )
        stored = np.load(job.maps_file(j), mmap_mode="r")
        data[(slice(None), *relative(there, block.outer))] = stored[
            (slice(None), *relative(there, inner))
        ]
    return Maps(data, job.specs, job.spacing, tuple(side.start for side in block.outer))


def _classes(segmentation: Segmentation, block: Block) -> tuple[NDArray[np.int32], Found]:
    nothing = np.zeros((0, len(block.inner)), np.int64)
    return segmentation.labels[block.local], Found(nothing, {}, np.zeros(0, bool))


def release(job: Job, k: int) -> None:
    """Delete the maps of a block."""
    job.maps_file(k).unlink(missing_ok=True)


def write_block(job: Job, k: int, level: int, numbers: NDArray[np.int64]) -> None:
    """Put the labels of a block into the output, numbered as in the whole image."""
    if job.written_file(k).exists():
        return
    array = open_array(job.output)
    labels = numbers.astype(array.dtype)[load_labels(job.found_file(k, level))]
    box, values = on_grid(labels, job.decode_blocks()[k].inner, job.shape, job.grid)
    if values.size:
        array[box] = values
    _save(job.written_file(k), lambda file: file.write(b""))


def coarsen(job: Job, level: int, box: Box, step: PerAxis) -> None:
    """Fill a box of a coarser level of the output."""
    fill_box(job.output, level, box, step)


# -- files -----------------------------------------------------------------------------------------
def _save(path: Path, write: Any) -> None:
    def fill(aside: Path) -> None:
        with open(aside, "wb") as file:
            write(file)

    write_aside(path, fill)


def save_found(path: Path, labels: NDArray[np.int32], found: Found) -> None:
    """Write labels and objects of a block, all in one file."""
    import imagecodecs

    packed = imagecodecs.zstd_encode(np.ascontiguousarray(labels).tobytes(), level=1)
    parts: dict[str, Any] = {f"first{axis}": layer for axis, layer in enumerate(found.first)}
    parts |= {f"behind{axis}": layer for axis, layer in enumerate(found.behind)}
    parts |= {f"table_{name}": values for name, values in found.table.items()}
    _save(
        path,
        lambda file: np.savez(
            file,
            labels=np.frombuffer(packed, np.uint8),
            shape=np.array(labels.shape),
            seeds=found.seeds,
            cut=found.cut,
            **parts,
        ),
    )


def load_labels(path: Path) -> NDArray[np.int32]:
    """Return the labels that `save_found` wrote."""
    import imagecodecs

    with np.load(path) as held:
        raw = imagecodecs.zstd_decode(held["labels"].tobytes())
        labels = np.frombuffer(raw, np.int32)
        return labels.reshape([int(n) for n in held["shape"]])


def load_found(path: Path) -> Found:
    """Return the objects that `save_found` wrote."""
    with np.load(path) as held:

        def numbered(name: str) -> tuple[NDArray[np.int32], ...]:
            return tuple(held[f"{name}{axis}"] for axis in range(8) if f"{name}{axis}" in held)

        table = {
            name.removeprefix("table_"): held[name]
            for name in held.files
            if name.startswith("table_")
        }
        return Found(held["seeds"], table, held["cut"], numbered("first"), numbered("behind"))
