"""Ensembles: the mean of several models, decoded once."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from embedseg.common import Progress
from embedseg.data import Sample
from embedseg.geometry import resample_labels, resample_to_shape
from embedseg.methods import Method
from embedseg.model.config import Config
from embedseg.model.folder import MEMBERS, NEEDED, Member, ModelFolder
from embedseg.model.trained_net import cut_out, load_trained_net
from embedseg.model.tuning import Tuned, find_goal, tune
from embedseg.nets import Net
from embedseg.prediction import from_average, to_average, to_float16
from embedseg.training import HISTORY
from embedseg.types import Box, Maps, MapSpec, PerAxis, Spacing, UsageError

log = logging.getLogger("embedseg")

#: Validation images without which weights of members are not searched.
ENOUGH = 8
#: Weights that are tried for each member.
TRIED = (0.0, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Ensemble:
    """Models whose maps are averaged, one in memory at a time.

    Attributes
    ----------
    config : Config
        Of the ensemble: its spacing, in which maps are averaged, and its decode options are those
        of the lead until tuned.
    members : tuple of Member
        In the order in which they were given; one is the lead.
    device : torch.device
    """

    config: Config
    members: tuple[Member, ...]
    device: torch.device

    @property
    def net(self) -> Net:
        """No net: an ensemble has several.

        Raises
        ------
        UsageError
            Always.
        """
        raise UsageError("an ensemble has several nets; take its members one by one")

    @property
    def home(self) -> ModelFolder:
        """Folder of the ensemble."""
        return ModelFolder(self.members[0].folder.parent.parent)

    @property
    def lead(self) -> Member:
        """The member on whose grid maps are averaged."""
        return next(member for member in self.members if member.lead)

    @property
    def lead_first(self) -> list[Member]:
        """The members, the lead before the others."""
        return sorted(self.members, key=lambda member: not member.lead)

    def configs(self) -> list[Config]:
        """Return the configurations of the members."""
        return [ModelFolder(member.folder).config() for member in self.members]

    def with_config(self, config: Config) -> Ensemble:
        """Return the same members with other options."""
        return replace(self, config=config)

    # -- maps --------------------------------------------------------------------------------------
    def maps(
        self,
        image: NDArray[np.float32],
        spacing: Spacing | None,
        *,
        tta: bool | None = None,
        progress: Progress = False,
        keep: Box | None = None,
    ) -> Maps:
        """Return the mean of the members' maps; parameters as in `TrainedNet.maps`."""
        total: NDArray[np.float32] | None = None
        first: Maps | None = None
        for member in self.lead_first:
            if member.weight == 0:
                continue
            maps = self.member_maps(member, image, spacing, tta, progress)
            first = first or maps
            part = np.float32(member.weight) * _on_grid(maps, first.shape)
            total = part if total is None else total + part
        assert first is not None and total is not None
        weights = sum(member.weight for member in self.members)
        mean = _mean(total / np.float32(weights), first.specs, first.spacing)
        return cut_out(mean, keep)

    def member_maps(
        self,
        member: Member,
        image: NDArray[np.float32],
        spacing: Spacing | None,
        tta: bool | None = None,
        progress: Progress = False,
    ) -> Maps:
        """Return the maps of one member, translated to mean what they mean in the ensemble."""
        one = load_trained_net(ModelFolder(member.folder), self.device)
        options = one.config.predict.model_copy(update={"memory": self.config.predict.memory})
        one = one.with_config(one.config.model_copy(update={"predict": options}))
        maps = one.maps(image, spacing, tta=tta, progress=progress)
        method = self.config.method
        return method.transfer.translate(maps, one.config.method, method)

    def pixels_seen(self, channels: int, shape: PerAxis, keep: Box) -> int:
        """Return how many pixels the net of the lead sees for a box of an image."""
        lead = load_trained_net(ModelFolder(self.lead.folder), self.device)
        return lead.pixels_seen(channels, shape, keep)

    def pixels_at_once(self, channels: int, memory: float) -> float:
        """Return how many pixels of an image every member can take in `memory` bytes."""
        nets = (load_trained_net(ModelFolder(each.folder), self.device) for each in self.members)
        return min(net.pixels_at_once(channels, memory) for net in nets)

    def links_planes(self, spacing: Spacing | None) -> bool:
        """Return False: maps of planes are averaged, labels cannot be."""
        return False

    # -- decode options ----------------------------------------------------------------------------
    def tuned(
        self, samples: Sequence[Sample], *, budget: float | None = None, progress: bool = True
    ) -> tuple[Ensemble, Tuned]:
        """Return this with better weights and decode options, searched on samples as read."""
        return tune_ensemble(self, samples, budget=budget, progress=progress)

    # -- files -------------------------------------------------------------------------------------
    def fingerprint(self) -> str:
        """Return a digest of settings and weights of all members."""
        return "".join(ModelFolder(member.folder).fingerprint() for member in self.members)

    def save(self, folder: ModelFolder) -> None:
        """Write what may have changed: settings, and weights of members.

        Raises
        ------
        UsageError
            If the folder is not that of the ensemble.
        """
        if folder.path.resolve() != self.home.path.resolve():
            raise UsageError("an ensemble is its folder with all members; copy that")
        folder.save_config(self.config)
        folder.save_members(self.members)

    def copy_to(self, folder: Path) -> None:
        """Write a complete copy into a folder that does not exist."""
        shutil.copytree(self.home.path, folder, ignore=shutil.ignore_patterns(".*"))
        copied = ModelFolder(folder)
        copied.save_config(self.config)
        copied.save_members(self.members)


def _on_grid(maps: Maps, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the quantity to average, on another grid of the same image."""
    return resample_to_shape(to_average(maps.data.astype(np.float32), maps.specs), shape)


def _mean(mean: NDArray[np.float32], specs: tuple[MapSpec, ...], spacing: Spacing) -> Maps:
    return Maps(to_float16(from_average(mean, specs)), specs, spacing)


# -- files -----------------------------------------------------------------------------------------
def join_models(
    folders: Sequence[Path | str],
    output: Path | str,
    *,
    overwrite: bool = False,
    finish: Callable[[Path], object] | None = None,
) -> Path:
    """Make an ensemble: a folder that holds copies of its members.

    Members keep the order in which they are given. The first one with the most axes leads: maps
    are averaged in its spacing.

    Parameters
    ----------
    folders : sequence of path
        Two models or more.
    output : path
        Folder for the ensemble.
    overwrite : bool
        Overwrite an existing ensemble or model.
    finish : callable, optional
        Called with the folder in which the ensemble is made, before it replaces what is in
        `output`; tunes it, for example.

    Raises
    ------
    UsageError
        If a folder holds no model, models cannot be averaged (the message gives the reason),
        or the output is not free.
    """
    models, output = [ModelFolder(Path(folder)) for folder in folders], Path(output)
    if len(models) < 2:
        raise UsageError(f"{len(models)} model given, expected two or more")
    whole = ModelFolder(output)
    whole.check_free(overwrite=overwrite)
    seen: set[Path] = set()
    for model in models:
        if (real := model.path.resolve()) in seen:
            raise UsageError(f"{model.path}: given twice, expected different models")
        seen.add(real)
    configs = [_check_member(model) for model in models]
    lead = max(range(len(models)), key=lambda k: (configs[k].ndim, -k))
    for model, config in zip(models, configs, strict=True):
        if (reason := difference(configs[lead], config)) is not None:
            raise UsageError(f"{model.path} cannot be averaged with {models[lead].path}: {reason}")
    names = [f"{place}-{model.path.resolve().name}" for place, model in enumerate(models, 1)]

    def write(aside: Path) -> None:
        for name, model in zip(names, models, strict=True):
            (aside / MEMBERS / name).mkdir(parents=True)
            for file in (*NEEDED, HISTORY):
                if (model.path / file).is_file():
                    shutil.copy2(model.path / file, aside / MEMBERS / name / file)
        made = ModelFolder(aside)
        made.save_config(configs[lead].model_copy(update={"trained": None}))
        made.save_members(tuple(Member(Path(n), 1.0, k == lead) for k, n in enumerate(names)))

    with whole.replaced() as made:
        # Another process may have made one before this one held the folder.
        whole.check_free(overwrite=overwrite)
        write(made.path)
        if finish:
            finish(made.path)
    return output


def _check_member(model: ModelFolder) -> Config:
    """Check that a folder holds one net, with weights that fit it; return its configuration."""
    if model.members():
        raise UsageError(f"{model.path}: is an ensemble; name the models that it is made of")
    return load_trained_net(model, torch.device("cpu")).config


def difference(one: Config, other: Config) -> str | None:
    """Return the reason why maps of two models cannot be averaged; None if they can."""
    if other.channels != one.channels:
        return f"it takes images of {other.channels} channel(s), not {one.channels}"
    if other.data.channels != one.data.channels and None not in (
        other.data.channels,
        one.data.channels,
    ):
        names = (", ".join(each.data.channels or ("all",)) for each in (other, one))
        return "it was trained on the channels {}, not {}".format(*names)
    reason = one.method.differs(other.method)
    lengths = any(spec.kind in ("vector", "extent") for spec in one.method.maps(one.ndim))
    if reason is None and lengths and one.spacing_known != other.spacing_known:
        known = ("µm", "pixels") if other.spacing_known else ("pixels", "µm")
        return f"its lengths are in {known[0]}, not in {known[1]}"
    return reason


def read_ensemble(folder: ModelFolder, device: torch.device) -> Ensemble:
    """Read an ensemble.

    Raises
    ------
    UsageError
        If the list of members cannot be read, or one is missing.
    """
    return Ensemble(folder.config(), folder.members(), device)


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
    ordered = ensemble.lead_first
    parts: list[list[NDArray[np.float16]]] = []
    heads: list[Maps] = []
    for member in tqdm(ordered, desc="members", disable=not progress, leave=False):
        made = [ensemble.member_maps(member, s.image, s.spacing) for s in samples]
        heads = heads or made
        parts.append(
            [
                _on_grid(maps, head.shape).astype(np.float16)
                for maps, head in zip(made, heads, strict=True)
            ]
        )
    truths = [resample_labels(s.labels, head.shape) for s, head in zip(samples, heads, strict=True)]
    specs, spacings = heads[0].specs, [head.spacing for head in heads]
    weights = tuple(member.weight for member in ordered)
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
    weight_of = dict(zip(ordered, weights, strict=True))
    members = tuple(replace(each, weight=weight_of[each]) for each in ensemble.members)
    return replace(ensemble, config=config, members=members), tuned


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
    goal = find_goal(method, truths)

    def scores(weights: tuple[float, ...]) -> NDArray[np.float64]:
        return np.array(
            [
                goal.score(
                    truth,
                    method.decode(
                        _weighed([part[k] for part in parts], weights, specs, spacings[k])
                    ).labels,
                )
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
        goal.name,
        start.mean(),
        reached.mean(),
    )
    return best
