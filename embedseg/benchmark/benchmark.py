"""The benchmark: all entries trained for equal time and scored alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedseg.benchmark.comparison import save_comparison
from embedseg.benchmark.entries import BenchmarkSetup, Entry
from embedseg.benchmark.records import read_record, write_json, write_record
from embedseg.benchmark.run import run_baseline, run_in_process, run_training
from embedseg.common import check_output_folder, remove_partial_files
from embedseg.data import DataOptions, Statistics, find_splits
from embedseg.methods import METHODS
from embedseg.model import Config, measure_data, plan_from, plan_reading
from embedseg.nets import resolve_device
from embedseg.types import DataError, UsageError

log = logging.getLogger("embedseg")


def run_benchmark(
    setup: BenchmarkSetup, entries: Sequence[Entry], *, overwrite: bool = False
) -> list[dict[str, Any]]:
    """Train, score and compare all entries; finished runs are kept, an interrupted one resumes.

    Parameters
    ----------
    setup : BenchmarkSetup
    entries : sequence of Entry
        See `list_entries`.
    overwrite : bool
        Overwrite existing files.

    Returns
    -------
    list of dict
        The content of `benchmark.json`: of each run the fields of `Entry` (the net and ndim that
        were used), `steps`, `trained` (minutes), `parameters`, `score` (the summary of the method's
        scoring, see `embedseg.scoring`), its `headline` and `profile`, `mpx_per_s` (million
        pixels segmented per second, decoding included), `peak_memory` (bytes, of the process, or
        of the GPU if one is used) and `device`. The first is the baseline, without training.

    Raises
    ------
    DataError, UsageError
        For bad data, or an output folder with other contents.
    """
    _check_split(setup)
    resolve_device(setup.device)
    if overwrite or not (setup.folder / "runs").is_dir():
        check_output_folder(setup.folder, overwrite)
    setup = replace(setup, options=_data_options(setup, entries))
    plans = _plan_entries(setup, entries)
    for folder in (setup.folder, setup.folder / "runs"):
        remove_partial_files(folder)
    records: list[dict[str, Any]] = []
    for number, (entry, config) in enumerate([(None, None), *plans.items()]):
        name = entry.name if entry else setup.baseline
        file = setup.folder / "runs" / f"{name}.json"
        record = None if overwrite else read_record(file, setup)
        if record is None:
            log.info("run %d of %d: %s", number, len(plans), name)
            write_record(file, setup, {})
            record = (
                run_in_process(run_training, (setup, entry, config, overwrite))
                if entry
                else run_in_process(run_baseline, setup)
            )
            write_record(file, setup, record)
            _save(setup.folder, [*records, record])
        records.append(record)
    _save(setup.folder, records)
    return records


def _check_split(setup: BenchmarkSetup) -> None:
    """Check that there are images to score, and that none of them is trained on."""
    if setup.split not in ("test", "val"):
        raise UsageError(
            f"split {setup.split!r}: expected test or val, the images of train are trained on"
        )
    splits = find_splits(setup.data, setup.options.masks)
    # Without a folder val some of the train images are set apart.
    if setup.split == "test" and "test" not in splits:
        raise DataError(f"{setup.data}: no folder test/images; there are {', '.join(splits)}")


def _save(folder: Path, records: Sequence[dict[str, Any]]) -> None:
    write_json(folder / "benchmark.json", records)
    save_comparison(folder, records)


def _data_options(setup: BenchmarkSetup, entries: Sequence[Entry]) -> DataOptions:
    """Return how the data are read, the same for all methods."""
    kinds = {entry.method: METHODS[entry.method].reads for entry in entries}
    if len(set(kinds.values())) > 1:
        raise UsageError(
            "one benchmark cannot compare methods for objects with methods for classes: "
            + ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        )
    return plan_reading(setup.data, entries[0].method, setup.options)


def _plan_entries(setup: BenchmarkSetup, entries: Sequence[Entry]) -> dict[Entry, Config]:
    """Return the configuration of each entry, before any is trained."""
    stats: dict[int | None, Statistics] = {}
    plans, used = {}, set[str]()
    for entry in entries:
        if entry.ndim not in stats:
            stats[entry.ndim] = measure_data(setup.data, entry.ndim, setup.options)
        config = plan_from(
            stats[entry.ndim],
            method=entry.method,
            net=entry.net,
            options=setup.options,
            preset=entry.preset,
        )
        fitting = {name: value for name, value in setup.settings.items() if _fits(name, config)}
        used |= set(fitting)
        plans[entry] = config.changed({**fitting, "train.seed": entry.seed})
    if lost := set(setup.settings) - used:
        names = ", ".join(sorted(lost))
        raise UsageError(f"no method or net of the benchmark has the setting {names}")
    return plans


def _fits(name: str, config: Config) -> bool:
    """Return whether a setting exists in a configuration's method or net."""
    part, _, option = name.partition(".")
    owner = {"method": config.method, "net": config.net}.get(part)
    return owner is None or option in type(owner).model_fields
