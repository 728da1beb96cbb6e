"""Two builds side by side: each works in a process of its own, in turns.

`Build(path, device)` starts one from a checkout; `ask` has it do a part and returns numbers. The
parts use only what both builds offer, so that an older one can be compared.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

#: Crop and batch of the steps, with the objects of an image they are cut from.
STEPS = {
    "128 x 128 x 4": ((128, 128), 4, 20),
    "256 x 256 x 32": ((256, 256), 32, 60),
    "32 x 64 x 64 x 2": ((32, 64, 64), 2, 16),
}
TINY_STEPS = {"32 x 32 x 2": ((32, 32), 2, 4)}


class Build:
    """A process that works with the package of one checkout.

    Parameters
    ----------
    path : Path
        The checkout.
    device : str
    threads : int, optional
        Of a CPU.
    """

    def __init__(self, path: Path, device: str, threads: int | None = None) -> None:
        if not (path / "embedseg" / "__init__.py").is_file():
            raise SystemExit(f"{path}: no checkout of the package (no folder embedseg there)")
        more = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            [sys.executable, __file__, device],
            env=os.environ | {"PYTHONPATH": str(path.resolve())} | more,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, part: str, *args: Any) -> Any:
        """Have a part done; return its numbers."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps([part, *args]), file=self._process.stdin, flush=True)
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)["answer"]
        raise SystemExit(f"{part} ended with an error, see above")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


# -- the work, in the process ----------------------------------------------------------------------
def work(device: str) -> None:
    """Answer what is asked on standard input, line by line."""
    parts: dict[str, Any] = {
        "start": Work.start,
        "steps": Work.steps,
        "batches": Work.batches,
        "train": Work.train,
        "predict": Work.predict,
        "segment": Work.segment,
        "memory": Work.memory,
    }
    here = Work(device)
    for line in sys.stdin:
        part, *args = json.loads(line)
        print(json.dumps({"answer": parts[part](here, *args)}), flush=True)


class Work:
    """What a build is asked to do; imports come late, as they are the build's."""

    def __init__(self, device: str) -> None:
        import torch

        self.device = torch.device(device)
        if threads := os.environ.get("OMP_NUM_THREADS"):
            torch.set_num_threads(int(threads))
        self.model: Any = None
        self._ticks: Iterator[list[float]] = iter(())

    def sync(self) -> None:
        """Wait for the device."""
        import torch

        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _config(self, crop: list[int], batch: int, objects: int) -> tuple[Any, list[Any]]:
        import numpy as np

        from embedseg.data import Sample, compute_statistics
        from embedseg.images import blobs
        from embedseg.model import plan_from

        ndim, samples = len(crop), []
        for seed in range(4):
            image, labels = blobs(tuple(3 * n // 2 for n in crop), objects, seed=seed)
            image = image[None].astype(np.float32)
            samples.append(Sample(f"blobs{seed}", image, labels, (1.0,) * ndim))
        config = plan_from(compute_statistics(samples))
        settings = {"train.crop": ",".join(map(str, crop)), "train.batch": batch}
        return config.changed(settings | {"train.steps_per_epoch": 10**6}), samples

    def start(self, crop: list[int], batch: int, objects: int) -> None:
        """Begin a training whose steps `steps` makes, always with the same batch."""
        self._ticks = self._training(*self._config(crop, batch, objects))
        next(self._ticks)

    def _training(self, config: Any, samples: list[Any]) -> Iterator[list[float]]:
        """Yield wall and processor time before the first step and after each."""
        from lightning_fabric import Fabric

        from embedseg.training import Run, loop
        from embedseg.training.batches import Batches
        from embedseg.training.progress_bar import TrainingBar

        net = config.build_net()
        config.method.init_heads(net.outputs, len(config.spacing))
        run = Run(net, config.method, config.train, config.spacing, samples, [], epochs=1)
        precision = config.train.precision_on(self.device)
        kind = "gpu" if self.device.type == "cuda" else self.device.type
        fabric = Fabric(accelerator=kind, devices=1, precision=precision)
        own = loop.Loop(fabric, run, False, time.monotonic(), TrainingBar(False))
        batch = Batches(samples, config.method, config.train, config.spacing).batch(0)
        batches = itertools.repeat(batch)
        while True:
            yield [time.perf_counter(), time.process_time()]
            latest = loop.train_step(run, own.fabric, own.model, own.optimizer, batches)
            assert own.average is not None
            own.average.update_parameters(run.net)
            # As the loop of this build reads them: of the step before, or of many together.
            many = isinstance(own.pending_losses, list)
            if not many or len(own.pending_losses) >= loop.READ_EVERY:
                own._flush_losses()
            run.state.step += 1
            entry = (run.state.step, *latest)
            own.pending_losses = [*own.pending_losses, entry] if many else entry

    def steps(self, count: int) -> list[float]:
        """Return the mean wall and processor time of some steps, ms."""
        self.sync()
        before = [time.perf_counter(), time.process_time()]
        for _ in range(count):
            next(self._ticks)
        self.sync()
        after = [time.perf_counter(), time.process_time()]
        return [1000 * (b - a) / count for a, b in zip(before, after, strict=True)]

    def batches(self, crop: list[int], batch: int, objects: int, seconds: float) -> float:
        """Return batches delivered per second, with nothing else to do."""
        from embedseg.training.batches import Batches

        config, samples = self._config(crop, batch, objects)
        workers = min(8, os.cpu_count() or 1)
        source = Batches(
            samples,
            config.method,
            config.train,
            config.spacing,
            pinned=self.device.type == "cuda",
            workers=workers,
        )
        coming, count = source.starting_at(0), 0
        for _ in range(workers + 1):
            next(coming)
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            next(coming)
            count += 1
        coming.close()  # type: ignore[attr-defined]
        return count / seconds

    def train(self, data: str, seconds: float) -> list[float]:
        """Train on a data folder; return steps and the best validation score."""
        from embedseg.model import plan
        from embedseg.segmenter import Segmenter

        self.model = Segmenter.new(plan(Path(data)), str(self.device))
        self.model.fit(Path(data), time_limit=seconds, tune=False, progress=False)
        history = self.model.history
        return [history[-1]["step"], max(row.get("val_ap_mean", 0.0) for row in history)]

    def predict(self, shape: list[int]) -> float:
        """Return the seconds from an image to its maps, untrained, best of three."""
        import numpy as np

        from embedseg.prediction import PredictOptions, predict

        ndim = len(shape)
        config, _ = self._config([32] * ndim, 1, 4)
        net, image = config.build_net().to(self.device), np.zeros((1, *shape), np.float32)
        image += np.random.default_rng(0).random(shape[-1], np.float32)
        spent = []
        for _ in range(3):
            begun = time.perf_counter()
            predict(
                net,
                image,
                specs=config.method.maps(ndim),
                spacing=config.spacing,
                options=PredictOptions(),
                device=self.device,
            )
            spent.append(time.perf_counter() - begun)
        return min(spent)

    def segment(self, shape: list[int]) -> float:
        """Return the seconds from an image to labels by the model of `train`, best of two."""
        import numpy as np

        from embedseg.images import blobs

        tile = blobs((min(shape),) * len(shape), 4, seed=0)[0]
        repeats = [-(-n // m) for n, m in zip(shape, tile.shape, strict=True)]
        image = np.tile(tile, repeats)[tuple(slice(0, n) for n in shape)]
        spent = []
        for _ in range(2):
            begun = time.perf_counter()
            self.model.segment(image)
            spent.append(time.perf_counter() - begun)
        return min(spent)

    def memory(self) -> float:
        """Return the peak memory of the process so far, of a GPU or else of the machine, MB."""
        from embedseg.nets import peak_memory

        return (peak_memory(self.device) or 0) / 1e6


def compare_steps(
    builds: dict[str, Build], size: tuple[tuple[int, ...], int, int], rounds: int, count: int
) -> dict[str, list[float]]:
    """Return, by build, the medians of wall and processor time of a step, ms, made in turns."""
    times: dict[str, list[list[float]]] = {name: [] for name in builds}
    for build in builds.values():
        build.ask("start", *size)
        build.ask("steps", 2)
    for number in range(rounds):
        turn = list(builds) if number % 2 else list(builds)[::-1]
        for name in turn:
            times[name].append(builds[name].ask("steps", count))
    return {
        name: [median(values) for values in zip(*rows, strict=True)] for name, rows in times.items()
    }


if __name__ == "__main__":
    work(sys.argv[1])
