"""Estimate of time, memory and disk."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from embedseg.blockwise.job import BlockJob, ModelMaps, load_source, read_box
from embedseg.blockwise.options import BlockOptions
from embedseg.blockwise.plan import LABELS, plan_blocks
from embedseg.blockwise.steps import make_maps, release_maps
from embedseg.blockwise.workers import object_tasks
from embedseg.common import format_shape
from embedseg.images import LazyImage, fit_channels
from embedseg.model import Predictor
from embedseg.nets import DECODING, IMAGE, MAPS, PROCESS
from embedseg.types import PerAxis

#: Pixels of the box that is timed.
TIMED = 2**20
#: Pixels through the net over those of the image from which on more memory is advised.
MANY = 3.0
#: Bytes of a compressed label per pixel, measured with objects of some hundred pixels.
STORED = 0.3


@dataclass(frozen=True)
class BlockEstimate:
    """Time, memory and disk that blocks take.

    Attributes
    ----------
    blocks : int
        Number of blocks.
    size, net_halo, decode_halo : tuple of int
        Pixels of a block, and beyond it those that are read for the net and decoded.
    memory : float
        Peak of one process in bytes, where half of the pixels belong to objects.
    disk : float
        Peak of maps and labels on disk in bytes.
    seen : float
        Pixels through the net, halos included, over those of the image.
    seconds : float
        With all workers.
    workers : int
    """

    blocks: int
    size: PerAxis
    net_halo: PerAxis
    decode_halo: PerAxis
    memory: float
    disk: float
    seen: float
    seconds: float
    workers: int

    def lines(self) -> list[str]:
        """Format the estimate as text."""
        size, net, decode = (
            format_shape(values) for values in (self.size, self.net_halo, self.decode_halo)
        )
        return [
            f"blocks: {self.blocks} of {size} pixels",
            f"halo: {net} pixels for the net, {decode} for objects",
            format_net_load(self.seen),
            f"memory: about {self.memory / 1e9:.1f} GB for each of {self.workers} process(es)",
            f"disk: about {self.disk / 1e9:.2g} GB beside the image while it runs",
            f"time: about {_duration(self.seconds)}",
        ]


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"


def estimate_blocks(
    model: Predictor,
    image: LazyImage,
    options: BlockOptions,
    home: Path | None = None,
    channels: Sequence[str] = (),
) -> BlockEstimate:
    """Estimate what an image will take; the net is timed on a small box.

    Parameters
    ----------
    model : Predictor
    image : LazyImage
    options : BlockOptions
    home : Path, optional
        Folder of the model, which keeps the halo of the net.
    channels : sequence of str
        Channels to read, as in `embedseg.images.take_channels`.

    Raises
    ------
    DataError, UsageError
        As `embedseg.blockwise.segment_blocks`.
    """
    image = fit_channels(image, model.config.channels, channels, model.config.data.channels or ())
    with tempfile.TemporaryDirectory() as folder:
        job = plan_blocks(model, image, Path(folder), options, home)
        speed, pixels = _net_speed(job), pixels_through_net(job)
        # Tiles on a GPU take none of the estimated memory.
        tile = _tile(job) if model.device.type == "cpu" else 0.0
    return BlockEstimate(
        len(job.decode_blocks()),
        job.part,
        job.net_halo,
        job.decode_halo,
        _memory(job, tile),
        _disk(job),
        pixels / prod(job.shape),
        pixels / speed / options.workers,
        options.workers,
    )


def format_net_load(share: float) -> str:
    """Describe how much more than the image goes through the net."""
    return f"net: sees {share:.1f} times the pixels of the image, for the halos" + (
        "; more --memory makes its tiles larger" if share > MANY else ""
    )


def pixels_through_net(job: BlockJob) -> int:
    """Return the pixels that go through the net, with halos of blocks and of tiles."""
    assert isinstance(job.source, ModelMaps)
    source = load_source(job.source.folder, job.device)
    alike = Counter(
        (block.outer_shape, tuple((side.start, side.stop) for side in block.local))
        for block in job.net_blocks
    )
    return sum(
        count * source.pixels_seen(_channels(job), shape, tuple(slice(*side) for side in kept))
        for (shape, kept), count in alike.items()
    )


def _channels(job: BlockJob) -> int:
    return job.image.shape[0] if "C" in job.image.axes else 1


def _net_speed(job: BlockJob) -> float:
    """Return pixels per second that go through the net."""
    edge = int(TIMED ** (1 / len(job.shape)))
    box = tuple(
        slice(0, min(n, -(-edge // d) * d)) for n, d in zip(job.shape, job.divisor, strict=True)
    )
    values = read_box(job.image, box)
    keep = tuple(slice(0, n) for n in values.shape[1:])
    job.source(values, job.device, keep)
    begun = time.perf_counter()
    job.source(values, job.device, keep)
    return float(values[0].size / (time.perf_counter() - begun))


def _tile(job: BlockJob) -> float:
    """Return the GB of a tile of the net."""
    assert isinstance(job.source, ModelMaps)
    return load_source(job.source.folder, job.device).config.predict.memory or 0.0


def _memory(job: BlockJob, tile: float) -> float:
    """Return the peak of one process in bytes; `tile` is in GB."""
    maps = MAPS * sum(spec.channels for spec in job.specs)
    read_most = max(prod(block.outer_shape) for block in job.net_blocks)
    net = read_most * IMAGE * _channels(job) + prod(job.size) * maps + tile * 1e9
    return PROCESS + max(net, job.widest() * (maps + LABELS + DECODING / 2))


def _disk(job: BlockJob) -> float:
    """Return the bytes of the maps that are kept at once, and of two copies of the labels."""
    maps = MAPS * sum(spec.channels for spec in job.specs)
    live = most = 0
    for task in object_tasks(job, range(len(job.decode_blocks()))):
        live += (task.step is make_maps) - (task.step is release_maps)
        most = max(most, live)
    return most * prod(job.size) * maps + 2 * STORED * prod(job.shape)
