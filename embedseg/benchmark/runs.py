"""Benchmark runs: equal time, one evaluator."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from tqdm.auto import tqdm

from embedseg.benchmark.baseline import MOST_FREQUENT, OTSU, most_frequent, otsu_watershed
from embedseg.benchmark.comparison import save_comparison
from embedseg.common import __version__, refuse_used, remove_partial_files, write_text
from embedseg.data import DataOptions, Sample, Statistics, load_split
from embedseg.evaluation import segment_sample
from embedseg.methods import method_class
from embedseg.model import Config, find_preset, measured, plan_from, reading
from embedseg.nets import net_class, peak_memory
from embedseg.scoring import ClassScoring, ObjectScoring, Scoring
from embedseg.segmenter import Segmenter
from embedseg.types import DataError, Labels, UsageError

log = logging.getLogger("embedseg")

#: What is compared without being asked for anything else.
METHODS = ("embedding", "boundary")


@dataclass(frozen=True)
class Entry:
    """One training of a benchmark.

    Attributes
    ----------
    method, preset : str
        Names from `embedseg.methods.METHODS` and `embedseg.model.planning.PRESETS`.
    net : str or None
        Name from `embedseg.nets.NETS`; None takes the plan's.
    ndim : {2, 3} or None
        None takes that of the data; 2 on volumes trains on planes and is applied to planes.
    minutes : float
        Length of the training.
    seed : int
    """

    method: str
    net: str | None = None
    ndim: int | None = None
    preset: str = "default"
    minutes: float = 4.0
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of the run's folder.

        Examples
        --------
        >>> Entry("embedding", ndim=2, minutes=15.0).name
        'embedding-plan-2d-default-15min-seed0'
        """
        axes = "data" if self.ndim is None else f"{self.ndim}d"
        return (
            f"{self.method}-{self.net or 'plan'}-{axes}-{self.preset}-{self.minutes:g}min-"
            f"seed{self.seed}"
        )


@dataclass(frozen=True)
class Bench:
    """What all runs of a benchmark share.

    Attributes
    ----------
    data : Path
        Data folder.
    folder : Path
        Gets `benchmark.json`, `benchmark.md`, `benchmark.png` and a model per run in `runs`.
    split : str
        What is scored.
    options : DataOptions
        How data are read.
    settings : mapping
        Changes of the plan by dotted name; a run leaves out what its method or net does not have.
    device : str
        As in `Segmenter.new`.
    """

    data: Path
    folder: Path
    split: str = "test"
    options: DataOptions = field(default_factory=DataOptions)
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"

    @property
    def floor(self) -> str:
        """What needs no training is called."""
        return MOST_FREQUENT if self.options.classes else OTSU

    def same(self) -> dict[str, Any]:
        """Return what runs have to share to stand in one table."""
        # With another version the same words may mean another recipe.
        return {
            "version": __version__,
            "data": str(self.data.resolve()),
            "split": self.split,
            "options": self.options.model_dump(mode="json"),
            "settings": dict(self.settings),
        }


def list_entries(
    *,
    methods: Sequence[str] = METHODS,
    nets: Sequence[str | None] = (None,),
    ndims: Sequence[int | None] = (None,),
    presets: Sequence[str] = ("default",),
    minutes: Sequence[float] = (4.0,),
    seeds: int = 2,
) -> list[Entry]:
    """Return all combinations, those of one seed together.

    Raises
    ------
    UsageError
        For unknown names; the message lists the known ones. For nothing to compare.

    Examples
    --------
    >>> [entry.method for entry in list_entries(seeds=1)]
    ['embedding', 'boundary']
    """
    for name in methods:
        method_class(name)
    for net in nets:
        if net is not None:
            net_class(net)
    for preset in presets:
        find_preset(preset)
    found = [
        Entry(method, net, ndim, preset, length, seed)
        for seed in range(seeds)
        for length in minutes
        for preset in presets
        for ndim in ndims
        for net in nets
        for method in methods
    ]
    if not found:
        raise UsageError("nothing to compare: name a method, a preset and a length of training")
    return found


def run_benchmark(
    bench: Bench, runs: Sequence[Entry], *, overwrite: bool = False
) -> list[dict[str, Any]]:
    """Train, score and compare; what is done already is kept, what was cut off goes on.

    Parameters
    ----------
    bench : Bench
    runs : sequence of Entry
        See `list_entries`.
    overwrite : bool
        Begin anew although there is something in the folder.

    Returns
    -------
    list of dict
        What `benchmark.json` holds: of each run the fields of `Entry` (net and ndim as they turned
        out), `steps`, `trained` (minutes), `parameters`, `score` (the summary of the method's
        scoring, see `embedseg.scoring`), of it `headline` and `profile`, `mpx_per_s` (million
        pixels segmented per second, decoding included), `peak_memory` (bytes, of the process, or
        of the GPU where there is one) and `device`. The first is the floor: nothing is trained.

    Raises
    ------
    DataError, UsageError
        For bad data, or a folder that holds something else.
    """
    if overwrite or not (bench.folder / "runs").is_dir():
        refuse_used(bench.folder, overwrite)
    bench = replace(bench, options=_reading(bench, runs))
    plans = _plans(bench, runs)
    for folder in (bench.folder, bench.folder / "runs"):
        remove_partial_files(folder)
    records: list[dict[str, Any]] = []
    for number, (entry, config) in enumerate([(None, None), *plans.items()]):
        name = entry.name if entry else bench.floor
        file = bench.folder / "runs" / f"{name}.json"
        found = None if overwrite else _read(file, bench)
        if found is None:
            log.info("run %d of %d: %s", number, len(plans), name)
            _write(file, {"bench": bench.same()})
            found = (
                _in_process(_train, (bench, entry, config, overwrite))
                if entry
                else _in_process(_floor, bench)
            )
            _write(file, {"bench": bench.same(), **found})
            _save(bench.folder, [*records, found])
        records.append(found)
    _save(bench.folder, records)
    return records


def _reading(bench: Bench, runs: Sequence[Entry]) -> DataOptions:
    """Return how the data are read, which has to be the same for all methods."""
    kinds = {entry.method: method_class(entry.method).reads for entry in runs}
    if len(set(kinds.values())) > 1:
        raise UsageError(
            "one table cannot hold methods that find objects and methods that tell "
            "classes apart: " + ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        )
    return reading(bench.data, runs[0].method, bench.options)


def _plans(bench: Bench, runs: Sequence[Entry]) -> dict[Entry, Config]:
    """Return the configuration of each run, before any time is spent on one of them."""
    stats: dict[int | None, Statistics] = {}
    plans, used = {}, set[str]()
    for entry in runs:
        if entry.ndim not in stats:
            stats[entry.ndim] = measured(bench.data, entry.ndim, bench.options)
        config = plan_from(
            stats[entry.ndim],
            method=entry.method,
            net=entry.net,
            options=bench.options,
            preset=entry.preset,
        )
        fitting = {name: value for name, value in bench.settings.items() if _fits(name, config)}
        used |= set(fitting)
        plans[entry] = config.changed({**fitting, "train.seed": entry.seed})
    if lost := set(bench.settings) - used:
        raise UsageError(f"no method or net that is compared has {', '.join(sorted(lost))}")
    return plans


def _fits(name: str, config: Config) -> bool:
    """Return whether a setting is not one of another method or net."""
    part, _, option = name.partition(".")
    owner = {"method": config.method, "net": config.net}.get(part)
    return owner is None or option in type(owner).model_fields


# -- one run ---------------------------------------------------------------------------------------
def _in_process(work: Callable[[Any], dict[str, Any]], argument: Any) -> dict[str, Any]:
    """Work in a process of its own: then the peak of its memory is its own too."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_logged, log.getEffectiveLevel(), work, argument).result()
        except BrokenProcessPool as error:
            raise DataError(
                "the process of a run was killed, for want of memory perhaps; the same "
                "command goes on from there"
            ) from error


def _logged(level: int, work: Callable[[Any], dict[str, Any]], argument: Any) -> dict[str, Any]:
    # A killed benchmark must not go on in its child: the next one would write beside it.
    Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(format="%(message)s")
    log.setLevel(level)
    return work(argument)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _train(job: tuple[Bench, Entry, Config, bool]) -> dict[str, Any]:
    """Train one model and score it."""
    bench, entry, config, overwrite = job
    model = Segmenter.new(config, bench.device).fit(
        bench.data,
        time_limit=60 * entry.minutes,
        folder=bench.folder / "runs" / entry.name,
        resume=not overwrite,
        overwrite=overwrite,
        progress=sys.stderr.isatty(),
    )

    def segment(sample: Sample) -> Labels:
        return segment_sample(model, sample, planes=(config.ndim < sample.labels.ndim) or None)

    last = model.history[-1]
    return asdict(entry) | {
        **_scored(bench, segment, config.method.scoring()),
        "net": config.net.type,
        "ndim": config.ndim,
        "steps": int(last["step"]),
        "trained": last["minutes"],
        "parameters": sum(p.numel() for p in model.net.parameters()),
        "peak_memory": peak_memory(model.device),
        "device": str(model.device),
    }


def _floor(bench: Bench) -> dict[str, Any]:
    """Score what needs no training."""
    classes = bench.options.classes
    if classes:
        stats = measured(bench.data, None, bench.options)
        scoring: Scoring = ClassScoring(tuple(each.name for each in classes))
        found = _scored(
            bench, lambda sample: most_frequent(sample.labels.shape, stats.frequencies), scoring
        )
    else:
        found = _scored(
            bench,
            lambda sample: otsu_watershed(
                sample.image, sample.spacing or (1.0,) * sample.labels.ndim
            ),
            ObjectScoring(),
        )
    entry = asdict(Entry(bench.floor, preset="", minutes=0))
    return entry | {
        "steps": 0,
        "trained": 0.0,
        "parameters": 0,
        **found,
        "peak_memory": peak_memory(torch.device("cpu")),
        "device": "cpu",
    }


def _scored(bench: Bench, segment: Callable[[Sample], Labels], scoring: Scoring) -> dict[str, Any]:
    """Segment the images of the split; return scores and speed."""
    samples = load_split(bench.data, bench.split, bench.options)
    segment(samples[0])  # what is compiled on first use is no part of the speed
    results, seconds = [], 0.0
    for sample in tqdm(samples, desc="segment", disable=not sys.stderr.isatty(), leave=False):
        begun = time.perf_counter()
        labels = segment(sample)
        seconds += time.perf_counter() - begun
        results.append((sample.name, scoring.compare(sample.labels, labels)))
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


# -- what is kept ----------------------------------------------------------------------------------
def _read(file: Path, bench: Bench) -> dict[str, Any] | None:
    """Return what a run gave, None if it is not done.

    The file is there from the beginning of a run on, so that what goes on is what was begun.
    """
    if not file.is_file():
        return None
    try:
        held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        before = held.pop("bench")
    except (ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{file}: not a run of a benchmark ({error})") from None
    if before != bench.same():
        raise UsageError(
            f"{file}: a run with other data or settings; choose another folder, or --overwrite"
        )
    return held or None


def _save(folder: Path, records: Sequence[dict[str, Any]]) -> None:
    _write(folder / "benchmark.json", records)
    save_comparison(folder, records)


def _write(file: Path, content: Any) -> None:
    write_text(file, json.dumps(content, indent=2) + "\n")
