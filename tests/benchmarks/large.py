"""Images in blocks: time, memory and disk of the frame, whatever the size of the volume.

    python tests/benchmarks/large.py [--gigavoxels 0.25 0.5 1 2] [--workers 1 2] [-o PLOT.png]
    python tests/benchmarks/large.py --model MODEL --gigavoxels 0.25

The volume is a pattern of touching ellipsoids, repeated without end and stored once; its channels
are the raw maps of a net that takes no time. `--wild 0.002` makes that share of its pixels wild: in
each repetition some of them are seeds that reach beyond the halo, so that all blocks are decoded
again. With a model, its net sees the last channel: the objects make no sense, but take the usual
time. Each run is a separate process.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import json
import math
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embedseg.blockwise import BlockOptions
from embedseg.blockwise.job import BlockJob, StoredMaps
from embedseg.blockwise.joining import JOININGS
from embedseg.blockwise.outputs import output_at
from embedseg.blockwise.plan import plan_blocks
from embedseg.blockwise.segment import run_job, worker_filling
from embedseg.blockwise.workers import open_workers
from embedseg.methods.embedding import Embedding
from embedseg.model import Config
from embedseg.nets import net_options
from embedseg.segmenter import Segmenter
from embedseg.training import TrainOptions
from tests.benchmarks.clustering import make_case

BLOCK, PART, HALO, PATTERN = (128, 512, 512), (128, 256, 512), (32, 32, 32), (128, 256, 256)


@dataclass(frozen=True)
class Repeated:
    """A pattern of shape (C, *space), repeated; it takes the place of a `LazyImage`."""

    source: str
    shape: tuple[int, ...]
    channels: tuple[int, ...]
    axes: str = "CZYX"
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)

    def read(self, box):
        pattern = np.load(self.source, mmap_mode="r")
        data = np.empty(
            (len(self.channels), *(side.stop - side.start for side in box[1:])), pattern.dtype
        )
        # In slices: a read that costs more than copying would be taken for a cost of the frame.
        for there, here in repetitions(box[1:], pattern.shape[1:]):
            for k, channel in enumerate(self.channels):
                data[(k, *there)] = pattern[(channel, *here)]
        return data


def repetitions(box, period):
    """Return where each repetition of a pattern meets a box, in the box and in the pattern."""

    def along(side, n):
        start = side.start
        while start < side.stop:
            stop = min(side.stop, (start // n + 1) * n)
            yield (
                slice(start - side.start, stop - side.start),
                slice(start % n, start % n + stop - start),
            )
            start = stop

    sides = [along(side, n) for side, n in zip(box, period, strict=True)]
    return ([*zip(*pieces, strict=True)] for pieces in itertools.product(*sides))


def volume(gigavoxels: float) -> tuple[int, ...]:
    """Return a shape of that many voxels, in whole blocks if there are several."""
    blocks = max(1, round(gigavoxels * 1e9 / math.prod(BLOCK)))
    deep = max(1, round(blocks / 4))
    return (
        (BLOCK[0] * deep, 2 * BLOCK[1], 2 * BLOCK[2])
        if blocks >= 4
        else (BLOCK[0] * blocks, BLOCK[1], BLOCK[2])
    )


def one(
    folder: Path, gigavoxels: float, workers: int, model: str | None, memory: str | None = None
) -> dict[str, float]:
    """Segment one volume; return what it took."""
    shape, options = (
        volume(gigavoxels),
        BlockOptions(BLOCK, HALO, workers, threads=1, memory=memory),
    )
    image = Repeated(str(folder / "pattern.npy"), (7, *shape), tuple(range(7)))
    method = Embedding(
        unit=float((folder / "unit").read_text()), seed_threshold=0.7, max_radius=15, refine=0.4
    )
    config = Config(
        ndim=3,
        spacing=(1.0,) * 3,
        method=method,
        net=net_options({"type": "unet"}),
        train=TrainOptions(crop=(32,) * 3),
    )
    scratch = Path(tempfile.mkdtemp(dir=folder))
    begun = time.perf_counter()
    if model:
        segmenter = Segmenter.load(model, "cpu")
        image = replace(image, shape=(1, *shape), channels=(6,))
        source = segmenter.predictor
        job = plan_blocks(source, replace(image, spacing=source.config.spacing), scratch, options)
        config = segmenter.config
    else:
        job = BlockJob(
            image,
            StoredMaps(),
            method.in_blocks(JOININGS[method.join].joins_pieces),
            method.maps(3),
            (1.0,) * 3,
            str(scratch),
            BLOCK,
            PART,
            (1,) * 3,
            (0,) * 3,
            HALO,
            threads=1,
        )
    watch, clock = Watch(scratch), cProfile.Profile()
    if workers == 1:
        clock.enable()
    with open_workers(options) as some:
        target = output_at(scratch / "out.zarr", image)
        result = run_job(job, target, some, config, progress=False)
        target.finish(job.output, False, worker_filling(job, some))
    clock.disable()
    took = time.perf_counter() - begun
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "gigavoxels": math.prod(shape) / 1e9,
        "workers": workers,
        "seconds": took,
        "processor": sum(each.ru_utime + each.ru_stime for each in used),
        "objects": result.count,
        "blocks": result.blocks,
        "again": result.retried,
        "disk": watch.stop(),
        "memory": used[workers > 1].ru_maxrss * 1024,
        "stages": stages(clock),
    }


def stages(clock: cProfile.Profile) -> dict[str, float]:
    """Return the seconds of each step in this process."""
    clock.create_stats()
    return {
        name: sum(timed[3] for place, timed in clock.stats.items() if place[2] == name)
        for name in ("make_maps", "decode_block", "write_block", "coarsen_box")
    }


class Watch(threading.Thread):
    """Peak size of a folder, checked every second."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.most, self.over = folder, 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(1):
            size = 0
            for path in self.folder.rglob("*"):
                try:
                    size += path.stat().st_size
                except FileNotFoundError:
                    continue
            self.most = max(self.most, size)

    def stop(self) -> float:
        self.over.set()
        return float(self.most)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigavoxels", type=float, nargs="+", default=[0.25, 0.5, 1, 2])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--wild", type=float, default=0.0)
    parser.add_argument("--model")
    parser.add_argument("--memory")
    parser.add_argument("-o", "--plot")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        folder, size, workers = given.run
        print(json.dumps(one(Path(folder), float(size), int(workers), given.model, given.memory)))
        return
    rows = []
    print(
        "| gigavoxels | workers | blocks | decoded again | objects | time, s | "
        "processor time, s | Mvoxel/s | memory of a process, GB | disk at most, GB | "
        "maps / decode / write / coarser levels, s |"
    )
    print("| --- " * 11 + "|")
    for size in given.gigavoxels:
        for workers in given.workers:
            with tempfile.TemporaryDirectory() as folder:
                case = make_case(PATTERN, 1000, outliers=given.wild)
                np.save(
                    Path(folder) / "pattern.npy",
                    np.concatenate([case.offset, case.bandwidth, case.seed[None]]),
                )
                (Path(folder) / "unit").write_text(str(case.unit))
                command = [sys.executable, __file__, "--run", folder, str(size), str(workers)]
                command += ["--model", given.model] if given.model else []
                command += ["--memory", given.memory] if given.memory else []
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            row = json.loads(done.stdout)
            rows.append(row)
            print(
                f"| {row['gigavoxels']:.2f} | {workers} | {row['blocks']} | {row['again']} | "
                f"{row['objects']:,} | "
                f"{row['seconds']:.0f} | {row['processor']:.0f} | "
                f"{1e3 * row['gigavoxels'] / row['seconds']:.1f} | "
                f"{row['memory'] / 1e9:.2f} | {row['disk'] / 1e9:.1f} | "
                + " / ".join(f"{seconds:.0f}" for seconds in row["stages"].values() if workers == 1)
                + " |",
                flush=True,
            )
    if given.plot:
        plot(rows, given.plot)


def plot(rows: list[dict[str, float]], path: str) -> None:
    """Draw time and memory against the size of the volume."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for workers in sorted({row["workers"] for row in rows}):
        some = [row for row in rows if row["workers"] == workers]
        x = [row["gigavoxels"] for row in some]
        label = f"{workers:.0f} worker{'s' * (workers > 1)}"
        left.plot(x, [row["seconds"] for row in some], "o-", label=label)
        right.plot(x, [row["memory"] / 1e9 for row in some], "o-")
    for axes, unit in ((left, "s"), (right, "GB of a process")):
        axes.set(xlabel="gigavoxels", ylabel=unit, xlim=0, ylim=(0, 1.1 * axes.get_ylim()[1]))
    left.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
