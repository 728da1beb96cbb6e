"""The Lovász hinge against brute force, by eye, and in numerically hard places."""

from __future__ import annotations

import itertools

import pytest
import torch

from embedseg.methods.losses import lovasz_hinge


def jaccard_loss(predicted: tuple[bool, ...], truth: tuple[bool, ...]) -> float:
    union = sum(p or t for p, t in zip(predicted, truth, strict=True))
    common = sum(p and t for p, t in zip(predicted, truth, strict=True))
    return 1 - common / union if union else 0.0


def random_pixels(count: int, seed: int = 0, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, generator=generator, dtype=dtype)
    return logits, torch.rand(count, generator=generator) < 0.4


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 5])
def test_vertices_are_the_jaccard_loss(pixels: int) -> None:
    # Errors of 1 on the wrong pixels and 0 on the right ones are the vertices on which the
    # Lovász extension has to equal the set function that it extends.
    for truth in itertools.product((False, True), repeat=pixels):
        for wrong in itertools.product((False, True), repeat=pixels):
            predicted = tuple(t != w for t, w in zip(truth, wrong, strict=True))
            logits = torch.tensor(
                [0.0 if w else (1.0 if t else -1.0) for t, w in zip(truth, wrong, strict=True)],
                dtype=torch.float64,
            )
            found = float(lovasz_hinge(logits, torch.tensor(truth)))
            assert found == pytest.approx(jaccard_loss(predicted, truth), abs=1e-12)


def test_between_vertices_it_is_the_published_sum() -> None:
    logits, truth = random_pixels(40)
    signs = torch.where(truth, 1.0, -1.0)
    errors = (1 - logits * signs).tolist()
    order = sorted(range(40), key=lambda i: -errors[i])
    wrong: set[int] = set()
    expected, before = 0.0, 0.0
    for i in order:
        wrong.add(i)
        predicted = tuple(bool(truth[j]) != (j in wrong) for j in range(40))
        now = jaccard_loss(predicted, tuple(truth.tolist()))
        expected += max(errors[i], 0.0) * (now - before)
        before = now
    assert float(lovasz_hinge(logits, truth)) == pytest.approx(expected, rel=1e-12)


def test_by_eye() -> None:
    # Wrong pixels have error 2: one of four wrong, two of the object's right: 2 * (1 - 2/3).
    logits = torch.tensor([1.0, 1.0, 1.0, -1.0])
    assert float(lovasz_hinge(logits, torch.tensor([1, 1, 0, 0]))) == pytest.approx(2 / 3)
    assert float(lovasz_hinge(logits, torch.tensor([1, 1, 1, 0]))) == 0.0


@pytest.mark.parametrize("targets", ["mixed", "all", "none"])
def test_gradient(targets: str) -> None:
    logits, truth = random_pixels(12, seed=3)
    truth = {"mixed": truth, "all": truth | True, "none": truth & False}[targets]
    assert torch.autograd.gradcheck(lambda x: lovasz_hinge(x, truth), logits.requires_grad_())


def test_without_pixels_it_is_zero_and_differentiable() -> None:
    logits = torch.zeros(0, requires_grad=True)
    loss = lovasz_hinge(logits, torch.zeros(0, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None and logits.grad.shape == (0,)


def test_without_object_the_worst_pixel_counts() -> None:
    logits = torch.tensor([-3.0, 0.5, 0.2], requires_grad=True)
    loss = lovasz_hinge(logits, torch.zeros(3))
    loss.backward()
    assert float(loss.detach()) == 1.5
    assert logits.grad is not None and logits.grad.tolist() == [0.0, 1.0, 0.0]


def test_batch_is_one_at_a_time() -> None:
    logits, truth = random_pixels(60)
    logits, truth = logits.reshape(2, 3, 10), truth.reshape(2, 3, 10)
    together = lovasz_hinge(logits, truth)
    assert together.shape == (2, 3)
    for index in itertools.product(range(2), range(3)):
        torch.testing.assert_close(together[index], lovasz_hinge(logits[index], truth[index]))


def test_large_images_keep_their_digits() -> None:
    # Differences of float32 Jaccard losses would be wrong by several per cent here.
    logits, truth = random_pixels(2_000_000)
    exact = logits.clone().requires_grad_()
    rough = logits.float().requires_grad_()
    for x in (exact, rough):
        lovasz_hinge(x, truth).backward()
    assert exact.grad is not None and rough.grad is not None
    # Where float32 rounds two errors to one, neighbours swap places: steps move by 1e-6. At an
    # error of 0 the hinge has its kink.
    apart = (1 - logits.abs()).abs() > 1e-6
    torch.testing.assert_close(rough.grad[apart], exact.grad.float()[apart], rtol=1e-4, atol=1e-14)


def test_half_precision_is_computed_in_single() -> None:
    logits, truth = random_pixels(50)
    assert lovasz_hinge(logits.bfloat16(), truth).dtype == torch.float32


def test_shapes_must_be_alike() -> None:
    with pytest.raises(ValueError, match=r"\(3,\) and targets of shape \(4,\)"):
        lovasz_hinge(torch.zeros(3), torch.zeros(4))
