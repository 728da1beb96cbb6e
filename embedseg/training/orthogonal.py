"""Orthogonal steps for many matrices at once: those of one shape in one product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise

import torch
from torch import Tensor

#: a, b, c of x -> a x + b x^3 + c x^5, which takes singular values near 1 in few rounds.
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
#: Sides of square matrices are padded to a multiple of this, so that more go through together.
SIDE = 64
#: Keeps what is zero from being divided by zero.
TINY = 1e-7


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
    matrix = matrix / (matrix.norm() + TINY)
    square = matrix @ matrix.T
    identity = torch.eye(len(square), dtype=square.dtype, device=square.device)
    return _all_rounds(square[None], identity)[0] @ matrix


def _all_rounds(square: Tensor, identity: Tensor, out: Tensor | None = None) -> Tensor:
    """Return what all rounds together multiply x with, from x x': (k, m, m) Tensors."""
    a, b, c = QUINTIC
    # A round multiplies with a + factor, its square matrix with this from both sides.
    factor = torch.baddbmm(square, square, square, beta=b, alpha=c)
    whole = torch.add(factor, identity, alpha=a)
    for left in range(ROUNDS - 2, -1, -1):
        half = torch.baddbmm(square, factor, square, beta=a)
        square = torch.baddbmm(half, half, factor, beta=a)
        factor = torch.baddbmm(square, square, square, beta=b, alpha=c)
        whole = torch.baddbmm(whole, factor, whole, beta=a, out=None if left else out)
    return whole


class OrthogonalSteps:
    """Orthogonalised steps of convolutions, in memory that is kept from step to step.

    The number of operations depends on how many shapes there are, not on how many weights.

    Parameters
    ----------
    weights : sequence of (m, n, *kernel) float Tensor
        Of one type, on one device. A matrix has a row for each of the m.

    Attributes
    ----------
    weights : list of Tensor
        In the order in which `step` takes what belongs to them.

    Examples
    --------
    >>> weight = torch.zeros(2, 3, 1, 1)
    >>> steps = OrthogonalSteps([weight])
    >>> steps.step([torch.rand(2, 3, 1, 1)], [torch.rand(2, 3, 1, 1)], momentum=0.9, rate=0.1)
    >>> bool(weight.any())
    True
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights = sorted(weights, key=lambda weight: (_side(weight), _shape(weight)))
        ends = list(accumulate((weight.numel() for weight in self.weights), initial=0))
        flat = [self.weights[0].new_empty(ends[-1]) for _ in range(2)]
        self._ahead, self._steps = (
            [_like(x[a:b], w) for (a, b), w in zip(pairwise(ends), self.weights, strict=True)]
            for x in flat
        )
        self._norms = flat[0].new_empty(len(self.weights))
        #: Of each padded side the square matrices, ones on the diagonal, and what all rounds
        #: together multiply with.
        self._squares: list[tuple[Tensor, Tensor, Tensor]] = []
        #: Of each shape: norms, matrices, these transposed, their square matrices, what multiplies
        #: them, and their steps: views of the memory above.
        self._shapes: list[tuple[Tensor, ...]] = []
        self._scales: list[float] = []
        at = 0
        for side, alike in groupby(self.weights, _side):
            group, first = list(alike), at
            squares, wholes = (flat[0].new_zeros(len(group), side, side) for _ in range(2))
            identity = torch.eye(side, dtype=wholes.dtype, device=wholes.device)
            self._squares.append((squares, identity, wholes))
            for shape, same in groupby(group, _shape):
                until = at + len(list(same))
                now, place, m = (
                    slice(ends[at], ends[until]),
                    slice(at - first, until - first),
                    min(shape),
                )
                x, y = (_wide(part[now].view(until - at, *shape)) for part in flat)
                norms = self._norms[at:until, None, None]
                square, whole = squares[place, :m, :m], wholes[place, :m, :m]
                self._shapes.append((norms, x, x.mT, square, whole, y))
                self._scales.append(0.2 * max(shape) ** 0.5)
                at = until

    @torch.no_grad()
    def step(
        self, gradients: list[Tensor], means: list[Tensor], momentum: float, rate: float
    ) -> None:
        """Make a step of Adam's size, orthogonal for each weight.

        Parameters
        ----------
        gradients, means : lists of Tensor
            Of each weight: gradient, and mean gradient, which already includes this one.
        momentum : float
            Share of the mean in the direction of the step.
        rate : float
            Learning rate.
        """
        torch._foreach_copy_(self._ahead, gradients)
        torch._foreach_lerp_(self._ahead, means, momentum)
        torch.stack(torch._foreach_norm(self._ahead), out=self._norms)
        self._norms.add_(TINY)
        norms, matrices, turned, squares, wholes, steps = zip(*self._shapes, strict=True)
        torch._foreach_div_(matrices, norms)
        for x, across, square in zip(matrices, turned, squares, strict=True):
            torch.bmm(x, across, out=square)
        for squared, identity, whole in self._squares:
            _all_rounds(squared, identity, out=whole)
        for x, whole, y in zip(matrices, wholes, steps, strict=True):
            torch.bmm(whole, x, out=y)
        torch._foreach_mul_(steps, self._scales)
        torch._foreach_add_(self.weights, self._steps, alpha=-rate)


def _shape(weight: Tensor) -> tuple[int, int]:
    return weight.shape[0], weight[0].numel()


def _side(weight: Tensor) -> int:
    return SIDE * math.ceil(min(_shape(weight)) / SIDE)


def _like(flat: Tensor, weight: Tensor) -> Tensor:
    """Return memory in the form of a weight: one row per output, channels last."""
    outputs, inputs, *kernel = weight.shape
    return flat.view(outputs, *kernel, inputs).movedim(-1, 1)


def _wide(matrices: Tensor) -> Tensor:
    return matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
