"""Optimisers by name, Muon among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

#: a, b, c of x -> a x + b x^3 + c x^5, which takes singular values near 1 in few rounds.
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
#: Layers with fewer inputs or outputs, and all that is no convolution, are left to Adam.
SMALLEST = 16


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

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make a step along the gradients that the parameters have."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with _one_thread():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is None:
                        continue
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    rule = _orthogonal if _is_matrix(weight) else _adam
                    weight.add_(rule(weight.grad, self.state[weight], group), alpha=-group["lr"])
        return loss


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep a CPU from sharing out matrices so small that waking a thread takes longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return a matrix with the same singular vectors and singular values near 1.

    The iteration x -> (a + b x x' + c (x x')^2) x is made on the square matrix x x', of which all
    rounds are polynomials; the long matrix takes part in the first product and the last alone.

    Parameters
    ----------
    matrix : (m, n) float Tensor
        Fastest with m <= n.

    Examples
    --------
    >>> x = orthogonalised(torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.5, 0.0]]))
    >>> bool(((x.diagonal() - 1).abs() < 0.35).all())
    True
    """
    if len(matrix) > matrix.shape[1]:
        return orthogonalised(matrix.T).T
    matrix = matrix / (matrix.norm() + 1e-7)
    square = matrix @ matrix.T
    whole = factor = _factor(square)
    for _ in range(ROUNDS - 1):
        square = factor @ square @ factor
        factor = _factor(square)
        whole = factor @ whole
    return whole @ matrix


def _factor(square: Tensor) -> Tensor:
    """Return what one round multiplies x with, from x x'."""
    a, b, c = QUINTIC
    factor = torch.addmm(b * square, square, square, alpha=c)
    factor.diagonal().add_(a)
    return factor


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


def _orthogonal(gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    if not state:
        state["mean"] = torch.zeros_like(gradient)
    mean = state["mean"].lerp_(gradient, 1 - group["momentum"])
    ahead = gradient.lerp(mean, group["momentum"])
    # One row per output (of a transposed convolution, per input); channels last in memory.
    rows = ahead.movedim(1, -1)
    matrix = rows.flatten(1)
    step: Tensor = orthogonalised(matrix) * (0.2 * max(matrix.shape) ** 0.5)
    return step.reshape(rows.shape).movedim(-1, 1)


def _adam(gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    if not state:
        state["step"] = torch.zeros(())
        state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
    state["step"] += 1
    first, second = group["betas"]
    mean: Tensor = state["mean"].lerp_(gradient, 1 - first)
    square = state["square"].lerp_(gradient * gradient, 1 - second)
    steps = float(state["step"])
    scale = (square / (1 - second**steps)).sqrt_().add_(group["eps"])
    step: Tensor = mean / (1 - first**steps) / scale
    return step
