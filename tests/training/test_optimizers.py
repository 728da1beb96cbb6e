"""Optimisers: orthogonal steps, Adam where there are none, and what they keep."""

import copy

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from embedseg.model.planning import find_preset
from embedseg.nets import net_options
from embedseg.training.averages import MovingAverage
from embedseg.training.optimizers import Muon, make_optimizer
from embedseg.training.orthogonal import QUINTIC, ROUNDS, orthogonalised


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


# -- many weights at once --------------------------------------------------------------------------
class LiteralMuon:
    """The same optimiser one weight at a time, as checkpoints of earlier versions were made."""

    def __init__(self, net: nn.Module, lr: float, weight_decay: float) -> None:
        self.weights, self.lr, self.decay = list(net.parameters()), lr, weight_decay
        self.state = [dict[str, torch.Tensor]() for _ in self.weights]

    @torch.no_grad()
    def step(self) -> None:
        for weight, state in zip(self.weights, self.state, strict=True):
            assert weight.grad is not None
            weight.mul_(1 - self.lr * self.decay)
            is_matrix = weight.ndim > 2 and min(weight.shape[:2]) >= 16
            rule = self.orthogonal if is_matrix else self.adam
            weight.sub_(self.lr * rule(weight.grad, state))

    def orthogonal(self, gradient: torch.Tensor, state: dict[str, torch.Tensor]) -> torch.Tensor:
        state.setdefault("mean", torch.zeros_like(gradient)).lerp_(gradient, 0.05)
        ahead = 0.05 * gradient + 0.95 * state["mean"]
        matrix = ahead.flatten(1)
        wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
        step = literal(wide) if wide is matrix else literal(wide).T
        return (0.2 * max(matrix.shape) ** 0.5 * step).reshape(gradient.shape)

    def adam(self, gradient: torch.Tensor, state: dict[str, torch.Tensor]) -> torch.Tensor:
        if not state:
            state |= {"step": torch.zeros(()), "mean": 0 * gradient, "square": 0 * gradient}
        state["step"] += 1
        steps = float(state["step"])
        mean = state["mean"].lerp_(gradient, 0.1) / (1 - 0.9**steps)
        square = state["square"].lerp_(gradient * gradient, 0.001) / (1 - 0.999**steps)
        return mean / (square.sqrt() + 1e-8)

    def state_dict(self) -> dict:
        group = {"lr": self.lr, "weight_decay": self.decay, "momentum": 0.95}
        group |= {"betas": (0.9, 0.999), "eps": 1e-8, "params": list(range(len(self.state)))}
        return {"state": dict(enumerate(self.state)), "param_groups": [group]}


def nets(dtype: torch.dtype = torch.float32, ndim: int = 2) -> tuple[nn.Module, nn.Module]:
    """Two nets with the weights of the default plan, channels last as in training."""
    torch.manual_seed(0)
    options = net_options(find_preset("default")[0])
    net = options.build(ndim, 1, (2 * ndim, 1), (1.0,) * ndim, (64,) * ndim).to(dtype)
    net.to(memory_format=torch.channels_last if ndim == 2 else torch.channels_last_3d)
    return net, copy.deepcopy(net)


def draw_gradients(nets: tuple[nn.Module, ...], seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    for weights in zip(*(net.parameters() for net in nets), strict=True):
        drawn = torch.randn(weights[0].shape, generator=rng, dtype=weights[0].dtype)
        for weight in weights:
            weight.grad = torch.empty_like(weight).copy_(drawn * 10 ** (seed - 3))


@pytest.mark.parametrize(
    ("dtype", "near"), [(torch.float64, 1e-9), (torch.float32, 1e-5)], ids=["double", "single"]
)
@pytest.mark.parametrize("ndim", [2, 3])
def test_steps_are_those_of_one_weight_at_a_time(
    ndim: int, dtype: torch.dtype, near: float
) -> None:
    net, other = nets(dtype, ndim)
    optimizer, plain = Muon(net.parameters(), 0.004, 0.02), LiteralMuon(other, 0.004, 0.02)
    start = copy.deepcopy(net)
    for seed in range(5):
        draw_gradients((net, other), seed)
        optimizer.step()
        plain.step()
    for one, two, before in zip(*(n.parameters() for n in (net, other, start)), strict=True):
        torch.testing.assert_close(one, two, rtol=near, atol=near)
        assert (one - before).abs().mean() > 1e-3


def test_a_checkpoint_of_single_steps_is_gone_on_with() -> None:
    net, other = nets()
    plain = LiteralMuon(other, 0.004, 0.02)
    for seed in range(3):
        draw_gradients((other,), seed)
        plain.step()
    net.load_state_dict(other.state_dict())
    optimizer = Muon(net.parameters(), 0.004, 0.02)
    optimizer.load_state_dict(copy.deepcopy(plain.state_dict()))
    for seed in range(3, 6):
        draw_gradients((net, other), seed)
        optimizer.step()
        plain.step()
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
    ours, theirs = optimizer.state_dict()["state"], plain.state_dict()["state"]
    assert {n: sorted(state) for n, state in ours.items()} == {
        n: sorted(state) for n, state in theirs.items()
    }


class Counter(TorchDispatchMode):
    """Count of the operations that a device would be asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += function.namespace == "aten"
        return function(*args, **(kwargs or {}))


def test_a_step_takes_few_operations_however_many_weights_there_are() -> None:
    net, other = nets()
    optimizer, average = Muon(net.parameters(), 0.004, 0.02), MovingAverage(net, 0.99)
    for seed in range(2):
        draw_gradients((net, other), seed)
        with Counter() as counted:
            optimizer.step()
            average.update_parameters(net)
    assert 20 < counted.count <= 80
    twice = nn.ModuleList([net, other])
    optimizer = Muon(twice.parameters())
    optimizer.step()
    with Counter() as again:
        optimizer.step()
    assert again.count <= counted.count


def test_values_are_matched_whatever_their_order_in_memory() -> None:
    # A fused optimiser of torch goes by memory: another order of the gradient is another step.
    net, other = nets()
    ours, theirs = Muon(net.parameters()), Muon(other.parameters())
    draw_gradients((net, other), 3)
    for weight in net.parameters():
        assert weight.grad is not None
        weight.grad = weight.grad.contiguous()
    ours.step()
    theirs.step()
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_the_average_is_that_of_every_weight_alone_and_goes_on() -> None:
    net, _ = nets()
    average, decay = MovingAverage(net, 0.9), 0.9
    expected = {name: value.clone() for name, value in net.state_dict().items()}
    for step in range(6):
        with torch.no_grad():
            for value in net.state_dict().values():
                value.add_(torch.ones_like(value))  # counts too
        if step == 3:
            held = copy.deepcopy(average.state_dict())
            average = MovingAverage(net, 0.9)
            average.load_state_dict(held)
        average.update_parameters(net)
        share = 1 - min(decay, (1 + step) / (10 + step)) if step else 1.0
        for name, value in net.state_dict().items():
            is_real = value.is_floating_point()
            expected[name] = torch.lerp(expected[name], value, share) if is_real else value.clone()
    for name, value in average.module.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    assert int(average.n_averaged) == 6
