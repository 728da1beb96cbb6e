"""Optimisers: orthogonal steps, Adam where there are none, and what they keep."""

import copy

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

from embedseg.training.optimizers import QUINTIC, ROUNDS, Muon, make_optimizer, orthogonalised


def literal(matrix: torch.Tensor) -> torch.Tensor:
    """The published iteration, on the long matrix itself."""
    a, b, c = QUINTIC
    x = matrix / (matrix.norm() + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 2, 2),
        nn.Conv2d(16, 2, 1),
    )


def descend(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    images = torch.randn(4, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (net(images) - images.mean()).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@given(rows=st.integers(1, 40), columns=st.integers(1, 60), seed=st.integers(0, 100))
def test_the_fast_iteration_is_the_published_one(rows: int, columns: int, seed: int) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).double()
    expected = literal(matrix) if rows <= columns else literal(matrix.T).T
    torch.testing.assert_close(orthogonalised(matrix), expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(
        orthogonalised(matrix.float()), expected.float(), rtol=1e-2, atol=1e-3
    )


def test_singular_values_come_near_one_and_vectors_stay() -> None:
    left, _ = torch.linalg.qr(torch.randn(20, 20).double())
    right, _ = torch.linalg.qr(torch.randn(50, 20).double())
    matrix = left @ torch.diag(torch.logspace(0, -1.5, 20).double()) @ right.T
    values = left.T @ orthogonalised(matrix) @ right
    assert (values.diagonal() > 0.6).all() and (values.diagonal() < 1.3).all()
    assert (values - torch.diag(values.diagonal())).abs().max() < 1e-6
    assert not orthogonalised(torch.zeros(3, 4)).any()


def test_what_is_no_matrix_goes_as_with_adam() -> None:
    # One channel comes in: too few. Without normalisation, which makes small gradients of noise.
    ours, theirs = small_net()[:1], small_net()[:1]
    descend(ours, Muon(ours.parameters(), lr=0.01, weight_decay=0.1), 6)
    descend(theirs, torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1), 6)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_every_direction_of_a_matrix_gets_a_step_of_adams_size() -> None:
    weight = nn.Parameter(torch.zeros(16, 16, 3, 3))
    weight.grad = torch.randn(16, 16, 3, 3) * torch.logspace(0, -1, 16).reshape(-1, 1, 1, 1)
    Muon([weight], lr=0.5).step()
    step = -weight.detach() / 0.5
    assert step.square().mean().sqrt() == pytest.approx(0.2, rel=0.2)
    sizes = step.flatten(1).norm(dim=1)
    assert sizes.max() < 2 * sizes.min()  # those of the gradient differ by a factor of 10
    assert (step * weight.grad).sum() > 0


@pytest.mark.parametrize("name", ["muon", "adamw", "adam"])
def test_every_optimiser_descends_and_goes_on_as_if_never_stopped(name: str) -> None:
    net = small_net()
    optimizer = make_optimizer(name, net, 0.01, 1e-4, torch.device("cpu"))
    losses = descend(net, optimizer, 20)
    assert losses[-1] < 0.2 * losses[0]
    other = small_net()
    other.load_state_dict(net.state_dict())
    again = make_optimizer(name, other, 0.01, 1e-4, torch.device("cpu"))
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert descend(net, optimizer, 5) == descend(other, again, 5)


def test_weights_without_a_gradient_stay() -> None:
    net = small_net()
    before = net[0].weight.detach().clone()
    Muon(net.parameters(), lr=0.1, weight_decay=0.5).step()
    assert torch.equal(net[0].weight, before)
