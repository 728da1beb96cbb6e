"""Planning of blocks and halos."""

from __future__ import annotations

import logging
import os
from math import lcm, prod
from pathlib import Path

import numpy as np
import torch

from embedseg.blockwise.frozen_model import freeze_halo, freeze_model, sample_values
from embedseg.blockwise.halo import box_maps, find_halo
from embedseg.blockwise.job import MOST, BlockJob, ModelMaps, load_source
from embedseg.blockwise.joining import JOININGS
from embedseg.blockwise.options import BlockOptions
from embedseg.blockwise.resampled import Resampled, resample_lazily
from embedseg.common import format_shape
from embedseg.geometry import largest_inner_shape
from embedseg.images import LazyImage, label_axes
from embedseg.methods import Method
from embedseg.model import Config, Predictor, check_pixel_size, parse_memory
from embedseg.nets import DECODING, MAPS, PROCESS, SHARES, available_memory
from embedseg.types import Box, DataError, Maps, PerAxis, Spacing, UsageError, check_image

log = logging.getLogger("embedseg")

#: Inner boxes by the number of axes, as far as the image reaches.
BLOCK: dict[int, PerAxis] = {2: (4096, 4096), 3: (128, 512, 512)}
#: Decode halo, in multiples of the extent of all but the largest objects: half of one to the edge
#: of an object that grew from a pixel within, and all of another one that might be in its way.
REACH = 1.5
#: Bytes per pixel of the labels of a process that decodes; boxes that are decoded at once have
#: lengths that are multiples of GRAIN, so that they can be cut into chunks.
LABELS, GRAIN = 8, 32
#: Bytes of a process on another machine, whose memory is not known; and the least on this one.
ELSEWHERE, LEAST = 2.5e9, 1e9


def plan_blocks(
    model: Predictor,
    image: LazyImage,
    scratch: Path,
    options: BlockOptions,
    home: Path | None = None,
    memory: float | None = None,
) -> BlockJob:
    """Decide on blocks and halos, and write the model that processes will load.

    Parameters
    ----------
    model : Predictor
    image : LazyImage
        With space axes and perhaps channels.
    scratch : Path
        Folder to work in.
    options : BlockOptions
    home : Path, optional
        Folder of the model, which keeps the halo of the net.
    memory : float, optional
        Bytes of each process; default: `memory_share`.

    Raises
    ------
    DataError, UsageError
        If image and model do not fit, or blocks are smaller than their halo.
    """
    config, ndim = model.config, len(label_axes(image.axes))
    joining = JOININGS[config.method.join]
    # What needs the whole image gets it: its block holds no pieces.
    pieces = joining.joins_pieces and not config.method.needs_whole()
    method = config.method.in_blocks(pieces)
    _check_image(model, image, ndim)
    divisor = _divisor(model, ndim)
    load_source.cache_clear()
    frozen = scratch / "model"
    memory = memory or memory_share(options)
    values = sample_values(image)
    check_image(values, 1, len(values), str(image.source))
    freeze_model(model, frozen, values, memory)
    # Where a 2D net sees planes of a volume, or a spacing is not known, images stay as they are.
    known = config.spacing_known and ndim == config.ndim
    fill = tuple(low for low, _ in model.configs()[0].normalize.fixed(values).limits)
    ready = resample_lazily(image, config.spacing, fill) if known else image
    source = ModelMaps(str(frozen), ready.spacing, str(image.source))
    net_halo = find_halo(model, ready, source, divisor, home or scratch).pixels
    first = box_maps(ready, source, str(model.device), _corner_box(ready, divisor))
    freeze_halo(frozen, net_halo)
    load_source.cache_clear()
    shape = ready.shape[-ndim:]
    block = _block_size(shape, options.block or BLOCK[ndim], divisor)
    decode_halo = options.halo or _planned_halo(config, first.spacing, ndim)
    if not joining.needs_halo:
        decode_halo = (0,) * ndim
    _check_halos(block, shape, net_halo, decode_halo)
    log.info(
        "blocks of %s, read %s and decoded %s beyond",
        *map(format_shape, (block, net_halo, decode_halo)),
    )
    grain = tuple(min(n, GRAIN) for n in block)
    decodable = _decodable_pixels(memory, first)
    job = BlockJob(
        ready,
        source,
        method,
        first.specs,
        first.spacing,
        str(scratch),
        _net_size(load_source(source.folder, str(model.device)), block, shape, net_halo, divisor),
        largest_inner_shape(block, decode_halo, grain, decodable),
        divisor,
        net_halo,
        decode_halo,
        str(model.device),
        _threads(options),
        decodable if options.memory else max(decodable, MOST),
    )
    _check_whole(job, str(image.source))
    return job


def _check_whole(job: BlockJob, name: str) -> None:
    """Check that a method that needs the whole image gets it as one block."""
    reason, count = job.method.needs_whole(), len(job.decode_blocks())
    if reason and count > 1:
        raise UsageError(
            f"{name}: {count} blocks, but with {reason} an image is decoded as a whole only. "
            f"Possible are: one block, for which --block {','.join(map(str, job.shape))} has to "
            f"fit into --memory; the image without blocks; or {_joinable(job.method, reason)}"
        )


def _joinable(method: Method, reason: str) -> str:
    """Return the values of the option that needs the whole image with which blocks are joined."""
    name = next(iter(method.whole_only))
    values = [v for v in method.search_space()[name] if v not in method.whole_only[name]]
    if not values:
        return "a model of another method"
    return f"another {reason.partition('=')[0]}, such as {', '.join(map(str, values))}"


def _threads(options: BlockOptions) -> int | None:
    """Return the threads of a process: several of them on one machine share its cores."""
    if options.threads or options.workers == 1:
        return options.threads
    return max(1, (os.cpu_count() or 1) // options.workers)


def memory_share(options: BlockOptions) -> float:
    """Return the bytes that each process may take: as asked, or an equal share of what is free."""
    if options.memory:
        return parse_memory(options.memory)
    if options.scheduler:
        return ELSEWHERE
    free = SHARES["cpu"] * available_memory(torch.device("cpu"))
    return max(LEAST, free / options.workers)


def _net_size(
    model: Predictor, block: PerAxis, shape: PerAxis, halo: PerAxis, divisor: PerAxis
) -> PerAxis:
    """Return the size of the boxes of which maps are made: those that the net sees the least of.

    They need not be blocks: a thin block would have the net see more halo than image.
    """
    predict = model.config.predict
    if predict.tile is not None or predict.memory is None or model.config.ndim < len(shape):
        return block
    most = prod(b + 2 * h for b, h in zip(block, halo, strict=True))
    pixels = min(most, model.pixels_at_once(model.config.channels, 1e9 * predict.memory))
    size = largest_inner_shape(shape, halo, divisor, pixels)
    return tuple(-(-n // d) * d for n, d in zip(size, divisor, strict=True))


def _decodable_pixels(memory: float, maps: Maps) -> int:
    """Return how many pixels may be decoded at once."""
    return max(1, int((memory - PROCESS) / (MAPS * len(maps.data) + LABELS + DECODING / 2)))


def _check_image(model: Predictor, image: LazyImage, ndim: int) -> None:
    """Check that image and model fit, and can be worked on in blocks."""
    config = model.config
    if "T" in image.axes:
        raise DataError(
            f"{image.source}: has a time axis ({image.axes}); --frames segments each frame"
        )
    if ndim < config.ndim or (ndim > config.ndim and not config.predict.planes):
        raise DataError(
            f"{image.source}: {ndim}D ({image.axes}), the model is {config.ndim}D"
            + ("; --planes applies it to volumes" if ndim > config.ndim else "")
        )
    check_pixel_size(model, image.spacing, image.source)
    if ndim > config.ndim and model.links_planes(image.spacing):
        raise UsageError(
            f"{image.source}: planes of this volume can only be segmented one by one "
            "and linked, which is not done in blocks; side views need a known spacing "
            "with axes within a factor of 3"
        )


def _divisor(model: Predictor, ndim: int) -> PerAxis:
    """Return the multiples at which boxes begin, so that the net sees the same grid in each."""
    divisor = (1,) * ndim
    for config in model.configs():
        own = config.net.divisor(config.spacing, config.train.crop)
        # Planes are taken across any axis.
        own = own if config.ndim == ndim else (lcm(*own),) * ndim
        divisor = tuple(map(lcm, divisor, own))
    return divisor


def _block_size(shape: PerAxis, wanted: PerAxis, divisor: PerAxis) -> PerAxis:
    """Return the size of blocks, a multiple of `divisor`."""
    if len(wanted) != len(shape) or min(wanted) < 1:
        raise UsageError(
            f"block {format_shape(wanted)}: expected {len(shape)} positive values for an "
            f"image of {format_shape(shape)} pixels"
        )
    return tuple(-(-min(n, w) // d) * d for n, w, d in zip(shape, wanted, divisor, strict=True))


def _check_halos(size: PerAxis, shape: PerAxis, net_halo: PerAxis, decode_halo: PerAxis) -> None:
    """Check that blocks are not smaller than their halos."""
    for name, halo in (("halo of the net", net_halo), ("halo of decoding", decode_halo)):
        if len(halo) != len(shape) or any(
            s < n and s < h for s, n, h in zip(size, shape, halo, strict=False)
        ):
            raise UsageError(
                f"blocks of {format_shape(size)} pixels are smaller than the {name}, "
                f"{format_shape(halo)}; choose larger ones"
            )


def _planned_halo(config: Config, spacing: Spacing, ndim: int) -> PerAxis:
    """Return the pixels to decode beyond a block, by the size of objects of the training data."""
    extent = config.extent or (32.0 * min(spacing),) * ndim
    if len(extent) < ndim:
        extent = (max(extent),) * ndim
    return tuple(
        int(np.ceil(REACH * length / step)) for length, step in zip(extent, spacing, strict=True)
    )


def _corner_box(image: LazyImage | Resampled, divisor: PerAxis) -> Box:
    """Return a small box in the first corner of an image."""
    return tuple(
        slice(0, min(n, d * -(-16 // d)))
        for n, d in zip(image.shape[-len(divisor) :], divisor, strict=True)
    )
