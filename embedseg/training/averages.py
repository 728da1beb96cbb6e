"""Moving average of weights."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """Exponential moving average of a net's weights, which forgets the first ones sooner.

    All weights are averaged in one operation, and what counts the steps is known here without
    asking the device. What the net counts, such as batches, is copied.

    Parameters
    ----------
    net : nn.Module
        On the device where it stays.
    decay : float
        Share of the average that is kept per step, in the end.

    Examples
    --------
    >>> net = nn.Linear(1, 1)
    >>> average = MovingAverage(net, 0.9)
    >>> average.update_parameters(net)
    >>> torch.equal(average.module.weight, net.weight)
    True
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        super().__init__(net, use_buffers=True)
        self.decay = decay
        self._steps: int | None = None
        self._pairs: list[tuple[list[Tensor], list[Tensor]]] = []

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move the average towards the weights of a net, always the same one."""
        if self._steps is None:
            self._steps = int(self.n_averaged)
            self._pairs = [_pairs(self.module, model, floats) for floats in (True, False)]
        (means, values), (counts, new) = self._pairs
        if self._steps == 0:
            torch._foreach_copy_(means, values)
        else:
            share = 1 - min(self.decay, (1 + self._steps) / (10 + self._steps))
            torch._foreach_lerp_(means, values, share)
        if counts:
            torch._foreach_copy_(counts, new)
        self.n_averaged += 1
        self._steps += 1

    def load_state_dict(self, *args: Any, **more: Any) -> Any:
        """Load an average and the number of its steps."""
        self._steps = None
        return super().load_state_dict(*args, **more)


def _pairs(average: nn.Module, net: nn.Module, floats: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Return parameters and buffers of both nets, either real numbers or the others."""
    found = [
        [
            value
            for value in chain(module.parameters(), module.buffers())
            if value.is_floating_point() == floats
        ]
        for module in (average, net)
    ]
    return found[0], found[1]
