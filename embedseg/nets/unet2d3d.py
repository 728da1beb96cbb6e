"""Hybrid U-Net for anisotropic stacks: 2D at fine levels, 3D at coarse ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field

from embedseg.nets.base import Net, NetOptions
from embedseg.nets.layers import Norm, Width, axis_strides, product, shrinking
from embedseg.nets.unet import UNet, UNetOptions
from embedseg.types import PerAxis, Spacing


@final
class UNet2D3DOptions(NetOptions):
    """Options of a U-Net with planes at its fine levels and the volume at its coarse levels.

    In a stack of thick sections, neighbouring planes are far away at fine levels; at a coarse level
    a plane is as thick as a pixel is wide. The number of fine levels is set here, not derived from
    the spacing as in the other nets.

    Attributes
    ----------
    width, max_width, stem, branched, light, norm
        As in `embedseg.nets.unet.UNetOptions`.
    depth : int
        How often the net pools, not counting the stem. Fewer on crops too small for it.
    flat : int
        Levels with 2D convolutions, the finest ones; between them only Y and X are pooled. The
        deepest level is 3D whatever `flat` is.

    References
    ----------
    Lee et al.: Superhuman accuracy on the SNEMI3D connectomics challenge, arXiv:1706.00120, for
    convolutions of both kinds in one U-Net.
    """

    type: Literal["unet2d3d"] = "unet2d3d"
    ndims: ClassVar[tuple[int, ...]] = (3,)

    width: Width = 32
    max_width: Width = 128
    depth: int = Field(default=3, ge=1, le=8)
    flat: int = Field(default=2, ge=1, le=8)
    stem: Literal[1, 2, 4] = 2
    branched: bool = True
    light: bool = True
    norm: Norm = "batch"

    def strides(self, spacing: Spacing, crop: Sequence[int]) -> list[PerAxis]:
        """Return the strides of the stem and of each pooling.

        Examples
        --------
        >>> UNet2D3DOptions().strides((2.0, 1.0, 1.0), (16, 64, 64))
        [(1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 1, 1)]
        """
        skipped, ndim = {1: 0, 2: 1, 4: 2}[self.stem], len(spacing)
        # Planes at an infinite distance are never pooled together.
        planar = axis_strides((np.inf, *spacing[1:]), crop, skipped + min(self.flat, self.depth))
        far = product(planar, ndim)
        step = tuple(s * f for s, f in zip(spacing, far, strict=True))
        size = [n // f for n, f in zip(crop, far, strict=True)]
        deep = axis_strides(step, size, self.depth - min(self.flat, self.depth))
        return [product(planar[:skipped], ndim), *shrinking([*planar[skipped:], *deep])]

    def make(
        self, channels: int, heads: Sequence[int], spacing: Spacing, crop: Sequence[int]
    ) -> Net:
        """Return a net with fresh weights."""
        strides = self.strides(spacing, crop)
        flat = min(self.flat, len(strides) - 1)
        kernels = [(1, 3, 3)] * flat + [(3, 3, 3)] * (len(strides) - flat)
        same = self.model_dump(exclude={"type", "flat"})
        return UNet(channels, heads, strides, kernels, UNetOptions(**same))
