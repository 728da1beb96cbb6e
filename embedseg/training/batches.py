"""Batches of training crops, made ahead in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from embedseg.data import Crops, Sample
from embedseg.methods import Method
from embedseg.nets import LAYOUTS
from embedseg.training.options import TrainOptions
from embedseg.types import Spacing


class Batch(NamedTuple):
    """A batch of crops with the targets of the loss.

    Attributes
    ----------
    image : (B, C, *space) float32 Tensor
        Channels last.
    targets : dict of str to Tensor
        Targets of the method's loss.
    sources : tuple of str
        File of each crop.
    """

    image: Tensor
    targets: dict[str, Tensor]
    sources: tuple[str, ...]


@dataclass
class Batches:
    """A source of batches: each crop is a function of the seed, the step and its place alone.

    A resumed run therefore sees the crops that the interrupted one would have seen, and several
    processes share a batch by making different parts of it.

    Attributes
    ----------
    samples : sequence of Sample
        Normalised.
    method : Method
    options : TrainOptions
    spacing : tuple of float
        µm per pixel along each axis of a sample.
    rank, world : int
        Number of this process, and of all: each makes an equal part of every batch.
    min_foreground : float
        Least share of foreground in a crop.
    pinned : bool
        Whether batches lie in memory from which a GPU fetches them while it computes.
    workers : int
        Threads.
    """

    samples: Sequence[Sample]
    method: Method
    options: TrainOptions
    spacing: Spacing
    rank: int = 0
    world: int = 1
    min_foreground: float = 0.0
    pinned: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        options = self.options
        self._crops = Crops(
            self.samples,
            options.crop,
            background=options.background,
            balance=options.balance,
            min_foreground=self.min_foreground,
            margin=options.augment.margin(options.crop, self.spacing),
        )

    def crop(self, step: int, index: int) -> tuple[Tensor, dict[str, Tensor], str]:
        """Return crop `index` of a step: image, targets and source."""
        rng = np.random.default_rng([self.options.seed, step, index])
        image, labels, source = self._crops.draw(rng)
        image, labels = self.options.augment.apply(
            image, labels, self.options.crop, self.spacing, rng
        )
        return torch.from_numpy(image), self.method.targets(labels, self.spacing), source

    def batch(self, step: int, part: int = 0) -> Batch:
        """Return this process's share of the batch `part` of a step (see `accumulate`)."""
        share = self.options.batch // self.world
        first = part * self.options.batch + self.rank * share
        drawn = [self.crop(step, index) for index in range(first, first + share)]
        image = torch.stack([d[0] for d in drawn])
        image = image.contiguous(memory_format=LAYOUTS[len(self.spacing)])
        targets = joined([d[1] for d in drawn])
        if self.pinned:
            image, targets = image.pin_memory(), {n: t.pin_memory() for n, t in targets.items()}
        return Batch(image, targets, tuple(d[2] for d in drawn))

    def starting_at(self, step: int) -> Iterator[Batch]:
        """Yield batches from a step on, `accumulate` for each, without end."""
        parts = ((s, p) for s in count(step) for p in range(self.options.accumulate))
        pool = ThreadPoolExecutor(self.workers)
        try:
            coming = deque(pool.submit(self.batch, *next(parts)) for _ in range(self.workers + 1))
            while True:
                batch = coming.popleft().result()
                coming.append(pool.submit(self.batch, *next(parts)))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)


def joined(targets: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Stack the targets of crops; what differs in length is padded with zeros."""
    return {name: pad_sequence([t[name] for t in targets], batch_first=True) for name in targets[0]}
