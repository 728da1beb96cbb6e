"""Time and memory of `embedseg.clustering` beside the published procedure.

Run with `python tests/benchmarks/clustering.py`; `--quick` leaves the largest cases out.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from embedseg import clustering
from embedseg.clustering import _kernels as kernels
from embedseg.clustering._decode import _scratch
from embedseg.types import ACTIVATIONS

Array = NDArray[Any]

#: Shape, objects, and seconds after which the literal procedure is stopped and extrapolated.
SIZES = [
    ((256, 256), 50, math.inf),
    ((1024, 1024), 600, 60.0),
    ((32, 256, 256), 100, 60.0),
    ((2048, 2048), 3000, 10.0),
    ((64, 512, 512), 600, 10.0),
]
HEADER = (
    "| maps | objects | literal, s | raw float16, ms | ratio | Mpx/s: raw float16 / raw float32 / "
    "activated | time with refine | bytes per px | reading, ms | stages |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
STAGES = {
    "count_foreground": "count",
    "gather_foreground": "gather",
    "embed_tiles": "embed",
    "grow_objects": "grow",
    "paint_labels": "paint",
}

#: Spread of the embeddings around their centre, as a share of the object's radius.
NOISE = {"none": 0.0, "mild": 0.15, "strong": 0.35}


@dataclass(frozen=True)
class Case:
    """Raw maps of one synthetic image, rounded to float16 like the output of a net."""

    name: str
    objects: int
    offset: NDArray[np.float16]
    bandwidth: NDArray[np.float16]
    seed: NDArray[np.float16]
    unit: float

    @property
    def spacing(self) -> tuple[float, ...]:
        return (1.0,) * self.seed.ndim


def ellipses(
    shape: tuple[int, ...], objects: int, random: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Return each pixel's ellipse, or -1, and centres and radii of ellipses that touch.

    Centres lie on a jittered grid; a pixel belongs to the ellipse it is deepest in.
    """
    ndim = len(shape)
    pitch = (math.prod(shape) / objects) ** (1 / ndim)
    counts = [max(1, round(n / pitch)) for n in shape]
    pitches = np.array(shape) / counts
    nodes = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), -1).reshape(-1, ndim)
    centres = ((nodes + 0.5 + random.uniform(-0.2, 0.2, nodes.shape)) * pitches).astype(np.float32)
    radii = (random.uniform(0.4, 0.6, nodes.shape) * pitches).astype(np.float32)
    depth, owner = np.full(shape, 1.0, np.float32), np.full(shape, -1, np.int32)
    for k, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
        box = tuple(
            slice(max(0, int(c - r)), min(n, int(c + r) + 2))
            for c, r, n in zip(centre, radius, shape, strict=True)
        )
        grid = np.ogrid[box]
        away = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True))
        inner = away < depth[box]
        depth[box][inner], owner[box][inner] = away[inner], k
    return owner, centres, radii


def make_case(
    shape: tuple[int, ...], objects: int, noise: str = "mild", outliers: float = 0.002, rng: int = 0
) -> Case:
    """Make maps of touching ellipses, as a trained net would put them out.

    Embeddings scatter around the centre, seeds follow the likelihood, and a share of the pixels,
    anywhere, has wild values.
    """
    random = np.random.default_rng(rng)
    ndim = len(shape)
    owner, centres, radii = ellipses(shape, objects, random)
    inside, mean, unit = owner >= 0, float(radii.mean()), 2.5 * float(radii.max())
    spread = random.normal(0, NOISE[noise] * mean, (ndim, *shape)).astype(np.float32)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(np.float32)
    aim = np.where(inside, np.moveaxis(centres[owner], -1, 0) - grid, 0) + spread
    q = math.log(2) * np.where(inside, (spread**2).sum(0) / (0.5 * mean) ** 2, 20)
    seed = np.clip(np.exp(-q), 0.002, 0.998)
    seed = np.log(seed / (1 - seed)) + random.normal(0, 0.3, shape)
    bandwidth = np.full((ndim, *shape), math.log(math.log(2) * (unit / (0.5 * mean)) ** 2) / 10)
    bandwidth += random.normal(0, 0.01, bandwidth.shape)
    wild = random.random(shape) < outliers
    offset = np.arctanh(np.clip(aim / unit, -0.999, 0.999))
    offset[:, wild] = random.normal(0, 1, (ndim, int(wild.sum())))
    seed[wild] = random.normal(0, 3, int(wild.sum()))
    half = [values.astype(np.float16) for values in (offset, bandwidth, seed)]
    return Case(" x ".join(map(str, shape)), len(centres), half[0], half[1], half[2], unit)


def literal(
    offset: torch.Tensor,
    bandwidth: torch.Tensor,
    seed: torch.Tensor,
    unit: float,
    limit: float = math.inf,
) -> tuple[NDArray[np.int32], int, float]:
    """Cluster raw maps by the published procedure in torch, spacing 1.

    Returns the labels, the number of seeds tried, and the time of each seed tried in s; stops
    after `limit` seconds.
    """
    grid = torch.stack(
        torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in seed.shape), indexing="ij")
    )
    embedding = grid + unit * torch.tanh(offset)
    probability = torch.sigmoid(seed)
    foreground = probability > 0.5
    e = embedding[:, foreground]
    s = bandwidth[:, foreground]
    score = probability[foreground]
    unassigned = torch.ones(len(score), dtype=torch.bool)
    labels = torch.zeros(len(score), dtype=torch.int32)
    number, tried, begin = 0, 0, time.perf_counter()
    while unassigned.any():
        best = (score * unassigned).argmax()
        if score[best] < 0.9 or time.perf_counter() - begin > limit:
            break
        tried += 1
        unassigned[best] = False
        weight = torch.exp(10 * s[:, best])[:, None]
        q = (((e - e[:, best, None]) / unit) ** 2 * weight).sum(0)
        proposal = torch.exp(-q) > 0.5
        n = int(proposal.sum())
        if n > 0:
            if 2 * int((proposal & unassigned).sum()) > n:
                number += 1
                labels[proposal] = number
            unassigned[proposal] = False
    spent = time.perf_counter() - begin
    image = torch.zeros(seed.shape, dtype=torch.int32)
    image[foreground] = labels
    return image.numpy(), tried, spent / max(tried, 1)


def fastest(function: Callable[[], Any], repeats: int) -> float:
    """Return the shortest of several times, in s."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def shares(function: Callable[[], Any]) -> dict[str, float]:
    """Return the share of each stage in one call."""
    spent: dict[str, float] = {}

    def timed(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            begin = time.perf_counter()
            result = kernel(*arguments)
            spent[STAGES[name]] = time.perf_counter() - begin
            return result

        return call

    kept = {name: getattr(kernels, name) for name in STAGES}
    try:
        for name, kernel in kept.items():
            setattr(kernels, name, timed(name, kernel))
        total = fastest(function, 1)
    finally:
        for name, kernel in kept.items():
            setattr(kernels, name, kernel)
    return {name: share / total for name, share in spent.items()}


def extra_memory(function: Callable[[], clustering.Clusters]) -> int:
    """Return the peak of memory that arrays take beyond the label image, in bytes.

    Scratch is made anew; what the kernels take for themselves is per tile, and not in this.
    """
    _scratch.flat.clear()
    tracemalloc.start()
    labels = function().labels
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - labels.nbytes


def literal_time(case: Case, limit: float, threads: int) -> tuple[float, bool, bool | None]:
    """Return the time of the literal procedure from raw maps, whether extrapolated, and agreement.

    Extrapolation takes the cost of the seeds tried within the limit for all that there are.
    """
    torch.set_num_threads(threads)
    raw = case.offset, case.bandwidth, case.seed
    maps = [torch.from_numpy(values.astype(np.float32)) for values in raw]
    found = clustering.cluster_raw(*raw, spacing=case.spacing, unit=case.unit)
    begin = time.perf_counter()
    labels, tried, each = literal(*maps, case.unit, limit)
    total = time.perf_counter() - begin
    if each * tried < limit:
        return total, False, bool((labels > 0).sum() == (found.labels > 0).sum())
    return total + each * (len(found.size) - tried), True, None


def report(case: Case, limit: float, threads: int) -> str:
    """Return one line of the table."""
    options: dict[str, Any] = {"spacing": case.spacing, "unit": case.unit}
    raw = case.offset, case.bandwidth, case.seed
    single = [values.astype(np.float32) for values in raw]
    active = [np.tanh(single[0]), single[1], ACTIVATIONS["sigmoid"](single[2])]
    repeats = 5 if case.seed.size > 2**23 else 25
    runs: list[Callable[[], clustering.Clusters]] = [
        lambda: clustering.cluster_raw(*raw, **options),
        lambda: clustering.cluster_raw(*single, **options),
        lambda: clustering.cluster(*active, **options),
        lambda: clustering.cluster_raw(*raw, **options, refine=0.4),
    ]
    times = [fastest(run, repeats) for run in runs]
    reading = fastest(lambda: [values.max() for values in single], repeats)
    foreground = int((active[2] > 0.5).sum())
    memory = extra_memory(runs[0]) / foreground
    stages = ", ".join(f"{name} {share:.0%}" for name, share in shares(runs[0]).items())
    slow, extrapolated, _ = literal_time(case, limit, threads)
    mark = " (e)" if extrapolated else ""
    rate = [case.seed.size / spent / 1e6 for spent in times]
    return (
        f"| {case.name} | {case.objects:,} | {slow:.3g}{mark} | {times[0] * 1e3:.3g} | "
        f"{slow / times[0]:,.0f} | {rate[0]:.0f} / {rate[1]:.0f} / {rate[2]:.0f} | "
        f"{times[3] / times[0]:.2f} | {memory:.0f} | "
        f"{reading * 1e3:.2g} | {stages} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave the largest cases out")
    parser.add_argument("--threads", type=int, default=1, help="threads of the literal procedure")
    parser.add_argument("--noise", choices=NOISE, nargs="+", default=["mild"])
    arguments = parser.parse_args()
    clustering.warm_up()
    for noise in arguments.noise:
        print(f"\nNoise: {noise}\n\n{HEADER}")
        for shape, objects, limit in SIZES[: 3 if arguments.quick else None]:
            print(report(make_case(shape, objects, noise), limit, arguments.threads), flush=True)


if __name__ == "__main__":
    main()
