"""How far scores of objects are probabilities, on the test images of a data folder.

python tests/benchmarks/confidence.py MODEL DATA
"""

from __future__ import annotations

import sys

import numpy as np

from embedseg.data import load_split
from embedseg.methods import reliability
from embedseg.methods.confidence import gather_evidence, probability
from embedseg.segmenter import Segmenter

BINS = 8


def main(folder: str, data: str) -> None:
    model = Segmenter.load(folder)
    samples = load_split(data, "test", model.config.data)
    found = [model.decode(model.predictor.maps(sample.image, sample.spacing)) for sample in samples]
    evidence, true = gather_evidence(found, [sample.labels for sample in samples])
    plain = 1 / (1 + np.exp(-evidence[:, 0]))
    scores = {"first evidence alone": plain}
    if model.config.method.confidence:
        scores["score"] = probability(evidence, model.config.method.confidence)
    print(f"{len(true)} objects, {true.mean():.1%} of them true\n")
    print("| | " + " | ".join(f"{k + 1}" for k in range(BINS)) + " | calibration error |")
    print("| --- " * (BINS + 2) + "|")
    for name, values in scores.items():
        bins = reliability(values, true, BINS)
        error = sum(part.objects * abs(part.score - part.true) for part in bins) / len(true)
        print(
            f"| {name} | "
            + " | ".join(f"{part.score:.3f}: {part.true:.3f}" for part in bins)
            + f" | {error:.4f} |"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
