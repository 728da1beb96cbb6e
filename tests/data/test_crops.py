from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, strategies as st

from embedseg.data import Crops, Sample
from embedseg.types import OUTSIDE, DataError


def sample(labels, channels=1):
    """Make a sample whose channels hold each pixel's flat index, and that plus 1000."""
    labels = np.asarray(labels, np.int32)
    index = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    return Sample("a", np.stack([index + 1000 * c for c in range(channels)]), labels)


def squares(shape, corners, side=3):
    labels = np.zeros(shape, np.int32)
    for number, corner in enumerate(corners, start=1):
        labels[tuple(slice(c, c + side) for c in corner)] = number
    return labels


def test_object_is_whole_and_anywhere_in_the_crop():
    crops = Crops([sample(squares((30, 30), [(12, 14)]))], (8, 8), background=0)
    rng = np.random.default_rng(0)
    firsts = set()
    for _ in range(400):
        _, labels, _ = crops.draw(rng)
        assert (labels == 1).sum() == 9
        firsts.add(tuple(np.argwhere(labels == 1)[0].tolist()))
    assert firsts == {(y, x) for y in range(6) for x in range(6)}


def test_object_at_the_edge_needs_no_padding():
    crops = Crops([sample(squares((10, 10), [(0, 7)]))], (8, 8), background=0)
    for seed in range(20):
        _, labels, _ = crops.draw(np.random.default_rng(seed))
        assert (labels == 1).sum() == 9 and (labels >= 0).all()


def test_crop_of_an_object_larger_than_it_lies_inside():
    crops = Crops([sample(squares((40, 40), [(10, 10)], side=20))], (8, 8), background=0)
    for seed in range(20):
        assert (crops.draw(np.random.default_rng(seed))[1] == 1).all()


def test_every_object_is_equally_likely():
    one = sample(squares((20, 20), [(2, 2)]))
    three = sample(squares((60, 60), [(2, 2), (2, 50), (50, 2)]))
    crops = Crops([one, three], (4, 4), background=0)
    rng = np.random.default_rng(0)
    # The middle of the object, read from the pixels, says which one it is.
    drawn = [
        int(image[0][labels > 0].mean())
        for image, labels, _ in (crops.draw(rng) for _ in range(2000))
    ]
    counts = np.unique(drawn, return_counts=True)[1]
    assert len(counts) == 4
    assert counts.min() > 400 and counts.max() < 600


def test_share_of_background():
    labels = squares((200, 200), [(0, 0)])
    rng = np.random.default_rng(0)
    crops = Crops([sample(labels)], (4, 4), background=0.25)
    empty = sum(crops.draw(rng)[1].max() == 0 for _ in range(1000))
    assert 200 < empty < 300
    nothing = Crops([sample(np.zeros((9, 9)))], (4, 4), background=0)
    assert nothing.draw(rng)[1].tolist() == np.zeros((4, 4)).tolist()


def test_small_images_are_padded_with_outside():
    crops = Crops([sample([[1, 0, 2]], channels=2)], (3, 3), background=0)
    seen = set()
    for seed in range(20):
        image, labels, _ = crops.draw(np.random.default_rng(seed))
        row = int(np.argmax((labels >= 0).any(axis=1)))
        seen.add(row)
        assert labels[row].tolist() == [1, 0, 2] and (labels == -2).sum() == 6
        assert np.array_equal(image[1], image[0] + 1000)
    assert seen == {0, 1, 2}
    wide = Crops([sample([[1, 0, 2]])], (1, 7), background=0)
    image, labels, _ = wide.draw(np.random.default_rng(1))
    start = int(np.argmax(labels[0] >= 0))
    mirrored = np.pad([0.0, 1.0, 2.0], (start, 4 - start), mode="reflect")
    assert image[0, 0].tolist() == mirrored.tolist()


shapes = st.integers(2, 3).flatmap(
    lambda n: st.tuples(st.tuples(*[st.integers(1, 9)] * n), st.tuples(*[st.integers(1, 9)] * n))
)


@given(shapes, st.integers(0, 2**32 - 1))
def test_crops_of_any_size_are_cut_from_the_image(sizes, seed):
    shape, crop = sizes
    rng = np.random.default_rng(seed)
    given = sample(rng.choice([-1, 0, 0, 3, 4, 70], shape))
    crops = Crops([given], crop, background=0.3)
    image, labels, _ = crops.draw(np.random.default_rng(seed))
    again = crops.draw(np.random.default_rng(seed))
    assert np.array_equal(image, again[0]) and np.array_equal(labels, again[1])
    assert image.shape == (1, *crop) and labels.shape == crop
    assert image.dtype == np.float32 and labels.dtype == np.int32
    # The index in the image finds each pixel's label again.
    inside = labels > OUTSIDE
    assert np.array_equal(given.labels.ravel()[image[0].astype(int)][inside], labels[inside])


@pytest.mark.parametrize("ndim", [2, 3])
def test_rare_classes_are_drawn_as_often_as_others(ndim):
    classes = np.zeros((40,) * ndim, np.int32)
    classes[(slice(30, 33),) * ndim] = 2
    classes[..., 20:] += np.int32(classes[..., 20:] == 0)
    semantic = replace(sample(classes), semantic=True)
    rng, seen = np.random.default_rng(0), np.zeros(3)
    crops = Crops([semantic], (1,) * ndim, background=0)
    for _ in range(600):
        seen[crops.draw(rng).labels.ravel()[0]] += 1
    assert (seen > 150).all()
    anywhere = Crops([semantic], (1,) * ndim, background=1)
    assert sum(anywhere.draw(rng).labels.ravel()[0] == 2 for _ in range(300)) < 10


def test_drawing_costs_little():
    rng = np.random.default_rng(0)
    corners = [(y, x) for y in range(0, 990, 20) for x in range(0, 990, 20)]
    crops = Crops([sample(squares((1000, 1000), corners, side=12))], (128, 128))
    times = []
    for _ in range(50):
        start = perf_counter()
        crops.draw(rng)
        times.append(perf_counter() - start)
    assert min(times) < 1e-3


def test_crops_with_little_foreground_are_passed_over():
    one = sample(squares((60, 60), [(10, 10)], side=6))
    shares = [
        [(crops.draw(np.random.default_rng(seed)).labels > 0).mean() for seed in range(40)]
        for crops in (
            Crops([one], (12, 12), background=0.5, min_foreground=least) for least in (0.0, 0.2)
        )
    ]
    assert min(shares[0]) == 0 and min(shares[1]) >= 0.2
    with pytest.raises(DataError, match=r"share of 0.5 of foreground .* the fullest .* 0.25"):
        Crops([one], (12, 12), min_foreground=0.5)


def test_images_may_be_equally_likely():
    few, many = (
        sample(squares((40, 40), [(4, 4)])),
        sample(
            squares((40, 40), [(y, x) for y in range(0, 40, 4) for x in range(0, 40, 4)], side=2)
        ),
    )
    for balance, low, high in ((0.0, 0, 12), (1.0, 70, 130)):
        crops = Crops([few, many], (8, 8), background=0, balance=balance)
        drawn = [crops.draw(np.random.default_rng(seed)).labels.max() for seed in range(200)]
        assert low <= sum(count == 1 for count in drawn) <= high


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="no samples"):
        Crops([], (4, 4))
