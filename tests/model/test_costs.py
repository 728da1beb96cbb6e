"""What training and prediction take: estimates beside measurements, and limits that are kept."""

import subprocess
import sys
from math import prod
from pathlib import Path

import pytest

from embedseg.data import compute_statistics
from embedseg.images import write_blobs
from embedseg.model import Config, check_memory, costs, fit_to_memory, plan, plan_from
from embedseg.model.costs import estimate_costs
from embedseg.types import UsageError
from tests.model.test_planning import samples

#: Trains, or segments an image of zeros, and says what the process took at most.
PROGRAM = """
import sys
import numpy as np
from embedseg.model import load_config
from embedseg.segmenter import Segmenter

what, config, *rest = sys.argv[1:]
model = Segmenter.new(load_config(config), "cpu")
if what == "train":
    model.fit(rest[0], epochs=1, progress=False)
else:
    model.segment(np.zeros([int(n) for n in rest], np.float32))
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""


def measured(what: str, config: Config, folder: Path, *rest: object) -> int:
    """Peak memory of a process that trains or segments, bytes."""
    path = folder / "measured.json"
    path.write_text(config.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what, path, *map(str, rest)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return int(done.stdout.split()[-1])


def planned_for_training(
    net: str, ndim: int, crop: tuple[int, ...], batch: int, folder: Path
) -> Config:
    """Plan for blobs, written into `data`; the U-Net is the plan's own."""
    write_blobs(folder / "data", ndim, splits={"train": 2, "val": 1})
    return plan(folder / "data", net=None if net == "unet" else net).changed(
        {"train.crop": crop, "train.batch": batch, "train.steps_per_epoch": 3}
    )


def planned_for_image(shape: tuple[int, ...], tile: float | None) -> Config:
    """Plan from small blobs, with a budget for tiles in GB."""
    small = {2: (96, 96), 3: (16, 48, 48)}[len(shape)]
    return plan_from(compute_statistics(samples(small))).changed({"predict.memory": tile})


def test_cost_grows_with_the_batch_and_the_image():
    config = plan(samples((64, 64))).changed({"net.width": 8})
    one, four = (
        estimate_costs(config.changed({"train.batch": n}), "cpu", timed=n == 1) for n in (1, 64)
    )
    assert one.parameters == four.parameters and four.training > 1.2 * one.training
    assert one.step > 0 == four.step
    small, large = (estimate_costs(config, "cpu", [(n, n)], timed=False) for n in (64, 8000))
    assert large.training - small.training == 8 * (8000**2 - 64**2)
    assert large.prediction > small.prediction + 30 * 8000**2
    limited = config.changed({"predict.memory": 0.1})
    cut = estimate_costs(limited, "cpu", [(8000, 8000)], timed=False)
    assert cut.prediction < large.prediction


def test_a_limit_takes_from_the_batch_then_from_the_crop():
    config = plan_from(compute_statistics(samples((160, 160)))).changed(
        {"net.width": 16, "train.crop": (512, 512)}
    )
    shapes = [(1000, 1000)]
    free = estimate_costs(config, "cpu", shapes, timed=False)
    assert fit_to_memory(config, 1e12, shapes, "cpu") == config
    for share in (0.8, 0.3, 0.1):
        limit = share * free.training + (1 - share) * 0.5e9
        found = fit_to_memory(config, limit, shapes, "cpu")
        cost = estimate_costs(found, "cpu", shapes, timed=False)
        assert cost.training <= limit and cost.prediction <= limit
        assert found.train.batch * found.train.accumulate >= config.train.batch
        assert found.train.crop == config.train.crop or found.train.batch == 1
    assert prod(found.train.crop) < prod(config.train.crop)
    with pytest.raises(UsageError, match=r"memory of 0.3 GB: training takes at least 0\.\d+ GB"):
        fit_to_memory(config, 0.3e9, shapes, "cpu")


def test_what_does_not_fit_into_the_machine_is_refused(monkeypatch):
    config = plan_from(compute_statistics(samples((96, 80))))
    check_memory(config, [(96, 80)], "cpu")
    monkeypatch.setattr("embedseg.model.costs.total_memory", lambda: 450_000_000)
    with pytest.raises(UsageError, match=r"takes about .* GB, this machine has 0.45 GB; --memory"):
        check_memory(config, [(96, 80)], "cpu")
    assert estimate_costs(config, "cpu").step == 0


SIZES = {"small": (2, (128, 128), 4), "large": (2, (512, 512), 4), "volume": (3, (32, 96, 96), 2)}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("net", ["unet", "erfnet"])
@pytest.mark.parametrize(("ndim", "crop", "batch"), SIZES.values(), ids=SIZES)
def test_training_takes_what_was_estimated(net, ndim, crop, batch, tmp_path):
    config = planned_for_training(net, ndim, crop, batch, tmp_path)
    expected = estimate_costs(config, "cpu", timed=False).training
    assert measured("train", config, tmp_path, tmp_path / "data") == pytest.approx(expected, 0.3)


LARGE = {"small": (256, 256), "large": (2000, 2000), "volume": (40, 256, 256)}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("tile", [None, 0.3])
def test_prediction_takes_what_was_estimated(shape, tile, tmp_path):
    config = planned_for_image(shape, tile)
    expected = estimate_costs(config, "cpu", [shape], timed=False).prediction
    assert measured("segment", config, tmp_path, *shape) == pytest.approx(expected, 0.3)


def test_a_busy_machine_does_not_change_the_time(monkeypatch):
    config = plan_from(compute_statistics(samples((64, 64)))).changed({"train.crop": "32,32"})
    # Each crop takes a second, but for those that meet other work.
    took = iter([9.0, 40.0, 1.0, 300.0, 1.0, 70.0])
    ends = (time for each in took for time in (0.0, each))
    monkeypatch.setattr(costs.time, "perf_counter", lambda: next(ends))
    step = estimate_costs(config, "cpu").step
    assert step == config.train.batch * config.train.accumulate
