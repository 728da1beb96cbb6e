"""The embedding loss equals the published form, written out here one object at a time."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from embedseg.images import blobs
from embedseg.methods import embedding
from embedseg.methods.embedding import Embedding
from embedseg.methods.embedding_loss import (
    batched_instance_loss,
    instance_loss,
    literal_instance_loss,
)
from embedseg.training.batches import joined

METHOD = Embedding(unit=12.0, radius=3.0, foreground_weight=7.0)
SHAPES = {2: (28, 24), 3: (6, 20, 18)}


def paper_loss(raw, batch, spacing, method):
    """Lalit et al. 2021, equations 1 to 4, in plain loops over objects; float64.

    Beyond the paper, axes that are not known take no part, nor what lies beyond the object there.
    """
    labels, centres = batch["labels"], batch["centres"].double()
    ndim = len(spacing)
    losses = []
    for b in range(len(raw)):
        offset, sigma = raw[b, :ndim], raw[b, ndim : 2 * ndim]
        seed = torch.sigmoid(raw[b, -1])
        x = torch.stack(
            torch.meshgrid(
                *[
                    torch.arange(n, dtype=raw.dtype) * s
                    for n, s in zip(raw.shape[2:], spacing, strict=True)
                ],
                indexing="ij",
            )
        )
        e = (x + method.unit * torch.tanh(offset)) / method.unit
        known = labels[b] >= 0
        ids = [k for k in labels[b].unique().tolist() if k > 0]
        instance = smooth = torch.zeros((), dtype=raw.dtype)
        seed_sum = (seed[labels[b] == 0] ** 2).sum()
        for k in ids:
            mask = labels[b] == k
            own = sigma[:, mask]
            unknown = batch["unknown"][b, k - 1 : k]
            axes = torch.ones(ndim) if not len(unknown) else 1 - unknown[0].double()
            weight = torch.exp(10 * own.mean(dim=1)) * axes
            valid = known.clone()
            for d in range(ndim):
                planes = torch.nonzero(mask)[:, d]
                if not axes[d]:
                    valid.movedim(d, 0)[: planes.min()] = False
                    valid.movedim(d, 0)[planes.max() + 1 :] = False
            c = centres[b, k - 1] / method.unit
            phi = torch.exp(-sum((e[d] - c[d]) ** 2 * weight[d] for d in range(ndim)))
            # Lovász hinge, straight from its definition.
            p, t = phi[valid], mask[valid].to(raw.dtype)
            errors, order = torch.sort(1 - (2 * p - 1) * (2 * t - 1), descending=True)
            t = t[order]
            jaccard = 1 - (t.sum() - t.cumsum(0)) / (t.sum() + (1 - t).cumsum(0))
            step = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
            instance = instance + (torch.relu(errors) * step).sum() / len(ids)
            away = own - own.mean(dim=1, keepdim=True).detach()
            smooth = smooth + (away**2).mean() / len(ids)
            seed_sum = (
                seed_sum + method.foreground_weight * ((seed[mask] - phi[mask].detach()) ** 2).sum()
            )
        losses.append(instance + 10 * smooth + seed_sum / known.sum().clamp(min=1))
    return torch.stack(losses)


def example(ndim, n, seed=0, unknown=True):
    """Two images of raw output, labels with objects cut by the border and unknown pixels."""
    spacing = (1.0, 0.5) if ndim == 2 else (2.0, 1.0, 0.5)
    rng = np.random.default_rng(seed)
    labels = (
        np.stack([blobs(SHAPES[ndim], n, seed=seed + i)[1] for i in range(2)])
        if n
        else (np.zeros((2, *SHAPES[ndim]), np.int32))
    )
    if unknown:
        labels[:, ..., :4] = -1
    for image in labels:
        ids = np.unique(image[image > 0])
        image[image > 0] = np.searchsorted(ids, image[image > 0]) + 1
    targets = [METHOD.targets(image, spacing) for image in labels]
    batch = {
        name: torch.nn.utils.rnn.pad_sequence([t[name] for t in targets], batch_first=True)
        for name in targets[0]
    }
    raw = torch.from_numpy(rng.normal(scale=0.4, size=(2, 2 * ndim + 1, *SHAPES[ndim])))
    return raw.requires_grad_(), batch, spacing


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("n", [0, 1, 6])
@pytest.mark.parametrize("unknown", [False, True])
def test_equals_the_paper_in_value_and_gradient(ndim, n, unknown):
    raw, batch, spacing = example(ndim, n, unknown=unknown)
    ours = METHOD.loss(raw, batch, spacing)["total"]
    (grad,) = torch.autograd.grad(ours, raw)
    paper = paper_loss(raw, batch, spacing, METHOD).mean()
    (expected,) = torch.autograd.grad(paper, raw)
    torch.testing.assert_close(ours, paper, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(grad, expected, rtol=1e-8, atol=1e-11)


def compared(function, e, s, raw, batch, known=None):
    """Values and gradient of a mixture of both parts."""
    parts = function(e, s, batch["labels"], batch["centres"], known, unit=9.0, scale=10.0)
    grad = torch.autograd.grad(2 * parts.instance + 3 * parts.smoothness, raw, retain_graph=True)
    return parts.instance, parts.smoothness, parts.likelihood, *grad


FAST = {
    "compiled": instance_loss,
    "batched": batched_instance_loss,
    "in small parts": partial(batched_instance_loss, most=2000),
}


@pytest.mark.parametrize("fast", FAST.values(), ids=FAST)
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("n", [0, 1, 12])
@pytest.mark.parametrize("bandwidth", [-0.2, 0.4])
def test_fast_equals_literal(fast, ndim, n, bandwidth):
    raw, batch, _ = example(ndim, n, seed=3)
    e, s = (raw[:, :ndim] * 8 + 5), raw[:, ndim : 2 * ndim] * 0.2 + bandwidth
    known = torch.from_numpy(np.random.default_rng(n).random(batch["centres"].shape) < 0.6)
    for axes in (None, known):
        results = [
            compared(function, e, s, raw, batch, axes) for function in (literal_instance_loss, fast)
        ]
        for literal, ours in zip(*results, strict=True):
            torch.testing.assert_close(ours, literal, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fast", FAST.values(), ids=FAST)
@pytest.mark.parametrize("shape", [(72, 71), (8, 24, 23)], ids=["2d", "3d"])
@pytest.mark.parametrize("trained", [False, True], ids=["start", "trained"])
def test_fast_equals_literal_with_500_objects(fast, shape, trained):
    ndim, rng = len(shape), np.random.default_rng(1)
    # Cells of a grid, as large as they come, so that hundreds fit; the last ones are cut.
    size = (3, 3) if ndim == 2 else (2, 2, 2)
    cells = np.ravel_multi_index(
        [at // w for at, w in zip(np.indices(shape), size, strict=True)],
        [n // w + 1 for n, w in zip(shape, size, strict=True)],
    )
    labels = np.unique(cells, return_inverse=True)[1].reshape(shape) + 1
    labels[rng.random(shape) < 0.3] = 0
    labels[rng.random(shape) < 0.05] = -1
    labels[labels > 0] = np.unique(labels[labels > 0], return_inverse=True)[1] + 1
    targets = METHOD.targets(labels.astype(np.int32), (1.0,) * ndim)
    batch = {name: value[None] for name, value in targets.items()}
    assert batch["labels"].max() >= 500
    raw = torch.from_numpy(rng.normal(scale=0.5, size=(1, 2 * ndim, *shape))).requires_grad_()
    grid = torch.from_numpy(np.indices(shape)[None].astype(float))
    centres = batch["centres"][0, batch["labels"].clamp(min=1) - 1].movedim(-1, 1).double()
    e = raw[:, :ndim] + (centres if trained else grid)
    s = 0.03 * raw[:, ndim:] + (0.25 if trained else 0.1)
    literal, ours = (
        compared(function, e, s, raw, batch) for function in (literal_instance_loss, fast)
    )
    for one, other in zip(ours, literal, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-14)


def test_single_precision_and_threads_change_little():
    raw, batch, _ = example(2, 9, seed=4)
    e, s = (raw[:, :2] * 8 + 5), raw[:, 2:4] * 0.2 + 0.1
    double = compared(instance_loss, e, s, raw, batch)
    single = raw.detach().float().requires_grad_()
    e, s = (single[:, :2] * 8 + 5), single[:, 2:4] * 0.2 + 0.1
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            ours = compared(instance_loss, e, s, single, batch)
            for one, other in zip(ours, double, strict=True):
                torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=1e-6)
    finally:
        torch.set_num_threads(threads)


def test_what_is_not_a_number_shows_and_ends():
    raw, batch, _ = example(2, 4, seed=4)
    for at in (batch["labels"] > 0, batch["labels"] == 0):
        e = (raw[:, :2] * 8 + 5).detach().clone()
        e.permute(0, 2, 3, 1)[at] = torch.nan
        value = instance_loss(
            e, raw[:, 2:4] * 0.2, batch["labels"], batch["centres"], unit=9.0, scale=10.0
        ).instance
        assert torch.isnan(value) or not at[batch["labels"] > 0].any()


def test_beside_an_object_of_unknown_depth_only_its_planes_compete():
    labels = np.full((7, 6, 6), -1, np.int32)
    labels[1] = labels[5] = 0
    labels[1, 2:4, 2:4] = 1
    raw = torch.zeros((1, 6, *labels.shape), dtype=torch.float64, requires_grad=True)
    e = raw[:, :3] + torch.from_numpy(np.indices(labels.shape)[None].astype(float))
    centres = torch.tensor([[[1.0, 2.5, 2.5]]])
    for function in (literal_instance_loss, *FAST.values()):
        for depth in (True, False):
            known = torch.tensor([[[depth, True, True]]])
            loss = function(
                e,
                raw[:, 3:],
                torch.from_numpy(labels)[None].long(),
                centres,
                known,
                unit=3.0,
                scale=10.0,
            )
            (grad,) = torch.autograd.grad(loss.instance, raw, retain_graph=True)
            moved = grad[0, :3].abs().sum(dim=(2, 3))
            assert bool(moved[1, 5] > 0) is depth  # a plane that may show the object's other end
            assert bool(moved[1, 1] > 0) and not moved[:, [0, 2, 3, 4, 6]].any()


@pytest.mark.parametrize("function", [instance_loss, batched_instance_loss])
def test_gradient_is_the_numerical_one(function):
    raw, batch, _ = example(2, 3, seed=5)
    labels, centres = batch["labels"][:1, :9, :10], batch["centres"][:1]
    raw = raw[:1, :4, :9, :10].detach().requires_grad_()

    def f(raw):
        parts = function(
            raw[:, :2] * 6 + 3, raw[:, 2:] * 0.3, labels, centres, unit=9.0, scale=10.0
        )
        return parts.instance

    assert int(labels.max()) > 0
    torch.autograd.gradcheck(f, (raw,), eps=1e-6, atol=1e-5)


class Counter(TorchDispatchMode):
    """Count of the operations that a device would be asked for."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("unknown", [False, True])
def test_a_batch_takes_the_same_operations_whatever_it_holds(unknown, monkeypatch):
    monkeypatch.setattr(embedding, "instance_loss", batched_instance_loss)
    seen = []
    for images, objects in [(1, 1), (1, 10), (4, 10), (16, 10), (4, 100)]:
        labels = np.zeros((images, 64, 64), np.int32)
        for k in range(objects):
            at = (k // 10 * 6, k % 10 * 6)
            labels[:, at[0] + 1 : at[0] + 5, at[1] + 1 : at[1] + 5] = k + 1
        if unknown:
            labels[0, :, 0] = -1
            labels[0, 1:5, :2][labels[0, 1:5, :2] == 0] = -1
        targets = joined([METHOD.targets(image, (1.0, 1.0)) for image in labels])
        raw = torch.zeros(images, 5, 64, 64, requires_grad=True)
        with Counter() as counted:
            METHOD.loss(raw, targets, (1.0, 1.0))["total"].backward()
        seen.append(counted.names)
    for names in seen:
        assert names == seen[0]
    assert len(seen[0]) < (240 if unknown else 200)
    asks = ("aten._local_scalar_dense", "aten.nonzero", "aten.item", "aten.is_nonzero")
    assert not [name for name in seen[0] if name.startswith(asks)]


def test_axes_that_are_all_known_are_not_looked_at():
    labels = np.zeros((8, 8), np.int32)
    labels[2:4, 2:4], labels[6:, 6:] = 1, 2
    assert METHOD.targets(labels, (1.0, 1.0))["unknown"].shape == (0, 2)
    cut = labels.copy()
    cut[4, 2] = -1
    targets = joined([METHOD.targets(image, (1.0, 1.0)) for image in (cut, labels)])
    expected = [[[False, True], [True, True]], [[True, True], [True, True]]]
    assert embedding._known(targets).tolist() == expected
    assert embedding._known(joined([METHOD.targets(labels, (1.0, 1.0))])) is None


@pytest.mark.parametrize("ndim", [2, 3])
def test_unknown_pixels_take_no_part(ndim):
    raw, batch, spacing = example(ndim, 5)
    (grad,) = torch.autograd.grad(METHOD.loss(raw, batch, spacing)["total"], raw)
    unknown = (batch["labels"] < 0)[:, None].expand_as(grad)
    assert unknown.any() and not grad[unknown].any() and grad[~unknown].any()


def test_starts_at_half_likelihood_at_the_radius():
    from torch import nn

    specs = METHOD.maps(2)
    heads = [nn.Conv2d(3, channels, 1) for channels in METHOD.heads(2)]
    METHOD.init_heads(heads, ndim=2)
    bandwidth = heads[0].bias[2]
    q = torch.exp(10 * bandwidth) * (METHOD.radius / METHOD.unit) ** 2
    assert specs[1].name == "bandwidth"
    torch.testing.assert_close(torch.exp(-q), torch.tensor(0.5), rtol=1e-5, atol=1e-6)
    assert not heads[0].weight.any()
