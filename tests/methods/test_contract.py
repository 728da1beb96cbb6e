"""What every method has to keep, over METHODS x {2D, 3D}."""

import json
from types import FunctionType
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from embedseg.images import blobs
from embedseg.methods import METHODS, as_method, base
from embedseg.methods.base import activate
from embedseg.scoring import score
from embedseg.types import ACTIVATIONS, Maps, UsageError, channel_slices

SHAPES = {2: (48, 40), 3: (12, 32, 28)}
SPACING = {2: (1.0, 1.0), 3: (2.0, 1.0, 1.0)}
OPTIONS = {
    "embedding": {"unit": 16.0, "radius": 4.0},
    "semantic": {
        "names": ("ground", "one", "other"),
        "frequencies": (0.8, 0.15, 0.05),
        "weighting": "median",
    },
}
cases = pytest.mark.parametrize(
    ("method", "ndim"),
    [
        (as_method({"type": name, **OPTIONS.get(name, {})}), ndim)
        for name in METHODS
        for ndim in (2, 3)
    ],
    ids=lambda case: getattr(case, "type", case),
)


def ideal_embedding(method, labels, spacing):
    """Raw maps that send every pixel to its object's centre."""
    ndim = labels.ndim
    raw = np.zeros((2 * ndim + 1, *labels.shape))
    grid = np.indices(labels.shape) * np.reshape(spacing, (-1, *[1] * ndim))
    centres = method.targets(labels, spacing)["centres"].numpy()
    for k in range(1, labels.max() + 1):
        mask = labels == k
        away = (centres[k - 1].reshape(-1, *[1] * ndim) - grid)[:, mask]
        raw[:ndim, mask] = np.arctanh(np.clip(away / method.unit, -0.999, 0.999))
    raw[ndim : 2 * ndim] = np.log(np.log(2) * (method.unit / 1.0) ** 2) / method.bandwidth_scale
    raw[-1] = np.where(labels > 0, 6.0, -6.0)
    return raw


def ideal_boundary(method, labels, spacing):
    """Raw maps that know the targets, and of two neighbours where they meet."""
    targets = method.targets(labels, spacing)
    return np.stack(
        [np.where(targets[name].numpy() > 0, 6.0, -6.0) for name in ("foreground", "boundary")]
    )


def ideal_semantic(method, labels, spacing):
    """Raw maps in which the right class stands out."""
    return np.stack([np.where(labels == k, 6.0, 0.0) for k in range(len(method.names))])


def ideal_affinity(method, labels, spacing):
    """Raw maps that know the targets."""
    targets = method.targets(labels, spacing)
    both = np.concatenate([targets["foreground"][None], targets["affinity"]])
    return np.where(both > 0, 6.0, -6.0)


IDEAL = {
    "affinity": ideal_affinity,
    "boundary": ideal_boundary,
    "embedding": ideal_embedding,
    "semantic": ideal_semantic,
}


#: IoU that ideal maps lead to at least. Boundaries do not say whose they are where objects touch.
METHODS_AGREE = {"affinity": 1.0, "boundary": 0.85, "embedding": 1.0, "semantic": 1.0}


def example(method, ndim, seed=0):
    labels = blobs(SHAPES[ndim], 6, seed=seed)[1]
    if method.reads == "classes":
        labels = np.where(labels > 0, labels % 2 + 1, 0).astype(np.int32)
    return labels, IDEAL[method.type](method, labels, SPACING[ndim])


def loss(method, raw, labels):
    targets = {
        name: value[None] for name, value in method.targets(labels, SPACING[labels.ndim]).items()
    }
    return method.loss(torch.as_tensor(raw)[None].double(), targets, SPACING[labels.ndim])


class Alien(type(as_method({"type": "boundary"}))):
    """A method from elsewhere."""

    type: Literal["alien"] = "alien"


@cases
def test_what_is_scored_is_summed_up_laid_out_and_compared(method, ndim):
    labels, _ = example(method, ndim)
    scoring = method.scoring()
    scores = scoring.compare(labels, labels)
    summary = json.loads(json.dumps(scoring.summarise([("a", scores), ("b", scores)])))
    assert summary["n_images"] == 2 and scoring.table(summary)
    assert all(
        len(row) == len(table.columns) for table in scoring.tables(summary) for row in table.rows
    )
    assert scoring.headline(summary)[scoring.main[0]] == 1
    assert set(scoring.profile(summary).values()) == {1}
    assert all(isinstance(value, int | float) for value in scoring.row(scores).values())


@cases
def test_ideal_maps_decode_to_the_labels(method, ndim):
    labels, raw = example(method, ndim)
    found = method.decode(Maps(raw.astype(np.float16), method.maps(ndim), SPACING[ndim]))
    assert found.labels.dtype == np.int32 and method.describe([found.labels])
    assert method.score(labels, found.labels)[method.primary] >= METHODS_AGREE[method.type] - 0.5
    if method.reads == "classes":
        assert np.array_equal(found.labels, labels) and found.objects is None
        return
    scores = score(labels, found.labels, thresholds=(METHODS_AGREE[method.type],))
    assert scores.tp[f"{METHODS_AGREE[method.type]:.2f}"] == labels.max() == found.labels.max()
    for column in found.objects.values():
        assert len(column) == labels.max()


@cases
def test_the_ideal_costs_less_than_anything_near_it(method, ndim):
    labels, raw = example(method, ndim)
    rng = np.random.default_rng(0)
    ideal = float(loss(method, raw, labels)["total"])
    for scale in (0.05, 0.3, 1.0):
        worse = loss(method, raw + rng.normal(scale=scale, size=raw.shape), labels)
        assert float(worse["total"]) > ideal


@cases
@pytest.mark.parametrize("fill", [0, 1, -1])
def test_loss_is_finite_on_plain_images(method, ndim, fill):
    labels = np.full(SHAPES[ndim], fill, np.int32)
    channels = sum(spec.channels for spec in method.maps(ndim))
    raw = torch.zeros(1, channels, *SHAPES[ndim], requires_grad=True)
    targets = {k: v[None] for k, v in method.targets(labels, SPACING[ndim]).items()}
    parts = method.loss(raw, targets, SPACING[ndim])
    parts["total"].backward()
    assert torch.isfinite(parts["total"]) and torch.isfinite(raw.grad).all()
    assert set(parts) > {"total"}


@cases
def test_pixels_that_are_not_annotated_take_part_in_nothing(method, ndim):
    labels, raw = example(method, ndim)
    rng = np.random.default_rng(0)
    raw = raw + rng.normal(scale=0.3, size=raw.shape)
    labels[..., ::3] = -1
    labels[labels == labels.max()] = -1
    unknown = labels == -1
    changed = raw.copy()
    changed[:, unknown] = rng.normal(scale=3, size=(len(raw), unknown.sum()))
    for name, value in loss(method, changed, labels).items():
        assert float(value) == pytest.approx(float(loss(method, raw, labels)[name]), rel=1e-12)
    value = torch.tensor(raw[None], requires_grad=True)
    targets = {k: v[None] for k, v in method.targets(labels, SPACING[ndim]).items()}
    method.loss(value, targets, SPACING[ndim])["total"].backward()
    assert (value.grad[0][:, torch.from_numpy(unknown)] == 0).all()
    assert (value.grad[0][:, torch.from_numpy(~unknown)] != 0).any()


@cases
def test_descending_the_loss_lowers_it(method, ndim):
    labels, _ = example(method, ndim)
    channels = sum(spec.channels for spec in method.maps(ndim))
    heads = [nn.Linear(1, channels) for channels in method.heads(ndim)]
    method.init_heads(heads, ndim)
    start = torch.cat([head.bias.detach() for head in heads])
    raw = start.reshape(1, -1, *[1] * ndim).repeat(1, 1, *SHAPES[ndim]).requires_grad_()
    assert raw.shape[1] == channels
    targets = {k: v[None] for k, v in method.targets(labels, SPACING[ndim]).items()}
    optimizer = torch.optim.Adam([raw], lr=0.05)
    values = []
    for _ in range(25):
        total = method.loss(raw, targets, SPACING[ndim])["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        values.append(float(total.detach()))
    assert values[-1] < 0.7 * values[0]


@cases
def test_is_what_is_saved(method, ndim):
    again = as_method(json.loads(method.model_dump_json()))
    assert again == method and type(again) is type(method)
    assert set(method.search_space()) <= set(type(method).model_fields)
    assert method.primary in method.score(*[np.eye(4, dtype=np.int32)] * 2)
    assert method.differs(again) is None
    assert method.differs(Alien()) == f"its method is alien, not {method.type}"
    specs = method.maps(ndim)
    assert [spec.head for spec in specs] == sorted(spec.head for spec in specs)


@pytest.mark.parametrize("name", METHODS)
def test_each_method_has_one_implementation(name):
    classes = [cls for cls in METHODS[name].__mro__ if issubclass(cls, base.Method)]
    public = [key for cls in classes for key in vars(cls) if not key.startswith(("_", "model_"))]
    for key in public:
        parts = [vars(cls)[key] for cls in classes if key in vars(cls)]
        concrete = [
            part
            for part in parts
            if isinstance(part, FunctionType | property)
            and not getattr(part, "__isabstractmethod__", False)
        ]
        assert len(concrete) <= 1, key


@cases
def test_unknown_options_are_refused(method, ndim):
    with pytest.raises(ValueError, match="unheard_of"):
        as_method({"type": method.type, "unheard_of": 1})


def test_unknown_method_lists_the_known():
    with pytest.raises(UsageError, match=r"no method 'magic'; there are .*embedding"):
        METHODS["magic"]


def test_torch_and_numpy_activate_alike():
    assert set(base.ACTIVATIONS) == set(ACTIVATIONS)
    specs = as_method({"type": "embedding"}).maps(2)
    raw = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float16)
    maps = Maps(raw, specs, (1.0, 1.0))
    for name, value in activate(torch.from_numpy(raw).float()[None], specs).items():
        np.testing.assert_allclose(value[0], maps[name], rtol=1e-5, atol=1e-6)
    assert channel_slices(specs)["seed"] == slice(4, 5)
