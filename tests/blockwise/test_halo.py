"""The halo of a net is measured, and kept with the model."""

import numpy as np
import pytest
from scipy import ndimage

from embedseg.blockwise.halo import Halo, _liveliest_core, load_halo, probe_halo, save_halo
from embedseg.types import Maps, MapSpec

SPEC = MapSpec("seed", "scalar", 1, "none")


def means(reach, image):
    """Return a function from a box of an image to maps: means over `reach` pixels to each side."""

    def maps(box):
        size = 2 * np.broadcast_to(reach, image.ndim) + 1
        values = ndimage.uniform_filter(image[box], size, mode="reflect")
        return Maps(values[np.newaxis].astype(np.float16), (SPEC,), (1.0,) * image.ndim)

    return maps


@pytest.mark.parametrize(("reach", "expected"), [(3, 4), (4, 4), (5, 8), (13, 16)])
def test_the_halo_is_as_wide_as_the_net_sees(reach, expected):
    image = np.random.default_rng(0).normal(size=(300, 300))
    halo = probe_halo(means(reach, image), image.shape, (4, 4))
    assert halo.pixels == (expected, expected) and halo.error < 1e-3


def test_axes_that_the_net_shrinks_less_get_less():
    image = np.random.default_rng(0).normal(size=(40, 100, 100))
    halo = probe_halo(means(5, image), image.shape, (1, 4, 4))
    assert halo.pixels == (6, 8, 8)


def test_an_axis_along_which_the_net_sees_less_gets_less():
    image = np.random.default_rng(0).normal(size=(40, 100, 100))
    halo = probe_halo(means((3, 5, 11), image), image.shape, (2, 4, 4))
    assert halo.pixels == (4, 8, 12) and halo.error < 1e-3


def test_a_net_that_sees_everything_is_warned_of(caplog):
    image = np.random.default_rng(0).normal(size=(400, 400))
    halo = probe_halo(
        lambda box: Maps(
            np.full((1, *image[box].shape), image[box].size / 1e5, np.float16), (SPEC,), (1.0, 1.0)
        ),
        image.shape,
        (4, 4),
    )
    assert halo.error >= 1e-3 and "still change by" in caplog.text


def test_small_images_are_seen_whole():
    image = np.random.default_rng(0).normal(size=(20, 20))
    assert probe_halo(means(9, image), image.shape, (4, 4)).error < 1e-3


def test_it_is_kept_until_the_weights_change(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"one")
    assert load_halo(tmp_path, [4, False]) is None
    save_halo(tmp_path, [4, False], Halo((8, 8), 2e-4))
    assert load_halo(tmp_path, [4, False]) == Halo((8, 8), 2e-4)
    assert load_halo(tmp_path, [4, True]) is None
    (tmp_path / "weights.safetensors").write_bytes(b"two")
    assert load_halo(tmp_path, [4, False]) is None
    (tmp_path / "halo.json").write_text("[]")
    assert load_halo(tmp_path, [4, False]) is None


def test_it_is_measured_where_the_image_is_not_empty():
    image = np.zeros((300, 300))
    noise = np.random.default_rng(0).normal(size=(90, 90))
    image[180:270, :90] = noise
    # In the empty middle any halo would do.
    assert probe_halo(means(5, image), image.shape, (4, 4)).pixels == (4, 4)
    core = _liveliest_core(lambda box: image[box], image.shape, (4, 4))
    assert image[core].std() > 0.5
    assert probe_halo(means(5, image), image.shape, (4, 4), core).pixels == (8, 8)
    assert _liveliest_core(lambda box: np.zeros((300, 300))[box], (300, 300), (4, 4)) is None
