"""Fitting: a net trained on a data folder, in its model folder."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from embedseg.data import Sample, annotated_samples, check_masks, load_training
from embedseg.model.config import Config, Trained, parse_duration
from embedseg.model.finetuning import start_from
from embedseg.model.folder import Making, ModelFolder
from embedseg.model.trained_net import TrainedNet
from embedseg.model.tuning import Tuned
from embedseg.training import DataPrint, Row, Run, Watch, check_checkpoint
from embedseg.types import DataError, Spacing, UsageError

log = logging.getLogger("embedseg")

#: Share of the training's time that tuning may take.
TUNING_SHARE = 0.1


@dataclass(frozen=True)
class Fitted:
    """A net after training.

    Attributes
    ----------
    net : TrainedNet
        With the best weights and, where they were tuned, better decode options.
    history : list of dict
        One row per epoch.
    tuned : Tuned or None
        Outcome of tuning, if there was any.
    """

    net: TrainedNet
    history: list[Row]
    tuned: Tuned | None


def fit_net(
    net: TrainedNet,
    data: Path,
    *,
    time_limit: float | str | None = None,
    epochs: int | None = None,
    folder: ModelFolder | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tune: bool = True,
    devices: int = 1,
    progress: bool = True,
    watch: Watch | None = None,
) -> Fitted:
    """Train a net on a data folder, then tune its decode options; see `Segmenter.fit`.

    A folder is to be held by this process.
    """
    from embedseg.training import run_training

    started = time.monotonic()
    limit = None if time_limit is None else parse_duration(time_limit)
    config = net.config
    if epochs is not None:
        config = config.changed({"train.epochs": epochs})
    elif limit is None:
        epochs = config.train.epochs
    net = net.with_config(config)
    resumed = bool(resume and folder and folder.unfinished().resumable())
    if folder:
        # Again, now that no other process can fill it.
        folder.check_free(resume=resume, overwrite=overwrite)
    if folder and resumed:
        check_resumed(config, folder.unfinished())
    train, val, kept = read_training(net, data)
    if folder and resumed:
        check_checkpoint(folder.unfinished().path, kept)
    if config.train.start and not resumed:
        log.info(start_from(net.net, config, config.train.start))
    today = datetime.now(UTC).date().isoformat()
    name = data.resolve().name
    trained = Trained(data=name, images=len(train), val_images=len(val), date=today)
    config = config.model_copy(update={"trained": trained})
    net = net.with_config(config)
    making = Making.plan(folder, config, resumed) if folder else None
    run = Run(
        net.net,
        config.method,
        config.train,
        config.spacing,
        train,
        val,
        making.work if making else None,
        limit,
        epochs,
        config.data.min_foreground,
        watch,
        making,
        kept,
    )
    try:
        history = run_training(
            run, net.device, devices=devices, resume=resumed, started=started, progress=progress
        )
    except BaseException:
        if making:
            making.abandon()
        raise
    net.net.to(net.device)
    tuned = None
    if tune and val:
        # Of the time that was taken: the training may have been stopped.
        budget = TUNING_SHARE * run.state.spent
        net, tuned = net.tuned_on(val, budget=budget, progress=progress)
        log.info(tuned.message)
    return Fitted(net, history, tuned)


def check_resumed(config: Config, folder: ModelFolder) -> None:
    """Check that the options of training are those of a run to resume, but for its length.

    Raises
    ------
    UsageError
        If one differs.
    """
    held = folder.config().train.model_dump()
    for name, value in config.train.model_dump().items():
        if name not in ("epochs", "start") and value != held[name]:
            raise UsageError(
                f"{folder.path}: its training has train.{name} {held[name]}, not {value}; "
                "resume with the same, or train another model"
            )


def read_training(net: TrainedNet, data: Path) -> tuple[list[Sample], list[Sample], DataPrint]:
    """Read and prepare training and validation samples; of the latter, those with annotation.

    The last value is what is kept of them as they were read.
    """
    loaded = load_training(data, net.config.data, net.config.channels)
    for message in loaded.messages:
        log.info(message)
    if net.config.method.reads == "objects":
        for warning in check_masks(loaded.train):
            log.warning(warning)
    kept: DataPrint = {
        f"{split} {sample.name}": (tuple(map(int, sample.image.shape)), _plain(sample.spacing))
        for split, samples in (("train", loaded.train), ("val", loaded.val))
        for sample in samples
    }
    val = annotated_samples(net.prepared(loaded.val))
    if net.config.method.reads == "objects" and not any((s.labels > 0).any() for s in val):
        # The best weights would be those that find nothing.
        log.warning(
            "val: no mask holds an object, so the last weights are kept, and decode options as "
            "they are"
        )
        val = []
    return net.prepared(loaded.train), val, kept


def _plain(spacing: Spacing | None) -> Spacing | None:
    return None if spacing is None else tuple(map(float, spacing))


def validation_samples(config: Config, data: Path) -> list[Sample]:
    """Read the validation samples of a data folder that have annotation.

    Raises
    ------
    DataError
        If there are none.
    """
    val = annotated_samples(load_training(data, config.data, config.channels).val)
    if not val:
        raise DataError(f"{data}: no validation images to tune on")
    return val
