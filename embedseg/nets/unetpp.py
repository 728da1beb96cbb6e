"""U-Net++: nested skip connections."""

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
    conv_block,
    doubling,
    initialise,
    pool,
    product,
    shrinking,
    up,
)
from embedseg.types import PerAxis, Spacing


@final
class UNetPPOptions(NetOptions):
    """Options of a U-Net++; one nested decoder serves all heads.

    Attributes
    ----------
    width : int
        Channels of the finest level; each coarser one has twice as many.
    max_width : int
        No level has more channels than this.
    depth : int
        How often the net pools. Fewer on crops too small for it.
    deep : bool
        Deep supervision: maps are the mean over the nodes of the finest level, so that each of them
        learns to make maps.
    norm : {"batch", "group"}
        Normalisation.

    References
    ----------
    Zhou et al.: UNet++, arXiv:1807.10165.
    """

    type: Literal["unetpp"] = "unetpp"
    width: Width = 24
    max_width: Width = 256
    depth: int = Field(default=3, ge=1, le=8)
    deep: bool = False
    norm: Norm = "batch"

    def strides(self, spacing: Spacing, crop: Sequence[int]) -> list[PerAxis]:
        """Return the stride of each pooling."""
        return shrinking(axis_strides(spacing, crop, self.depth))

    def make(
        self, channels: int, heads: Sequence[int], spacing: Spacing, crop: Sequence[int]
    ) -> Net:
        """Return a net with fresh weights."""
        strides = self.strides(spacing, crop)
        return UNetPP(channels, heads, strides, axis_kernels(spacing, crop, strides), self)


@final
class UNetPP(Net):
    """An encoder, and a triangle of nodes by level and step.

    Node (level, step) reads all nodes to its left on its level, and the node below to its left,
    enlarged. Each node of the finest level can serve as output.

    Parameters
    ----------
    channels : int
        Channels of an image.
    heads : sequence of int
        Channels of each head.
    strides : sequence of tuple of int
        Of each pooling.
    kernels : sequence of tuple of int
        At each level, the finest first.
    options : UNetPPOptions
        Widths, deep supervision, normalisation.
    """

    def __init__(
        self,
        channels: int,
        heads: Sequence[int],
        strides: Sequence[PerAxis],
        kernels: Sequence[PerAxis],
        options: UNetPPOptions,
    ) -> None:
        ndim, kind, depth = len(kernels[0]), options.norm, len(strides)
        widths = doubling(options.width, options.max_width, depth + 1)
        ones = (1,) * ndim
        super().__init__(
            product(strides, ndim), [up(ndim, widths[0], head, ones) for head in heads]
        )
        self.deep = options.deep
        self.encoder = nn.ModuleList(
            conv_block(inputs, width, kernel, kind)
            for inputs, width, kernel in zip([channels, *widths], widths, kernels, strict=False)
        )
        self.pools = nn.ModuleList([nn.Identity(), *(pool(ndim, stride) for stride in strides)])
        self.ups, self.nodes = nn.ModuleList(), nn.ModuleList()
        for step in range(1, depth + 1):
            levels = range(depth + 1 - step)
            self.ups.append(
                nn.ModuleList(
                    up(ndim, widths[level + 1], widths[level], strides[level]) for level in levels
                )
            )
            self.nodes.append(
                nn.ModuleList(
                    conv_block((step + 1) * widths[level], widths[level], kernels[level], kind)
                    for level in levels
                )
            )
        initialise(self)

    def branches(self, image: Tensor) -> list[Tensor]:
        """Return the same features for each head, at the full resolution."""
        rows: list[list[Tensor]] = []
        x = image
        for shrink, convs in zip(self.pools, self.encoder, strict=True):
            x = convs(shrink(x))
            rows.append([x])
        for widen, nodes in zip(self.ups, self.nodes, strict=True):
            assert isinstance(widen, nn.ModuleList) and isinstance(nodes, nn.ModuleList)
            made = [
                node(torch.cat([*rows[level], enlarge(rows[level + 1][-1])], dim=1))
                for level, (enlarge, node) in enumerate(zip(widen, nodes, strict=True))
            ]
            for row, new in zip(rows, made, strict=False):
                row.append(new)
        finest = rows[0][1:] or rows[0]
        features = torch.stack(finest).mean(dim=0) if self.deep else finest[-1]
        return [features] * len(self.outputs)
