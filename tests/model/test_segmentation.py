"""Labels on the grid of the image, and the table of their objects."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from embedseg.data import ClassOptions, DataOptions
from embedseg.methods.boundary import Boundary
from embedseg.methods.semantic import Semantic
from embedseg.model.segmentation import check_pixel_size, decode_maps
from embedseg.types import Maps, UsageError
from tests.blockwise.test_segment import config_of

PIECES = Boundary(decoder="components", min_object_size=0)


def maps_of_mask(mask, method):
    """Maps that `method` decodes to the pieces of a mask."""
    raw = np.full((2, *mask.shape), -8.0)
    raw[0] = np.where(mask, 8, -8)
    return Maps(raw.astype(np.float16), method.maps(mask.ndim), (1.0,) * mask.ndim)


@settings(max_examples=60)
@given(data=st.data(), ndim=st.sampled_from([2, 3]), seed=st.integers(0, 10**6))
def test_objects_on_another_grid_are_numbered_without_gaps(data, ndim, seed):
    lengths = st.tuples(*[st.integers(2, 24 if ndim == 2 else 10)] * ndim)
    shape, grid = data.draw(lengths), data.draw(lengths)
    mask = np.random.default_rng(seed).random(shape) < 0.3
    config, maps = config_of(PIECES, ndim), maps_of_mask(mask, PIECES)
    there, here = decode_maps(config, maps, grid), decode_maps(config, maps)
    assert there.labels.shape == grid and there.labels.dtype == np.int32
    count = len(there.objects["size"])
    assert np.array_equal(np.unique(np.append(there.labels, 0)), np.arange(count + 1))
    # Each keeps its row: at a pixel that a piece was taken from lies the same piece.
    nearest = [(2 * np.arange(m) + 1) * n // (2 * m) for n, m in zip(shape, grid, strict=True)]
    source = here.labels[np.ix_(*nearest)]
    for name, column in there.objects.items():
        rows = here.objects[name][source[source > 0] - 1]
        assert np.array_equal(column[there.labels[there.labels > 0] - 1], rows)


def test_classes_on_another_grid_keep_their_numbers():
    method = Semantic(names=("ground", "wall", "rest"))
    raw = np.full((3, 4, 4), -8.0)
    raw[2], raw[1, :, 1] = 8, 16
    maps = Maps(raw.astype(np.float16), method.maps(2), (1.0, 1.0))
    classes = tuple(ClassOptions(name=name, values=(k,)) for k, name in enumerate(method.names))
    config = config_of(method, 2, data=DataOptions(classes=classes))
    labels = decode_maps(config, maps, (2, 1)).labels
    assert labels.tolist() == [[2], [2]]


def predictor(*configs):
    return SimpleNamespace(config=configs[0], configs=lambda: list(configs))


@pytest.mark.parametrize(
    ("spacing", "message"),
    [
        ((1.0, 21.0), r"pixels are 21 times the model's \(21 µm against 1 µm\)"),
        ((1e-9, 1.0), r"pixels are 1/1e\+09 of the model's \(1e-09 µm against 1 µm\)"),
        ((9.0, 1.0, 1000.0), "pixels are 1000 times"),
        ((1.0, 0.0), "spacing"),
    ],
)
def test_pixels_of_another_magnitude_are_refused_unless_asked_for(spacing, message):
    config = config_of(PIECES, 2, spacing_known=True)
    with pytest.raises(UsageError, match=f"a.tif: {message}"):
        check_pixel_size(predictor(config), spacing, "a.tif")
    check_pixel_size(predictor(config_of(PIECES, 2)), spacing)
    if min(spacing) > 0:
        check_pixel_size(predictor(config.changed({"predict.any_spacing": "true"})), spacing)


@pytest.mark.parametrize(
    ("spacing", "warned"), [((1.0, 3.9), False), ((0.2, 1.0), True), ((99.0, 1.0, 1.0), False)]
)
def test_pixels_of_an_unusual_size_are_warned_of(spacing, warned, caplog):
    with caplog.at_level(logging.WARNING, "embedseg"):
        check_pixel_size(predictor(config_of(PIECES, 2, spacing_known=True)), spacing)
    assert bool(caplog.records) is warned
