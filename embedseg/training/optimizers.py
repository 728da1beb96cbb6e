"""Optimisers by name, Muon among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.adam import adam

from embedseg.training.orthogonal import OrthogonalSteps

#: Layers with fewer inputs or outputs, and all that is no convolution, are left to Adam.
SMALLEST = 16
#: Devices on which Adam goes through all weights in one operation.
FUSED = ("cpu", "cuda")


class Muon(Optimizer):
    """Momentum, orthogonalised by a Newton-Schulz iteration, for convolutions; Adam for the rest.

    Every direction in which a layer's momentum points gets the same length of step, the large and
    the small. The size of the step is matched to Adam's, so that one learning rate does for both.

    Parameters
    ----------
    params : iterable of Tensor
    lr, weight_decay : float
        Learning rate; the decay is decoupled from the gradient, as in AdamW.
    momentum : float
        Decay per step of the mean gradient, with Nesterov's look ahead.
    betas, eps : tuple of float, float
        Of Adam.

    References
    ----------
    Jordan et al.: Muon, an optimizer for hidden layers in neural networks, 2024,
    kellerjordan.github.io/posts/muon. Liu et al.: Muon is scalable for LLM training,
    arXiv:2502.16982, for the factor 0.2 that matches Adam's step.

    Examples
    --------
    >>> net = torch.nn.Conv2d(16, 16, 3)
    >>> optimizer = Muon(net.parameters(), lr=0.01)
    >>> net(torch.ones(1, 16, 3, 3)).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "betas": betas,
                "eps": eps,
            },
        )
        #: Of the weights of a group, a type and a device: memory for their steps.
        self._steps: dict[Any, OrthogonalSteps] = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make a step along the gradients that the parameters have."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with _one_thread():
            for number, group in enumerate(self.param_groups):
                kinds: dict[Any, list[Tensor]] = {}
                for weight in group["params"]:
                    if weight.grad is not None:
                        kind = (number, weight.device, weight.dtype, _is_matrix(weight))
                        kinds.setdefault(kind, []).append(weight)
                for kind, weights in kinds.items():
                    if kind[-1]:
                        self._orthogonal(kind, weights, group)
                    else:
                        self._adam(weights, group)
        return loss

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state, which holds no memory for steps."""
        super().__setstate__(state)
        self._steps = {}

    def _orthogonal(self, kind: Any, weights: list[Tensor], group: dict[str, Any]) -> None:
        """Make the step of all matrices of one type on one device."""
        steps = self._steps.get(kind)
        if steps is None or set(map(id, steps.weights)) != set(map(id, weights)):
            steps = self._steps[kind] = OrthogonalSteps(weights)
        gradients = _gradients(steps.weights)
        for weight in steps.weights:
            if not self.state[weight]:
                self.state[weight]["mean"] = torch.zeros_like(weight)
        means = [self.state[weight]["mean"] for weight in steps.weights]
        torch._foreach_mul_(steps.weights, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_lerp_(means, gradients, 1 - group["momentum"])
        steps.step(gradients, means, group["momentum"], group["lr"])

    def _adam(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        """Make the step of all other weights of one type on one device."""
        device, states = weights[0].device, [self.state[weight] for weight in weights]
        fused = device.type in FUSED
        for weight, state in zip(weights, states, strict=True):
            if not state:
                state["step"] = torch.zeros(())
                state["mean"], state["square"] = torch.zeros_like(weight), torch.zeros_like(weight)
            # Fused, it is read on the device; elsewhere reading it would wait for the device.
            state["step"] = state["step"].to(device if fused else "cpu")
            # Fused on a CPU, values are taken in the order of memory, whatever the strides.
            state["mean"] = _laid_out(state["mean"], weight)
            state["square"] = _laid_out(state["square"], weight)
        gradients = map(_laid_out, _gradients(weights), weights)
        adam(
            weights,
            list(gradients),
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            [state["step"] for state in states],
            fused=fused or None,
            decoupled_weight_decay=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep a CPU from sharing out matrices so small that waking a thread takes longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def make_optimizer(
    name: str, net: nn.Module, lr: float, weight_decay: float, device: torch.device
) -> Optimizer:
    """Return the optimiser "muon", "adamw" or "adam" for all weights of a net.

    Examples
    --------
    >>> net = nn.Conv2d(1, 1, 3)
    >>> type(make_optimizer("adam", net, 1e-3, 0.0, torch.device("cpu"))).__name__
    'Adam'
    """
    if name == "muon":
        return Muon(net.parameters(), lr=lr, weight_decay=weight_decay)
    # On a CPU the default goes through the weights one layer and term at a time; elsewhere it is
    # as fast, and gradients of fused ones cannot be clipped in fp16.
    fused = True if device.type == "cpu" else None
    make: type[Adam] = {"adamw": AdamW, "adam": Adam}[name]
    return make(net.parameters(), lr=lr, weight_decay=weight_decay, fused=fused)


def _is_matrix(weight: Tensor) -> bool:
    return weight.ndim > 2 and min(weight.shape[:2]) >= SMALLEST


def _gradients(weights: Sequence[Tensor]) -> list[Tensor]:
    return [weight.grad for weight in weights if weight.grad is not None]


def _laid_out(values: Tensor, like: Tensor) -> Tensor:
    """Return values that lie in memory in the same order as others of their shape."""
    if values.stride() == like.stride():
        return values
    pairs = zip(values.stride(), like.stride(), values.shape, strict=True)
    if all(one == other or size == 1 for one, other, size in pairs):
        return values
    return torch.empty_like(like).copy_(values)
