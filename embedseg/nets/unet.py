"""Branched U-Net: an encoder, a decoder per head or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

import torch
from pydantic import Field
from torch import Tensor, nn

from embedseg.nets.base import Net, NetOptions
from embedseg.nets.layers import (
    Norm,
    Width,
    axis_kernels,
    axis_strides,
    conv,
    conv_block,
    doubling,
    initialise,
    norm,
    pool,
    product,
    shrinking,
    up,
)
from embedseg.types import PerAxis, Spacing


@final
class UNetOptions(NetOptions):
    """Options of a U-Net.

    Attributes
    ----------
    width : int
        Channels of the finest level; each coarser one has twice as many.
    max_width : int
        No level has more channels than this.
    depth : int
        How often the net pools, not counting the stem. Fewer on crops too small for it.
    stem : {1, 2, 4}
        The net works at 1 / stem of the resolution: its first convolution has this stride (along
        the axes that the spacing lets pool), and its last layers bring it back. Memory and time
        fall with the square or the cube of it.
    branched : bool
        Whether each head has its own decoder.
    light : bool
        Decoders add the encoder's features instead of concatenating them, and have one convolution
        at each level instead of two: about 0.6 of the time of a step.
    norm : {"batch", "group"}
        Normalisation.

    References
    ----------
    Ronneberger et al.: U-Net, arXiv:1505.04597; Çiçek et al.: 3D U-Net, arXiv:1606.06650.
    Features are added as in Chaurasia, Culurciello: LinkNet, arXiv:1707.03718.
    """

    type: Literal["unet"] = "unet"
    width: Width = 32
    max_width: Width = 256
    depth: int = Field(default=3, ge=1, le=8)
    stem: Literal[1, 2, 4] = 1
    branched: bool = True
    light: bool = False
    norm: Norm = "batch"

    def strides(self, spacing: Spacing, crop: Sequence[int]) -> list[PerAxis]:
        """Return the strides of the stem and of each pooling."""
        skipped = {1: 0, 2: 1, 4: 2}[self.stem]
        single = axis_strides(spacing, crop, skipped + self.depth)
        return [product(single[:skipped], len(spacing)), *shrinking(single[skipped:])]

    def make(
        self, channels: int, heads: Sequence[int], spacing: Spacing, crop: Sequence[int]
    ) -> Net:
        """Return a net with fresh weights."""
        strides = self.strides(spacing, crop)
        return UNet(channels, heads, strides, axis_kernels(spacing, crop, strides)[1:], self)


class _Decoder(nn.Module):
    """From the deepest level back to the finest, joined with the encoder's features."""

    def __init__(
        self,
        widths: Sequence[int],
        strides: Sequence[PerAxis],
        kernels: Sequence[PerAxis],
        kind: Norm,
        light: bool,
    ) -> None:
        super().__init__()
        self.light = light
        ndim = len(kernels[0])
        levels = range(len(strides) - 1, -1, -1)
        self.ups = nn.ModuleList(
            up(ndim, widths[level + 1], widths[level], strides[level]) for level in levels
        )
        self.convs = nn.ModuleList(
            conv_block(
                widths[level] if light else 2 * widths[level],
                widths[level],
                kernels[level],
                kind,
                count=1 if light else 2,
            )
            for level in levels
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        x = features[-1]
        for widen, convs, skip in zip(self.ups, self.convs, features[-2::-1], strict=True):
            # The widened features are freed at once.
            x = skip + widen(x) if self.light else torch.cat([skip, widen(x)], dim=1)
            x = convs(x)
        return x


@final
class UNet(Net):
    """Encoder shared by all heads; a decoder for each head, or one for all.

    Parameters
    ----------
    channels : int
        Channels of an image.
    heads : sequence of int
        Channels of each head.
    strides : sequence of tuple of int
        Of the stem and of each pooling.
    kernels : sequence of tuple of int
        After the stem and after each pooling.
    options : UNetOptions
        Widths, branching, normalisation.
    """

    def __init__(
        self,
        channels: int,
        heads: Sequence[int],
        strides: Sequence[PerAxis],
        kernels: Sequence[PerAxis],
        options: UNetOptions,
    ) -> None:
        ndim, kind, (stem, *pooled) = len(kernels[0]), options.norm, strides
        widths = doubling(options.width, options.max_width, len(kernels))
        super().__init__(
            product(strides, ndim), [up(ndim, widths[0], head, stem) for head in heads]
        )
        # Without a stem the first level's own convolutions read the image.
        self.stem = (
            nn.Sequential(
                conv(
                    ndim,
                    channels,
                    widths[0],
                    tuple(2 * s - 1 for s in stem),
                    stride=stem,
                    bias=False,
                ),
                norm(ndim, kind, widths[0]),
                nn.ReLU(inplace=True),
            )
            if max(stem) > 1
            else nn.Identity()
        )
        inputs = [widths[0] if max(stem) > 1 else channels, *widths[:-1]]
        self.encoder = nn.ModuleList(
            conv_block(*level, kind) for level in zip(inputs, widths, kernels, strict=True)
        )
        self.pools = nn.ModuleList([nn.Identity(), *(pool(ndim, stride) for stride in pooled)])
        self.decoders = nn.ModuleList(
            _Decoder(widths, pooled, kernels, kind, options.light)
            for _ in (heads if options.branched else [0])
        )
        initialise(self)

    def branches(self, image: Tensor) -> list[Tensor]:
        """Return the features of each decoder, at 1 / stem of the resolution."""
        features, x = [], self.stem(image)
        for shrink, convs in zip(self.pools, self.encoder, strict=True):
            x = convs(shrink(x))
            features.append(x)
        found = [decoder(features) for decoder in self.decoders]
        return found * (len(self.outputs) // len(found))
