"""Example images that a package shows and is tested with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from embedseg.data import Sample, load_training, resample_sample, split_planes
from embedseg.geometry import pad_to_multiple
from embedseg.images import blobs
from embedseg.methods import ACTIVATIONS
from embedseg.model import Config, TrainedNet
from embedseg.nets import Net
from embedseg.plots import (
    Colours,
    middle_views,
    paint_classes,
    paint_image,
    paint_labels,
    take_plane,
)
from embedseg.types import DataError, PerAxis, Spacing, check_image, fill_missing

#: Pixels along an axis of an example at most, by number of axes.
LARGEST = {2: 256, 3: 64}
#: Objects of a synthetic image at most.
CROWD = 40
#: Rows of the cover; it is twice as wide.
COVER = 320


@dataclass(frozen=True)
class Example:
    """An image, with its maps and labels by a model.

    Attributes
    ----------
    image : (C, *space) float32 ndarray
        As read, in the model's spacing; its sizes are multiples of the divisor.
    output : (M, *space) float32 ndarray
        Output of the net, activated as described.
    labels : (*space) int32 ndarray
        Decoded labels.
    source : str
        Origin of the image.
    """

    image: NDArray[np.float32]
    output: NDArray[np.float32]
    labels: NDArray[np.int32]
    source: str


def make_example(config: Config, net: Net, activation: str, data: Path | None) -> Example:
    """Apply a model to a validation image, or to a synthetic one.

    Parameters
    ----------
    config : Config
    net : Net
        In evaluation mode.
    activation : str
        Activation of all of the net's output: a name in `embedseg.methods.ACTIVATIONS`.
    data : Path, optional
        Data folder.

    Raises
    ------
    DataError
        If the data do not fit the model.
    """
    least = smallest_sizes(config, net.divisor)
    image, source = (
        _validation(config, data)
        if data
        else (_synthetic(config, net.divisor, least), "synthetic blobs")
    )
    image = _piece(image, net.divisor, least)
    normal = fill_missing(config.normalize.apply(image))
    with torch.inference_mode():
        output = ACTIVATIONS[activation](net(torch.from_numpy(normal)[None]))[0].numpy()
    maps = TrainedNet(config, net, torch.device("cpu")).ready_maps(normal)
    return Example(image, output, config.method.decode(maps).labels, source)


def smallest_sizes(config: Config, divisor: PerAxis) -> PerAxis:
    """Return the smallest sizes of an image: four samples at the coarsest level, or a crop."""
    return tuple(
        max(d, 2, min(4 * d, crop)) for d, crop in zip(divisor, config.train.crop, strict=True)
    )


def _validation(config: Config, data: Path) -> tuple[NDArray[np.float32], str]:
    loaded = load_training(data, config.data, config.channels)
    samples = [*loaded.val, *loaded.train]
    sample = next((s for s in samples if (s.labels > 0).any()), samples[0])
    if sample.labels.ndim not in (config.ndim, config.ndim + 1):
        raise DataError(f"{sample.path}: {sample.labels.ndim}D, the model is {config.ndim}D")
    check_image(sample.image, sample.labels.ndim, config.channels, str(sample.path))
    planes = split_planes(sample) if sample.labels.ndim > config.ndim else [sample]
    fullest = max(planes, key=_inside)
    ready = resample_sample(fullest, config.spacing) if config.spacing_known else fullest
    return ready.image.astype(np.float32), f"the image {fullest.name}"


def _inside(sample: Sample) -> int:
    return int((sample.labels > 0).sum())


def _synthetic(config: Config, divisor: PerAxis, least: PerAxis) -> NDArray[np.float32]:
    """Make an image of blobs about as large as the training objects."""
    shape = tuple(
        max(m, LARGEST[config.ndim] // d * d) for m, d in zip(least, divisor, strict=True)
    )
    size = np.multiply(shape, config.spacing)
    # `extent` is that of large objects; typical ones are half as long.
    radius = min(min(config.extent or size / 4) / 4, min(size) / 3)
    ball = math.pi ** (config.ndim / 2) / math.gamma(config.ndim / 2 + 1) * radius**config.ndim
    count = int(np.clip(size.prod() / 4 / ball, 3, CROWD))
    image, _ = blobs(shape, count, spacing=config.spacing, radius=radius)
    return np.repeat(200 * np.clip(image, 0, None)[np.newaxis], config.channels, 0)


def _piece(image: NDArray[np.float32], divisor: PerAxis, least: PerAxis) -> NDArray[np.float32]:
    """Return the middle of an image, of sizes that are multiples of the divisor."""
    short = tuple(m if n < m else 1 for n, m in zip(image.shape[1:], least, strict=True))
    image, _ = pad_to_multiple(image, short)
    limit, where = LARGEST[len(divisor)], []
    for n, d, m in zip(image.shape[1:], divisor, least, strict=True):
        size = max(min(n, limit) // d * d, m)
        where.append(slice((n - size) // 2, (n - size) // 2 + size))
    return np.ascontiguousarray(image[(slice(None), *where)])


def paint_cover(example: Example, config: Config) -> Colours:
    """Paint an example beside its labels; of a volume, a plane.

    Returns
    -------
    (Y, X, 3) uint8 ndarray
        Twice as wide as high.
    """
    labels, colours = example.labels, config.method.colours
    view = middle_views(labels.shape)[0]
    if labels.ndim == 3 and not colours:
        view = (0, int((labels > 0).sum((1, 2)).argmax()))
    plane: Spacing = config.spacing[-2:]
    found = take_plane(labels, view)
    painted = paint_classes(found, colours) if colours else paint_labels(found)
    square = _square(found.shape, plane)
    return np.concatenate(
        [paint_image(take_plane(example.image, view, 1))[square], painted[square]], 1
    )


def _square(shape: PerAxis, spacing: Spacing) -> tuple[NDArray[np.int64], ...]:
    """Return the indices that stretch the middle square of a plane to the cover's height."""
    side = min(np.multiply(shape, spacing))
    counts = [max(1, min(n, round(side / step))) for n, step in zip(shape, spacing, strict=True)]
    return np.ix_(
        *[
            (n - count) // 2 + np.arange(COVER) * count // COVER
            for n, count in zip(shape, counts, strict=True)
        ]
    )
