"""How fast the default nets make maps of large images, and how much memory that takes.

Run with `python tests/benchmarks/speed.py --device cuda` (or `cpu`); volumes of the next size come
as long as the one before took under ten seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from embedseg.data import Sample, compute_statistics
from embedseg.images import blobs
from embedseg.images.synthetic import SHAPES
from embedseg.model import plan_from
from embedseg.nets import peak_memory, resolve_device
from embedseg.segmenter import Segmenter

SIZES = {2: [1024, 2048, 4096, 8192], 3: [128, 256, 384, 512]}


def main() -> None:
    """Print a row for each net and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    device = resolve_device(parser.parse_args().device)
    torch.manual_seed(0)
    print(
        "| net | image | seconds | million pixels per second | peak memory, GB |\n"
        "| --- | --- | --- | --- | --- |"
    )
    for ndim, sizes in SIZES.items():
        image, labels = blobs(SHAPES[ndim], 10)
        stats = compute_statistics([Sample("blobs", image[None], labels, (1.0,) * ndim)])
        for net in ("unet", "erfnet"):
            model = Segmenter.new(plan_from(stats, net=net), str(device))
            model.predict(image)  # what is loaded and compiled on first use
            for size in sizes:
                seconds = row(model, net, (size,) * ndim, device)
                if seconds > 10:
                    break


def row(model: Segmenter, net: str, shape: tuple[int, ...], device: torch.device) -> float:
    """Print and return the seconds of one image, the second time it is predicted."""
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(2):
        begun = time.perf_counter()
        model.predict(image)
        seconds = time.perf_counter() - begun
        if seconds > 10:
            break
    print(
        f"| {net} | {' x '.join(map(str, shape))} | {seconds:.2f} | "
        f"{image.size / 1e6 / seconds:.2f} | {(peak_memory(device) or 0) / 1e9:.2f} |",
        flush=True,
    )
    return seconds


if __name__ == "__main__":
    main()
