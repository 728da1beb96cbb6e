"""Embedding loss of all objects of a batch at once, for devices that wait for each operation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

#: Bytes that a value, a pixel for an object, takes at most; share of a GPU's memory for them.
BYTES, SHARE = 80, 1 / 8
#: Values at once where memory is not asked for.
MOST = 2**25


class Values(NamedTuple):
    """Value and gradient of the loss.

    Attributes
    ----------
    instance, smoothness : () Tensor
        Parts of the loss.
    likelihood : (B, P) Tensor
        phi of each pixel for its own object, 0 elsewhere.
    embedding, bandwidth, variance : (B, ndim, P) Tensor
        Gradient of `instance` along embedding and bandwidth; of `smoothness` along bandwidth.
    """

    instance: Tensor
    smoothness: Tensor
    likelihood: Tensor
    embedding: Tensor
    bandwidth: Tensor
    variance: Tensor


def most_values(device: torch.device) -> int:
    """Return how many values, objects times pixels, a device may hold at once.

    Examples
    --------
    >>> most_values(torch.device("cpu")) == MOST
    True
    """
    if device.type != "cuda":
        return MOST
    return int(SHARE * torch.cuda.get_device_properties(device).total_memory / BYTES)


def dense_loss(
    embedding: Tensor,
    bandwidth: Tensor,
    labels: Tensor,
    centres: Tensor,
    known: Tensor | None,
    *,
    unit: float,
    scale: float,
    most: int | None = None,
) -> Values:
    """Compute value and gradient without waiting for the device.

    The number of operations is the same for every batch, as long as it has up to `most` values;
    larger ones go through in parts of several objects. Gradients are written down instead of
    traced, so that what is held does not grow with the parts.

    Parameters
    ----------
    embedding, bandwidth, labels, centres, known, unit, scale
        As in `embedseg.methods.embedding_loss.literal_instance_loss`, in one row of pixels.
    most : int, optional
        Values held at once, objects times pixels; default `most_values`.
    """
    objects = _Objects(bandwidth, labels, centres.shape[1])
    gradient, variance = objects.variance()
    weights = torch.exp(scale * objects.means[:, :, 1:]) / unit**2
    if known is not None:
        weights = weights * known.mT
    beside = None if known is None else objects.bounds(known)
    batch, ndim, pixels = embedding.shape
    count = centres.shape[1]
    pull, push = torch.zeros_like(embedding), weights.new_zeros(batch, ndim, count + 1)
    likelihood, value = torch.zeros_like(embedding[:, 0]), embedding.new_zeros(())
    every = max(1, (most or most_values(embedding.device)) // max(1, batch * pixels))
    for first in range(0, count, every):
        now = slice(first, first + every)
        mine = objects.mine(now)
        away = embedding[:, None] - centres[:, now, :, None].to(embedding)
        tilt = away * weights[:, :, now].mT[..., None]
        chance = torch.exp(-(tilt * away).sum(dim=2))
        likelihood += torch.where(mine, chance, 0.0).sum(dim=1)
        competes = objects.annotated if beside is None else beside(now)
        # What does not compete has no error, and pixels without one weigh nothing.
        outside = torch.where(competes, 2 * chance, 0.0)
        hinge, slope = _lovasz(torch.where(mine, 2 - 2 * chance, outside), mine, objects, now)
        value = value + hinge
        tilt *= slope[:, :, None]
        pull += tilt.sum(dim=1)
        push[:, :, 1:][:, :, now] = (tilt * away).sum(dim=-1).mT
    push *= scale / objects.sizes.clamp(min=1)[:, None]
    return Values(value, variance, likelihood, 2 * pull, objects.spread(push), gradient)


def _lovasz(errors: Tensor, mine: Tensor, objects: _Objects, now: slice) -> tuple[Tensor, Tensor]:
    """Return the Lovász hinge, summed as in the loss, and its slope along q: (B, k, P)."""
    errors, order = errors.sort(dim=-1, descending=True)
    inside = mine.gather(-1, order)
    # Whole numbers up to the pixels of an image, for which these are exact.
    caught = inside.cumsum(dim=-1, dtype=errors.dtype)
    size = objects.sizes[:, 1:, None][:, now]
    union = objects.ranks + size - caught
    steps = torch.where(inside, 1.0, (size - caught) / (union - 1).clamp(min=1)) / union
    steps *= objects.shares[:, 1:, None][:, now]
    value = (errors * steps).sum()
    # The error of an own pixel is 2 - 2 phi, and that of another 2 phi, with phi = exp(-q).
    steps *= 2 * inside - errors
    return value, torch.empty_like(steps).scatter_(-1, order, steps)


@dataclass
class _Objects:
    """Objects of a batch: pixels, sizes, means; in column 0 all that is no object.

    Attributes
    ----------
    bandwidth : (B, ndim, P) Tensor
    labels : (B, *space) integer Tensor
    count : int
        Objects of an image, at most.
    """

    bandwidth: Tensor
    labels: Tensor
    count: int

    def __post_init__(self) -> None:
        self.ids = self.labels.flatten(1)
        self.own = self.ids.clamp(min=0)
        self.annotated = (self.ids >= 0)[:, None]
        ones = torch.ones_like(self.bandwidth[:, 0])
        self.sizes = self._sums(self.own, ones)
        self.means = self._sums(self._wide, self.bandwidth) / self.sizes.clamp(min=1)[:, None]
        there = (self.sizes > 0).to(self.sizes)
        there[:, 0].zero_()
        #: Of an object in the mean over objects, then images.
        self.shares = there / there.sum(dim=1, keepdim=True).clamp(min=1) / len(self.ids)

    @property
    def _wide(self) -> Tensor:
        return self.own[:, None].expand_as(self.bandwidth)

    def _sums(self, where: Tensor, values: Tensor) -> Tensor:
        sums = values.new_zeros(*values.shape[:-1], self.count + 1)
        return sums.scatter_add_(-1, where, values)

    @cached_property
    def ranks(self) -> Tensor:
        """Numbers from 1 to P, as real ones."""
        count = self.ids.shape[1]
        return torch.arange(1, count + 1, device=self.ids.device, dtype=self.bandwidth.dtype)

    def mine(self, now: slice) -> Tensor:
        """Return which pixels belong to each of some objects, (B, k, P)."""
        numbers = torch.arange(1, self.count + 1, device=self.ids.device)[now]
        return self.ids[:, None] == numbers[:, None]

    def spread(self, values: Tensor) -> Tensor:
        """Return the value of each pixel's object: (B, ndim, count + 1) to (B, ndim, P)."""
        return values.gather(-1, self._wide)

    def variance(self) -> tuple[Tensor, Tensor]:
        """Return the gradient of the smoothness part along the bandwidth, and its value."""
        ndim = self.bandwidth.shape[1]
        parts = (self.shares / self.sizes.clamp(min=1)).gather(-1, self.own)[:, None]
        away = self.bandwidth - self.spread(self.means)
        gradient = away * parts * (2 / ndim)
        return gradient, (gradient * away).sum() / 2

    def bounds(self, known: Tensor) -> _Bounds:
        """Return the extent of each object along the axes that are not known."""
        shape = self.labels.shape[1:]
        places = torch.meshgrid(
            *(torch.arange(n, device=self.ids.device) for n in shape), indexing="ij"
        )
        where = torch.stack(places).flatten(1)
        at, own = where.expand_as(self.bandwidth), self._wide
        low = at.new_full((*self.means.shape,), max(shape)).scatter_reduce(-1, own, at, "amin")
        high = at.new_full((*self.means.shape,), -1).scatter_reduce(-1, own, at, "amax")
        free = known.mT.bool()
        return _Bounds(
            where,
            low[:, :, 1:].masked_fill(free, -1),
            high[:, :, 1:].masked_fill(free, max(shape)),
            self.annotated,
        )


@dataclass
class _Bounds:
    """Extents of objects: of the pixels outside, those between them compete."""

    where: Tensor
    low: Tensor
    high: Tensor
    annotated: Tensor

    def __call__(self, now: slice) -> Tensor:
        """Return which pixels compete with each of some objects, (B, k, P)."""
        low, high = (bound[:, :, now, None] for bound in (self.low, self.high))
        place = self.where[:, None]
        return ((place >= low) & (place <= high)).all(dim=1) & self.annotated
