"""Images in blocks give what the whole image gives, with any workers and interruptions."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import ndimage

from embedseg.blockwise import BlockOptions, scratch
from embedseg.blockwise.job import BlockJob, StoredMaps
from embedseg.blockwise.joining import JOININGS
from embedseg.blockwise.outputs import output_at
from embedseg.blockwise.resampled import Resampled
from embedseg.blockwise.runs import explain_full_disk
from embedseg.blockwise.scratch import load_labels, load_objects, save_objects
from embedseg.blockwise.segment import run_job
from embedseg.blockwise.workers import object_tasks, open_workers
from embedseg.data import ClassOptions, DataOptions
from embedseg.images import open_array, open_lazy
from embedseg.methods.boundary import DECODERS, GRAPH_DECODERS, Boundary
from embedseg.methods.embedding import Embedding
from embedseg.methods.semantic import Semantic
from embedseg.model import Config
from embedseg.nets import net_options
from embedseg.training import TrainOptions
from embedseg.types import DataError, Maps
from tests.blockwise.test_joining import SPACINGS, maps_of, same_up_to_names

AXES = {2: "CYX", 3: "CZYX"}
EMBEDDING = Embedding(unit=16.0, radius=4.0, seed_threshold=0.7)


def config_of(method, ndim, **more):
    return Config(
        ndim=ndim,
        spacing=SPACINGS[ndim],
        method=method,
        net=net_options({"type": "unet"}),
        train=TrainOptions(crop=(32,) * ndim),
        **more,
    )


def job_of(folder: Path, maps: Maps, method, size, halo, part=None) -> BlockJob:
    """A job whose image holds the maps."""
    ndim = len(maps.spacing)
    np.save(folder / "maps.npy", maps.data)
    image = open_lazy(folder / "maps.npy", AXES[ndim], maps.spacing)
    scratch = folder / "out.blocks"
    scratch.mkdir(exist_ok=True)
    return BlockJob(
        image,
        StoredMaps(),
        method.in_blocks(JOININGS[method.join].joins_pieces),
        maps.specs,
        maps.spacing,
        str(scratch),
        tuple(min(s, n) for s, n in zip(size, maps.shape, strict=True)),
        tuple(min(s, n) for s, n in zip(part or size, maps.shape, strict=True)),
        (1,) * ndim,
        (0,) * ndim,
        halo,
    )


def segmented(job, config, folder, workers=None):
    """Work on all blocks; return labels, result and table."""
    image = job.image.image if isinstance(job.image, Resampled) else job.image
    target = output_at(folder / "out.zarr", image)
    if workers is None:
        with open_workers(BlockOptions()) as workers:
            result = run_job(job, target, workers, config, progress=False)
    else:
        result = run_job(job, target, workers, config, progress=False)
    return np.asarray(open_array(job.output, mode="r")[:]), result


class Shuffled:
    """Does tasks in any order in which each comes after those it needs; stops after some."""

    def __init__(self, seed, stop=None):
        self.rng, self.stop = np.random.default_rng(seed), stop

    def run(self, job, tasks):
        waiting, done = list(tasks), set()
        known = {task.name for task in waiting}
        while waiting:
            ready = [task for task in waiting if set(task.after) & known <= done]
            task = ready[self.rng.integers(len(ready))]
            waiting.remove(task)
            if self.stop is not None:
                if self.stop == 0:
                    raise KeyboardInterrupt
                self.stop -= 1
            task.step(job, *task.arguments)
            done.add(task.name)
            yield task


@st.composite
def cuts(draw, ndim):
    shape = {2: (50, 61), 3: (14, 30, 33)}[ndim]
    # Few blocks: each costs some files.
    return tuple(draw(st.integers(max(4, n // 3), n)) for n in shape)


# -- exactness -------------------------------------------------------------------------------------
@settings(max_examples=12)
@given(ndim=st.sampled_from([2, 3]), seed=st.integers(0, 10**6), data=st.data())
def test_objects_are_those_of_the_whole_image_in_any_order(tmp_path_factory, ndim, seed, data):
    folder = tmp_path_factory.mktemp("objects")
    maps = maps_of(ndim, EMBEDDING, seed)
    # What is decoded at once may be cut otherwise than what the net sees at once.
    part = data.draw(st.none() | cuts(ndim))
    job = job_of(folder, maps, EMBEDDING, data.draw(cuts(ndim)), (24,) * ndim, part)
    labels, result = segmented(job, config_of(EMBEDDING, ndim), folder, Shuffled(seed))
    whole = EMBEDDING.decode(maps).labels
    assert same_up_to_names(labels, whole)
    assert (result.count, result.lost) == (whole.max(), 0)
    assert np.array_equal(np.unique(labels[labels > 0]), np.arange(1, result.count + 1))
    assert not list((folder / "out.blocks/maps").iterdir())
    rows = result.table.read_text().splitlines()
    assert len(rows) == result.count + 1 and rows[0].startswith("label,centre_")


def test_the_order_of_blocks_changes_no_byte(tmp_path):
    maps = maps_of(3, EMBEDDING, 5)
    found = []
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        job = job_of(folder, maps, EMBEDDING, (5, 11, 12), (8, 8, 8))
        found.append(segmented(job, config_of(EMBEDDING, 3), folder, Shuffled(seed))[0])
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


@pytest.mark.parametrize("ndim", [2, 3])
def test_pieces_are_joined_over_faces_and_small_ones_dropped_only_then(ndim, tmp_path):
    method = Boundary(min_object_size=30, decoder="components")
    shape = {2: (40, 60), 3: (12, 24, 30)}[ndim]
    rng = np.random.default_rng(3)
    raw = np.full((2, *shape), -8.0)
    noise = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    raw[0] = np.where(noise > np.quantile(noise, 0.75), 8, -8)
    maps = Maps(raw.astype(np.float16), method.maps(ndim), SPACINGS[ndim])
    whole = method.decode(maps).labels
    # Some objects go through many blocks, and some are small only within a block.
    job = job_of(tmp_path, maps, method, (7,) * ndim, (1,) * ndim)
    labels, result = segmented(job, config_of(method, ndim), tmp_path)
    assert whole.max() > 3 and same_up_to_names(labels, whole)
    assert result.count == whole.max()
    sizes = np.bincount(labels.ravel())[1:]
    rows = [line.split(",") for line in result.table.read_text().splitlines()]
    assert [int(row[rows[0].index("size")]) for row in rows[1:]] == sizes.tolist()


@pytest.mark.parametrize("ndim", [2, 3])
def test_objects_without_a_pixel_on_a_coarser_grid_are_not_counted(ndim, tmp_path):
    method = Boundary(min_object_size=0, decoder="components")
    rng = np.random.default_rng(4)
    grid = {2: (20, 30), 3: (6, 12, 15)}[ndim]
    fine = tuple(3 * n for n in grid)
    raw = np.full((2, *grid), -8.0)
    raw[0] = np.where(rng.random(grid) < 0.2, 3, -2)
    maps = Maps(raw.astype(np.float16), method.maps(ndim), SPACINGS[ndim])
    job = job_of(tmp_path, maps, method, (13,) * ndim, (1,) * ndim)
    # Interpolated maps have small pieces between the pixels of the image.
    steps = tuple(step / 3 for step in SPACINGS[ndim])
    noisy = method.in_blocks(True).model_copy(update={"fg_threshold": 0.3})
    shown = Resampled(job.image, (2, *fine), steps)
    job = replace(job, image=shown, spacing=steps, method=noisy, source=Speckled())
    labels, result = segmented(job, config_of(noisy, ndim), tmp_path)
    assert labels.shape == grid
    assert np.array_equal(np.unique(labels), np.arange(result.count + 1))
    sizes = np.bincount(labels.ravel())[1:]
    rows = [line.split(",") for line in result.table.read_text().splitlines()]
    assert [int(row[rows[0].index("size")]) for row in rows[1:]] == sizes.tolist()


class Speckled:
    """Maps of an image with a lattice of pixels that the foreground leaves out."""

    def __call__(self, image, device, keep):
        maps = StoredMaps()(image, device, keep)
        maps[0][np.random.default_rng(0).random(maps[0].shape) < 0.4] = -8
        return maps


def test_classes_need_no_joining_and_get_their_values_back(tmp_path):
    names = ("ground", "wall", "rest")
    method = Semantic(names=names)
    raw = np.random.default_rng(0).normal(size=(3, 30, 44)).astype(np.float16)
    maps = Maps(raw, method.maps(2), (1.0, 1.0))
    classes = tuple(
        ClassOptions(name=name, values=(value,))
        for name, value in zip(names, (0, 7, 200), strict=True)
    )
    job = job_of(tmp_path, maps, method, (8, 16), (0, 0))
    labels, result = segmented(
        job, config_of(method, 2, data=DataOptions(classes=classes)), tmp_path
    )
    assert labels.dtype == np.uint8 and result.table is None
    assert np.array_equal(labels, np.array([0, 7, 200])[raw.argmax(axis=0)])


# -- objects larger than the halo ------------------------------------------------------------------
def flat_object(shape, box):
    """Maps of one object that fills a box: its pixels point to the middle."""
    ndim = len(shape)
    method = Embedding(unit=100.0, radius=40.0, seed_threshold=0.7, refine=None)
    middle = tuple((side.start + side.stop) // 2 for side in box)
    raw = np.zeros((2 * ndim + 1, *shape), np.float32)
    away = np.reshape(middle, (-1, *[1] * ndim)) - np.indices(shape)
    raw[:ndim] = np.arctanh(away / 100)
    raw[ndim:-1] = np.log(np.log(2) * (100 / 40) ** 2) / 10
    raw[-1] = -6
    raw[(-1, *box)] = 6
    raw[(-1, *middle)] = 7
    return method, Maps(raw.astype(np.float16), method.maps(ndim), (1.0,) * ndim)


def large_object(length):
    """Maps of one long object."""
    return flat_object((40, 90), (slice(12, 26), slice(20, 20 + length)))


#: Boxes that reach over several blocks of `FLAT`: within the image, across it, all of it.
FLAT = {2: (40, 50), 3: (14, 24, 30)}
BOXES = {"box": (3, 3, 3), "slab": (4, 0, 0), "all": (0, 0, 0)}


def flat_mask(ndim, name):
    mask = np.zeros(FLAT[ndim], bool)
    mask[tuple(slice(m, n - m) for m, n in zip(BOXES[name], FLAT[ndim], strict=False))] = True
    return mask


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("decoder", sorted(set(DECODERS) - set(GRAPH_DECODERS)))
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_flat_object_larger_than_blocks_is_one(ndim, decoder, name, tmp_path):
    method, inside = Boundary(decoder=decoder), flat_mask(ndim, name)
    edge = inside & ~ndimage.binary_erosion(inside, border_value=1)
    raw = np.stack([np.where(inside, 8, -8), np.where(edge, 8, -8)])
    maps = Maps(raw.astype(np.float16), method.maps(ndim), SPACINGS[ndim])
    assert np.array_equal(method.decode(maps).labels, inside)
    job = job_of(tmp_path, maps, method, (10,) * ndim, (4,) * ndim)
    labels, result = segmented(job, config_of(method, ndim), tmp_path)
    assert np.array_equal(labels, inside) and (result.count, result.lost) == (1, 0)


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_flat_object_that_grew_from_a_seed_is_one(ndim, name, tmp_path):
    inside = flat_mask(ndim, name)
    method, maps = flat_object(inside.shape, ndimage.find_objects(inside.astype(int))[0])
    assert np.array_equal(method.decode(maps).labels, inside)
    job = job_of(tmp_path, maps, method, (10,) * ndim, (8,) * ndim)
    labels, result = segmented(job, config_of(method, ndim), tmp_path)
    assert np.array_equal(labels, inside)
    assert (result.count, result.cut, result.lost) == (1, 0, 0)


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_flat_class_is_that_of_the_whole_image(ndim, name, tmp_path):
    inside, method = flat_mask(ndim, name), Semantic(names=("ground", "wall"))
    raw = np.stack([np.where(inside, -8, 8), np.where(inside, 8, -8)]).astype(np.float16)
    maps = Maps(raw, method.maps(ndim), SPACINGS[ndim])
    assert np.array_equal(method.decode(maps).labels, inside)
    job = job_of(tmp_path, maps, method, (10,) * ndim, (0,) * ndim)
    classes = tuple(ClassOptions(name=n, values=(k,)) for k, n in enumerate(method.names))
    config = config_of(method, ndim, data=DataOptions(classes=classes))
    assert np.array_equal(segmented(job, config, tmp_path)[0], inside)


def test_an_object_that_does_not_fit_is_decoded_again_with_a_wider_halo(tmp_path, caplog):
    method, maps = large_object(40)
    caplog.set_level("INFO", "embedseg")
    job = job_of(tmp_path, maps, method, (40, 15), (8, 8))
    labels, result = segmented(job, config_of(method, 2), tmp_path)
    assert same_up_to_names(labels, method.decode(maps).labels)
    assert (result.count, result.cut, result.lost) == (1, 0, 0) and result.retried > 1
    assert "decoded again with halos twice as wide" in caplog.text


def test_an_object_that_fits_no_halo_is_counted_and_listed(tmp_path, caplog):
    method, maps = large_object(60)
    job = job_of(tmp_path, maps, method, (40, 15), (3, 3))
    _, result = segmented(job, config_of(method, 2), tmp_path)
    assert result.cut >= 1 and "reach beyond the widest halo" in caplog.text
    rows = [line.split(",") for line in result.table.read_text().splitlines()]
    assert sum(int(row[-1]) for row in rows[1:]) == result.cut


# -- interrupted runs resume -----------------------------------------------------------------------
def test_a_run_that_stops_anywhere_ends_in_the_same_bytes(tmp_path):
    method, maps = large_object(40)
    config = config_of(method, 2)
    (tmp_path / "whole").mkdir()
    job = job_of(tmp_path / "whole", maps, method, (20, 15), (8, 8))
    expected, _ = segmented(job, config, tmp_path / "whole")
    table = (tmp_path / "whole/out.csv").read_bytes()
    stops = 0
    for stop in (0, 3, 7, 11, 17, 30, 41, 55, None):
        # The same folder again and again: each time from where it was.
        job = job_of(tmp_path, maps, method, (20, 15), (8, 8))
        try:
            labels, _ = segmented(job, config, tmp_path, Shuffled(1, stop))
        except KeyboardInterrupt:
            stops += 1
    assert stops > 3 and np.array_equal(labels, expected)
    assert (tmp_path / "out.csv").read_bytes() == table


def test_nothing_is_done_twice(tmp_path):
    maps = maps_of(2, EMBEDDING, 3)
    job = job_of(tmp_path, maps, EMBEDDING, (20, 20), (24, 24))
    segmented(job, config_of(EMBEDDING, 2), tmp_path)
    files = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "out.blocks").rglob("*")
        if path.is_file()
    }
    segmented(job, config_of(EMBEDDING, 2), tmp_path, Shuffled(0, stop=0))
    assert files == {path: path.stat().st_mtime_ns for path in files}


def test_maps_are_deleted_once_every_block_around_has_been_decoded():
    maps = maps_of(2, EMBEDDING, 3)
    job = BlockJob(
        None,
        StoredMaps(),
        EMBEDDING,
        maps.specs,
        maps.spacing,
        "",
        (10, 10),
        (10, 10),
        (1, 1),
        (0, 0),
        (10, 10),
    )
    object.__setattr__(job, "image", type("Image", (), {"shape": (50, 60)})())
    todo = object_tasks(job, list(range(30)))
    places = {task.name: place for place, task in enumerate(todo)}
    for task in todo:
        assert all(places[name] < places[task.name] for name in task.after)
    held = most = 0
    for task in todo:
        held += task.name.startswith("maps") - task.name.startswith("release")
        most = max(most, held)
    assert held == 0 and most <= 2 * 6 + 3  # two rows of blocks and a bit, not all thirty


def test_a_full_disk_is_explained_and_finished_blocks_are_kept(tmp_path, monkeypatch):
    def full(path, write):
        if path.parent.name == "found" and len(list(path.parent.glob("*.npz"))) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, write)

    written = scratch.write_file
    maps = maps_of(2, EMBEDDING, 3)
    job = job_of(tmp_path, maps, EMBEDDING, (20, 20), (24, 24))
    monkeypatch.setattr(scratch, "write_file", full)
    with (
        pytest.raises(DataError, match=r"no space left: .*; finished blocks are kept in"),
        explain_full_disk(tmp_path),
    ):
        segmented(job, config_of(EMBEDDING, 2), tmp_path)
    monkeypatch.setattr(scratch, "write_file", written)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out.blocks/found").iterdir()}
    labels, _ = segmented(job, config_of(EMBEDDING, 2), tmp_path)
    assert len(kept) == 3 and all(path.stat().st_mtime_ns == t for path, t in kept.items())
    assert same_up_to_names(labels, EMBEDDING.decode(maps).labels)


def test_what_a_block_gave_is_read_back(tmp_path):
    maps = maps_of(3, EMBEDDING, 2)
    job = job_of(tmp_path, maps, EMBEDDING, (8, 16, 16), (8, 8, 8))
    segmented(job, config_of(EMBEDDING, 3), tmp_path)
    found, labels = load_objects(job.objects_file(1)), load_labels(job.objects_file(1))
    save_objects(tmp_path / "again.npz", labels, found)
    again = load_objects(tmp_path / "again.npz")
    assert np.array_equal(load_labels(tmp_path / "again.npz"), labels)
    assert json.dumps(_listed(again)) == json.dumps(_listed(found))


def _listed(found):
    return [
        found.seeds.tolist(),
        {k: v.tolist() for k, v in found.table.items()},
        found.cut.tolist(),
        [x.tolist() for x in (*found.first, *found.behind)],
    ]
