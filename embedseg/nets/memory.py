"""Memory of a net, measured without computing.

Sizes come from a dry run on tensors with shapes but no values, in which every storage is counted
while it lives. For the memory of libraries there are a measured factor and a constant.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from embedseg.nets.devices import available_memory
from embedseg.nets.fused import LAYOUTS, fused_for_inference

#: Bytes of Python with torch, numba and the rest loaded; of compiled kernels and thread buffers.
PROCESS, KERNELS = 420e6, 40e6
#: Real memory over that of the tensors: scratch space of convolutions, holes in the heap. On a CPU
#: it was 1.1 to 1.6, for both nets, in 2D and 3D, in single and half precision.
OVERHEAD = 1.3
#: Share of the free memory to plan with; on a GPU nothing else grows meanwhile.
SHARES = {"cuda": 0.8, "mps": 0.6, "cpu": 0.6}
#: Kernels index with 32 bits: no tensor may hold more values.
MOST_VALUES = 2**31 - 1
#: Bytes per pixel of an image: as read, normalised and padded, per channel; of each map; of
#: labels and of grouping pixels into objects.
IMAGE, MAPS, DECODING = 12, 2, 24
#: What the loss and its targets hold at once, in multiples of the maps in single precision.
LOSS = 8


class Tracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A counter of the bytes of all tensors that are made within it, while they live.

    Attributes
    ----------
    peak : int
        Most bytes that lived at once.
    largest : int
        Most values in one tensor.

    Examples
    --------
    >>> with Tracker() as tracker:
    ...     for _ in range(3):
    ...         values = torch.zeros(100)
    >>> tracker.peak
    800
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self.largest = self._now = 0
        self._held: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Else torch imports its compiler to keep it away from here, as slow as importing torch.
        return False

    def add(self, tensor: Tensor) -> None:
        """Count an existing tensor."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        self.largest = max(self.largest, tensor.numel())
        if key in self._held:
            return
        self._held.add(key)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._held.discard(key)
        self._now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_iter(out):
            if isinstance(value, Tensor):
                self.add(value)
        return out


def training_memory(
    build: Callable[[], nn.Module],
    shape: Sequence[int],
    *,
    half: bool,
    average: bool = False,
) -> float:
    """Return the memory of a training, bytes: process, net, optimiser, a step; not the images.

    Parameters
    ----------
    build : callable
        Makes the net.
    shape : sequence of int
        Shape of a batch, (B, C, *space).
    half : bool
        Whether the net runs in half precision.
    average : bool
        Whether a moving average of the weights is kept.

    Examples
    --------
    >>> small, large = (training_memory(lambda: nn.Conv2d(1, 8, 3), (2, 1, n, n), half=False)
    ...                 for n in (64, 512))
    >>> large > small > PROCESS
    True
    """
    with FakeTensorMode():
        net = build().train()
        optimizer = torch.optim.AdamW(net.parameters())
        with Tracker() as tracker:
            for value in (*net.parameters(), *net.buffers()):
                tracker.add(value)
            for _ in range(2):  # from the second step on there are moments of the gradients
                optimizer.zero_grad()
                image = torch.zeros(*shape).contiguous(memory_format=LAYOUTS[len(shape) - 2])
                with torch.autocast("cpu", torch.bfloat16, enabled=half):
                    maps = net(image).float()
                working = torch.empty(LOSS * maps.numel())
                maps.square().mean().backward()
                del image, maps, working
                optimizer.step()
        weights = sum(int(value.nbytes) for value in net.state_dict().values())
    # The best weights so far, a copy while they are saved, and the average.
    return float(PROCESS + KERNELS + OVERHEAD * tracker.peak + (2 + average) * weights)


def prediction_memory(
    build: Callable[[], nn.Module],
    channels: int,
    maps: int,
    shape: Sequence[int],
    divisor: Sequence[int],
    tile: float | None = None,
) -> tuple[float, float]:
    """Return the memory of segmenting one image, bytes: process and arrays, and a tile of the net.

    Parameters
    ----------
    build : callable
        Makes the net.
    channels, maps : int
        Channels of the image, and of the output of the net.
    shape : sequence of int
        Shape of the image, without channels.
    divisor : sequence of int
        Sizes of a tile must be multiples of it.
    tile : float, optional
        Bytes that a tile may take; default: the image is not cut.

    Examples
    --------
    >>> rest, tile = prediction_memory(
    ...     lambda: nn.Conv2d(1, 8, 3, padding=1), 1, 8, (4000, 4000), (1, 1), tile=1e8)
    >>> rest > 4000 * 4000 * 16, tile
    (True, 100000000.0)
    """
    with FakeTensorMode():
        per_pixel = _per_pixel(
            fused_for_inference(build().eval()), channels, divisor, torch.device("cpu")
        )[0]
    padded = math.prod(-(-n // d) * d for n, d in zip(shape, divisor, strict=True))
    arrays = padded * (channels * IMAGE + maps * MAPS + DECODING)
    return PROCESS + KERNELS + arrays, min(per_pixel * padded, tile or math.inf)


def _per_pixel(
    net: nn.Module, channels: int, divisor: Sequence[int], device: torch.device
) -> tuple[float, float]:
    """Return bytes, and values of the largest tensor, per pixel of an image put through a net."""
    with torch.inference_mode(), Tracker() as tracker:
        image = torch.zeros(1, channels, *(2 * d for d in divisor), device=device)
        net(image)
    pixels = image[0, 0].numel()
    return OVERHEAD * tracker.peak / pixels, tracker.largest / pixels


def pixels_that_fit(
    net: nn.Module,
    channels: int,
    divisor: Sequence[int],
    device: torch.device,
    memory: float | None = None,
) -> float:
    """Return how many pixels of one image fit into memory at once.

    The net, in evaluation mode, is run on a tiny image.

    Parameters
    ----------
    net : nn.Module
        On `device`.
    channels : int
        Channels of the image.
    divisor : tuple of int
        Sizes of an image must be multiples of it.
    device : torch.device
    memory : float, optional
        Bytes to plan with; default: a share of the free memory.

    Examples
    --------
    >>> net = nn.Conv2d(1, 10, 3, padding=1).eval()
    >>> round(pixels_that_fit(net, 1, (1, 1), torch.device("cpu"), memory=4400 * OVERHEAD))
    100
    """
    held, values = _per_pixel(net, channels, divisor, device)
    if memory is None:
        memory = SHARES.get(device.type, 0.6) * available_memory(device)
    return min(memory / held, MOST_VALUES / values)
