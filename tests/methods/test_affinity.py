"""The affinity method."""

from __future__ import annotations

import sys
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from embedseg.data import Sample, compute_statistics
from embedseg.methods.affinity import Affinity, Offset
from embedseg.prediction.planes import _lifted
from embedseg.types import Maps, UsageError

PLANE = ((1, 0), (0, 1), (0, 3))


def decode(
    method: Affinity, foreground: NDArray[np.bool_], affinity: NDArray[np.floating]
) -> NDArray[np.int32]:
    """Decode probabilities, (*space) and (n, *space)."""
    known = np.clip(np.concatenate([foreground[None], affinity]), 0.001, 0.999)
    raw = np.log(known / (1 - known)).astype(np.float16)
    ndim = foreground.ndim
    return method.decode(Maps(raw, method.maps(ndim), (1.0,) * ndim)).labels


def test_pairs_of_one_object_are_the_target() -> None:
    labels = np.array([[1, 1, 1, 1, 2, 2, 0, 0, -1, 3]], np.int32)
    targets = Affinity(offsets=PLANE).targets(labels, (1.0, 1.0))
    assert targets["foreground"].tolist() == [[1, 1, 1, 1, 1, 1, 0, 0, -1, 1]]
    assert targets["affinity"].tolist() == [
        [[-1] * 10],
        [[1, 1, 1, 0, 1, 0, 0, -1, -1, -1]],
        [[1, 0, 0, 0, 0, -1, 0, -1, -1, -1]],
    ]


def test_a_distant_pair_cuts_what_neighbours_join() -> None:
    """Along a row all neighbours are alike but for a faint gap; two pixels say they are not."""
    foreground = np.ones((1, 6), bool)
    affinity = np.full((3, 1, 6), 0.9)
    affinity[1, 0, 2] = 0.6
    assert decode(Affinity(offsets=PLANE), foreground, affinity).tolist() == [[1] * 6]
    affinity[2, 0, 1] = 0.2
    method = Affinity(offsets=PLANE, stride=1)
    assert decode(method, foreground, affinity).tolist() == [[1, 1, 1, 2, 2, 2]]
    weak = method.model_copy(update={"repulsion": 0.5})
    assert decode(weak, foreground, affinity).tolist() == [[1] * 6]


def test_objects_end_where_the_foreground_does() -> None:
    foreground = np.array([[1, 1, 0, 1, 1, 1]], bool)
    affinity = np.full((3, 1, 6), 0.9)
    found = decode(Affinity(offsets=PLANE), foreground, affinity)
    assert found.tolist() == [[1, 1, 0, 2, 2, 2]]
    larger = decode(Affinity(offsets=PLANE, min_object_size=2), foreground, affinity)
    assert larger.tolist() == [[0, 0, 0, 1, 1, 1]]


def literal_mutex_watershed(
    weights: NDArray[np.floating], offsets: tuple[Offset, ...], attracting: int
) -> list[set[int]]:
    """Take pairs by falling weight: join two groups unless a repelling pair has parted them."""
    shape = weights.shape[1:]
    pairs = []
    for k, offset in enumerate(offsets):
        for pixel in np.ndindex(shape):
            other = tuple(np.add(pixel, offset))
            if min(other) >= 0 and all(np.less(other, shape)):
                one, two = (int(np.ravel_multi_index(each, shape)) for each in (pixel, other))
                pairs.append((float(weights[(k, *pixel)]), one, two, k < attracting))
    group = {pixel: frozenset([pixel]) for pixel in range(int(np.prod(shape)))}
    parted: set[tuple[int, int]] = set()
    for _, one, two, attracts in sorted(pairs, reverse=True):
        if group[one] == group[two]:
            continue
        apart = any((a, b) in parted for a, b in product(group[one], group[two]))
        if not attracts:
            parted |= {(one, two), (two, one)}
        elif not apart:
            both = group[one] | group[two]
            group.update(dict.fromkeys(both, both))
    return [set(each) for each in set(group.values())]


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), shape=st.sampled_from([(4, 5), (2, 3, 4)]))
def test_the_library_groups_as_the_published_algorithm_does(
    seed: int, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    ndim = len(shape)
    steps = np.eye(ndim, dtype=int)
    offsets = tuple(map(tuple, np.concatenate([steps, 2 * steps]).tolist()))
    # All different, also once they are raw maps of half precision.
    count = len(offsets) * int(np.prod(shape))
    weights = rng.permutation(np.linspace(0.05, 0.95, count)).reshape(len(offsets), *shape)
    affinity = weights.copy()
    affinity[ndim:] = 1 - weights[ndim:]
    method = Affinity(offsets=offsets, stride=1)
    found = decode(method, np.ones(shape, bool), affinity)
    raw = np.log(affinity / (1 - affinity)).astype(np.float16)
    spec = method.maps(ndim)
    rounded = Maps(np.concatenate([raw[:1], raw]), spec, (1.0,) * ndim)["affinity"]
    rounded[ndim:] = 1 - rounded[ndim:]
    truth = literal_mutex_watershed(rounded, offsets, ndim)
    assert {frozenset(np.flatnonzero(found == k)) for k in np.unique(found)} == {
        frozenset(each) for each in truth
    }


@pytest.mark.parametrize(
    ("offsets", "words"),
    [
        (((1, 0), (0, 1), (0, 0, 3)), "along 2 axes each"),
        (((0, 1), (1, 0)), "to the neighbours"),
        ((*PLANE, (0, -3)), "the same, or opposites"),
        ((*PLANE, (0, 0)), "zero"),
    ],
)
def test_steps_that_make_no_sense_are_refused(offsets: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Affinity.model_validate({"offsets": offsets})


def test_steps_are_planned_from_the_width_of_objects_and_the_spacing() -> None:
    labels = np.zeros((12, 40, 40), np.int32)
    labels[2:8, 5:17, 4:34] = 1  # 12 x 12 x 30 µm
    sample = Sample("a", labels[None].astype(np.float32), labels, spacing=(2.0, 1.0, 1.0))
    method = Affinity().plan(compute_statistics([sample]))
    assert method.offsets == (
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (2, 0, 0),
        (0, 4, 0),
        (0, 0, 4),
        (6, 0, 0),
        (0, 11, 0),
        (0, 0, 11),
    )
    assert any("up to 11 px" in line for line in method.reasons("µm"))
    # A model that is trained further keeps its own.
    assert Affinity(offsets=PLANE).plan(compute_statistics([sample])).offsets == PLANE


def test_affinities_of_other_pairs_are_not_averaged() -> None:
    one, other = Affinity(offsets=PLANE), Affinity(offsets=(*PLANE, (3, 0)))
    assert one.differs(one) is None
    assert "other pairs of pixels" in str(one.differs(other))


def test_affinities_of_planes_are_those_of_a_volume() -> None:
    method = Affinity(offsets=PLANE)
    volume = method.maps(3)
    assert volume[1].offsets[:3] == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert set(volume[1].offsets[3:]) == {(0, 0, 3), (0, 3, 0)}
    # Planes across Y: their steps are along Z, X, and three along X.
    channels = _lifted(method.maps(2), volume, (0, 2))
    named = [volume[1].offsets[channel - 1] for channel in channels[1:]]
    assert channels[0] == 0 and named == [(1, 0, 0), (0, 0, 1), (0, 0, 3)]


def test_a_wrong_cut_costs_more_than_a_wrong_join() -> None:
    """There are few pairs of two objects, and they decide."""
    method = Affinity(offsets=PLANE)
    labels = np.repeat(np.array([[1] * 10 + [2] * 10], np.int32), 8, axis=0)
    targets = {name: value[None] for name, value in method.targets(labels, (1.0, 1.0)).items()}
    right = torch.where(targets["affinity"] > 0, 4.0, -4.0)
    raw = torch.cat([torch.full((1, 1, 8, 20), 4.0), right], dim=1)
    lost = raw.clone()
    lost[0, 2, :, 9] = 4.0  # the 8 pairs across the border
    added = raw.clone()
    added[0, 2, :, 4] = -4.0  # 8 pairs inside
    costs = [
        float(method.loss(each, targets, (1.0, 1.0))["affinity"]) for each in (raw, added, lost)
    ]
    assert costs[0] < costs[1] < costs[2]


def test_a_missing_library_is_said_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[4:9, 4:9] = 1
    stats = compute_statistics([Sample("a", labels[None].astype(np.float32), labels)])
    monkeypatch.setitem(sys.modules, "bioimage_cpp", None)
    with pytest.raises(UsageError, match="pip install bioimage-cpp"):
        Affinity().plan(stats)
