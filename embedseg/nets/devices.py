"""Devices: choice, precision, memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from embedseg.common import free_memory
from embedseg.types import UsageError


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device of a name; "auto" is CUDA, else MPS, else the CPU.

    Raises
    ------
    UsageError
        If there is no such device.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(
            f"device {name!r} is unknown; expected auto, cpu, cuda, cuda:1 or mps"
        ) from None
    counts = {"cpu": 1, "cuda": torch.cuda.device_count() if cuda else 0, "mps": int(mps)}
    if (device.index or 0) >= counts.get(device.type, 0):
        here = [kind for kind, count in counts.items() if count]
        raise UsageError(f"device {str(name)!r} was not found; available: {', '.join(here)}")
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16; without them it is slower.

    Examples
    --------
    >>> computes_bfloat16(torch.device("mps"))
    False
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(supported and supported())
    return False


def available_memory(device: torch.device) -> int:
    """Return the free memory of a device, bytes.

    Examples
    --------
    >>> available_memory(torch.device("cpu")) > 0
    True
    """
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return free_memory()


def peak_memory(device: torch.device) -> int | None:
    """Return the peak memory of this process so far, bytes: of a GPU, or else of the machine.

    None where the system does not measure it.

    Examples
    --------
    >>> peak_memory(torch.device("cpu")) > 10**7
    True
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out; only CUDA's has its own type.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("MPS backend out of memory")), is_out_of_memory(KeyError("a"))
    (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    phrases = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")
    return isinstance(error, RuntimeError) and any(phrase in message for phrase in phrases)


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Switch to evaluation without gradients, then back to the mode of each module.

    Examples
    --------
    >>> net = nn.Dropout().train()
    >>> with evaluating(net):
    ...     net.training, torch.is_grad_enabled()
    (False, False)
    >>> net.training
    True
    """
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
