"""Planning of blocks and halos."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from dataclasses import dataclass
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from embedseg.blockwise import halo
from embedseg.blockwise.resampled import Resampled, brought_to
from embedseg.blockwise.steps import MOST, Job, ModelMaps, load_source, read
from embedseg.geometry import largest_inner_shape
from embedseg.images import LazyImage
from embedseg.model import (
    ENSEMBLE,
    Config,
    Ensemble,
    TrainedNet,
    load_config,
    parse_memory,
    save_config,
    write_ensemble,
)
from embedseg.nets import DECODING, MAPS, PROCESS, save_weights
from embedseg.types import Box, DataError, Maps, PerAxis, Spacing, UsageError

log = logging.getLogger("embedseg")

#: Inner boxes by the number of axes, as far as the image goes.
BLOCK: dict[int, PerAxis] = {2: (4096, 4096), 3: (128, 512, 512)}
#: Values that normalisation is estimated from at most, and boxes that they come from.
SAMPLE, BOXES = 2**24, 64
#: Decode halo, in multiples of how long all but the largest objects are: half of one to the edge
#: of an object that grew from a pixel within, and all of another one that might be in its way.
REACH = 1.5
#: Bytes of a process that decodes, and per pixel of its labels; what is decoded at once has sizes
#: that are multiples of GRAIN, so that they can be cut into chunks.
DECODE, LABELS, GRAIN = 2.5e9, 8, 32
#: GB for a tile of the net: on a GPU, elsewhere where nothing is said of memory. Fixed, so that
#: tiles are the same however many workers share memory.
GPU_TILE, TILE = 6.0, 1.0


@dataclass(frozen=True)
class BlockOptions:
    """How an image is cut and worked on; None is for what suits it.

    Attributes
    ----------
    block : tuple of int, optional
        Size of what is written at once.
    halo : tuple of int, optional
        How far maps are decoded beyond it.
    workers : int
        Processes on this machine; 1 works in this one.
    scheduler : str, optional
        Address of a dask scheduler whose workers to use instead.
    threads : int, optional
        Of each process; results depend on it in the last digits.
    memory : str, optional
        Limit of each process, such as "4GB".
    """

    block: PerAxis | None = None
    halo: PerAxis | None = None
    workers: int = 1
    scheduler: str | None = None
    threads: int | None = None
    memory: str | None = None


def plan_blocks(
    model: TrainedNet | Ensemble,
    image: LazyImage,
    scratch: Path,
    options: BlockOptions,
    home: Path | None = None,
) -> Job:
    """Decide on blocks and halos, and write the model that processes will load.

    Parameters
    ----------
    model : Applied or Ensemble
    image : LazyImage
        With space axes and perhaps channels.
    scratch : Path
        Folder to work in.
    options : BlockOptions
    home : Path, optional
        Folder of the model, which remembers how far the net sees.

    Raises
    ------
    DataError, UsageError
        If image and model do not fit, or blocks are smaller than their halo.
    """
    config, ndim = model.config, len(image.axes.replace("C", ""))
    method = config.method.in_blocks()
    _check(model, image, ndim)
    divisor = _divisor(model, ndim)
    load_source.cache_clear()
    frozen = scratch / "model"
    freeze(model, frozen, sample(image), options.memory)
    # Where a 2D net sees planes of a volume, or a spacing is not known, images stay as they are.
    known = config.spacing_known and ndim == config.ndim
    ready = brought_to(image, config.spacing) if known else image
    source = ModelMaps(str(frozen), ready.spacing)
    seen = _probed(model, ready, source, divisor, home or scratch)
    first = _look(ready, source, str(model.device), _corner(ready, divisor))
    for path in _configs(frozen):
        held = load_config(path)
        save_config(held.changed({"predict.halo": list(seen.pixels[-held.ndim :])}), path)
    load_source.cache_clear()
    shape = ready.shape[-ndim:]
    size = _size(shape, options.block or BLOCK[ndim], divisor)
    reach = options.halo or _reach(config, first.spacing, ndim)
    if method.join == "none":
        reach = (0,) * ndim
    for name, value in (("halo of the net", seen.pixels), ("halo of decoding", reach)):
        if len(value) != ndim or any(
            s < n and s < h for s, n, h in zip(size, shape, value, strict=False)
        ):
            raise UsageError(
                f"blocks of {_text(size)} pixels are smaller than the {name}, "
                f"{_text(value)}; choose larger ones"
            )
    log.info(
        "blocks of %s, read %s and decoded %s beyond", _text(size), _text(seen.pixels), _text(reach)
    )
    part = largest_inner_shape(
        size, reach, tuple(min(n, GRAIN) for n in size), _pixels(options, first)
    )
    return Job(
        ready,
        source,
        method,
        first.specs,
        first.spacing,
        str(scratch),
        size,
        part,
        divisor,
        seen.pixels,
        reach,
        str(model.device),
        _threads(options),
        _pixels(options, first) if options.memory else MOST,
    )


def _threads(options: BlockOptions) -> int | None:
    """Return the threads of a process: several of them on one machine share its cores."""
    if options.threads or options.workers == 1:
        return options.threads
    return max(1, (os.cpu_count() or 1) // options.workers)


def _pixels(options: BlockOptions, maps: Maps) -> int:
    """Return how many pixels may be decoded at once."""
    memory = parse_memory(options.memory) if options.memory else DECODE
    return max(1, int((memory - PROCESS) / (MAPS * len(maps.data) + LABELS + DECODING / 2)))


def _text(values: PerAxis) -> str:
    return " x ".join(map(str, values))


def _check(model: TrainedNet | Ensemble, image: LazyImage, ndim: int) -> None:
    config, channels = model.config, image.shape[0] if "C" in image.axes else 1
    if "T" in image.axes:
        raise DataError(
            f"{image.source}: has a time axis ({image.axes}); in blocks an image is "
            "segmented, not a film: store its frames one by one"
        )
    if channels != config.channels:
        raise DataError(f"{image.source}: {channels} channel(s), the model has {config.channels}")
    if ndim < config.ndim or (ndim > config.ndim and not config.predict.planes):
        raise DataError(
            f"{image.source}: {ndim}D ({image.axes}), the model is {config.ndim}D"
            + ("; --planes applies it to volumes" if ndim > config.ndim else "")
        )
    if ndim > config.ndim and model.links_planes(image.spacing):
        raise UsageError(
            f"{image.source}: planes of this volume can only be segmented one by one "
            "and linked, which is not done in blocks; side views need a known spacing "
            "with axes within a factor of 3"
        )


def _divisor(model: TrainedNet | Ensemble, ndim: int) -> PerAxis:
    """Return what boxes begin at multiples of, so that the net sees the same grid in each."""
    configs = (
        [load_config(folder / "config.json") for folder in model.folders]
        if isinstance(model, Ensemble)
        else [model.config]
    )
    divisor = (1,) * ndim
    for config in configs:
        own = config.net.divisor(config.spacing, config.train.crop)
        # Planes are taken across any axis.
        own = own if config.ndim == ndim else (lcm(*own),) * ndim
        divisor = tuple(map(lcm, divisor, own))
    return divisor


def _size(shape: PerAxis, wanted: PerAxis, divisor: PerAxis) -> PerAxis:
    if len(wanted) != len(shape) or min(wanted) < 1:
        raise UsageError(
            f"block {_text(wanted)}: expected {len(shape)} positive values for an "
            f"image of {_text(shape)} pixels"
        )
    return tuple(-(-min(n, w) // d) * d for n, w, d in zip(shape, wanted, divisor, strict=True))


def _reach(config: Config, spacing: Spacing, ndim: int) -> PerAxis:
    """Return how far to decode beyond a block: as objects of the training data are large."""
    extent = config.extent or (32.0 * min(spacing),) * ndim
    if len(extent) < ndim:
        extent = (max(extent),) * ndim
    return tuple(
        int(np.ceil(REACH * length / step)) for length, step in zip(extent, spacing, strict=True)
    )


# -- the model as all processes load it ------------------------------------------------------------
def freeze(
    model: TrainedNet | Ensemble, folder: Path, values: NDArray[Any], memory: str | None = None
) -> None:
    """Write a model whose normalisation is that of the whole image, whatever box it gets.

    Its tiles are of one size too, not as large as the memory that happens to be free allows.
    """
    tile = tile_memory(memory, model.device)
    shutil.rmtree(folder, ignore_errors=True)
    if isinstance(model, Ensemble):
        shutil.copytree(model.folders[0].parent.parent, folder)
        write_ensemble(folder, model)
    else:
        folder.mkdir(parents=True)
        save_weights(model.net.state_dict(), folder / "weights.safetensors")
        save_config(model.config, folder / "config.json")
    for path in _configs(folder):
        config = load_config(path)
        predict = config.predict
        if predict.tile is None and predict.memory is None:
            predict = predict.model_copy(update={"memory": tile})
        save_config(
            config.model_copy(
                update={"normalize": config.normalize.fixed(values), "predict": predict}
            ),
            path,
        )


def tile_memory(memory: str | None, device: torch.device) -> float:
    """Return the GB that a tile of the net may take, in a process of so much memory."""
    if device.type != "cpu":
        return GPU_TILE
    return 0.4e-9 * parse_memory(memory) if memory else TILE


def _configs(folder: Path) -> list[Path]:
    return [folder / "config.json", *sorted(folder.glob("members/*/config.json"))]


def sample(image: LazyImage) -> NDArray[Any]:
    """Return values that stand for all of an image, (C, n), from boxes spread over it evenly.

    All values of a small image. What they say of the whole is the same in every block.
    """
    from itertools import product

    ndim = len(image.axes.replace("C", ""))
    shape = image.shape[-ndim:]
    channels = image.shape[0] if "C" in image.axes else 1
    counts: PerAxis = (1,) * ndim
    length = shape
    if int(np.prod(shape)) > SAMPLE:
        each = round(BOXES ** (1 / ndim))
        edge = int((SAMPLE / BOXES) ** (1 / ndim))
        length = tuple(min(n, edge) for n in shape)
        counts = tuple(min(each, -(-n // edge)) for n in shape)
    starts = [
        np.linspace(0, n - size, count).astype(int)
        for n, size, count in zip(shape, length, counts, strict=True)
    ]
    parts = []
    for corner in product(*starts):
        box = tuple(slice(int(c), int(c) + size) for c, size in zip(corner, length, strict=True))
        parts.append(read(image, box).reshape(channels, -1))
    return np.concatenate(parts, axis=1)


# -- what the net sees -----------------------------------------------------------------------------
def _probed(
    model: TrainedNet | Ensemble,
    image: LazyImage | Resampled,
    source: ModelMaps,
    divisor: PerAxis,
    home: Path,
) -> halo.Halo:
    """Return the halo of the net, looked up in the model's folder or found and kept there."""
    predict, ndim = model.config.predict, len(divisor)
    if predict.halo is not None:
        given = predict.halo
        pixels = (
            (given,) * ndim
            if isinstance(given, int)
            else (given[0],) * (ndim - len(given)) + tuple(given)
        )
        return halo.Halo(pixels, float("nan"))
    about = [list(divisor), predict.tta]
    found = halo.remembered(home, about)
    if found is None:
        log.info("looking for how far the net sees")
        device = str(model.device)
        found = halo.probe(
            lambda box: _look(image, source, device, box), image.shape[-ndim:], divisor
        )
        halo.remember(home, about, found)
    return found


def _corner(image: LazyImage | Resampled, divisor: PerAxis) -> Box:
    return tuple(
        slice(0, min(n, d * -(-16 // d)))
        for n, d in zip(image.shape[-len(divisor) :], divisor, strict=True)
    )


def _look(image: LazyImage | Resampled, source: ModelMaps, device: str, box: Box) -> Maps:
    maps = source.maps(read(image, box), device)
    wanted = tuple(side.stop - side.start for side in box)
    if maps.shape != wanted:
        raise DataError(
            f"{image.source}: has a spacing of {image.spacing} µm, not that of the "
            f"model, {maps.spacing}; in blocks, volumes are not resampled for a 2D "
            "model: choose another level of the image, or resample it first"
        )
    return maps


def fingerprint(folder: Path) -> str:
    """Return what tells a model from another: its settings and weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.name in ("config.json", "weights.safetensors", ENSEMBLE):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
