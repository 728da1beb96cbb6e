"""Layers in any number of dimensions, and strides that follow the spacing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import nn
from torch.nn.modules.conv import _ConvNd

from embedseg.types import PerAxis, Spacing

Norm = Literal["batch", "group"]
#: A number of channels.
Width = Annotated[int, Field(ge=1, le=4096)]

_Layers = Mapping[int, Callable[..., nn.Module]]
_CONV: _Layers = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: _Layers = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL: _Layers = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_BATCH: _Layers = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_DROPOUT: _Layers = {2: nn.Dropout2d, 3: nn.Dropout3d}

#: No axis is pooled to fewer samples than this.
FEWEST = 4


def conv(
    ndim: int,
    inputs: int,
    outputs: int,
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    dilation: int = 1,
    bias: bool = True,
) -> nn.Module:
    """Return a convolution that keeps the size, divided by the stride.

    Examples
    --------
    >>> import torch
    >>> layer = conv(2, 1, 8, (3, 3), stride=(2, 1))
    >>> layer(torch.zeros(1, 1, 6, 6)).shape
    torch.Size([1, 8, 3, 6])
    """
    pad = tuple(dilation * (k - 1) // 2 for k in kernel)
    dilations = tuple(dilation if k > 1 else 1 for k in kernel)
    return _CONV[ndim](
        inputs,
        outputs,
        kernel,
        stride=stride or (1,) * ndim,
        padding=pad,
        dilation=dilations,
        bias=bias,
    )


def up(
    ndim: int,
    inputs: int,
    outputs: int,
    stride: PerAxis,
    *,
    overlap: bool = False,
    bias: bool = True,
) -> nn.Module:
    """Return a transposed convolution that multiplies the size by the stride.

    Without `overlap` the kernel is the stride, so each output pixel has one input pixel and a
    layer with zero weights gives its bias everywhere. With it the kernel is 3 (stride 1 or 2).

    Examples
    --------
    >>> import torch
    >>> up(3, 8, 4, (1, 2, 2))(torch.zeros(1, 8, 5, 6, 6)).shape
    torch.Size([1, 4, 5, 12, 12])
    """
    if not overlap:
        return _TRANSPOSED[ndim](inputs, outputs, stride, stride=stride, bias=bias)
    extra = tuple(s - 1 for s in stride)
    return _TRANSPOSED[ndim](
        inputs, outputs, (3,) * ndim, stride=stride, padding=1, output_padding=extra, bias=bias
    )


def conv_block(
    inputs: int, outputs: int, kernel: PerAxis, kind: Norm, count: int = 2
) -> nn.Sequential:
    """Return some convolutions, each normalised and rectified.

    Examples
    --------
    >>> len(conv_block(1, 8, (3, 3), "batch"))
    6
    """
    ndim, layers = len(kernel), list[nn.Module]()
    for width in (inputs, *[outputs] * (count - 1)):
        layers += [
            conv(ndim, width, outputs, kernel, bias=False),
            norm(ndim, kind, outputs),
            # In place: the gradient of the normalisation does not need its output.
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def pool(ndim: int, stride: PerAxis) -> nn.Module:
    """Return max pooling over windows of the stride's size."""
    return _POOL[ndim](stride)


def norm(ndim: int, kind: Norm, channels: int, *, eps: float = 1e-5) -> nn.Module:
    """Return batch normalisation, or group normalisation in up to 8 groups.

    Groups avoid the noisy statistics of batches of one or two crops. But they are normalised over
    the whole input, so that the maps of a tile differ from those of the image it is cut from.

    Examples
    --------
    >>> norm(2, "group", 12)
    GroupNorm(4, 12, eps=1e-05, affine=True...)
    """
    if kind == "group":
        return nn.GroupNorm(math.gcd(8, channels), channels, eps=eps)
    return _BATCH[ndim](channels, eps=eps)


def dropout(ndim: int, share: float) -> nn.Module:
    """Return dropout of whole channels, or nothing for a share of 0."""
    return _DROPOUT[ndim](share) if share else nn.Identity()


def initialise(net: nn.Module) -> None:
    """Draw the weights of all convolutions after He et al.; biases are 0.

    The variance is 2 over the number of inputs of an output pixel, which for a transposed
    convolution is the size of its kernel over that of its stride.

    References
    ----------
    He et al.: Delving deep into rectifiers, ICCV 2015, arXiv:1502.01852.
    """
    for layer in net.modules():
        if not isinstance(layer, _ConvNd):
            continue
        fan = float(layer.in_channels * math.prod(layer.kernel_size))
        if layer.transposed:
            fan /= math.prod(layer.stride)
        nn.init.normal_(layer.weight, std=math.sqrt(2 / fan))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


# -- how strides and kernels follow the spacing ----------------------------------------------------
def axis_strides(spacing: Spacing, crop: Sequence[int], levels: int) -> list[PerAxis]:
    """Return the stride of each level: 2 along an axis that is pooled, else 1.

    An axis is not pooled while it is more than twice as coarse as the finest axis that can still be
    pooled, nor to fewer than 4 samples of a crop.

    Parameters
    ----------
    spacing : tuple of float
        µm per pixel, in array-axis order.
    crop : sequence of int
        Pixels per axis.
    levels : int
        Number of levels; the last ones may pool nothing.

    Examples
    --------
    >>> axis_strides((2.0, 0.5, 0.5), (16, 64, 64), levels=3)
    [(1, 2, 2), (2, 2, 2), (2, 2, 2)]
    >>> axis_strides((1.0, 1.0), (16, 64), levels=3)
    [(2, 2), (2, 2), (1, 2)]
    """
    step, size, strides = list(spacing), list(crop), []
    coarse = [True] * len(step)
    for _ in range(levels):
        coarse = _coarse(step, size, coarse)
        stride = tuple(
            1 if late or n < 2 * FEWEST else 2 for late, n in zip(coarse, size, strict=True)
        )
        strides.append(stride)
        step, size = _shrunk(step, size, stride)
    return strides


def shrinking(strides: Sequence[PerAxis]) -> list[PerAxis]:
    """Return the strides without those that shrink nothing.

    Examples
    --------
    >>> shrinking([(2, 2), (1, 2), (1, 1)])
    [(2, 2), (1, 2)]
    """
    return [stride for stride in strides if max(stride) > 1]


def doubling(width: int, most: int, levels: int) -> list[int]:
    """Return the channels of each level: twice those of the level before, up to `most`.

    Examples
    --------
    >>> doubling(32, 100, 4)
    [32, 64, 100, 100]
    """
    return [min(width * 2**level, most) for level in range(levels)]


def axis_kernels(
    spacing: Spacing, crop: Sequence[int], strides: Sequence[PerAxis]
) -> list[PerAxis]:
    """Return the kernel at each resolution, the full one first: one more than there are strides.

    It is 1 along an axis that is more than twice as coarse as the finest, else 3.

    Examples
    --------
    >>> axis_kernels((2.0, 0.5, 0.5), (16, 64, 64), [(1, 2, 2)])
    [(1, 3, 3), (3, 3, 3)]
    """
    step, size, kernels = list(spacing), list(crop), []
    coarse = [True] * len(step)
    for stride in [*strides, (1,) * len(step)]:
        coarse = _coarse(step, size, coarse)
        kernels.append(tuple(1 if late else 3 for late in coarse))
        step, size = _shrunk(step, size, stride)
    return kernels


def _coarse(step: Sequence[float], size: Sequence[int], before: Sequence[bool]) -> list[bool]:
    """Return which axes are more than twice as coarse as the finest that can be pooled.

    An axis without samples to pool stays fine: it must not keep the others from pooling, nor make
    them coarse again.
    """
    finest = min([a for a, n in zip(step, size, strict=True) if n >= 2 * FEWEST] or step)
    # A spacing may be off by one per cent.
    return [late and a > 2.02 * finest for late, a in zip(before, step, strict=True)]


def _shrunk(
    step: Sequence[float], size: Sequence[int], stride: PerAxis
) -> tuple[list[float], list[int]]:
    return (
        [a * s for a, s in zip(step, stride, strict=True)],
        [n // s for n, s in zip(size, stride, strict=True)],
    )


def product(strides: Sequence[PerAxis], ndim: int) -> PerAxis:
    """Return the joint stride of several levels.

    Examples
    --------
    >>> product([(1, 2, 2), (2, 2, 2)], ndim=3)
    (2, 4, 4)
    """
    return tuple(math.prod(stride[d] for stride in strides) for d in range(ndim))
