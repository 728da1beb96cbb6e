import numpy as np
import pytest

from embedseg.data import Sample, compute_statistics
from embedseg.images import blobs
from embedseg.model import explain, plan, plan_from, save_config
from embedseg.nets import net_options
from embedseg.types import DataError, UsageError


def samples(shape, n=5, spacing=None, count=2):
    return [
        Sample(str(i), image[None], labels, spacing)
        for i in range(count)
        for image, labels in [blobs(shape, n, seed=i)]
    ]


@pytest.mark.parametrize(("shape", "spacing"), [((96, 80), None), ((16, 64, 48), (2.0, 0.5, 0.5))])
def test_ties_everything_to_the_objects(shape, spacing):
    stats = compute_statistics(samples(shape, spacing=spacing))
    config = plan_from(stats)
    longest = (stats.extents * stats.spacing).max()
    assert config.ndim == len(shape) and config.spacing == (spacing or (1.0,) * len(shape))
    assert config.spacing_known == (spacing is not None)
    assert 0.5 * longest < config.method.unit <= longest
    assert 0 < config.method.radius < config.method.unit
    assert config.method.min_object_size < stats.volumes.min()
    assert config.method.max_radius >= stats.extents.max()
    assert config.net.fit_crop(config.train.crop, config.spacing) == config.train.crop


def test_larger_objects_get_longer_offsets_and_larger_crops():
    small, large = (
        plan_from(compute_statistics(samples(shape, n=3))) for shape in ((64, 64), (512, 512))
    )
    assert large.method.unit > 3 * small.method.unit
    assert np.prod(large.train.crop) > np.prod(small.train.crop)


def test_words_name_what_was_chosen():
    stats = compute_statistics(samples((64, 64)))
    config = plan_from(stats)
    words = explain(config, stats, "cpu")
    assert f"{config.method.unit:g} px" in words
    for part in ("2 images", "GB to train", "s for an epoch", "pixel size is not known"):
        assert part in words


def test_a_net_by_its_name_is_that_of_the_recipe(tmp_path):
    stats = compute_statistics(samples((64, 64)))
    assert plan_from(stats, net="unet") == plan_from(stats)
    assert plan_from(stats, net="erfnet", preset="paper") == plan_from(stats, preset="paper")
    assert plan_from(stats, net="cenet").net == net_options({"type": "cenet"})
    save_config(plan_from(stats).changed({"net.width": 8}), tmp_path / "config.json")
    assert plan_from(stats, net="unet", start=tmp_path).net.width == 8


def test_a_2d_net_is_planned_from_the_planes_of_volumes():
    config = plan(samples((8, 64, 64), spacing=(2.0, 0.5, 0.5)), ndim=2)
    assert config.ndim == 2 and config.spacing == (0.5, 0.5)


def test_what_cannot_be_planned_is_said():
    with pytest.raises(UsageError, match="ndim 3 cannot be trained on 2D images"):
        plan(samples((64, 64)), ndim=3)
    empty = Sample("a", np.zeros((1, 64, 64), np.float32), np.zeros((64, 64), np.int32))
    with pytest.raises(DataError, match="no object"):
        plan([empty])
    with pytest.raises(UsageError, match="no method 'magic'"):
        plan(samples((64, 64)), method="magic")


def test_the_method_follows_the_form_of_the_objects() -> None:
    """Blobs apart, and wavy stripes that touch each other along their sides."""
    apart = samples((64, 64), n=3)
    rows, columns = np.indices((64, 64))
    stripes = ((rows + 4 * np.sin(columns / 9)) // 8 + 2).astype(np.int32)
    touching = [Sample("a", stripes[None].astype(np.float32), stripes)]
    names = [plan_from(compute_statistics(each)).method.type for each in (apart, touching)]
    assert names == ["embedding", "affinity"]
    config = plan_from(compute_statistics(touching), method="embedding")
    assert config.method.type == "embedding"
    assert "affinity may fit better: objects touch" in explain(config, compute_statistics(touching))
