"""Entries of a benchmark, and the setup that its runs share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedseg.benchmark.baseline import MOST_FREQUENT, OTSU
from embedseg.common import __version__
from embedseg.data import DataOptions
from embedseg.methods import METHODS
from embedseg.model import find_preset
from embedseg.nets import NETS
from embedseg.types import UsageError

#: Methods that are compared by default.
DEFAULT_METHODS = ("embedding", "boundary")


@dataclass(frozen=True)
class Entry:
    """An entry of a benchmark: one training.

    Attributes
    ----------
    method, preset : str
        Names from `embedseg.methods.METHODS` and `embedseg.model.planning.PRESETS`.
    net : str or None
        Name from `embedseg.nets.NETS`; None: the net of the plan.
    ndim : {2, 3} or None
        None: that of the data; 2 on volumes: trained on planes and applied to planes.
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
class BenchmarkSetup:
    """Setup that all runs of a benchmark share.

    Attributes
    ----------
    data : Path
        Data folder.
    folder : Path
        Output folder: `benchmark.json`, `benchmark.md`, `benchmark.png`, a model per run in
        `runs`, and its label images of the split in `labels`.
    split : str
        Split that is scored.
    options : DataOptions
        How data are read.
    settings : mapping
        Changes of the plan by dotted name; settings that a method or net lacks are skipped for it.
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
    def baseline(self) -> str:
        """Name of the baseline without training."""
        return MOST_FREQUENT if self.options.classes else OTSU

    def predicted(self, run: str) -> Path:
        """Return the folder with the label images of a run, by its name."""
        return self.folder / "labels" / run

    def shared_settings(self) -> dict[str, Any]:
        """Return the settings that runs must share to be compared."""
        # Another version may train differently with the same settings.
        return {
            "version": __version__,
            "data": str(self.data.resolve()),
            "split": self.split,
            "options": self.options.model_dump(mode="json"),
            "settings": dict(self.settings),
        }


def list_entries(
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    nets: Sequence[str | None] = (None,),
    ndims: Sequence[int | None] = (None,),
    presets: Sequence[str] = ("default",),
    minutes: Sequence[float] = (4.0,),
    seeds: int = 2,
) -> list[Entry]:
    """Return all combinations, ordered by seed.

    Raises
    ------
    UsageError
        For unknown names, with the known ones in the message, and for nothing to compare.

    Examples
    --------
    >>> [entry.method for entry in list_entries(seeds=1)]
    ['embedding', 'boundary']
    """
    for name in methods:
        METHODS.check(name)
    for net in nets:
        if net is not None:
            NETS.check(net)
    for preset in presets:
        find_preset(preset)
    entries = [
        Entry(method, net, ndim, preset, length, seed)
        for seed in range(seeds)
        for length in minutes
        for preset in presets
        for ndim in ndims
        for net in nets
        for method in methods
    ]
    if not entries:
        raise UsageError("nothing to compare: name a method, a preset and a length of training")
    return entries
