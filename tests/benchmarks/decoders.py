"""Decoders of boundary maps or affinities: tuned on validation images, scored on test images.

python tests/benchmarks/decoders.py MODEL [MODEL ...] DATA [--val] [--large 256 512 512]
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from embedseg import Segmenter
from embedseg.data import load_split
from embedseg.model.tuning import tune
from embedseg.scoring import ObjectScoring
from embedseg.types import Maps


def with_decoder(method: Any, decoder: str) -> Any:
    """Return a method of boundaries or affinities whose decoder stays when it is tuned."""
    kind = type(method)

    class OneDecoder(kind):  # type: ignore[misc, valid-type]
        """The method, with one decoder."""

        def search_space(self) -> dict[str, Any]:
            """Vary all else."""
            return {k: v for k, v in super().search_space().items() if k != "decoder"}

    return OneDecoder(**method.model_dump() | {"decoder": decoder})


def main() -> None:
    """Print a table of scores, or the time that a large volume takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("data", type=Path)
    parser.add_argument("--val", action="store_true", help="score validation images only")
    parser.add_argument("--tta", action="store_true", help="average maps over symmetries")
    parser.add_argument("--large", type=int, nargs="+", help="shape of a volume of tiled maps")
    parser.add_argument("--decoders", nargs="+", help="default: all of the method")
    asked = parser.parse_args()
    print("| model | decoder | AP50 | mean .50-.90 | VOI split | VOI merge | VOI | objects | s |")
    for folder in asked.models:
        model = Segmenter.load(folder, "cpu")
        axes = "C" + "ZYX"[-model.config.ndim :]
        splits = {
            split: [
                (model.predict(each.image, axes=axes, tta=asked.tta), each.labels)
                for each in load_split(asked.data, split, model.config.data)
            ]
            for split in ("val", "test")
        }
        for decoder in asked.decoders or model.config.method.search_space()["decoder"]:
            method = with_decoder(model.config.method, decoder)
            maps, truths = zip(*splits["val"], strict=True)
            found = tune(method, maps, truths)
            print(f"{folder.name} {found.message}, {found.tried} tried")
            if asked.large:
                measure(found.method, maps_of(splits["test"][0][0], tuple(asked.large)))
            else:
                for split in ("val",) if asked.val else ("val", "test"):
                    row(f"{folder.name} | {decoder}, {split}", found.method, splits[split])


def row(name: str, method: Any, images: list[tuple[Maps, Any]]) -> None:
    """Print the scores of some images."""
    scoring, begun = ObjectScoring(), time.process_time()
    results = [("", scoring.compare(truth, method.decode(maps).labels)) for maps, truth in images]
    spent, mean = time.process_time() - begun, scoring.summarise(results)
    values = (mean["ap"]["0.50"], *(mean[k] for k in ("ap_mean", "voi_split", "voi_merge", "voi")))
    cells = " | ".join(f"{value:.3f}" for value in values)
    print(f"| {name} | {cells} | {mean['n_pred']} of {mean['n_true']} | {spent:.1f} |", flush=True)


def maps_of(maps: Maps, shape: tuple[int, ...]) -> Maps:
    """Return maps of another shape, filled with copies of these side by side."""
    repeats = [-(-n // m) for n, m in zip(shape, maps.shape, strict=True)]
    data = np.tile(maps.data, (1, *repeats))[(slice(None), *(slice(0, n) for n in shape))]
    return Maps(np.ascontiguousarray(data), maps.specs, maps.spacing)


def measure(method: Any, maps: Maps) -> None:
    """Print time and peak memory of decoding, and the number of objects."""
    begun, spent = time.monotonic(), time.process_time()
    found = method.decode(maps).labels.max()
    took = f"{time.monotonic() - begun:.0f} s, {time.process_time() - spent:.0f} s of a processor"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{method.decoder}: {maps.shape} took {took}, {peak:.1f} GB, {found} objects", flush=True)


if __name__ == "__main__":
    main()
