"""Labels of blocks, joined, are those of the whole image but for their numbers."""

from typing import get_args

import cc3d
import edt
import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.ndimage import gaussian_filter
from skimage.segmentation import watershed

from embedseg.blockwise.block_objects import crop_objects
from embedseg.blockwise.joining import JOININGS, Faces, SeedOwnership, drop_objects
from embedseg.geometry import Block, split_blocks
from embedseg.methods import METHODS, JoinName
from embedseg.methods.boundary import Boundary
from embedseg.methods.embedding import Embedding
from embedseg.scoring import match_objects
from embedseg.types import Maps, Segmentation

SHAPES = {2: (50, 61), 3: (14, 30, 33)}
SPACINGS = {2: (1.0, 1.0), 3: (2.0, 1.0, 1.0)}


def maps_of(ndim, method, seed):
    """Noisy maps of round objects that touch."""
    rng = np.random.default_rng(seed)
    shape, steps = SHAPES[ndim], np.reshape(SPACINGS[ndim], (-1, *[1] * ndim))
    grid = np.indices(shape) * steps
    centres = rng.uniform(0, 1, (9, ndim)) * np.multiply(shape, SPACINGS[ndim])
    away = centres.reshape(-1, ndim, *[1] * ndim) - grid
    distance = np.sqrt((away**2).sum(axis=1))
    nearest = distance.argmin(axis=0)
    offset = np.take_along_axis(away, nearest[None, None], axis=0)[0] / method.unit
    offset = offset + rng.normal(scale=0.02, size=offset.shape)
    raw = np.zeros((2 * ndim + 1, *shape))
    raw[:ndim] = np.arctanh(np.clip(offset, -0.99, 0.99))
    raw[ndim : 2 * ndim] = np.log(np.log(2) * (method.unit / 2.5) ** 2) / method.bandwidth_scale
    raw[-1] = np.where(distance.min(axis=0) < 7, 4 - distance.min(axis=0) / 3, -4)
    raw[-1] += rng.normal(scale=0.3, size=shape)
    return Maps(raw.astype(np.float16), method.maps(ndim), SPACINGS[ndim])


def same_up_to_names(one, other):
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return (
        all(len(np.unique(side)) == pairs.shape[1] for side in pairs)
        and ((one == 0) == (other == 0)).all()
    )


def in_blocks(maps, method, blocks):
    objects = []
    for block in blocks:
        outer = (slice(None), *block.outer)
        part = Maps(
            np.ascontiguousarray(maps.data[outer]),
            maps.specs,
            maps.spacing,
            tuple(side.start for side in block.outer),
        )
        objects.append(crop_objects(method.decode(part), block, maps.shape))
    return zip(*objects, strict=True)


def assembled(parts, blocks, numbering, shape):
    labels = np.full(shape, -1, np.int64)
    for part, block, numbers in zip(parts, blocks, numbering.of_block, strict=True):
        labels[block.inner] = numbers[part]
    return labels


def test_every_way_that_a_method_may_name_is_there():
    assert set(JOININGS) == set(get_args(JoinName))
    assert all(method.join in JOININGS for method in METHODS.values())


# -- objects known by where they grew from ---------------------------------------------------------
@pytest.mark.parametrize("refine", [None, 0.4])
@given(ndim=st.sampled_from([2, 3]), seed=st.integers(0, 10**6), data=st.data())
def test_objects_are_those_of_the_whole_image(refine, ndim, seed, data):
    method = Embedding(unit=16.0, radius=4.0, refine=refine, seed_threshold=0.7)
    maps = maps_of(ndim, method, seed)
    whole = method.decode(maps)
    size = data.draw(st.tuples(*(st.integers(4, n) for n in maps.shape)))
    blocks = split_blocks(maps.shape, size, (24,) * ndim, (1,) * ndim)
    parts, objects = in_blocks(maps, method, blocks)
    numbering = SeedOwnership().number(blocks, objects, maps.shape)
    labels = assembled(parts, blocks, numbering, maps.shape)
    assert numbering.lost == 0 and numbering.count == whole.labels.max()
    assert same_up_to_names(labels, whole.labels)
    table = SeedOwnership().table(blocks, objects, numbering)
    assert np.array_equal(table["size"], np.bincount(labels.ravel())[1:])
    for number in range(1, numbering.count + 1):
        places = np.argwhere(labels == number)
        assert np.array_equal(table["lower"][number - 1], places.min(axis=0))
        assert np.array_equal(table["upper"][number - 1], places.max(axis=0) + 1)
    first = {
        label: number for label, number in zip(whole.labels.ravel(), labels.ravel(), strict=True)
    }
    order = [first[label] - 1 for label in range(1, numbering.count + 1)]
    np.testing.assert_allclose(table["centre"][order], whole.objects["centre"], atol=1e-4)
    np.testing.assert_array_equal(table["score"][order], whole.objects["score"])


def test_a_block_decodes_the_same_numbers_wherever_it_lies():
    method = Embedding(unit=16.0, radius=4.0)
    maps = maps_of(2, method, 3)
    far = Maps(maps.data, maps.specs, maps.spacing, (512, 4096))
    here, there = method.decode(maps), method.decode(far)
    assert same_up_to_names(here.labels, there.labels)
    np.testing.assert_allclose(
        there.objects["centre"] - here.objects["centre"],
        np.tile([512.0, 4096.0], (len(here.objects["size"]), 1)),
        atol=1e-2,
    )


def test_an_object_whose_owner_does_not_know_it_is_counted():
    left = Block((slice(0, 1), slice(0, 4)), (slice(0, 1), slice(0, 6)))
    right = Block((slice(0, 1), slice(4, 8)), (slice(0, 1), slice(2, 8)))

    def table(places):
        n = len(places)
        return {
            "position": np.array(places).reshape(-1, 2),
            "centre": np.zeros((n, 2)),
            "score": np.ones(n),
            "size": np.ones(n, np.int64),
        }

    nothing = crop_objects(Segmentation(np.zeros((1, 6), np.int32), table([])), left, (1, 8))[1]
    met = crop_objects(
        Segmentation(np.array([[1, 1, 1, 0, 0, 0]], np.int32), table([(0, 1)])), right, (1, 8)
    )[1]
    numbering = SeedOwnership().number([left, right], [nothing, met], (1, 8))
    assert (numbering.count, numbering.lost) == (1, 1)


def test_objects_that_reach_the_end_of_what_was_read_are_marked():
    block = Block((slice(0, 1), slice(2, 5)), (slice(0, 1), slice(0, 7)))
    table = {
        "position": np.array([[0, 3], [0, 5]]),
        "centre": np.zeros((2, 2)),
        "score": np.ones(2),
        "size": np.array([4, 3]),
    }
    objects = crop_objects(
        Segmentation(np.array([[1, 1, 1, 1, 2, 2, 2]], np.int32), table), block, (1, 9)
    )[1]
    # The first ends where the image does; the second continues, but is another block's.
    assert objects.cut.tolist() == [False, False]
    table["position"] = np.array([[0, 3], [0, 4]])
    objects = crop_objects(
        Segmentation(np.array([[1, 1, 1, 1, 2, 2, 2]], np.int32), table), block, (1, 9)
    )[1]
    assert objects.cut.tolist() == [False, True]


# -- pieces that hang together ---------------------------------------------------------------------
def pieces(mask):
    labels = np.asarray(cc3d.connected_components(mask, connectivity=4 if mask.ndim == 2 else 6))
    return segmentation_of(labels.astype(np.int32))


def segmentation_of(labels):
    count = int(labels.max())
    places = np.array([np.argwhere(labels == k)[0] for k in range(1, count + 1)])
    return Segmentation(
        labels,
        {
            "position": places.reshape(-1, labels.ndim),
            "centre": np.zeros((count, labels.ndim)),
            "score": np.ones(count),
            "size": np.bincount(labels.ravel(), minlength=count + 1)[1:],
        },
    )


@given(ndim=st.sampled_from([2, 3]), seed=st.integers(0, 10**6), data=st.data())
def test_pieces_are_joined_over_faces(ndim, seed, data):
    shape = {2: (18, 21), 3: (7, 8, 9)}[ndim]
    mask = np.random.default_rng(seed).random(shape) < {2: 0.6, 3: 0.35}[ndim]
    size = data.draw(st.tuples(*(st.integers(2, n) for n in shape)))
    blocks = split_blocks(shape, size, (1,) * ndim, (1,) * ndim)
    parts, objects = zip(
        *(crop_objects(pieces(mask[block.outer]), block, shape) for block in blocks), strict=True
    )
    numbering = Faces().number(blocks, objects, shape)
    labels = assembled(parts, blocks, numbering, shape)
    assert same_up_to_names(labels, pieces(mask).labels)
    table = Faces().table(blocks, objects, numbering)
    sizes = table["size"]
    assert not table["cut"].any()
    left = drop_objects(numbering, sizes > 2)
    whole = pieces(mask)
    kept = np.concatenate([[False], whole.objects["size"] > 2])[whole.labels]
    assert same_up_to_names(assembled(parts, blocks, left, shape), np.where(kept, whole.labels, 0))


def test_objects_that_blocks_part_differently_stay_two():
    """Two long objects side by side, whose border is a pixel off in one of the blocks."""
    shape, blocks = (8, 20), split_blocks((8, 20), (8, 10), (0, 1), (1, 1))
    left, right = np.ones((8, 11), np.int32), np.ones((8, 11), np.int32)
    left[4:], right[5:] = 2, 2
    parts, objects = zip(
        *(
            crop_objects(segmentation_of(labels), block, shape)
            for labels, block in zip((left, right), blocks, strict=True)
        ),
        strict=True,
    )
    numbering = Faces().number(blocks, objects, shape)
    labels = assembled(parts, blocks, numbering, shape)
    assert numbering.count == 2
    assert labels[:4].max() == 1 and labels[5:].min() == 2


@pytest.mark.parametrize(("decoder", "least"), [("watershed", 0.86), ("boundary-watershed", 0.935)])
def test_winding_objects_larger_than_the_halo_are_hardly_joined(decoder, least):
    """Joined by single pixels, 0.84 and 0.92 of them would be those of the whole image."""
    method = Boundary(decoder=decoder, min_object_size=20, sigma=2.0)
    counts = np.zeros(2)
    for seed in range(3):
        maps = Maps(winding(seed), method.maps(2), (1.0, 1.0))
        blocks = split_blocks(maps.shape, (80, 80), (6, 6), (1, 1))
        parts, objects = in_blocks(maps, method.in_blocks(True), blocks)
        numbering = Faces().number(blocks, objects, maps.shape)
        labels = assembled(parts, blocks, numbering, maps.shape).astype(np.int32)
        truth = method.decode(maps).labels
        counts += (len(match_objects(truth, labels, 0.9)), truth.max())
    assert counts[0] > least * counts[1]


def winding(seed):
    """Return maps of objects that wind and touch, with noise."""
    rng, shape = np.random.default_rng(seed), (240, 240)
    ground = gaussian_filter(rng.normal(size=shape), 4)
    markers = np.zeros(shape, np.int32)
    markers[tuple(rng.integers(0, 240, (2, 40)))] = np.arange(1, 41)
    labels = watershed(ground, markers)
    gaps = gaussian_filter(rng.normal(size=shape), 6)
    labels[gaps > np.quantile(gaps, 0.75)] = 0
    edge = (labels > 0) & (edt.edt(labels.astype(np.uint32)) <= 1.5)
    maps = []
    for mask, smooth, share in (((labels > 0), 1.0, 0.15), (edge, 0.7, 0.12)):
        noise = gaussian_filter(rng.normal(size=shape), 1)
        values = gaussian_filter(mask.astype(float), smooth) + share * noise / noise.std()
        values = np.clip(values, 0.01, 0.99)
        maps.append(np.log(values / (1 - values)))
    return np.stack(maps).astype(np.float16)
