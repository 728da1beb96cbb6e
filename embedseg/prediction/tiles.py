"""A net on an image of any size, tile by tile."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from embedseg.common import Progress, open_bar
from embedseg.geometry import (
    Block,
    Symmetry,
    largest_inner_shape,
    pad_to_multiple,
    relative_box,
    split_blocks,
    symmetries,
)
from embedseg.nets import evaluating, fused_for_inference, is_out_of_memory, pixels_that_fit
from embedseg.prediction.averaging import LARGEST, from_average, to_average
from embedseg.prediction.options import PredictOptions
from embedseg.types import (
    Box,
    DataError,
    Floats,
    Maps,
    MapSpec,
    PerAxis,
    Spacing,
    UsageError,
    fill_missing,
    missing_pixels,
)

log = logging.getLogger("embedseg")

#: Halo along an axis, in multiples of the net's divisor, by the number of axes.
HALO = {2: 8, 3: 4}
#: Images of up to this many pixels are not cut, and memory is not measured.
SMALL = 2**16


def predict(
    net: nn.Module,
    image: Floats,
    *,
    specs: tuple[MapSpec, ...],
    spacing: Spacing,
    options: PredictOptions | None = None,
    device: str | torch.device = "cpu",
    progress: Progress = False,
    keep: Box | None = None,
) -> Maps:
    """Apply a net to an image of any size.

    The image is cut into tiles only if it does not fit into memory; if memory runs out
    nevertheless, tiles are halved.

    Parameters
    ----------
    net : nn.Module
        With a `divisor`; lies on `device`.
    image : (C, *space) float32 ndarray
        Normalised. Pixels where a channel is NaN are seen as 0, and their maps are NaN: there is no
        object.
    specs : tuple of MapSpec
        Maps of the net.
    spacing : tuple of float
        µm per pixel along each axis of `space`.
    options : PredictOptions, optional
    device : str or torch.device
    progress : bool or callable
        Whether to show a bar over tiles; or a function of the tiles done and all tiles, which may
        raise `embedseg.common.Stopped`.
    keep : tuple of slice, optional
        Box whose maps are wanted; begins at multiples of the divisor. The pixels around it are
        only seen by the net.

    Returns
    -------
    Maps

    Raises
    ------
    DataError
        If image and spacing do not fit.
    UsageError
        If options do not fit the image, or the smallest tile does not fit into memory.

    Examples
    --------
    >>> net = nn.Conv2d(1, 1, 3, padding=1)
    >>> net.divisor = (1, 1)
    >>> spec = MapSpec("seed", "scalar", 1, "sigmoid")
    >>> predict(net, np.zeros((1, 5, 7), np.float32), specs=(spec,), spacing=(1.0, 1.0)).shape
    (5, 7)
    """
    if image.ndim != len(spacing) + 1:
        raise DataError(
            f"image of shape {image.shape} does not fit spacing {spacing}: expected "
            "(C, *space) with one spacing per space axis"
        )
    missing = missing_pixels(image)
    with evaluating(net), open_bar(progress, "predict", "tile") as bar:
        tiled = TiledNet(
            fused_for_inference(net),
            specs,
            tuple(spacing),
            options or PredictOptions(),
            torch.device(device),
            bar,
        )
        data = tiled.maps(fill_missing(image), np.float16, keep)
    maps = to_maps(np.ascontiguousarray(data), specs, spacing)
    maps.data[:, missing if keep is None else missing[keep]] = np.nan
    return maps


def pixels_seen(
    net: nn.Module,
    channels: int,
    shape: PerAxis,
    keep: Box,
    options: PredictOptions,
    device: torch.device,
) -> int:
    """Return how many pixels `predict` puts through a net for a box of an image, halos included.

    Examples
    --------
    >>> net = nn.Conv2d(1, 1, 3, padding=1)
    >>> net.divisor = (1, 1)
    >>> options = PredictOptions(tile=(8, 8), halo=2)
    >>> box = (slice(0, 8), slice(0, 8))
    >>> pixels_seen(net, 1, (8, 8), box, options, torch.device("cpu"))
    64
    >>> pixels_seen(net, 1, (16, 8), (slice(0, 16), slice(0, 8)), options, torch.device("cpu"))
    224
    """
    with evaluating(net):
        tiled = TiledNet(fused_for_inference(net), (), (1.0,) * len(shape), options, device, None)
        padded = tuple(-(-n // d) * d for n, d in zip(shape, tiled.divisor, strict=True))
        return sum(prod(tile.outer_shape) for tile in tiled.tiles(channels, padded, keep))


def to_maps(data: NDArray[np.float16], specs: tuple[MapSpec, ...], spacing: Spacing) -> Maps:
    """Return maps, and warn of NaN or infinite values; such pixels belong to no object."""
    wrong = int((~np.isfinite(data)).any(axis=0).sum())
    if wrong:
        log.warning("the net put out NaN or infinity at %d of %d pixels", wrong, data[0].size)
    return Maps(data, specs, tuple(spacing))


@dataclass
class TiledNet:
    """A net that is applied to images of one spacing, tile by tile."""

    net: nn.Module  # of `fused_for_inference`
    specs: tuple[MapSpec, ...]
    spacing: Spacing
    options: PredictOptions
    device: torch.device
    bar: Any  # of `open_bar`, or None; counts applications of the net

    @cached_property
    def divisor(self) -> PerAxis:
        """The sizes of which tiles are multiples."""
        return tuple(int(d) for d in cast(Any, self.net).divisor)

    @cached_property
    def grid(self) -> tuple[Symmetry, ...]:
        """The symmetries to average over; the first changes nothing."""
        # An axis takes the place of another only if the net shrinks both alike.
        fitting = [
            symmetry
            for symmetry in symmetries(self.spacing)
            if tuple(self.divisor[axis] for axis in symmetry.permutation) == self.divisor
            and symmetry.keeps(self.specs)
        ]
        return tuple(fitting[: None if self.options.tta else 1])

    @cached_property
    def halo(self) -> PerAxis:
        """The pixels around a tile that are computed and dropped."""
        halo = self.options.halo
        if halo is None:
            halo = tuple(HALO[len(self.divisor)] * max(2, d) for d in self.divisor)
            if tile := self.options.tile:  # half of a small tile is thrown away at most
                axes = zip(halo, self._checked("tile", tile), self.divisor, strict=True)
                halo = tuple(min(h, t // 4 // d * d) for h, t, d in axes)
        elif isinstance(halo, int):
            halo = (halo,) * len(self.divisor)
        return self._checked("halo", halo)

    def _checked(self, name: str, value: PerAxis) -> PerAxis:
        if len(value) != len(self.divisor):
            raise UsageError(
                f"predict.{name} {value} has {len(value)} values, expected {len(self.divisor)}"
            )
        return value

    def maps(
        self, image: Floats, dtype: type[np.floating[Any]], keep: Box | None = None
    ) -> NDArray[Any]:
        """Return raw maps, (M, *space), of an image, (C, *space), or of a box of it."""
        padded, _ = pad_to_multiple(image, self.divisor)
        shape, keep = padded.shape[1:], keep or tuple(slice(0, n) for n in image.shape[1:])
        kept = tuple(side.stop - side.start for side in keep)
        out = np.empty((sum(spec.channels for spec in self.specs), *kept), dtype)
        todo = self.tiles(len(image), shape, keep)[::-1]
        self._announce(todo)
        while todo:
            block = todo.pop()
            made = self._attempt(padded[(slice(None), *block.outer)], dtype)
            if made is None:
                todo = self._halved(block, todo, shape, kept)
            else:
                out[(slice(None), *relative_box(block.inner, keep))] = made[
                    (slice(None), *block.local)
                ]
        return out

    def tiles(self, channels: int, shape: PerAxis, keep: Box) -> list[Block]:
        """Return the tiles for a box of an image of a padded shape."""
        kept = tuple(side.stop - side.start for side in keep)
        return split_blocks(shape, self._size(channels, shape, kept), self.halo, self.divisor, keep)

    def _size(self, channels: int, shape: PerAxis, kept: PerAxis) -> PerAxis:
        """Return the inner size of tiles."""
        if self.options.tile:
            inner = self._inner(self._checked("tile", self.options.tile), shape)
            return tuple(map(min, inner, kept))
        if self.options.memory is None and prod(shape) <= SMALL:
            return kept
        memory = self.options.memory and self.options.memory * 1e9
        pixels = pixels_that_fit(self.net, channels, self.divisor, self.device, memory)
        return largest_inner_shape(shape, self.halo, self.divisor, pixels, kept)

    def _inner(self, tile: PerAxis, shape: PerAxis) -> PerAxis:
        """Return the size of a tile without its halo, in multiples of the divisor."""
        axes = zip(shape, tile, self.halo, self.divisor, strict=True)
        inner = tuple(n if t >= n else (t // d + 2 * (-h // d)) * d for n, t, h, d in axes)
        if min(inner) < 1:
            raise UsageError(
                f"predict.tile {tile} must exceed twice the halo {self.halo}, "
                f"in multiples of the net's divisor {self.divisor}"
            )
        return inner

    def _attempt(self, tile: Floats, dtype: type[np.floating[Any]]) -> NDArray[Any] | None:
        """Return the maps of a tile, averaged over the grid's symmetries; None: out of memory."""
        try:
            return self._averaged(tile, dtype)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside of the handler the error no longer holds the tensors.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _averaged(self, tile: Floats, dtype: type[np.floating[Any]]) -> NDArray[Any]:
        if len(self.grid) == 1:
            return self._raw(tile, dtype)
        total: Any = 0
        for symmetry in self.grid:
            raw = symmetry.undo_maps(self._raw(symmetry.apply(tile), np.float32), self.specs)
            total = total + to_average(raw, self.specs)
        return from_average(total / len(self.grid), self.specs)

    def _raw(self, tile: Floats, dtype: type[np.floating[Any]]) -> NDArray[Any]:
        # A copy, since torch knows no negative strides.
        raw = self.net(torch.from_numpy(tile.copy())[None].to(self.device))[0]
        expected = sum(spec.channels for spec in self.specs)
        if len(raw) != expected:
            raise ValueError(
                f"the net puts out {len(raw)} channels, expected {expected} for maps "
                f"{[spec.name for spec in self.specs]}"
            )
        if self.bar is not None:
            self.bar.update()
        # Rounded on the device: half as many bytes come from a GPU.
        rounded = raw.float().clamp(-LARGEST, LARGEST).to(getattr(torch, np.dtype(dtype).name))
        return cast(NDArray[Any], rounded.cpu().numpy())

    def _halved(
        self, block: Block, todo: list[Block], shape: PerAxis, kept: PerAxis
    ) -> list[Block]:
        """Return the remaining blocks, halved."""
        size = largest_inner_shape(
            shape, self.halo, self.divisor, prod(block.outer_shape) // 2, kept
        )
        if all(now <= new for now, new in zip(block.inner_shape, size, strict=True)):
            raise UsageError(
                f"out of memory on {self.device} with a tile of {block.outer_shape}; "
                f"a halo smaller than {self.halo} would help (predict.halo)"
            )
        log.warning(
            "out of memory on %s with a tile of %s: continuing with less than half",
            self.device,
            block.outer_shape,
        )
        parts = [
            part
            for large in [*todo, block]
            for part in split_blocks(shape, size, self.halo, self.divisor, large.inner)[::-1]
        ]
        self._announce(parts)
        return parts

    def _announce(self, todo: list[Block]) -> None:
        if self.bar is not None:
            self.bar.total = self.bar.n + len(todo) * len(self.grid)
            self.bar.refresh()
