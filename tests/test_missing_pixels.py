"""Pixels without image: no object there, in the whole image and in blocks."""

import numpy as np
import pytest

from embedseg.blockwise import BlockOptions
from embedseg.images import open_array
from embedseg.methods.boundary import DECODERS, Boundary
from embedseg.methods.semantic import Semantic
from embedseg.model import Config
from embedseg.nets import net_options
from embedseg.segmenter import Segmenter
from embedseg.training import TrainOptions
from embedseg.types import Maps
from tests.blockwise.test_segment import flat_object

SHAPES = {2: (80, 100), 3: (34, 44, 48)}


def stitched(ndim, seed=0):
    """An image of which a corner and a stripe through the middle are missing."""
    shape = SHAPES[ndim]
    image = np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)
    image[tuple(slice(0, n // 3) for n in shape)] = np.nan
    image[..., shape[-1] // 2 : shape[-1] // 2 + 3] = np.nan
    return image


def all_foreground(ndim):
    """A model that finds objects at every pixel it sees."""
    method = Boundary(fg_threshold=0.0, boundary_threshold=1.0)
    config = Config(
        ndim=ndim,
        spacing=(1.0,) * ndim,
        spacing_known=True,
        method=method,
        net=net_options({"type": "unet", "width": 4, "depth": 2}),
        train=TrainOptions(crop=(16,) * ndim),
    )
    return Segmenter.new(config, "cpu")


@pytest.mark.parametrize("step", [1.0, 0.5, 1.5])
@pytest.mark.parametrize("ndim", [2, 3])
def test_there_are_no_objects_and_blocks_give_the_same(ndim, step, tmp_path):
    model, image, spacing = all_foreground(ndim), stitched(ndim), (step,) * ndim
    labels = model.segment(image, spacing=spacing)
    assert not labels[np.isnan(image)].any()
    if step == 1:
        assert labels[~np.isnan(image)].all()
    np.save(tmp_path / "image.npy", image)
    model.segment_blocks(
        tmp_path / "image.npy",
        tmp_path / "out.zarr",
        axes="ZYX"[-ndim:],
        spacing=spacing,
        options=BlockOptions(block=(24,) * ndim, halo=(8,) * ndim),
        progress=False,
    )
    blocks = np.asarray(open_array(tmp_path / "out.zarr", mode="r")[:])
    assert np.array_equal(blocks > 0, labels > 0)
    assert blocks.max() == labels.max()


@pytest.mark.parametrize("ndim", [2, 3])
def test_missing_values_do_not_reach_other_pixels(ndim):
    model, image = all_foreground(ndim), stitched(ndim)
    maps = model.predict(image, spacing=(1.0,) * ndim)
    assert np.array_equal(np.isnan(maps.data), np.isnan(image)[None].repeat(len(maps.data), 0))


def one_object(name, ndim):
    """A method, and maps of one object that fills the image."""
    shape = SHAPES[ndim]
    if name == "embedding":
        return flat_object(shape, tuple(slice(0, n) for n in shape))
    method = Boundary(decoder=name) if name in DECODERS else Semantic()
    raw = np.stack([np.full(shape, 8), np.full(shape, -8)])
    if name == "semantic":
        raw = -raw
    return method, Maps(raw.astype(np.float16), method.maps(ndim), (1.0,) * ndim)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["embedding", "semantic", *DECODERS])
def test_every_decoder_leaves_missing_pixels_out(name, ndim):
    method, maps = one_object(name, ndim)
    assert method.decode(maps).labels.all()
    missing = np.isnan(stitched(ndim))
    maps.data[:, missing] = np.nan
    found = method.decode(maps)
    assert np.array_equal(found.labels == 0, missing)
    if found.objects is not None:
        assert np.isfinite(found.objects["score"]).all()
