"""The boundary method: its targets by eye, its losses, and each of its decoders."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from embedseg.data import Sample, compute_statistics
from embedseg.images import blobs
from embedseg.methods.boundary import DECODERS, Boundary
from embedseg.methods.losses import dice, masked_bce
from embedseg.scoring import score
from embedseg.types import DataError, Maps
from tests.methods.test_contract import SHAPES, SPACING, ideal_boundary

every = pytest.mark.parametrize("decoder", DECODERS)


def test_targets_by_eye():
    labels = np.zeros((6, 9), np.int32)
    labels[:5, 1:5], labels[:5, 5:9] = 1, 2
    found = Boundary(thickness=1).targets(labels, (1.0, 1.0))
    # The first row and the last column lie at the edge of the image, which is no boundary.
    assert found["boundary"].tolist() == [
        [0, 1, 0, 0, 1, 1, 0, 0, 0],
        [0, 1, 0, 0, 1, 1, 0, 0, 0],
        [0, 1, 0, 0, 1, 1, 0, 0, 0],
        [0, 1, 0, 0, 1, 1, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert torch.equal(found["foreground"], torch.from_numpy((labels > 0).astype(np.int8)))
    labels[:, 7:] = -1
    found = Boundary(thickness=1).targets(labels, (1.0, 1.0))
    # Beside what is not annotated nobody knows whether the object ends.
    assert found["boundary"][1].tolist() == [0, 1, 0, 0, 1, 1, -1, -1, -1]
    assert found["foreground"][1].tolist() == [0, 1, 1, 1, 1, 1, 1, -1, -1]


def test_thickness_is_measured_in_space():
    labels = np.zeros((9, 9, 9), np.int32)
    labels[1:8, 1:8, 1:8] = 1
    found = Boundary(thickness=2).targets(labels, (2.0, 1.0, 1.0))["boundary"]
    assert found[4, 4].tolist() == [0, 1, 1, 0, 0, 0, 1, 1, 0]
    assert found[:, 4, 4].tolist() == [0, 1, 0, 0, 0, 0, 0, 1, 0]


@every
@pytest.mark.parametrize("ndim", [2, 3])
def test_decoders_find_the_objects_of_ideal_maps(decoder, ndim):
    labels = blobs(SHAPES[ndim], 5, seed=2)[1]
    method = Boundary(decoder=decoder)
    raw = ideal_boundary(method, labels, SPACING[ndim]).astype(np.float16)
    found = method.decode(Maps(raw, method.maps(ndim), SPACING[ndim]))
    assert score(labels, found.labels).tp["0.75"] == labels.max()
    places = tuple(found.objects["position"].T)
    assert found.labels[places].tolist() == list(range(1, found.labels.max() + 1))
    assert found.objects["size"].tolist() == np.bincount(found.labels.ravel())[1:].tolist()
    none = method.model_copy(update={"min_object_size": labels.size})
    assert none.decode(Maps(raw, method.maps(ndim), SPACING[ndim])).labels.max() == 0


@every
def test_decoders_part_what_touches(decoder):
    grid = np.indices((40, 60))
    labels = np.zeros((40, 60), np.int32)
    for number, column in enumerate((18, 40), 1):
        inside = ((grid - np.array([20, column]).reshape(2, 1, 1)) ** 2).sum(axis=0) < 12**2
        labels[inside & (labels == 0)] = number
    method = Boundary(decoder=decoder, sigma=2)
    raw = ideal_boundary(method, labels, (1.0, 1.0)).astype(np.float16)
    found = method.decode(Maps(raw, method.maps(2), (1.0, 1.0))).labels
    assert found.max() == 2 and score(labels, found).tp["0.90"] == 2


@given(st.integers(0, 2**32 - 1))
def test_losses_by_definition(seed):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(2, 4, 5)))
    targets = torch.from_numpy(rng.integers(-1, 2, (2, 4, 5)))
    crosses, dices = [], []
    for image, truth in zip(logits, targets, strict=True):
        p, t = torch.sigmoid(image)[truth >= 0], truth[truth >= 0]
        cross = [-float(torch.log(a if b else 1 - a)) for a, b in zip(p, t, strict=True)]
        crosses.append(sum(cross) / max(1, len(cross)))
        dices.append(1 - (2 * float((p * t).sum()) + 1) / float((p**2).sum() + t.sum() + 1))
    assert float(masked_bce(logits, targets)) == pytest.approx(np.mean(crosses))
    assert float(dice(torch.sigmoid(logits), targets)) == pytest.approx(np.mean(dices))


def test_gradients_of_the_losses():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(-1, 2, (2, 3, 3))
    for loss in (masked_bce, lambda x, t: dice(x.sigmoid(), t)):
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, targets), logits)


def test_plan_takes_the_smallest_object_from_the_data():
    image, labels = blobs((96, 96), 6)
    planned = Boundary().plan(compute_statistics([Sample("a", image[None], labels)]))
    assert 0 < planned.min_object_size < np.bincount(labels.ravel())[1:].min()
    with pytest.raises(DataError, match="no object"):
        Boundary().plan(compute_statistics([Sample("a", image[None], 0 * labels)]))
