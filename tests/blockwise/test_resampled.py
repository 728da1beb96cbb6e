"""Boxes of a resampled image are those of the whole one; labels find back to the pixels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from embedseg.blockwise import big_tiff
from embedseg.blockwise.resampled import (
    Resampled,
    centres_in_image,
    labels_on_grid,
    resample_lazily,
    table_on_grid,
)
from embedseg.geometry import resample, resample_labels, split_blocks
from embedseg.images import Scale, create_labels, open_array, open_lazy, read_labels


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


def test_centres_of_another_grid_lie_where_the_pixels_do(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((8, 8), np.uint8))
    image = open_lazy(tmp_path / "a.npy", "YX", (0.5, 0.5))
    coarse = resample_lazily(image, (2.0, 1.0))
    # The first pixel of the coarse grid covers 4 by 2 pixels, at 0 to 1.5 and 0 to 0.5 um.
    found = centres_in_image(np.array([[0.0, 0.0], [2.0, 3.0]]), coarse, (2.0, 1.0))
    assert found.tolist() == [[0.75, 0.25], [2.75, 3.25]]
    # Without a size, pixels are taken to have that of the model.
    moved = replace(image, spacing=None, scales=(Scale(10.0, 20.0), Scale(10.0, -10.0)))
    found = centres_in_image(np.array([[1.0, 1.0]]), moved, (0.5, 0.5))
    assert found.tolist() == [[2.0, 0.5]]


@pytest.mark.parametrize("axes", ["YX", "TYX", "ZYX", "TZYX"])
@pytest.mark.parametrize("slab", [2**28, 1])
def test_a_big_tiff_holds_all_planes(tmp_path, monkeypatch, axes, slab):
    monkeypatch.setattr(big_tiff, "SLAB", slab)
    shape = (3, 5, 600, 530)[4 - len(axes) :]
    labels = np.random.default_rng(0).integers(0, 99, shape).astype(np.uint32)
    spacing = (2.0, 0.5, 0.25)[3 - len(axes.replace("T", "")) :]
    chunks = (1, 2, 512, 512)[4 - len(axes) :]
    create_labels(tmp_path / "a", shape, np.uint32, axes, spacing, chunks=chunks)
    open_array(tmp_path / "a")[:] = labels
    big_tiff.write_big_tiff(tmp_path / "a", tmp_path / "a.tif", axes, spacing)
    found = read_labels(tmp_path / "a.tif")
    assert (found.axes, found.spacing) == (axes, pytest.approx(spacing))
    np.testing.assert_array_equal(found.data, labels)
