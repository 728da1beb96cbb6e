"""The interface of a net and of its options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from embedseg.nets.layers import product
from embedseg.types import PerAxis, Spacing, UsageError


class Net(nn.Module, ABC):
    """A fully convolutional net with one decoder branch per head.

    Subclasses are final and compute the features of each branch. The last layer of each branch is
    linear: with zero weights it puts out its bias, exactly.

    Attributes
    ----------
    divisor : tuple of int
        Per axis; sizes of an image must be multiples of it.
    outputs : nn.ModuleList
        Last layer of each branch, with `weight` and `bias`, in the order of the heads.
    """

    def __init__(self, divisor: PerAxis, outputs: Sequence[nn.Module]) -> None:
        super().__init__()
        self.divisor = divisor
        self.outputs = nn.ModuleList(outputs)

    @abstractmethod
    def branches(self, image: Tensor) -> list[Tensor]:
        """Return the features that each of `outputs` turns into maps."""

    def forward(self, image: Tensor) -> Tensor:
        """Return raw maps, (B, M, *space), of images, (B, C, *space).

        Raises
        ------
        ValueError
            If a size is not a multiple of `divisor`.
        """
        space = tuple(image.shape[2:])
        if len(space) != len(self.divisor) or any(
            n % d for n, d in zip(space, self.divisor, strict=True)
        ):
            raise ValueError(
                f"image of shape {tuple(image.shape)}: sizes {space} must be multiples of the "
                f"net's divisor {self.divisor}; pad the image"
            )
        features = self.branches(image)
        # Inside, half precision is enough; offsets need more than its 8 bits.
        with torch.autocast(image.device.type, enabled=False):
            dtype = next(self.outputs.parameters()).dtype
            maps = [last(part.to(dtype)) for last, part in zip(self.outputs, features, strict=True)]
        return torch.cat(maps, dim=1)


class NetOptions(BaseModel, ABC):
    """Options of a net, saved as JSON; subclasses are final and build their net."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: str
    #: Numbers of axes that the net can be built for.
    ndims: ClassVar[tuple[int, ...]] = (2, 3)

    @abstractmethod
    def strides(self, spacing: Spacing, crop: Sequence[int]) -> list[PerAxis]:
        """Return the stride of each level of the net, per axis."""

    @abstractmethod
    def make(
        self, channels: int, heads: Sequence[int], spacing: Spacing, crop: Sequence[int]
    ) -> Net:
        """Return a net with fresh weights; the crop is a multiple of the divisor."""

    def divisor(self, spacing: Spacing, crop: Sequence[int]) -> PerAxis:
        """Return the divisor, per axis: sizes of an image must be multiples of it."""
        return product(self.strides(spacing, crop), len(spacing))

    def fit_crop(self, crop: Sequence[int], spacing: Spacing) -> PerAxis:
        """Return the crop with each size raised to a multiple of the net's divisor.

        Examples
        --------
        >>> from embedseg.nets.registry import net_options
        >>> net_options({"type": "erfnet"}).fit_crop((100, 128), (1.0, 1.0))
        (104, 128)
        """
        self._serves(len(spacing))
        size = tuple(crop)
        while True:
            divisor = self.divisor(spacing, size)
            fitting = tuple(-(-n // d) * d for n, d in zip(size, divisor, strict=True))
            # A larger crop may allow one more pooling, hence a larger divisor.
            if fitting == size:
                return fitting
            size = fitting

    def build(
        self,
        ndim: int,
        channels: int,
        heads: Sequence[int],
        spacing: Spacing,
        crop: Sequence[int],
    ) -> Net:
        """Return a net with fresh weights.

        Parameters
        ----------
        ndim : {2, 3}
            Number of space axes.
        channels : int
            Channels of an image.
        heads : sequence of int
            Channels of the maps of each decoder branch.
        spacing : tuple of float
            µm per pixel, in array-axis order; strides follow from it.
        crop : sequence of int
            Size of a training crop; no axis of it is pooled to fewer than 4 samples.

        Raises
        ------
        UsageError
            If the lengths do not fit together, or the crop is not a multiple of the divisor.

        Examples
        --------
        >>> from embedseg.nets.registry import net_options
        >>> net = net_options({"type": "unet"}).build(2, 1, (4, 1), (1.0, 1.0), (64, 64))
        >>> net(torch.zeros(1, 1, 64, 64)).shape
        torch.Size([1, 5, 64, 64])
        """
        if ndim not in (2, 3) or len(spacing) != ndim or len(crop) != ndim:
            raise UsageError(
                f"a net in {ndim} dimensions does not fit spacing {tuple(spacing)} and crop "
                f"{tuple(crop)}; expected 2 or 3 dimensions and a value per axis"
            )
        self._serves(ndim)
        fitting = self.fit_crop(crop, spacing)
        if fitting != tuple(crop):
            raise UsageError(
                f"crop {tuple(crop)} is not a multiple of the net's divisor "
                f"{self.divisor(spacing, crop)}; {fitting} would be"
            )
        return self.make(channels, heads, spacing, crop)

    def _serves(self, ndim: int) -> None:
        if ndim not in self.ndims:
            raise UsageError(
                f"the net {self.type} is for {' and '.join(map(str, self.ndims))} "
                f"space axes, not {ndim}; for images there is unet"
            )
