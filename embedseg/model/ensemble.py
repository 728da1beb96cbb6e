"""Ensembles: the mean of several models, decoded once."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from embedseg.common import Progress, fill_folder, refuse_used, write_text
from embedseg.data import Sample
from embedseg.geometry import resample_labels, to_shape
from embedseg.methods import Method
from embedseg.model.config import Config, load_config, save_config
from embedseg.model.trained_net import cut_out, load_trained_net, read_model
from embedseg.model.tuning import Tuned, tune
from embedseg.prediction import from_average, to_average, to_float16
from embedseg.types import Box, Maps, MapSpec, PerAxis, Spacing, UsageError

log = logging.getLogger("embedseg")

#: The file that tells an ensemble from a model.
ENSEMBLE = "ensemble.json"
#: Weights of members are searched for only on so many validation images.
ENOUGH = 8
#: Weights that are tried for each member.
TRIED = (0.0, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Ensemble:
    """Models whose maps are averaged, one in memory at a time.

    Attributes
    ----------
    config : Config
        Of the ensemble: its spacing, in which maps are averaged, and how they are decoded are
        those of the first member until tuned.
    folders : tuple of Path
        Of the members.
    weights : tuple of float
        Of the members in the mean.
    device : torch.device
    """

    config: Config
    folders: tuple[Path, ...]
    weights: tuple[float, ...]
    device: torch.device

    def maps(
        self,
        image: NDArray[np.float32],
        spacing: Spacing | None,
        *,
        tta: bool | None = None,
        progress: Progress = False,
        keep: Box | None = None,
    ) -> Maps:
        """Return the mean of the members' maps; parameters as in `embedseg.model.TrainedNet`."""
        total: NDArray[np.float32] | None = None
        first: Maps | None = None
        for folder, weight in zip(self.folders, self.weights, strict=True):
            if weight == 0:
                continue
            found = self.member_maps(folder, image, spacing, tta, progress)
            first = first or found
            part = np.float32(weight) * _on_grid(found, first.shape)
            total = part if total is None else total + part
        assert first is not None and total is not None
        found = _mean(total / np.float32(sum(self.weights)), first.specs, first.spacing)
        return cut_out(found, keep)

    def member_maps(
        self,
        folder: Path,
        image: NDArray[np.float32],
        spacing: Spacing | None,
        tta: bool | None = None,
        progress: Progress = False,
    ) -> Maps:
        """Return the maps of one member, meaning what they mean in the ensemble."""
        member = load_trained_net(folder, self.device)
        options = member.config.predict.model_copy(update={"memory": self.config.predict.memory})
        member = replace(member, config=member.config.model_copy(update={"predict": options}))
        found = member.maps(image, spacing, tta=tta, progress=progress)
        return self.config.method.translated(found, member.config.method)

    def seen(self, channels: int, shape: PerAxis, keep: Box) -> int:
        """Return how many pixels the net of the first member sees for a box of an image."""
        return load_trained_net(self.folders[0], self.device).seen(channels, shape, keep)

    def links_planes(self, spacing: Spacing | None) -> bool:
        """Return False: maps of planes are averaged, labels cannot be."""
        return False


def _on_grid(maps: Maps, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return what of maps is averaged, on another grid of the same image."""
    return to_shape(to_average(maps.data.astype(np.float32), maps.specs), shape)


def _mean(mean: NDArray[np.float32], specs: tuple[MapSpec, ...], spacing: Spacing) -> Maps:
    return Maps(to_float16(from_average(mean, specs)), specs, spacing)


# -- files -----------------------------------------------------------------------------------------
def join_models(
    folders: Sequence[Path | str], output: Path | str, *, overwrite: bool = False
) -> Path:
    """Make an ensemble: a folder that holds copies of its members.

    The first member with the most axes stands at the head: its spacing is where maps are averaged.

    Parameters
    ----------
    folders : sequence of path
        Two models or more.
    output : path
        Folder for the ensemble.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    UsageError
        If a folder holds no model, models cannot be averaged (the message says why), or the output
        is not free.
    """
    paths, output = [Path(folder) for folder in folders], Path(output)
    if len(paths) < 2:
        raise UsageError(f"{len(paths)} model given, expected two or more")
    refuse_used(output, overwrite)
    configs = [read_model(path)[0] for path in paths]
    lead = max(range(len(paths)), key=lambda k: (configs[k].ndim, -k))
    for path, config in zip(paths, configs, strict=True):
        if (reason := unlike(configs[lead], config)) is not None:
            raise UsageError(f"{path} cannot be averaged with {paths[lead]}: {reason}")
    order = [lead, *(k for k in range(len(paths)) if k != lead)]
    names = [f"{place}-{paths[k].resolve().name}" for place, k in enumerate(order, 1)]

    def write(aside: Path) -> None:
        for name, k in zip(names, order, strict=True):
            (aside / "members" / name).mkdir(parents=True)
            for file in ("config.json", "weights.safetensors", "history.csv"):
                if (paths[k] / file).is_file():
                    shutil.copy2(paths[k] / file, aside / "members" / name / file)
        save_config(configs[lead], aside / "config.json")
        _write(aside, names, (1.0,) * len(names))

    fill_folder(
        output,
        write,
        (ENSEMBLE, "config.json", "members", "weights.safetensors", "history.csv", "last.ckpt"),
    )
    return output


def unlike(one: Config, other: Config) -> str | None:
    """Say why the maps of two models cannot be averaged; None if they can."""
    if other.channels != one.channels:
        return f"it takes images of {other.channels} channel(s), not {one.channels}"
    reason = one.method.differs(other.method)
    lengths = any(spec.kind != "scalar" for spec in one.method.maps(one.ndim))
    if reason is None and lengths and one.spacing_known != other.spacing_known:
        known = ("µm", "pixels") if other.spacing_known else ("pixels", "µm")
        return f"its lengths are in {known[0]}, not in {known[1]}"
    return reason


def read_ensemble(folder: Path, device: torch.device) -> Ensemble:
    """Read an ensemble.

    Raises
    ------
    UsageError
        If it is none, or a member is missing.
    """
    config = load_config(folder / "config.json")
    try:
        held = json.loads((folder / ENSEMBLE).read_text(encoding="utf-8"))
        names, weights = [str(m["name"]) for m in held], [float(m["weight"]) for m in held]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder / ENSEMBLE}: no readable ensemble ({error})") from None
    folders = tuple(folder / "members" / name for name in names)
    for path in folders:
        if not (path / "weights.safetensors").is_file():
            raise UsageError(f"{path}: a member of the ensemble is missing")
    return Ensemble(config, folders, tuple(weights), device)


def write_ensemble(folder: Path, ensemble: Ensemble) -> None:
    """Write what may have changed of an ensemble in its folder: settings and weights."""
    save_config(ensemble.config, folder / "config.json")
    _write(folder, [path.name for path in ensemble.folders], ensemble.weights)


def _write(folder: Path, names: Sequence[str], weights: Sequence[float]) -> None:
    members = [
        {"name": name, "weight": weight} for name, weight in zip(names, weights, strict=True)
    ]
    write_text(folder / ENSEMBLE, json.dumps(members, indent=2) + "\n")


# -- tuning ----------------------------------------------------------------------------------------
def tune_ensemble(
    ensemble: Ensemble,
    samples: Sequence[Sample],
    *,
    budget: float | None = None,
    progress: bool = False,
) -> tuple[Ensemble, Tuned]:
    """Search the members' weights, if there are images enough, and the decode options.

    Parameters
    ----------
    ensemble : Ensemble
    samples : sequence of Sample
        Validation images as they were read.
    budget, progress
        As in `embedseg.model.tune`.
    """
    parts: list[list[NDArray[np.float16]]] = []
    heads: list[Maps] = []
    for folder in tqdm(ensemble.folders, desc="members", disable=not progress, leave=False):
        found = [ensemble.member_maps(folder, s.image, s.spacing) for s in samples]
        heads = heads or found
        parts.append(
            [
                _on_grid(maps, head.shape).astype(np.float16)
                for maps, head in zip(found, heads, strict=True)
            ]
        )
    truths = [resample_labels(s.labels, head.shape) for s, head in zip(samples, heads, strict=True)]
    specs, spacings = heads[0].specs, [head.spacing for head in heads]
    weights = ensemble.weights
    if len(samples) >= ENOUGH:
        weights = _weigh(ensemble.config.method, parts, truths, specs, spacings)
    else:
        log.info(
            "the weights of the members stay alike: %d validation images, fewer than %d",
            len(samples),
            ENOUGH,
        )
    maps = [
        _weighed([part[k] for part in parts], weights, specs, spacings[k])
        for k in range(len(samples))
    ]
    tuned = tune(ensemble.config.method, maps, truths, budget=budget, progress=progress)
    config = ensemble.config.model_copy(update={"method": tuned.method})
    return replace(ensemble, config=config, weights=weights), tuned


def _weighed(
    parts: Sequence[NDArray[np.float16]],
    weights: Sequence[float],
    specs: tuple[MapSpec, ...],
    spacing: Spacing,
) -> Maps:
    total = sum(
        np.float32(weight) * part.astype(np.float32)
        for part, weight in zip(parts, weights, strict=True)
    )
    return _mean(np.asarray(total / np.float32(sum(weights))), specs, spacing)


def _weigh(
    method: Method,
    parts: Sequence[Sequence[NDArray[np.float16]]],
    truths: Sequence[NDArray[np.int32]],
    specs: tuple[MapSpec, ...],
    spacings: Sequence[Spacing],
) -> tuple[float, ...]:
    """Return weights that are better by more than the spread over the images, else equal ones."""

    def scores(weights: tuple[float, ...]) -> NDArray[np.float64]:
        return np.array(
            [
                method.score(
                    truth,
                    method.decode(
                        _weighed([part[k] for part in parts], weights, specs, spacings[k])
                    ).labels,
                )[method.primary]
                for k, truth in enumerate(truths)
            ]
        )

    best = equal = (1.0,) * len(parts)
    start = reached = scores(equal)
    for k in range(len(parts)):
        for weight in TRIED:
            tried = (*best[:k], weight, *best[k + 1 :])
            if tried == best or not any(tried):
                continue
            if (found := scores(tried)).mean() > reached.mean():
                best, reached = tried, found
    gains = reached - start
    spread = float(gains.std(ddof=1) / np.sqrt(len(gains)))
    if gains.mean() <= spread:
        log.info(
            "the weights of the members stay alike: the best gain, %.3f, is within the "
            "spread of %.3f",
            gains.mean(),
            spread,
        )
        return equal
    log.info(
        "weights of the members: %s (%s %.3f -> %.3f)",
        ", ".join(f"{w:g}" for w in best),
        method.primary,
        start.mean(),
        reached.mean(),
    )
    return best
