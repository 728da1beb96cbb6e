"""The model as all processes load it: the same for every block."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.blockwise.job import read_box
from embedseg.images import LazyImage, label_axes
from embedseg.model import ModelFolder, Predictor
from embedseg.nets import IMAGE, MAPS, PROCESS
from embedseg.types import PerAxis

#: Most values that normalisation is estimated from, and boxes that they come from.
SAMPLE, BOXES = 2**24, 64
#: GB for a tile of the net on a GPU.
GPU_TILE = 6.0


def freeze_model(model: Predictor, folder: Path, values: NDArray[Any], memory: float) -> None:
    """Write a model whose normalisation is that of the whole image, whatever box it gets.

    Its tiles are of one size too, for a process with `memory` bytes.
    """
    tile = _tile_memory(model, len(values), memory)
    shutil.rmtree(folder, ignore_errors=True)
    model.copy_to(folder)
    for part in ModelFolder(folder).parts():
        config = part.config()
        predict = config.predict
        if predict.tile is None and predict.memory is None:
            predict = predict.model_copy(update={"memory": tile})
        normalize = config.normalize.fixed(values)
        part.save_config(config.model_copy(update={"normalize": normalize, "predict": predict}))


def freeze_halo(folder: Path, halo: PerAxis) -> None:
    """Write the halo of the net, in pixels, into the model in a folder."""
    for part in ModelFolder(folder).parts():
        config = part.config()
        part.save_config(config.changed({"predict.halo": list(halo[-config.ndim :])}))


def _tile_memory(model: Predictor, channels: int, memory: float) -> float:
    """Return the GB that a tile of the net may take, beside its image and its maps."""
    if model.device.type != "cpu":
        return GPU_TILE
    free = max(memory - PROCESS, memory / 4)
    net = free / model.pixels_at_once(channels, free)
    config = model.config
    maps = sum(spec.channels for spec in config.method.maps(config.ndim))
    return 1e-9 * free * net / (net + IMAGE * channels + MAPS * maps)


def sample_values(image: LazyImage) -> NDArray[Any]:
    """Return values that represent an image, (C, n), from boxes spread over it evenly.

    All values of a small image.
    """
    ndim = len(label_axes(image.axes))
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
        parts.append(read_box(image, box).reshape(channels, -1))
    values = np.concatenate(parts, axis=1)
    # Percentiles of bool are none.
    return values.astype(np.uint8) if values.dtype.kind == "b" else values
