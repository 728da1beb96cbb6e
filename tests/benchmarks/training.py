"""Time and memory of a training step, and of the embedding loss beside its published form.

Run with `python tests/benchmarks/training.py loss` or `step`, on a machine that does nothing else.
`beside CHECKOUT` compares whole steps with those of another build, in turns and in processor time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from builds import STEPS, Build, compare_steps

from embedseg.data import Crops, Sample
from embedseg.images import blobs
from embedseg.methods.embedding import Embedding
from embedseg.methods.embedding_loss import instance_loss, literal_instance_loss
from embedseg.model import Config, plan_from
from embedseg.nets import LAYOUTS, net_options, peak_memory
from embedseg.training.batches import joined
from embedseg.training.optimizers import make_optimizer

#: Crop and objects on it.
SIZES = [((128, 128), 10), ((256, 256), 30), ((512, 512), 120)]
VOLUMES = [((24, 64, 64), 8)]
BATCH = 4


def best(function: Callable[[], Any], seconds: float = 2.0, most: int = 20) -> float:
    """Return the shortest of several runs, seconds."""
    function()
    times: list[float] = []
    while len(times) < 2 or (len(times) < most and sum(times) < seconds):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    return min(times)


def ellipses(shape: tuple[int, ...], objects: int, seed: int) -> np.ndarray:
    """Return labels of ellipses on a jittered grid that together cover about half of a crop."""
    rng = np.random.default_rng(seed)
    sides = max(1, round(objects ** (1 / len(shape))))
    cell = np.array(shape) / sides
    labels = np.zeros(shape, np.int32)
    grid = np.stack(np.indices(shape), -1)
    # A ball of half the cell's measure.
    ball = np.pi if len(shape) == 2 else 4 / 3 * np.pi
    radius = cell * (0.5 / ball) ** (1 / len(shape))
    corners = list(np.ndindex(*(sides,) * len(shape)))
    spare = [corners[i] for i in rng.integers(len(corners), size=max(0, objects - len(corners)))]
    for number, corner in enumerate([*corners, *spare][:objects], 1):
        middle = (np.array(corner) + 0.5 + rng.uniform(-0.15, 0.15, len(shape))) * cell
        size = radius * rng.uniform(0.9, 1.15, len(shape))
        labels[(((grid - middle) / size) ** 2).sum(-1) < 1] = number
    return np.unique(labels, return_inverse=True)[1].reshape(shape).astype(np.int32)


def maps(labels: Tensor, centres: Tensor, method: Embedding, state: str) -> tuple[Tensor, Tensor]:
    """Return embeddings and bandwidths of a net that begins, or of one that has learnt."""
    rng = torch.Generator().manual_seed(0)
    shape = labels.shape[1:]
    grid = torch.stack(torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij")).float()
    e = grid.expand(len(labels), *grid.shape).clone()
    if state == "trained":
        own = torch.stack(
            [middles[(ids - 1).clamp(min=0)] for middles, ids in zip(centres, labels, strict=True)]
        )
        e = torch.where(labels[:, None] > 0, own.movedim(-1, 1), e)
        e = e + 0.15 * method.radius * torch.randn(e.shape, generator=rng)
    raw = np.log(np.log(2) * (method.unit / method.radius) ** 2) / method.bandwidth_scale
    s = float(raw) + 0.01 * torch.randn(e.shape, generator=rng)
    return e.requires_grad_(), s.requires_grad_()


def loss_table(literal_too: bool) -> None:
    """Compare both forms of the loss, and the faster one with a step of the paper's net."""
    torch.set_num_threads(1)
    print(
        "| crop | objects | state | literal, s | ours, s | ratio | ERFNet's step, s | share |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for shape, objects in SIZES:
        batch = [ellipses(shape, objects, seed) for seed in range(BATCH)]
        extent = float(np.sqrt(shape[0] * shape[1] / 2 / objects / np.pi))
        method = Embedding(unit=4 * extent, radius=extent)
        targets = [method.targets(labels, (1.0, 1.0)) for labels in batch]
        labels = torch.stack([t["labels"] for t in targets])
        centres = torch.nn.utils.rnn.pad_sequence([t["centres"] for t in targets], True)
        step = erfnet_step(shape, method, labels, centres)
        for state in ("start", "trained"):
            e, s = maps(labels, centres, method, state)

            def run(function: Callable[..., Any], e: Tensor = e, s: Tensor = s) -> None:
                parts = function(
                    e,
                    s,
                    labels,  # noqa: B023
                    centres,  # noqa: B023
                    unit=method.unit,  # noqa: B023
                    scale=method.bandwidth_scale,  # noqa: B023
                )
                torch.autograd.grad(parts.instance + parts.smoothness, (e, s))

            ours = best(lambda run=run: run(instance_loss))
            literal = best(lambda run=run: run(literal_instance_loss)) if literal_too else np.nan
            print(
                f"| {' x '.join(map(str, shape))} | {int(labels.max())} | {state} | "
                f"{literal:.3f} | {ours:.4f} | {literal / ours:.0f} | {step:.2f} | "
                f"{100 * ours / step:.1f} % |",
                flush=True,
            )


def erfnet_step(
    shape: tuple[int, ...], method: Embedding, labels: Tensor, centres: Tensor
) -> float:
    """Return the seconds of forward, loss, backward and Adam of the branched ERFNet."""
    net = net_options({"type": "erfnet"}).build(2, 1, method.heads(2), (1.0, 1.0), shape)
    method.init_heads(net.outputs, 2)
    net = net.to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(net.parameters())
    image = torch.rand(BATCH, 1, *shape).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        adam.zero_grad()
        method.loss(net(image), {"labels": labels, "centres": centres}, (1.0, 1.0))[
            "total"
        ].backward()
        adam.step()

    return best(step, most=5)


def step_table(presets: list[str], threads: int) -> None:
    """Say where the time of a step goes, with the default plan."""
    torch.set_num_threads(threads)
    print(
        "| crop | batch | net | augmentation | crops, ms | augmentation, ms | targets, ms | "
        "forward, ms | loss, ms | backward, ms | optimiser, ms | all, ms | crops and "
        "augmentation |\n" + "| --- " * 13 + "|"
    )
    for shape, objects in [*SIZES[:2], *VOLUMES]:
        ndim = len(shape)
        wide = tuple(3 * n // 2 for n in shape)
        samples = [
            Sample(f"blobs{i}", *_one(wide, objects * 2, i), (1.0,) * ndim) for i in range(4)
        ]
        for name in ("unet", "erfnet"):
            for preset in presets:
                _step_row(samples, shape, name, preset)


def beside_table(older: Path, threads: int, rounds: int) -> None:
    """Compare steps of the default plan with those of another build, on a CPU."""
    print(
        "| crop and batch | before, ms | now, ms | before / now | memory before, MB | now, MB |\n"
        + "| --- " * 6
        + "|"
    )
    for name in ("128 x 128 x 4", "32 x 64 x 64 x 2"):
        builds = {
            which: Build(path, "cpu", threads)
            for which, path in (("before", older), ("now", Path(__file__).parents[2]))
        }
        times = compare_steps(builds, STEPS[name], rounds, count=3)
        before, now = (cpu for _, cpu in times.values())
        peaks = " | ".join(f"{build.ask('memory'):.0f}" for build in builds.values())
        print(f"| {name} | {before:.0f} | {now:.0f} | {before / now:.2f} | {peaks} |", flush=True)
        for build in builds.values():
            build.close()


def _one(shape: tuple[int, ...], objects: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    image, labels = blobs(shape, objects, seed=seed)
    return image[None].astype(np.float32), labels


def _step_row(samples: list[Sample], shape: tuple[int, ...], name: str, preset: str) -> None:
    from embedseg.data import compute_statistics

    ndim = len(shape)
    config: Config = plan_from(compute_statistics(samples), net=None if name == "unet" else name)
    config = config.changed(
        {
            "train.crop": ",".join(map(str, shape)),
            "train.augment": preset,
            "train.batch": BATCH if ndim == 2 else 2,
        }
    )
    method, options = config.method, config.train
    crops = Crops(
        samples, options.crop, margin=options.augment.margin(options.crop, config.spacing)
    )
    net = config.build_net()
    method.init_heads(net.outputs, ndim)
    net = net.to(memory_format=LAYOUTS[ndim])
    optimizer = make_optimizer(
        options.optimizer, net, options.learning_rate, options.weight_decay, torch.device("cpu")
    )
    spent: dict[str, float] = {}
    steps = count()

    def timed(part: str, function: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        result = function()
        spent[part] = spent.get(part, 0.0) + time.perf_counter() - begun
        return result

    def step() -> None:
        number = next(steps)
        rngs = [np.random.default_rng([number, i]) for i in range(options.batch)]
        drawn = timed("crops", lambda: [crops.draw(rng) for rng in rngs])
        ready = timed(
            "augmentation",
            lambda: [
                options.augment.apply(crop.image, crop.labels, options.crop, config.spacing, rng)
                for crop, rng in zip(drawn, rngs, strict=True)
            ],
        )
        targets = timed(
            "targets",
            lambda: joined([method.targets(labels, config.spacing) for _, labels in ready]),
        )
        image = torch.stack([torch.from_numpy(image) for image, _ in ready])
        image = image.contiguous(memory_format=LAYOUTS[ndim])
        optimizer.zero_grad()
        raw = timed("forward", lambda: net(image))
        loss = timed("loss", lambda: method.loss(raw, targets, config.spacing)["total"])
        timed("backward", loss.backward)
        timed("optimiser", optimizer.step)

    for _ in range(3):
        step()
    spent.clear()
    # Augmentation is drawn anew for each crop: some take ten times as long as others.
    rounds = 16
    for _ in range(rounds):
        step()
    whole = sum(spent.values())
    share = (spent["crops"] + spent["augmentation"]) / whole
    cells = [f"{1000 * spent[part] / rounds:.1f}" for part in spent]
    print(
        f"| {' x '.join(map(str, shape))} | {options.batch} | {name} | {preset} | "
        + " | ".join(cells)
        + f" | {1000 * whole / rounds:.0f} | {100 * share:.1f} % |",
        flush=True,
    )


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["loss", "step", "beside"])
    parser.add_argument("older", nargs="?", type=Path, help="checkout of another build (beside)")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each build (beside)")
    parser.add_argument("--no-literal", action="store_true", help="leave the literal form out")
    parser.add_argument("--threads", type=int, default=1, help="of the step")
    parser.add_argument("--presets", nargs="*", default=["paper", "light", "strong"])
    args = parser.parse_args()
    if args.part == "beside":
        if args.older is None:
            parser.error("beside needs the checkout of another build")
        beside_table(args.older, args.threads, args.rounds)
        return
    if args.part == "loss":
        loss_table(not args.no_literal)
    else:
        step_table(args.presets, args.threads)
    peak = peak_memory(torch.device("cpu"))
    if peak is not None:
        print(f"\nPeak memory of the process: {peak / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
