"""Boxes of a resampled image are those of the whole one; labels find back to the pixels."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from embedseg.blockwise.resampled import Resampled, labels_on_grid, resample_lazily, table_on_grid
from embedseg.geometry import resample, resample_labels, split_blocks
from embedseg.images import open_lazy


def opened(folder, image, spacing):
    np.save(folder / "image.npy", image)
    axes = "ZYX"[4 - image.ndim :]
    return open_lazy(folder / "image.npy", "C" + axes, spacing)


@given(data=st.data(), ndim=st.sampled_from([2, 3]))
def test_boxes_are_those_of_the_whole_image(tmp_path_factory, data, ndim):
    steps = st.tuples(*[st.floats(0.3, 3.0)] * ndim)
    shape = data.draw(st.tuples(*[st.integers(1, 40 if ndim == 2 else 16)] * ndim))
    source, target = data.draw(steps), data.draw(steps)
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    whole = resample(image, source, target)
    lazy = resample_lazily(opened(tmp_path_factory.mktemp("a"), image, source), target)
    assert lazy.shape == whole.shape
    box = tuple(
        slice(*sorted((data.draw(st.integers(0, n - 1)), data.draw(st.integers(1, n)))))
        for n in whole.shape[1:]
    )
    box = (slice(0, 2), *(slice(side.start, max(side.stop, side.start + 1)) for side in box))
    np.testing.assert_allclose(lazy.read(box), whole[box], atol=2e-5)


def test_an_image_of_the_right_spacing_is_left_alone(tmp_path):
    image = opened(tmp_path, np.zeros((1, 6, 7), np.uint8), (1.0, 2.0))
    assert resample_lazily(image, (1.005, 2.0)) is image
    assert isinstance(resample_lazily(image, (1.0, 1.0)), Resampled)
    unknown = opened(tmp_path, np.zeros((1, 6, 7), np.uint8), None)
    assert resample_lazily(unknown, (1.0, 1.0)) is unknown


@given(data=st.data(), ndim=st.sampled_from([2, 3]))
def test_labels_of_blocks_fill_the_image_once(data, ndim):
    lengths = st.tuples(*[st.integers(1, 23)] * ndim)
    shape, grid, size = (data.draw(lengths) for _ in range(3))
    labels = np.random.default_rng(0).integers(0, 99, shape)
    out = np.full(grid, -1)
    for block in split_blocks(shape, size, (0,) * ndim, (1,) * ndim):
        box, values = labels_on_grid(labels[block.inner], block.inner, shape, grid)
        assert (out[box] == -1).all()
        out[box] = values
    assert np.array_equal(out, resample_labels(labels, grid))


@pytest.mark.parametrize(("shape", "grid"), [((8, 9), (16, 18)), ((10, 12), (13, 7))])
def test_boxes_of_objects_are_those_in_the_image(shape, grid):
    labels = np.zeros(shape, np.int32)
    labels[2:6, 3:8] = 1
    table = {"lower": np.array([[2, 3]]), "upper": np.array([[6, 8]]), "size": np.array([20])}
    table["written"] = np.array([(resample_labels(labels, grid) > 0).sum()])
    found = table_on_grid(table, shape, grid)
    there = np.argwhere(resample_labels(labels, grid))
    assert found["lower"].tolist() == [there.min(axis=0).tolist()]
    assert found["upper"].tolist() == [(there.max(axis=0) + 1).tolist()]
    assert found["size"].tolist() == [len(there)]
