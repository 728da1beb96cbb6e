"""Branched ERFNet: a factorised residual encoder, a decoder per head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import relu

from embedseg.nets.base import Net, NetOptions
from embedseg.nets.layers import (
    Norm,
    axis_kernels,
    axis_strides,
    conv,
    dropout,
    initialise,
    norm,
    pool,
    product,
    up,
)
from embedseg.types import PerAxis, Spacing

EPS = 1e-3

Dropped = Annotated[float, Field(ge=0, lt=1)]


@final
class ERFNetOptions(NetOptions):
    """Options of a branched ERFNet.

    Dilations are 2, 4, 8 and 16 as published, but reach no further than half of the deepest
    features of a training crop: all four from crops of 256 pixels on.

    Attributes
    ----------
    width : float
        Factor on the numbers of channels, 16, 64 and 128.
    dropout : (float, float)
        Share of channels dropped in training at a quarter and at an eighth of the resolution.
    norm : {"batch", "group"}
        Normalisation.

    References
    ----------
    Romera et al.: ERFNet, IEEE T-ITS 19, 2018. Neven et al. 2019, arXiv:1906.11109 (branched).
    """

    type: Literal["erfnet"] = "erfnet"
    width: float = Field(default=1.0, gt=0, le=8)
    dropout: tuple[Dropped, Dropped] = (0.03, 0.3)
    norm: Norm = "batch"

    def strides(self, spacing: Spacing, crop: Sequence[int]) -> list[PerAxis]:
        """Return the strides of the three downsamplers."""
        return axis_strides(spacing, crop, 3)

    def make(
        self, channels: int, heads: Sequence[int], spacing: Spacing, crop: Sequence[int]
    ) -> Net:
        """Return a net with fresh weights."""
        strides = self.strides(spacing, crop)
        joint = product(strides, len(spacing))
        # Taps of a dilated kernel that see only padding in training would stay random and act on
        # larger images, so they reach half of the deepest features at most.
        reach = tuple(max(1, n // s // 2) for n, s in zip(crop, joint, strict=True))
        kernels = axis_kernels(spacing, crop, strides)
        return ERFNet(channels, heads, strides, kernels, reach, self)


class _Down(nn.Module):
    """Strided convolution and max pooling side by side."""

    def __init__(
        self, inputs: int, outputs: int, kernel: PerAxis, stride: PerAxis, kind: Norm
    ) -> None:
        super().__init__()
        ndim = len(stride)
        # An image with many channels has no room for its pooled copy.
        kept = inputs if inputs < outputs else 0
        self.pool = pool(ndim, stride) if kept else None
        self.conv = conv(ndim, inputs, outputs - kept, kernel, stride=stride)
        self.norm = norm(ndim, kind, outputs, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.pool is not None:
            y = torch.cat([y, self.pool(x)], dim=1)
        return relu(self.norm(y))


class _Factorised(nn.Module):
    """Residual block of two rounds of 1-D convolutions, one per axis; the second is dilated."""

    def __init__(
        self, channels: int, kernel: PerAxis, dilation: PerAxis, drop: float, kind: Norm
    ) -> None:
        super().__init__()
        ndim = len(kernel)

        def half(spread: PerAxis) -> nn.Sequential:
            layers: list[nn.Module] = []
            # An axis with kernel 1 (much coarser than the others) takes no part.
            for axis in (d for d in range(ndim) if kernel[d] > 1):
                line = tuple(3 if d == axis else 1 for d in range(ndim))
                layers += [conv(ndim, channels, channels, line, dilation=spread[axis]), nn.ReLU()]
            return nn.Sequential(*layers[:-1], norm(ndim, kind, channels, eps=EPS))

        self.first, self.second = half((1,) * ndim), half(dilation)
        self.drop = dropout(ndim, drop)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(relu(self.first(x)))
        return relu(x + self.drop(y))


@final
class ERFNet(Net):
    """Encoder shared by all heads, and a decoder for each; about 2.25 M weights in 2D.

    Parameters
    ----------
    channels : int
        Channels of an image.
    heads : sequence of int
        Channels of each head.
    strides : three tuples of int
        Of the downsamplers.
    kernels : four tuples of int
        At each resolution, the full one first.
    reach : tuple of int
        Largest dilation along each axis.
    options : ERFNetOptions
        Width, dropout, normalisation.
    """

    def __init__(
        self,
        channels: int,
        heads: Sequence[int],
        strides: Sequence[PerAxis],
        kernels: Sequence[PerAxis],
        reach: PerAxis,
        options: ERFNetOptions,
    ) -> None:
        ndim, kind = len(strides[0]), options.norm
        half, quarter, eighth = (max(1, round(n * options.width)) for n in (16, 64, 128))
        super().__init__(
            product(strides, ndim), [up(ndim, half, head, strides[0]) for head in heads]
        )
        light, heavy = options.dropout

        def block(width: int, level: int, dilation: int = 1, drop: float = 0.0) -> nn.Module:
            spread = tuple(min(dilation, most) for most in reach)
            return _Factorised(width, kernels[level], spread, drop, kind)

        def widen(inputs: int, outputs: int, level: int) -> list[nn.Module]:
            return [
                up(ndim, inputs, outputs, strides[level], overlap=True),
                norm(ndim, kind, outputs, eps=EPS),
                nn.ReLU(),
                *(block(outputs, level) for _ in range(2)),
            ]

        self.encoder = nn.Sequential(
            _Down(channels, half, kernels[0], strides[0], kind),
            _Down(half, quarter, kernels[1], strides[1], kind),
            *(block(quarter, 2, drop=light) for _ in range(5)),
            _Down(quarter, eighth, kernels[2], strides[2], kind),
            *(block(eighth, 3, dilation, heavy) for _ in range(2) for dilation in (2, 4, 8, 16)),
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(*widen(eighth, quarter, 2), *widen(quarter, half, 1)) for _ in heads
        )
        initialise(self)

    def branches(self, image: Tensor) -> list[Tensor]:
        """Return the features of each decoder, at half the resolution."""
        shared = self.encoder(image)
        return [decoder(shared) for decoder in self.decoders]
