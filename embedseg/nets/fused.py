"""Nets fused for inference: normalisation folded into convolutions."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_weights

#: By the number of space axes: channels last is the faster layout on all devices.
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}


def fused_for_inference(net: nn.Module) -> nn.Module:
    """Return a net with the same output, up to rounding, in less time and memory.

    Batch normalisation becomes part of the convolution before it, rectifying happens in place, and
    on a CPU weights lie channels last. The copy keeps the present weights; the net itself, which
    must be in evaluation mode, stays as it is.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    >>> [type(layer).__name__ for layer in fused_for_inference(net)]
    ['Identity', 'Conv2d', 'ReLU']
    """
    slim = copy.copy(net)
    slim._modules = {
        name: child and fused_for_inference(child) for name, child in net._modules.items()
    }
    if isinstance(slim, _ConvNd) and slim.weight.device.type == "cpu":
        weight = slim.weight.detach().contiguous(memory_format=LAYOUTS[slim.weight.ndim - 2])
        slim._parameters = slim._parameters | {"weight": nn.Parameter(weight, requires_grad=False)}
    if isinstance(slim, nn.Sequential):
        slim._modules = dict(zip(slim._modules, _merged(slim), strict=True))
    return slim


def _merged(layers: Iterable[nn.Module]) -> list[nn.Module]:
    """Return as many layers of the same effect, with normalisation merged into convolutions."""
    merged: list[nn.Module] = []
    for layer in layers:
        before = merged[-1] if merged else None
        if isinstance(before, _ConvNd) and isinstance(layer, _BatchNorm):
            merged[-1:] = [nn.Identity(), _with_norm(before, layer)]
        elif isinstance(before, _ConvNd | _BatchNorm) and isinstance(layer, nn.ReLU):
            # No other layer reads this input.
            merged.append(nn.ReLU(inplace=True))
        else:
            merged.append(layer)
    return merged


def _with_norm(layer: _ConvNd, norm: _BatchNorm) -> _ConvNd:
    """Return a convolution that includes a batch normalisation."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    weight, bias = fuse_conv_bn_weights(
        layer.weight, layer.bias, mean, variance, norm.eps, norm.weight, norm.bias, layer.transposed
    )
    merged = copy.copy(layer)
    merged._parameters = {"weight": weight, "bias": bias}
    return merged
