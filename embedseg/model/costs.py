"""Costs of training and prediction, and settings that keep to a limit."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from embedseg.common import total_memory
from embedseg.model.config import Config
from embedseg.nets import LAYOUTS, Net, prediction_memory, resolve_device, training_memory
from embedseg.types import UsageError

#: No axis of a crop is made shorter than this, pixels.
SMALLEST = 32
#: How often a crop is timed.
TIMED = 5


@dataclass(frozen=True)
class Estimate:
    """Costs of a training on a device.

    Attributes
    ----------
    parameters : int
        Weights of the net.
    training : float
        Bytes that the process takes at most while it trains, the images included.
    prediction : float
        Bytes that it takes at most while it segments the largest image.
    step : float
        Seconds for one step; 0 if that was not measured, or does not fit into the memory.
    """

    parameters: int
    training: float
    prediction: float
    step: float = 0.0


def estimate_costs(
    config: Config,
    device: str = "auto",
    shapes: Sequence[tuple[int, ...]] = (),
    *,
    timed: bool = True,
) -> Estimate:
    """Estimate what training and prediction take: memory by a dry run, time from one crop.

    Parameters
    ----------
    config : Config
    device : str
        Device that it will run on. On a GPU the memory is divided between it and the process.
    shapes : sequence of tuple of int
        Sizes of the training images.
    timed : bool
        Whether to time one crop, forward and backward.
    """
    on, train = resolve_device(device), config.train
    with torch.random.fork_rng():
        torch.manual_seed(train.seed)
        net = config.build_net()
    training = _training(config, on, shapes)
    timed = timed and training <= memory_of(on)
    step = train.batch * train.accumulate * _seconds(net, config, on) if timed else 0.0
    return Estimate(
        sum(p.numel() for p in net.parameters()),
        training,
        sum(_prediction(config, shapes)),
        step,
    )


def memory_of(device: torch.device) -> float:
    """Return the bytes of memory of the machine, and of a GPU besides."""
    if device.type != "cuda":
        return total_memory()
    return total_memory() + torch.cuda.get_device_properties(device).total_memory


def check_memory(config: Config, shapes: Sequence[tuple[int, ...]], device: str = "auto") -> None:
    """Check that training fits into the memory of the machine.

    Raises
    ------
    UsageError
        If it takes more than there is; the message names the way on.
    """
    on = resolve_device(device)
    needed, held = _training(config, on, shapes), memory_of(on)
    if needed > held:
        raise UsageError(
            f"training takes about {needed / 1e9:.2g} GB, this machine has {held / 1e9:.2g} GB; "
            f"--memory {0.6 * held / 1e9:.1f}GB chooses batch and crop to fit"
        )


def _training(config: Config, device: torch.device, shapes: Sequence[tuple[int, ...]]) -> float:
    """Return the bytes of training, images and labels included."""
    train = config.train
    images = sum(math.prod(shape) for shape in shapes) * (4 * config.channels + 4)
    return images + training_memory(
        config.build_net,
        (train.batch, config.channels, *train.crop),
        half=train.precision_on(device) != "32-true",
        average=train.average > 0,
    )


def _prediction(config: Config, shapes: Sequence[tuple[int, ...]]) -> tuple[float, float]:
    """Return the bytes of segmenting the largest image: process and arrays, and a tile."""
    largest = max(shapes, key=math.prod, default=config.train.crop)[-config.ndim :]
    budget = config.predict.memory and config.predict.memory * 1e9
    return prediction_memory(
        config.build_net,
        config.channels,
        sum(spec.channels for spec in config.method.maps(config.ndim)),
        largest,
        config.net.divisor(config.spacing, config.train.crop),
        budget,
    )


def _seconds(net: Net, config: Config, device: torch.device) -> float:
    """Return the seconds that one crop takes, forward and backward."""
    image = torch.zeros(1, config.channels, *config.train.crop, device=device)
    # In evaluation mode, which costs the same: statistics over one value are an error in training.
    net = net.eval().to(device)
    net.to(memory_format=LAYOUTS[config.ndim])  # type: ignore[call-overload]
    half = config.train.precision_on(device) != "32-true"
    took = []
    for _ in range(TIMED):
        begun = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            value = net(image).square().mean()
        value.backward()
        took.append(time.perf_counter() - begun)
    # The first time warms up, and others may meet other work of the machine.
    return min(took)


def fit_to_memory(
    config: Config, limit: float, shapes: Sequence[tuple[int, ...]], device: str = "auto"
) -> Config:
    """Return a configuration whose training and prediction keep to a memory limit.

    The batch becomes smaller first, with gradients accumulated instead; then the crop.
    Prediction is cut into tiles.

    Parameters
    ----------
    config : Config
    limit : float
        Bytes.
    shapes : sequence of tuple of int
        Sizes of the training images.
    device : str

    Raises
    ------
    UsageError
        If even the smallest crop takes more; the message suggests what takes less.
    """
    batch = config.train.batch
    on = resolve_device(device)
    while (needed := _training(config, on, shapes)) > limit:
        smaller = _smaller(config)
        if smaller is None:
            raise UsageError(
                f"memory of {limit / 1e9:.2g} GB: training takes at least "
                f"{needed / 1e9:.2g} GB with this net and these images; a smaller net "
                "(net.width) or fewer images take less"
            )
        config = smaller
    # As many crops in a step of the optimiser as before.
    times = -(-batch // config.train.batch)
    config = config.changed({"train.accumulate": config.train.accumulate * times})
    rest, tile = _prediction(config, shapes)
    if rest + tile > limit:
        config = config.changed({"predict.memory": max(limit - rest, 0.02 * limit) / 1e9})
    return config


def _smaller(config: Config) -> Config | None:
    """Return a configuration with the next smaller batch, or crop; None if there is none."""
    train = config.train
    if train.batch > 1:
        return config.changed({"train.batch": train.batch // 2})
    longest = int(np.argmax(train.crop))
    for less in range(8, train.crop[longest] - SMALLEST + 1, 8):
        crop = [n - less * (axis == longest) for axis, n in enumerate(train.crop)]
        fitting = config.net.fit_crop(crop, config.spacing)
        if math.prod(fitting) < math.prod(train.crop):
            return config.changed({"train.crop": list(fitting)})
    return None
