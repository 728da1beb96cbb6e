"""Scores of objects are probabilities: learned, calibrated, and acted upon."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from embedseg.clustering import cluster
from embedseg.methods import METHODS, InstanceMethod, as_method, reliability
from embedseg.methods.confidence import gather_evidence, learn_weights, probability
from embedseg.methods.embedding import Embedding
from embedseg.types import Segmentation

INSTANCES = [name for name in METHODS if isinstance(as_method({"type": name}), InstanceMethod)]


@given(st.integers(0, 10**6), st.lists(st.floats(-3, 3), min_size=2, max_size=2))
def test_probabilities_are_those_that_objects_were_drawn_with(seed, slopes):
    rng = np.random.default_rng(seed)
    evidence = rng.normal(size=(4000, 2)) * [1, 10] + [0, 5]
    odds = 0.5 + evidence @ (np.array(slopes) / [1, 10])
    share = 1 / (1 + np.exp(-odds))
    true = rng.random(4000) < share
    learned = probability(evidence, learn_weights(evidence, true))
    assert np.abs(learned - share).mean() < 0.03


def test_learned_scores_are_reliable_where_others_are_not():
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(2000, 3))
    true = rng.random(2000) < 1 / (1 + np.exp(-evidence.sum(axis=1)))
    scores = probability(evidence, learn_weights(evidence, true))
    curve = reliability(scores, true, bins=5)
    assert [part.objects for part in curve] == [400] * 5
    assert max(abs(part.score - part.true) for part in curve) < 0.06


@pytest.mark.parametrize("true", [True, False])
def test_one_kind_alone_leaves_scores_short_of_certain(true):
    scores = probability(np.zeros((1, 1)), learn_weights(np.zeros((50, 1)), np.full(50, true)))
    assert 0 < scores[0] < 1 and (scores[0] > 0.9) == true


def test_too_few_objects_teach_nothing():
    assert learn_weights(np.zeros((29, 1)), np.ones(29, bool)) is None
    assert learn_weights(np.zeros((30, 1)), np.ones(30, bool)) is not None


def test_objects_count_by_what_they_match_and_not_where_nobody_annotated():
    truth = np.array([[1, 1, 0, 0, -1, -1, 2, 2]])
    labels = np.array([[1, 1, 2, 0, 3, 3, 4, 0]], np.int32)
    objects = {"evidence": np.array([[1.0], [2.0], [3.0], [4.0]])}
    evidence, true = gather_evidence([Segmentation(labels, objects)] * 2, [truth] * 2)
    pairs = sorted(zip(evidence[:, 0].tolist(), true.tolist(), strict=True))
    assert pairs == [(1.0, True)] * 2 + [(2.0, False)] * 2 + [(4.0, True)] * 2


@pytest.mark.parametrize("name", INSTANCES)
def test_objects_with_a_low_score_are_left_out_and_the_rest_renumbered(name):
    method = as_method({"type": name})
    labels = np.array([[1, 1, 0, 2, 3]], np.int32)
    objects = {
        "score": np.array([0.9, 0.2, 0.6], np.float32),
        "size": np.array([2, 1, 1]),
        "evidence": np.array([[0.0], [-9.0], [9.0]]),
    }
    all_of_them = method.judged(labels, dict(objects))
    assert all_of_them.labels is labels
    some = method.model_copy(update={"min_score": 0.5}).judged(labels, dict(objects))
    assert some.labels.tolist() == [[1, 1, 0, 0, 2]] and some.labels.dtype == np.int32
    assert some.objects["score"].tolist() == pytest.approx([0.9, 0.6])
    sure = method.model_copy(update={"min_score": 0.5, "confidence": (0.0, 1.0)})
    assert sure.judged(labels, dict(objects)).objects["size"].tolist() == [2, 1]
    assert sure.in_blocks(False).min_score == 0
    assert sure.keeps(
        {"score": np.array([0.4, 0.5]), "size": np.array([99, 99])}, False
    ).tolist() == [
        False,
        True,
    ]


def test_compact_objects_are_told_from_loose_ones():
    """Five pixels that meet in a point; five that are spread; two that later ones take."""
    offset = np.zeros((2, 1, 16), np.float32)
    offset[1, 0, :5] = (np.array([2, 1, 0, -1, -2])) / 10
    seed = np.full((1, 16), 0.6, np.float32)
    seed[0, 2], seed[0, 10], seed[0, 5:8] = 0.99, 0.95, 0.1
    found = cluster(
        offset, np.full((2, 1, 16), 0.1), seed, spacing=(1, 1), unit=10, bandwidth_scale=10
    )
    assert found.size[0] == 5 and len(found.size) == 2
    assert found.compactness[0] == pytest.approx(1.0) and 0.5 < found.compactness[1] < 0.9
    away = np.arange(8, 16)[found.labels[0, 8:] == 2] - 10.0
    weight = np.exp(10 * 0.1) / 100
    assert found.compactness[1] == pytest.approx(np.exp(-weight * away**2).mean(), rel=1e-5)
    assert found.claimed.tolist() == found.size.tolist()


def test_what_others_take_of_an_object_is_known():
    offset = np.zeros((2, 1, 9), np.float32)
    seed = np.full((1, 9), 0.6, np.float32)
    seed[0, 2], seed[0, 6] = 0.99, 0.95
    bandwidth = np.full((2, 1, 9), np.log(np.log(2) * 100 / 2.2**2) / 10, np.float32)
    found = cluster(offset, bandwidth, seed, spacing=(1, 1), unit=10, seed_threshold=0.9)
    assert found.claimed.tolist() == [5, 5] and found.size.tolist() == [4, 5]


def test_tuned_models_keep_what_they_learned(tmp_path):
    method = Embedding(confidence=(0.1, 0.2, 0.3, 0.4), min_score=0.3)
    assert as_method(method.model_dump(mode="json")) == method
