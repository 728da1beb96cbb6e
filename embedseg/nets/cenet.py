"""CE-Net: residual encoder, dense atrous block, multi-kernel pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, max_pool3d, relu

from embedseg.nets.base import Net, NetOptions
from embedseg.nets.layers import (
    Norm,
    Width,
    axis_kernels,
    axis_strides,
    conv,
    doubling,
    initialise,
    norm,
    product,
    shrinking,
    up,
)
from embedseg.types import PerAxis, Spacing

#: Rates of the convolutions in each branch of the dense atrous block.
RATES = ((1,), (3,), (1, 3), (1, 3, 5))
#: Windows of the residual multi-kernel pooling.
WINDOWS = (2, 3, 5, 6)
#: By the number of axes.
POOLS = {2: (max_pool2d, "bilinear"), 3: (max_pool3d, "trilinear")}


@final
class CENetOptions(NetOptions):
    """Options of a CE-Net; its encoder starts from random weights, nothing is downloaded.

    Attributes
    ----------
    width : int
        Channels of the finest level; each coarser one has twice as many.
    max_width : int
        No level has more channels than this.
    depth : int
        How often the net shrinks. Fewer on crops too small for it.
    blocks : int
        Residual blocks per level of the encoder.
    norm : {"batch", "group"}
        Normalisation.

    References
    ----------
    Gu et al.: CE-Net, IEEE TMI 38, 2019, arXiv:1903.02740.
    """

    type: Literal["cenet"] = "cenet"
    width: Width = 32
    max_width: Width = 256
    depth: int = Field(default=4, ge=1, le=8)
    blocks: int = Field(default=2, ge=1, le=64)
    norm: Norm = "batch"

    def strides(self, spacing: Spacing, crop: Sequence[int]) -> list[PerAxis]:
        """Return the stride of each level, the stem first."""
        return shrinking(axis_strides(spacing, crop, self.depth))

    def make(
        self, channels: int, heads: Sequence[int], spacing: Spacing, crop: Sequence[int]
    ) -> Net:
        """Return a net with fresh weights."""
        strides = self.strides(spacing, crop)
        return CENet(channels, heads, strides, axis_kernels(spacing, crop, strides), self)


class _Residual(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(
        self, inputs: int, outputs: int, kernel: PerAxis, stride: PerAxis, kind: Norm
    ) -> None:
        super().__init__()
        ndim = len(kernel)
        self.convs = nn.Sequential(
            conv(ndim, inputs, outputs, kernel, stride=stride, bias=False),
            norm(ndim, kind, outputs),
            nn.ReLU(),
            conv(ndim, outputs, outputs, kernel, bias=False),
            norm(ndim, kind, outputs),
        )
        self.around: nn.Module = nn.Identity()
        if inputs != outputs or max(stride) > 1:
            self.around = nn.Sequential(
                conv(ndim, inputs, outputs, (1,) * ndim, stride=stride, bias=False),
                norm(ndim, kind, outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.convs(x) + self.around(x))


class _DenseAtrous(nn.Module):
    """Branches of dilated convolutions with growing receptive fields, added to their input."""

    def __init__(self, channels: int, kernel: PerAxis) -> None:
        super().__init__()
        ndim = len(kernel)

        def branch(rates: tuple[int, ...]) -> nn.Sequential:
            layers = [conv(ndim, channels, channels, kernel, dilation=rate) for rate in rates]
            if rates != (1,):
                layers.append(conv(ndim, channels, channels, (1,) * ndim))
            return nn.Sequential(*layers)

        self.branches = nn.ModuleList(branch(rates) for rates in RATES)

    def forward(self, x: Tensor) -> Tensor:
        return x + sum(relu(branch(x)) for branch in self.branches)


class _MultiKernelPool(nn.Module):
    """Max pooling over windows of several sizes, one channel each, beside the features."""

    def __init__(self, channels: int, ndim: int) -> None:
        super().__init__()
        self.squeeze = nn.ModuleList(conv(ndim, channels, 1, (1,) * ndim) for _ in WINDOWS)

    def forward(self, x: Tensor) -> Tensor:
        space = x.shape[2:]
        pooled, mode = POOLS[len(space)]
        features = [x]
        for window, squeeze in zip(WINDOWS, self.squeeze, strict=True):
            # The last window may reach beyond the edge, and is cropped after enlarging.
            small = squeeze(pooled(x, window, ceil_mode=True))
            large = interpolate(small, scale_factor=float(window), mode=mode, align_corners=False)
            for axis, n in enumerate(space, 2):
                large = large.narrow(axis, 0, n)
            features.append(large)
        return torch.cat(features, dim=1)


class _Widen(nn.Module):
    """Upsampling to the next finer level, through a quarter of the channels."""

    def __init__(self, inputs: int, outputs: int, stride: PerAxis, kind: Norm) -> None:
        super().__init__()
        ndim, inner = len(stride), max(1, inputs // 4)
        ones = (1,) * ndim
        self.layers = nn.Sequential(
            conv(ndim, inputs, inner, ones, bias=False),
            norm(ndim, kind, inner),
            nn.ReLU(),
            up(ndim, inner, inner, stride, overlap=True, bias=False),
            norm(ndim, kind, inner),
            nn.ReLU(),
            conv(ndim, inner, outputs, ones, bias=False),
            norm(ndim, kind, outputs),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


@final
class CENet(Net):
    """Residual encoder, context, and a decoder whose skip connections are sums.

    Parameters
    ----------
    channels : int
        Channels of an image.
    heads : sequence of int
        Channels of each head.
    strides : sequence of tuple of int
        Of each level, the stem first.
    kernels : sequence of tuple of int
        At each resolution, the full one first.
    options : CENetOptions
        Widths, blocks, normalisation.
    """

    def __init__(
        self,
        channels: int,
        heads: Sequence[int],
        strides: Sequence[PerAxis],
        kernels: Sequence[PerAxis],
        options: CENetOptions,
    ) -> None:
        ndim, kind, (first, *further) = len(kernels[0]), options.norm, strides
        widths = doubling(options.width, options.max_width, len(strides))
        super().__init__(
            product(strides, ndim), [up(ndim, widths[0], head, first) for head in heads]
        )
        self.stem = nn.Sequential(
            conv(ndim, channels, widths[0], kernels[0], stride=first, bias=False),
            norm(ndim, kind, widths[0]),
            nn.ReLU(),
        )
        inputs = [widths[0], *widths[:-1]]
        self.encoder = nn.ModuleList(
            nn.Sequential(
                _Residual(before, width, kernel, stride, kind),
                *(
                    _Residual(width, width, kernel, (1,) * ndim, kind)
                    for _ in range(options.blocks - 1)
                ),
            )
            for before, width, kernel, stride in zip(
                inputs, widths, kernels[1:], [(1,) * ndim, *further], strict=True
            )
        )
        self.context = nn.Sequential(
            _DenseAtrous(widths[-1], kernels[-1]), _MultiKernelPool(widths[-1], ndim)
        )
        deepest = widths[-1] + len(WINDOWS)
        self.decoder = nn.ModuleList(
            _Widen(
                deepest if level == len(further) else widths[level],
                widths[level - 1],
                further[level - 1],
                kind,
            )
            for level in range(len(further), 0, -1)
        )
        # A crop too small to shrink twice leaves no level to widen from.
        self.last = nn.Identity() if further else conv(ndim, deepest, widths[0], (1,) * ndim)
        initialise(self)

    def branches(self, image: Tensor) -> list[Tensor]:
        """Return the same features for each head, at the resolution of the stem."""
        features, x = [], self.stem(image)
        for level in self.encoder:
            x = level(x)
            features.append(x)
        x = self.last(self.context(x))
        for widen, skip in zip(self.decoder, features[-2::-1], strict=True):
            x = widen(x) + skip
        return [x] * len(self.outputs)
