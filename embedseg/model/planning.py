"""Planning: a configuration proposed from the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedseg.common import format_shape, plural, unknown_name
from embedseg.data import (
    DataOptions,
    Sample,
    Statistics,
    compute_statistics,
    infer_classes,
    load_training,
    split_planes,
)
from embedseg.images import Percentile
from embedseg.methods import METHODS, as_method, choose_method
from embedseg.model.config import Config
from embedseg.model.costs import estimate_costs
from embedseg.model.folder import ModelFolder
from embedseg.nets import net_options, resolve_device
from embedseg.training import TrainOptions
from embedseg.types import Spacing, UsageError

#: Net that is trained unless another is asked for.
DEFAULT_NET = {"type": "unet", "stem": 2, "light": True, "max_width": 128}
#: Recipes of training by name: the net, and settings by dotted name. `paper` is the published one
#: (Lalit et al. 2022), with sizes planned from the data as for the default.
PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": (DEFAULT_NET, {}),
    "paper": (
        {"type": "erfnet"},
        {
            "train.optimizer": "adam",
            "train.learning_rate": 5e-4,
            "train.weight_decay": 1e-4,
            "train.schedule": "poly",
            "train.warmup": 0,
            "train.average": 0,
            "train.augment": "paper",
        },
    ),
}
#: Pixels of a batch: few enough for many steps in some minutes on a laptop.
BATCH_PIXELS = {2: 4 * 128 * 128, 3: 2 * 24 * 64 * 64}
#: Least size of a crop along its finest axis, pixels; at most it is four times that.
CROP = {2: 128, 3: 64}


def plan(
    data: Path | str | Sequence[Sample],
    *,
    method: str | None = None,
    net: str | None = None,
    ndim: int | None = None,
    options: DataOptions | None = None,
    start: Path | str | None = None,
    preset: str = "default",
) -> Config:
    """Propose a configuration from the data alone.

    Parameters
    ----------
    data : path or sequence of Sample
        A data folder (`train` / `images` and `masks`), or samples already read.
    method, net : str, optional
        Names from `embedseg.methods.METHODS` and `embedseg.nets.NETS`. Default: those of `start`,
        else the method that fits the objects (`embedseg.methods.choose_method`) and the recipe's
        net. The recipe's net, asked for by its name, is
        that of the recipe with its settings; others have their defaults.
    ndim : {2, 3}, optional
        2 on 3D data trains on planes. Default: that of the data.
    options : DataOptions, optional
        How to read the data.
    start : path, optional
        Folder of a model to fine-tune: its weights come first, and its net, normalisation and
        options of the method that do not follow from the data.
    preset : str
        Name of a recipe from `PRESETS`.

    Raises
    ------
    DataError
        For bad data, or training images without a single object.
    UsageError
        For unknown names, or an `ndim` that the data do not have.
    """
    options = plan_reading(data, method, options or DataOptions(), start)
    return plan_from(
        measure_data(data, ndim, options),
        method=method,
        net=net,
        options=options,
        start=start,
        preset=preset,
    )


def plan_reading(
    data: Path | str | Sequence[Sample],
    method: str | None,
    options: DataOptions,
    start: Path | str | None = None,
) -> DataOptions:
    """Return the reading options for a method: classes are named, objects need no names.

    Parameters
    ----------
    data, method, options, start
        As in `plan`. Where classes have no names yet, they are those of `start`, else there is
        one for each value that occurs in the masks.

    Raises
    ------
    UsageError
        If classes are given to a method that finds objects.
    DataError
        If the values of the masks cannot be classes.
    """
    base = ModelFolder(Path(start)).config() if start else None
    name = method or (base.method.type if base else "embedding")
    if METHODS[name].reads == "objects":
        if options.classes:
            raise UsageError(
                f"the method {name} finds objects; data.classes is for methods that "
                "tell classes apart, such as semantic"
            )
        return options
    if options.classes is None and base:
        options = options.model_copy(update={"classes": base.data.classes})
    return infer_classes(data, options) if isinstance(data, str | Path) else options


def measure_data(
    data: Path | str | Sequence[Sample], ndim: int | None, options: DataOptions
) -> Statistics:
    """Return the statistics of the training images, of their planes for a 2D net on volumes."""
    if isinstance(data, str | Path):
        data = load_training(Path(data), options).train
    found = data[0].labels.ndim
    if ndim is not None and ndim != found:
        if (ndim, found) != (2, 3):
            raise UsageError(f"a net with ndim {ndim} cannot be trained on {found}D images")
        data = [plane for sample in data for plane in split_planes(sample)]
    return compute_statistics(data, options.classes)


def plan_from(
    stats: Statistics,
    *,
    method: str | None = None,
    net: str | None = None,
    options: DataOptions | None = None,
    start: Path | str | None = None,
    preset: str = "default",
) -> Config:
    """Propose a configuration from statistics of the data; see `plan`."""
    base = ModelFolder(Path(start)).config() if start else None
    preferred, recipe = find_preset(preset)
    fitting = choose_method(stats.contact, stats.elongation).name
    planned, chosen = as_method({"type": method or fitting}), net_options(preferred)
    if base:
        chosen = base.net
        planned = base.method if method in (None, base.method.type) else planned
    planned = planned.plan(stats)
    # The net of the recipe asked for by its name is that of the recipe, not a bare one.
    chosen = chosen if net in (None, chosen.type) else net_options({"type": net})
    reading = options or DataOptions()
    if stats.channel_names and reading.channels is None:
        # New images may hold them in another order.
        reading = reading.model_copy(update={"channels": stats.channel_names})
    crop = chosen.fit_crop(_crop(stats), stats.spacing)
    batch = int(np.clip(round(BATCH_PIXELS[stats.ndim] / np.prod(crop)), 1, 16))
    config = Config(
        ndim=stats.ndim,
        channels=stats.channels,
        spacing=stats.spacing,
        spacing_known=stats.spacing_known,
        extent=_extent(stats),
        data=reading,
        normalize=base.normalize if base else Percentile(),
        method=planned,
        net=chosen,
        train=TrainOptions(
            crop=crop,
            batch=batch,
            background=planned.anywhere,
            start=start and str(Path(start).resolve()),
        ),
    )
    return config.changed(recipe)


def find_preset(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the net and the settings of a recipe by its name.

    Raises
    ------
    UsageError
        If there is no such preset; the message lists the known ones.

    Examples
    --------
    >>> find_preset("paper")[0]
    {'type': 'erfnet'}
    """
    if name not in PRESETS:
        raise UsageError(unknown_name("preset", name, PRESETS))
    return PRESETS[name]


def _extent(stats: Statistics) -> Spacing | None:
    if not len(stats.extents):
        return None
    longest = np.percentile(stats.extents, 98, axis=0) * stats.spacing
    return tuple(round(float(length), 4) for length in longest)


def _crop(stats: Statistics) -> tuple[int, ...]:
    """Size that holds a large object with room around it, as far as the images go.

    A coarse axis needs fewer pixels to see as far; a thin one is taken whole.
    """
    finest = min(stats.spacing)
    crop = []
    for d, spacing in enumerate(stats.spacing):
        large = float(np.percentile(stats.extents[:, d], 95)) if len(stats.extents) else 0.0
        floor = CROP[stats.ndim] * finest / spacing
        size = min(max(1.5 * large, floor), 4 * floor, max(shape[d] for shape in stats.shapes))
        crop.append(8 * max(1, int(np.ceil(size / 8))))
    return tuple(crop)


def explain(config: Config, stats: Statistics, device: str = "auto") -> str:
    """Explain a proposed configuration, with its costs on a device.

    Returns
    -------
    str
        Lines for a person.
    """
    cost, train = estimate_costs(config, device, stats.shapes), config.train
    epoch = train.steps_per_epoch * cost.step
    time = (
        f"time: about {epoch:.0f} s for an epoch of "
        f"{train.steps_per_epoch} steps on {resolve_device(device)}; without --time-limit "
        f"{train.epochs} epochs, about {train.epochs * epoch / 60:.0f} minutes"
        if cost.step
        else "time: not measured, as training takes more memory than there is"
    )
    return "\n".join(
        [
            *describe_data(stats),
            *_describe_choice(config, stats),
            *describe_settings(config, cost.parameters),
            f"memory: about {cost.training / 1e9:.1f} GB to train, "
            f"{cost.prediction / 1e9:.1f} GB to segment the largest image",
            time,
        ]
    )


def describe_data(stats: Statistics) -> list[str]:
    """Describe a data set in a few lines, each beginning with its topic."""
    unit = "µm" if stats.spacing_known else "px, as the pixel size is not known"
    return [
        f"data: {plural(len(stats.shapes), 'image')} of {stats.ndim} axes and "
        f"{stats.channels} channel(s)",
        f"spacing: {_join(stats.spacing)} {unit}",
        _contents(stats),
    ]


def describe_settings(config: Config, parameters: int) -> list[str]:
    """Describe the settings of a model in a few lines; `parameters` counts its weights."""
    train = config.train
    chosen = config.data.channels
    return [
        *([f"channels: {', '.join(chosen)} of each image"] if chosen else []),
        f"crops: {format_shape(train.crop)} px, {train.batch} in a batch",
        *config.method.reasons("µm" if config.spacing_known else "px"),
        f"net: {config.net.type} with {parameters / 1e6:.2f} million weights; images are "
        f"padded to multiples of {format_shape(config.net.divisor(config.spacing, train.crop))}",
        f"normalisation: {config.normalize.type}, of each whole image",
    ]


def _describe_choice(config: Config, stats: Statistics) -> list[str]:
    """Return a line on the method and the one that fits the objects; none for classes."""
    if config.method.reads != "objects" or not len(stats.extents):
        return []
    return [choose_method(stats.contact, stats.elongation).describe(config.method.type)]


def _contents(stats: Statistics) -> str:
    """Describe the content of the masks."""
    if stats.classes:
        return "classes: " + ", ".join(
            f"{each.name} {100 * share:.1f} %"
            for each, share in zip(stats.classes, stats.frequencies, strict=True)
        )
    if not len(stats.extents):
        return "objects: none whose extent is known"
    median = np.round(np.median(stats.extents, axis=0)).astype(int)
    return (
        f"objects: {len(stats.volumes)} on {100 * stats.foreground_fraction:.1f} % of the "
        f"pixels, {format_shape(median)} px (median bounding box)"
    )


def _join(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
