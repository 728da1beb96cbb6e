"""One run: training and scoring in a separate process."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

import torch
from tqdm.auto import tqdm

from embedseg.benchmark.baseline import otsu_watershed, predict_most_frequent
from embedseg.benchmark.entries import BenchmarkSetup, Entry
from embedseg.benchmark.predicted import write_predicted
from embedseg.data import Sample, load_split
from embedseg.evaluation import choose_scored, segment_sample
from embedseg.model import Config, measure_data
from embedseg.nets import peak_memory
from embedseg.scoring import ClassScoring, ObjectScoring, Scoring
from embedseg.segmenter import Segmenter
from embedseg.types import DataError, Labels

log = logging.getLogger("embedseg")


def run_in_process(function: Callable[[Any], dict[str, Any]], argument: Any) -> dict[str, Any]:
    """Call a function in a separate process, so that its peak memory is measured alone."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_call_logged, log.getEffectiveLevel(), function, argument).result()
        except BrokenProcessPool as error:
            raise DataError(
                "the process of a run was killed, perhaps for lack of memory; the same command "
                "continues from there"
            ) from error


def _call_logged(
    level: int, function: Callable[[Any], dict[str, Any]], argument: Any
) -> dict[str, Any]:
    # A child of a killed benchmark must end too: the next benchmark writes to the same folder.
    Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(format="%(message)s")
    log.setLevel(level)
    return function(argument)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def run_training(arguments: tuple[BenchmarkSetup, Entry, Config, bool]) -> dict[str, Any]:
    """Train a model and score it; return the record of the run."""
    setup, entry, config, overwrite = arguments
    model = Segmenter.new(config, setup.device).fit(
        setup.data,
        time_limit=60 * entry.minutes,
        folder=setup.folder / "runs" / entry.name,
        resume=not overwrite,
        overwrite=overwrite,
        progress=sys.stderr.isatty(),
    )

    def segment(sample: Sample) -> Labels:
        return segment_sample(model, sample, planes=(config.ndim < sample.labels.ndim) or None)

    last = model.history[-1]
    return asdict(entry) | {
        "name": entry.name,
        **_score_split(
            replace(setup, options=config.data),
            entry.name,
            segment,
            config.method.scoring(),
            config.channels,
        ),
        "net": config.net.type,
        "ndim": config.ndim,
        "steps": int(last["step"]),
        "trained": last["minutes"],
        "parameters": sum(p.numel() for p in model.net.parameters()),
        "peak_memory": peak_memory(model.device),
        "device": str(model.device),
    }


def run_baseline(setup: BenchmarkSetup) -> dict[str, Any]:
    """Score the baseline, which is not trained; return its record."""
    classes = setup.options.classes
    if classes:
        stats = measure_data(setup.data, None, setup.options)
        scoring: Scoring = ClassScoring(tuple(each.name for each in classes))
        scored = _score_split(
            setup,
            setup.baseline,
            lambda sample: predict_most_frequent(sample.labels.shape, stats.frequencies),
            scoring,
        )
    else:
        scored = _score_split(
            setup,
            setup.baseline,
            lambda sample: otsu_watershed(
                sample.image, sample.spacing or (1.0,) * sample.labels.ndim
            ),
            ObjectScoring(),
        )
    entry = asdict(Entry(setup.baseline, preset="", minutes=0))
    return entry | {
        "name": setup.baseline,
        "steps": 0,
        "trained": 0.0,
        "parameters": 0,
        **scored,
        "peak_memory": peak_memory(torch.device("cpu")),
        "device": "cpu",
    }


def _score_split(
    setup: BenchmarkSetup,
    run: str,
    segment: Callable[[Sample], Labels],
    scoring: Scoring,
    channels: int | None = None,
) -> dict[str, Any]:
    """Segment the images of the split, read for a model; return their scores and the speed.

    The labels are written to the folder of the run.
    """
    samples = choose_scored(load_split(setup.data, setup.split, setup.options, channels))
    segment(samples[0])  # compiles what is compiled on first use
    results, seconds = [], 0.0
    for sample in tqdm(samples, desc="segment", disable=not sys.stderr.isatty(), leave=False):
        begun = time.perf_counter()
        labels = segment(sample)
        seconds += time.perf_counter() - begun
        results.append((sample.name, scoring.compare(sample.labels, labels)))
        write_predicted(setup, run, sample, labels)
    pixels, summary = sum(sample.labels.size for sample in samples), scoring.summarise(results)
    return {
        "ndim": samples[0].labels.ndim,
        "score": summary,
        "headline": scoring.headline(summary),
        "profile": scoring.profile(summary),
        "axes": list(scoring.axes),
        "main": list(scoring.main),
        "mpx_per_s": pixels / 1e6 / seconds,
    }
