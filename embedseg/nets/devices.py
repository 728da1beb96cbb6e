"""Which device to use, how much memory it has, and how many pixels fit into that."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_weights

from embedseg.types import UsageError

#: By the number of space axes: channels last is the faster layout on all devices.
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device of a name; "auto" is CUDA, else MPS, else the CPU.

    Raises
    ------
    UsageError
        If there is no such device here.

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
            f"device {name!r} is unknown; say auto, cpu, cuda, cuda:1 or mps"
        ) from None
    counts = {"cpu": 1, "cuda": torch.cuda.device_count() if cuda else 0, "mps": int(mps)}
    if (device.index or 0) >= counts.get(device.type, 0):
        here = [kind for kind, count in counts.items() if count]
        raise UsageError(f"device {str(name)!r} is not there; here are: {', '.join(here)}")
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Tell whether a device has instructions for bfloat16; without them it is slower, not faster.

    Examples
    --------
    >>> computes_bfloat16(torch.device("mps"))
    False
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(asked and asked())
    return False


def available_memory(device: torch.device) -> int:
    """Return the bytes that are free on a device.

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
    return min([_free_of_machine(), *_free_of_groups()])


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes that this process has held so far: of a GPU, or else of memory.

    None where the system does not say.

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
    """Tell whether an error says that memory ran out; only CUDA's has a type of its own.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("MPS backend out of memory")), is_out_of_memory(KeyError("a"))
    (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error).lower()
    phrases = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")
    return isinstance(error, RuntimeError) and any(phrase in said for phrase in phrases)


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Switch to evaluation without gradients, and back to each module's own mode.

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


def lean(net: nn.Module) -> nn.Module:
    """Return a net that puts out the same, but for rounding, in less time and memory.

    Batch normalisation becomes part of the convolution before it, rectifying happens in place, and
    on a CPU weights lie channels last. It holds for the weights as they are now; the net itself,
    which has to be in evaluation mode, stays as it is.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    >>> [type(layer).__name__ for layer in lean(net)]
    ['Identity', 'Conv2d', 'ReLU']
    """
    slim = copy.copy(net)
    slim._modules = {name: child and lean(child) for name, child in net._modules.items()}
    if isinstance(slim, _ConvNd) and slim.weight.device.type == "cpu":
        weight = slim.weight.detach().contiguous(memory_format=LAYOUTS[slim.weight.ndim - 2])
        slim._parameters = slim._parameters | {"weight": nn.Parameter(weight, requires_grad=False)}
    if isinstance(slim, nn.Sequential):
        slim._modules = dict(zip(slim._modules, _merged(slim), strict=True))
    return slim


def _merged(layers: Iterable[nn.Module]) -> list[nn.Module]:
    """Return as many layers that do the same one after the other."""
    merged: list[nn.Module] = []
    for layer in layers:
        before = merged[-1] if merged else None
        if isinstance(before, _ConvNd) and isinstance(layer, _BatchNorm):
            merged[-1:] = [nn.Identity(), _with_norm(before, layer)]
        elif isinstance(before, _ConvNd | _BatchNorm) and isinstance(layer, nn.ReLU):
            # Nobody else holds what is rectified.
            merged.append(nn.ReLU(inplace=True))
        else:
            merged.append(layer)
    return merged


def _with_norm(layer: _ConvNd, norm: _BatchNorm) -> _ConvNd:
    """Return a convolution that is normalised by the statistics of the training."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    weight, bias = fuse_conv_bn_weights(
        layer.weight, layer.bias, mean, variance, norm.eps, norm.weight, norm.bias, layer.transposed
    )
    merged = copy.copy(layer)
    merged._parameters = {"weight": weight, "bias": bias}
    return merged


def _free_of_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        pass
    try:  # macOS says only how much there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):  # Windows
        return 4 * 2**30


def _free_of_groups() -> list[int]:
    """Return what the control groups of this process leave: containers, batch systems."""
    try:
        entry = Path("/proc/self/cgroup").read_text().splitlines()[-1].partition("::")[2]
    except (OSError, IndexError):
        return []
    free = []
    for folder in {Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup") / entry.lstrip("/")}:
        try:
            limit = int((folder / "memory.max").read_text())
            used = int((folder / "memory.current").read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        free.append(max(0, limit - used + int(stat.get("inactive_file", 0))))
    return free
