"""Clustering against hand-checked examples and against the rules word for word (`oracle`)."""

from __future__ import annotations

import dataclasses
import inspect
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import oracle
import pytest
from benchmarks.clustering import make_case
from hypothesis import HealthCheck, given, settings, strategies as st
from numpy.typing import NDArray

from embedseg.clustering import ClusterOptions, Clusters, cluster, cluster_raw, warm_up
from embedseg.clustering._activation import ascending_values
from embedseg.clustering._decode import _scratch
from embedseg.types import ACTIVATIONS, DataError, UsageError

Array = NDArray[Any]
WILD = [np.nan, np.inf, -np.inf, 60000, -60000, 100, -100, 0]


@dataclass(frozen=True)
class Case:
    """Raw maps, and how to cluster them."""

    offset: Array
    bandwidth: Array
    seed: Array
    options: dict[str, Any]

    def activated(self) -> tuple[Array, Array, Array]:
        with np.errstate(all="ignore"):
            return (
                ACTIVATIONS["tanh"](self.offset.astype(np.float32)),
                self.bandwidth,
                ACTIVATIONS["sigmoid"](self.seed.astype(np.float32)),
            )


@st.composite
def cases(draw: st.DrawFn, seeds: str = "greedy") -> Case:
    """Adversarial maps: ties, saturation, NaN and infinite values, odd shapes and options."""
    ndim = draw(st.integers(2, 3))
    sides = st.sampled_from([1, 2, 3, 5, 8, 15, 16, 17, 33] if ndim == 2 else [1, 2, 4, 5, 9, 17])
    shape = draw(st.tuples(*[sides] * ndim))
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    maps = [
        random.normal(0, draw(st.sampled_from([0, 0.1, 1, 3])), (ndim, *shape)),
        random.normal(
            draw(st.sampled_from([-0.2, 0, 0.2, 0.5])),
            draw(st.sampled_from([0, 0.1, 0.5])),
            (ndim, *shape),
        ),
        random.normal(
            draw(st.sampled_from([-1, 1, 3])), draw(st.sampled_from([0, 1, 3, 20])), shape
        ),
    ]
    if draw(st.booleans()):
        maps[2] = np.round(maps[2] * 2) / 2
    if draw(st.integers(0, 2)) == 0:
        for values in maps:
            wild = random.random(values.shape) < 0.05
            values[wild] = random.choice(WILD, wild.sum())
    offset, bandwidth, seed = (values.astype(dtype) for values in maps)
    threshold = st.sampled_from([0.0, 0.3, 0.5, 0.7, 0.9, 1.0])
    options = {
        "spacing": draw(st.tuples(*[st.sampled_from([0.1, 0.5, 1.0, 2.0, 3.3])] * ndim)),
        "unit": draw(st.sampled_from([0.3, 1.0, 5.0, 20.0, 1023.0])),
        "fg_threshold": draw(threshold),
        "seed_threshold": draw(threshold),
        "min_object_size": draw(st.sampled_from([0, 1, 3, 10])),
        "max_radius": draw(st.sampled_from([None, 0.5, 3.0, 10.0])),
        "refine": draw(st.sampled_from([None, 0.01, 0.4, 0.9])),
        "seeds": seeds,
    }
    return Case(offset, bandwidth, seed, options)


def assert_as_oracle(found: Clusters, case: Case) -> None:
    labels, position = oracle.cluster(*case.activated(), **case.options)
    ndim = labels.ndim
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.position, np.array(position, int).reshape(-1, ndim))
    assert found.labels.dtype == np.int32
    np.testing.assert_array_equal(found.size, np.bincount(labels.ravel())[1:])
    np.testing.assert_array_equal(
        found.score, case.activated()[2][tuple(found.position.T)].astype(np.float32)
    )


many = settings(
    max_examples=850,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@many
@given(cases())
def test_activated_maps_give_the_labels_of_the_rules(case: Case) -> None:
    assert_as_oracle(cluster(*case.activated(), **case.options), case)


@many
@given(cases())
def test_raw_maps_give_the_labels_of_the_rules(case: Case) -> None:
    assert_as_oracle(cluster_raw(case.offset, case.bandwidth, case.seed, **case.options), case)


@many
@given(cases(seeds="peaks"))
def test_peaks_give_the_labels_of_the_rules(case: Case) -> None:
    assert_as_oracle(cluster(*case.activated(), **case.options), case)
    assert_as_oracle(cluster_raw(case.offset, case.bandwidth, case.seed, **case.options), case)


@pytest.mark.parametrize("noise", ["none", "mild", "strong"])
@pytest.mark.parametrize(("shape", "objects"), [((150, 170), 30), ((13, 40, 50), 20)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("refine", [None, 0.5])
def test_maps_like_those_of_a_net(
    shape: tuple[int, ...], objects: int, noise: str, dtype: type, refine: float | None
) -> None:
    made = make_case(shape, objects, noise, outliers=0.01)
    case = Case(
        *(m.astype(dtype) for m in (made.offset, made.bandwidth, made.seed)),
        {"spacing": made.spacing, "unit": made.unit, "refine": refine},
    )
    found = cluster_raw(case.offset, case.bandwidth, case.seed, **case.options)
    assert len(found.size) >= 0.8 * made.objects
    assert_as_oracle(found, case)


def row(seed: list[float], offset: list[float] | None = None, radius: float = 1.5) -> Any:
    """One line of pixels that reach as far as `radius`, as arguments of `cluster` with unit 1."""
    along = np.zeros(len(seed)) if offset is None else np.array(offset)
    weight = np.full((2, 1, len(seed)), np.log(np.log(2) / radius**2) / 10 + 1e-4)
    return np.stack([0 * along, along])[:, None], weight, np.array([seed])


def line(arguments: Any, **options: Any) -> list[int]:
    found = cluster(*arguments, spacing=(1, 1), unit=1, **options)
    return list(found.labels[0])


def test_of_equal_seeds_the_first_goes_first() -> None:
    assert line(row([0.8, 1, 1, 0.8, 0.8])) == [1, 1, 1, 0, 0]
    assert line(row([1, 1, 1, 0.1, 0.1, 1, 1, 1], radius=2.5)) == [1, 1, 1, 0, 0, 2, 2, 2]


def test_refining_mends_what_one_seed_pixel_got_wrong() -> None:
    # Embeddings 1, 1.8, 2, 3.2, 2.2: the best seed is the one that is off.
    maps = row([0.8, 0.8, 0.8, 1, 0.8], [1, 0.8, 0, 0.2, -1.8], radius=1.3)
    assert line(maps) == [0, 0, 1, 1, 1]
    assert line(maps, refine=0.5) == [0, 1, 1, 1, 1]
    found = cluster(*maps, spacing=(1, 1), unit=1, refine=0.5)
    assert found.centre[0, 1] == pytest.approx((2 + 3.2 + 2.2) / 3)
    # Embeddings 1, 1, 2.2, 4, 4, 4, 4: the later object takes the third pixel, the first is nearer.
    between = row([0.8, 1, 0.8, 0.8, 0.95, 0.8, 0.8], [1, 0, 0.2, 1, 0, -1, -2], radius=1.9)
    assert line(between) == [1, 1, 2, 2, 2, 2, 2]
    assert line(between, refine=0.5) == [1, 1, 1, 2, 2, 2, 2]
    # What keeps too little is no object any more.
    assert line(between, refine=0.99, min_object_size=2) == [0] * 7


def test_threshold_counts_as_seed_but_not_as_foreground() -> None:
    seeds = [0.5, 0.6, 0.9, 0.6, 0.6, 0.5]
    assert line(row(seeds), seed_threshold=0.9) == [0, 1, 1, 1, 0, 0]
    assert line(row(seeds), seed_threshold=0.90001) == [0] * 6
    assert line(row(seeds), seed_threshold=0.6, fg_threshold=0.6) == [0] * 6


def test_object_takes_less_than_half_of_its_pixels_from_another() -> None:
    # The second has 5 members; one of them belongs to the first and is taken over.
    seeds = [0.8, 0.8, 0.99, 0.8, 0.8, 0.7, 0.95, 0.7, 0.7]
    assert line(row(seeds, radius=2.5)) == [1, 1, 1, 1, 2, 2, 2, 2, 2]
    # Nearer and at the border, none of its 4 is free but the last.
    seeds = [0.8, 0.8, 0.99, 0.8, 0.8, 0.95, 0.7]
    assert line(row(seeds, radius=2.5)) == [1, 1, 1, 1, 1, 0, 0]


def test_rejected_members_are_assigned_only_in_greedy_order() -> None:
    # The middle one has 2 members, too few free; the last would have 3 but is assigned by then.
    seeds = [0.95, 0.99, 0.95, 0.96, 0.91, 0.91]
    assert line(row(seeds)) == [1, 1, 1, 0, 0, 0]
    assert line(row([*seeds[:5], 0.97, 0.91])) == [1, 1, 1, 0, 2, 2, 2]


def test_objects_that_end_small_are_dropped_and_labels_have_no_gap() -> None:
    # The first object has 3 pixels, and its neighbours of 5 take one each.
    maps = row([0.7, 0.7, 0.96, 0.7, 0.7, 0.99, 0.7, 0.7, 0.95, 0.7, 0.7], radius=2.5)
    maps[1][..., 5] = row([1], radius=1.5)[1][..., 0]
    assert line(maps) == [2, 2, 2, 2, 2, 1, 3, 3, 3, 3, 3]
    assert line(maps, min_object_size=1) == [1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2]
    found = cluster(*maps, spacing=(1, 1), unit=1, min_object_size=1)
    assert found.position.tolist() == [[0, 2], [0, 8]]
    assert found.size.tolist() == [5, 5]


def test_proposals_must_exceed_the_smallest_size() -> None:
    assert line(row([0.8, 0.95, 0.8]), min_object_size=2) == [1, 1, 1]
    assert line(row([0.8, 0.95, 0.8]), min_object_size=3) == [0, 0, 0]


def test_nan_and_infinite_values_belong_to_nothing() -> None:
    for which in range(3):
        for bad in (np.nan, np.inf):
            maps = row([0.8, 0.95, 0.8, 0.8], radius=2.2)
            maps[which][..., 2] = bad
            assert line(maps) == [1, 1, 0, 1]


def test_wild_bandwidth_reaches_no_further_than_the_largest_radius() -> None:
    maps = row([0.8, 0.95, 0.8, 0.8, 0.8, 0.8])
    maps[1][:, 0, 1] = -1000
    assert line(maps) == [1] * 6
    assert line(maps, max_radius=1.5) == [1, 1, 1, 0, 0, 0]


def test_spacing_and_unit_scale_together() -> None:
    made = make_case((60, 70), 8)
    maps = made.offset, made.bandwidth, made.seed
    one = cluster_raw(*maps, spacing=(1, 1), unit=made.unit)
    other = cluster_raw(*maps, spacing=(0.25, 0.25), unit=made.unit / 4)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.centre, other.centre * 4)


def test_peaks_find_objects_below_the_seed_threshold() -> None:
    seeds = [0.6, 0.7, 0.6, 0.1, 0.6, 0.7, 0.6]
    assert line(row(seeds)) == [0] * 7
    assert line(row(seeds, radius=2.5), seeds="peaks") == [1, 1, 1, 0, 2, 2, 2]


def test_more_objects_than_int16_can_count() -> None:
    side, pitch = 4096, 20
    seed = np.zeros((side, side), np.float16)
    for dy in range(3):
        for dx in range(3):
            seed[dy : 200 * pitch : pitch, dx : 200 * pitch : pitch] = 0.95
    seed[1 : 200 * pitch : pitch, 1 : 200 * pitch : pitch] = 1
    offset = np.zeros((2, side, side), np.float16)
    found = cluster(offset, offset, seed, spacing=(1, 1), unit=2)
    assert found.labels.dtype == np.int32
    assert (found.size == 9).all() and len(found.size) == 40_000
    np.testing.assert_array_equal(
        found.labels[:4000:pitch, :4000:pitch].ravel(), np.arange(1, 40_001)
    )


def test_threads_do_not_disturb_each_other() -> None:
    made = [make_case((90 + 7 * i, 110), 10 + i, rng=i) for i in range(6)]

    def run(i: int) -> Array:
        case = made[i % len(made)]
        maps = case.offset, case.bandwidth, case.seed
        return cluster_raw(*maps, spacing=case.spacing, unit=case.unit).labels

    alone = [run(i) for i in range(len(made))]
    with ThreadPoolExecutor(4) as pool:
        for i, labels in enumerate(pool.map(run, range(60))):
            np.testing.assert_array_equal(labels, alone[i % len(made)])


def test_results_stay_when_scratch_is_used_again() -> None:
    first, second = make_case((80, 80), 10, rng=1), make_case((80, 80), 10, rng=2)
    found = cluster_raw(first.offset, first.bandwidth, first.seed, spacing=(1, 1), unit=first.unit)
    before = [np.copy(getattr(found, name)) for name in ("labels", "centre", "score", "size")]
    cluster_raw(second.offset, second.bandwidth, second.seed, spacing=(1, 1), unit=second.unit)
    for name, value in zip(("labels", "centre", "score", "size"), before, strict=True):
        np.testing.assert_array_equal(getattr(found, name), value)


def test_memory_follows_the_foreground() -> None:
    case = make_case((512, 512), 200)
    maps = case.offset, case.bandwidth, case.seed
    warm_up()
    _scratch.flat.clear()
    tracemalloc.start()
    try:
        found = cluster_raw(*maps, spacing=case.spacing, unit=case.unit)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - found.labels.nbytes < 32 * (case.seed > 0).sum()


@pytest.mark.parametrize("activation", ["none", "sigmoid"])
def test_float16_is_activated_in_ascending_order(activation: str) -> None:
    values = ascending_values(activation)
    assert (np.diff(values[1:-1]) >= 0).all() and values[0] <= values[1]


def test_arrays_of_any_layout_and_type() -> None:
    case = make_case((40, 50), 6)
    maps = [m.astype(np.float32) for m in (case.offset, case.bandwidth, case.seed)]
    options: dict[str, Any] = {"spacing": case.spacing, "unit": case.unit}
    labels = cluster_raw(*maps, **options).labels
    assert labels.max() > 3
    for change in (np.asfortranarray, np.float64, lambda m: np.stack([m, m], -1)[..., 0]):
        np.testing.assert_array_equal(cluster_raw(*map(change, maps), **options).labels, labels)


def test_nothing_found() -> None:
    for shape in ((4, 5), (0, 5), (2, 3, 4)):
        maps = np.zeros((len(shape), *shape))
        found = cluster(maps, maps, np.zeros(shape), spacing=(1,) * len(shape), unit=1)
        assert found.labels.shape == shape and not found.labels.any()
        assert found.position.shape == found.centre.shape == (0, len(shape))
        assert len(found.score) == len(found.size) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fg_threshold": -0.1}, "fg_threshold is -0.1"),
        ({"seed_threshold": 1.01}, "seed_threshold is 1.01"),
        ({"seed_threshold": float("nan")}, "seed_threshold is nan"),
        ({"seeds": "best"}, "'best', expected 'greedy' or 'peaks'"),
        ({"unit": 0}, "unit is 0"),
        ({"max_radius": -1}, "max_radius is -1"),
        ({"refine": 0}, "refine is 0"),
        ({"refine": 1.0}, "likelihood between 0 and 1"),
        ({"min_object_size": -1}, "min_object_size is -1"),
        ({"spacing": (1, 0)}, "spacing is"),
        ({"spacing": (1,)}, "has 1 axes"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        cluster(*row([0.1, 0.9]), **{"spacing": (1, 1), "unit": 1, **options})


def test_the_functions_have_the_defaults_of_the_options() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(ClusterOptions)}
    for function in (cluster, cluster_raw):
        given = inspect.signature(function).parameters.values()
        defaults = {each.name: each.default for each in given if each.kind is each.KEYWORD_ONLY}
        assert list(defaults) == list(fields)
        for name in set(fields) - {"spacing", "unit", "origin"}:
            assert defaults[name] == fields[name]


def test_maps_that_do_not_fit() -> None:
    offset, bandwidth, seed = row([0.1, 0.9])
    with pytest.raises(DataError, match=r"offset \(2, 1, 1\), bandwidth \(2, 1, 2\)"):
        cluster(offset[..., :1], bandwidth, seed, spacing=(1, 1), unit=1)
    with pytest.raises(DataError, match="spacing"):
        cluster(offset, bandwidth, seed, spacing=(1, 1, 1), unit=1)
