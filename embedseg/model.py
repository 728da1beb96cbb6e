"""The object a user holds: a configuration and weights that fit, segment, save and load."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from embedseg import checkpoint
from embedseg.config import Config, load_config, parse_duration, save_config
from embedseg.data import Sample, load_training, to_planes, to_spacing
from embedseg.devices import resolve_device
from embedseg.finetune import take_over
from embedseg.geometry import resample, resample_labels
from embedseg.history import read_history, save_weights, write_history
from embedseg.io import refuse_used, sweep
from embedseg.labels import link_slices
from embedseg.nets import Net
from embedseg.predict import PredictOptions, predict, predict_planes
from embedseg.run import Run
from embedseg.train import fit
from embedseg.tune import Tuned, tune
from embedseg.types import DataError, Maps, Segmentation, Spacing, UsageError, arrange, check_image

log = logging.getLogger("embedseg")

#: Beyond this ratio of the coarsest to the finest axis, side views of a volume show too little.
COARSEST_SIDE_VIEW = 3.0


class Segmenter:
    """A model: options, a net, and what is done with them.

    Examples
    --------
    >>> import embedseg
    >>> model = embedseg.Segmenter.load("nuclei")  # doctest: +SKIP
    >>> labels = model.segment(image)              # doctest: +SKIP
    """

    def __init__(self, config: Config, net: torch.nn.Module, device: torch.device) -> None:
        self.config = config
        self.net = net.to(device)
        self.device = device
        self.history: list[dict[str, float]] = []
        self._home: Path | None = None

    @classmethod
    def new(cls, config: Config, device: str = "auto") -> Segmenter:
        """Make an untrained model; its weights follow from `config.train.seed`."""
        with torch.random.fork_rng():
            torch.manual_seed(config.train.seed)
            net = config.build_net()
            config.method.init_heads(net.outputs, config.ndim)
        return cls(config, net, resolve_device(device))

    # -- training --------------------------------------------------------------------------------
    def fit(
        self, data: Path | str, *, time_limit: float | str | None = None,
        epochs: int | None = None, folder: Path | str | None = None, resume: bool = False,
        overwrite: bool = False, tune: bool = True, devices: int = 1, progress: bool = True,
    ) -> Segmenter:
        """Train on a data folder; the best weights on the validation images are kept.

        Parameters
        ----------
        data : path
            Folder with `train` / `images` and `masks`.
        time_limit : float or str, optional
            Seconds, or "15m"; bounds reading, training and validation. Tuning adds at most 10 %.
        epochs : int, optional
            Length of the run; default: until the time limit, or `config.train.epochs` without
            one. Where both are given, the first to be reached ends it.
        folder : path, optional
            Holds the model and what resuming needs.
        resume : bool
            Go on with the run in `folder`; where there is none yet, it begins.
        overwrite : bool
            Replace a model that is in `folder`.
        tune : bool
            Whether to search decode options at the end.
        devices : int
            How many devices of the kind share each batch, each in a process of its own: a script
            has to start training under `if __name__ == "__main__"`.
        progress : bool
            Whether to show progress bars.

        Raises
        ------
        DataError, UsageError
            For bad data, a folder that is not empty, nothing to resume from.
        """
        started = time.monotonic()
        limit = None if time_limit is None else parse_duration(time_limit)
        if epochs is not None:
            self.config = self.config.changed({"train.epochs": epochs})
        elif limit is None:
            epochs = self.config.train.epochs
        folder = None if folder is None else Path(folder)
        if folder:
            _refuse(folder, resume, overwrite)
        train, val = self._training(Path(data))
        if folder:
            # Only now that the data are known to be good.
            _clear(folder, resume)
            save_config(self.config, folder / "config.json")
        if (start := self.config.train.start) and not (
                resume and folder and (folder / checkpoint.NAME).is_file()):
            log.info(self.start_from(start))
        run = Run(self.net, self.config.method, self.config.train, self.config.spacing,
                  train, val, folder, limit, epochs, self.config.data.min_foreground)
        self.history = fit(run, self.device, devices=devices, resume=resume, started=started,
                           progress=progress)
        self.net.to(self.device)
        if tune and val:
            budget = 0.1 * (limit or run.state.spent)
            log.info(self._tune(val, budget, progress).words)
        if folder:
            self._home = folder.resolve()
            self._write(folder)
        return self

    def start_from(self, folder: Path | str) -> str:
        """Take over the weights of another model, as far as they fit; return what was kept.

        Raises
        ------
        UsageError
            If the folder holds no model, or one of which nothing fits.
        """
        source, weights = _read(Path(folder))
        return take_over(cast(Net, self.net), self.config, weights, source, str(folder))

    def tune(self, data: Path | str, *, budget: float | None = None,
             progress: bool = True) -> Tuned:
        """Search decode options on the validation images of a data folder and keep the better.

        Parameters
        ----------
        data : path
            Folder with `val`, or `train` from which the validation images are taken as in `fit`.
        budget : float, optional
            Seconds to spend.
        """
        _, val = self._training(Path(data))
        if not val:
            raise DataError(f"{data}: no validation images to tune on")
        return self._tune(val, budget, progress)

    def _tune(self, val: Sequence[Sample], budget: float | None, progress: bool) -> Tuned:
        begun = time.monotonic()
        maps: list[Maps] = []
        for sample in val:
            # Half of the budget is for the net, the other half for decoding.
            if budget is not None and maps and time.monotonic() - begun > budget / 2:
                break
            maps.append(self._predict(sample.image))
        left = None if budget is None else budget - (time.monotonic() - begun)
        found = tune(self.config.method, maps, [s.labels for s in val[: len(maps)]],
                     budget=left, progress=progress)
        self.config = self.config.model_copy(update={"method": found.method})
        return found

    def _training(self, data: Path) -> tuple[list[Sample], list[Sample]]:
        loaded = load_training(data, self.config.data)
        for words in loaded.words:
            log.info(words)
        train, val = self._prepare(loaded.train), self._prepare(loaded.val)
        return train, [sample for sample in val if (sample.labels >= 0).any()]

    def _prepare(self, samples: Sequence[Sample]) -> list[Sample]:
        """Normalise whole images, cut volumes into planes for a 2D net, bring to one spacing."""
        ready = []
        for sample in samples:
            image = check_image(sample.image, sample.labels.ndim, self.config.channels,
                                str(sample.path))
            normal = replace(sample, image=self.config.normalize.apply(image))
            if sample.labels.ndim == self.config.ndim + 1:
                parts = to_planes(normal)
            elif sample.labels.ndim == self.config.ndim:
                parts = [normal]
            else:
                raise DataError(f"{sample.path}: {sample.labels.ndim}D, the model is "
                                f"{self.config.ndim}D")
            ready += [self._at_spacing(part) for part in parts]
        return ready

    def _at_spacing(self, sample: Sample) -> Sample:
        return to_spacing(sample, self.config.spacing) if self.config.spacing_known else sample

    # -- segmentation ----------------------------------------------------------------------------
    def segment(
        self, image: NDArray[Any], *, axes: str | None = None, spacing: Spacing | None = None,
        tta: bool | None = None, planes: bool | None = None, progress: bool = False,
    ) -> NDArray[np.int32]:
        """Return the labels of an image, in its own grid.

        Parameters
        ----------
        image : ndarray
            (*space) or (C, *space); any order of axes, and a time axis, with `axes`.
        axes : str, optional
            What the axes are: "YX", "ZYX", "CYX", "TZYX" ...
        spacing : tuple of float, optional
            Size of a pixel along the space axes, µm; default: the model's.
        tta : bool, optional
            Average over the symmetries of the grid; default: `config.predict.tta`.
        planes : bool, optional
            Apply a 2D model to a volume plane by plane; default: `config.predict.planes`.

        Returns
        -------
        (*space) or (T, *space) int32 ndarray
            0 is background.
        """
        if axes and "T" in axes.upper():
            frames = np.moveaxis(np.asarray(image), axes.upper().index("T"), 0)
            rest = axes.upper().replace("T", "")
            return np.stack([
                self.segment(frame, axes=rest, spacing=spacing, tta=tta, planes=planes)
                for frame in frames
            ])
        planes = self.config.predict.planes if planes is None else planes
        ready = arrange(image, axes, self.config.ndim + bool(planes and self.config.ndim == 2),
                        self.config.channels)
        if planes and self.config.ndim == 2 and not (_side_views(spacing) or self._flat()):
            log.info("planes are segmented one by one and linked: side views need a known spacing "
                     "with axes within a factor of %g", COARSEST_SIDE_VIEW)
            inner = None if spacing is None else spacing[1:]
            return link_slices(np.stack([
                self.segment(plane, axes="CYX", spacing=inner, tta=tta, planes=False)
                for plane in np.moveaxis(ready, 1, 0)
            ]))
        maps = self._maps(ready, spacing, tta, progress)
        return self._back(self.decode(maps), ready.shape[1:])

    def predict(
        self, image: NDArray[Any], *, axes: str | None = None, spacing: Spacing | None = None,
        tta: bool | None = None, planes: bool | None = None, progress: bool = False,
    ) -> Maps:
        """Return the maps of an image, in the model's spacing; parameters as in `segment`."""
        planes = self.config.predict.planes if planes is None else planes
        ready = arrange(image, axes, self.config.ndim + bool(planes and self.config.ndim == 2),
                        self.config.channels)
        return self._maps(ready, spacing, tta, progress)

    def _maps(self, ready: NDArray[np.float32], spacing: Spacing | None, tta: bool | None,
              progress: bool) -> Maps:
        """Return the maps of an arranged image; one with an axis more than the net is a volume."""
        if spacing is not None and len(spacing) != ready.ndim - 1:
            raise UsageError(f"spacing {spacing} has {len(spacing)} values, the image has "
                             f"{ready.ndim - 1} space axes")
        normal = self.config.normalize.apply(ready)
        if ready.ndim - 1 == self.config.ndim:
            if spacing is not None and self.config.spacing_known:
                normal = resample(normal, tuple(spacing), self.config.spacing)
            return self._predict(normal, tta=tta, progress=progress)
        return self._predict_planes(normal, spacing, tta, progress)

    def _predict(self, image: NDArray[np.float32], *, tta: bool | None = None,
                 progress: bool = False) -> Maps:
        return predict(self.net, image, specs=self.config.method.maps(self.config.ndim),
                       spacing=self.config.spacing, options=self._options(tta),
                       device=self.device, progress=progress)

    def _predict_planes(self, volume: NDArray[np.float32], spacing: Spacing | None,
                        tta: bool | None, progress: bool) -> Maps:
        """Return the maps of a volume, of which a 2D net sees planes."""
        own, method = self.config.spacing, self.config.method
        # Where nobody knows what a pixel was in training, it is taken to be that of these planes.
        plane = own if spacing is None or self.config.spacing_known else spacing[1:]
        directions: tuple[int, ...] = (0, 1, 2)
        target: Spacing = (min(plane),) * 3
        if self._flat() and not _side_views(spacing):
            directions, target = (0,), (spacing[0] if spacing else min(plane), *plane)
        if spacing is not None:
            volume = resample(volume, tuple(spacing), target)
        return predict_planes(
            self.net, volume, specs=method.maps(2), volume_specs=method.maps(3),
            spacing=tuple(step * min(own) / min(plane) for step in target),
            options=self._options(tta), directions=directions, device=self.device,
            progress=progress,
        )

    def _flat(self) -> bool:
        """Return whether planes in one direction show all that the maps say of a volume."""
        return all(spec.kind == "scalar" for spec in self.config.method.maps(3))

    def _options(self, tta: bool | None) -> PredictOptions:
        options = self.config.predict
        return options if tta is None else options.model_copy(update={"tta": tta})

    def decode(self, maps: Maps) -> Segmentation:
        """Turn maps into a segmentation, by the method's decode options."""
        return self.config.method.decode(maps)

    def _back(self, found: Segmentation, shape: tuple[int, ...]) -> NDArray[np.int32]:
        same = found.labels.shape == tuple(shape)
        return found.labels if same else resample_labels(found.labels, shape)

    def with_options(self, settings: Mapping[str, Any]) -> Segmenter:
        """Return a model with the same net and some options changed by dotted name.

        Examples
        --------
        >>> model.with_options({"method.seed_threshold": 0.8})  # doctest: +SKIP
        """
        changed = self.config.changed(settings)
        if changed.net != self.config.net or changed.ndim != self.config.ndim:
            raise UsageError("the net of a trained model cannot be changed")
        return Segmenter(changed, self.net, self.device)

    # -- files -----------------------------------------------------------------------------------
    def save(self, folder: Path | str, *, overwrite: bool = False) -> None:
        """Write the model as a folder: `config.json`, `weights.safetensors`, `history.csv`."""
        folder = Path(folder)
        # Where it was fitted or loaded from it may always be saved again, after tuning say.
        _refuse(folder, False, overwrite or folder.resolve() == self._home)
        folder.mkdir(parents=True, exist_ok=True)
        self._write(folder)
        self._home = folder.resolve()

    def _write(self, folder: Path) -> None:
        save_weights(self.net.state_dict(), folder / "weights.safetensors")
        if self.history:
            write_history(self.history, folder / "history.csv")
        save_config(self.config, folder / "config.json")

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> Segmenter:
        """Read a model; no code of the folder's is run.

        Raises
        ------
        UsageError
            If the folder holds no model, or one whose weights do not fit.
        """
        folder = Path(folder)
        config, weights = _read(folder)
        model = cls.new(config, device)
        try:
            model.net.load_state_dict(weights)
        except RuntimeError as error:
            raise UsageError(f"{folder}: the weights do not fit the net ({error})") from error
        model.history = read_history(folder / "history.csv")
        model._home = folder.resolve()
        return model


def _read(folder: Path) -> tuple[Config, dict[str, Tensor]]:
    """Return settings and weights of a model."""
    if not (folder / "config.json").is_file():
        raise UsageError(f"{folder}: no model here (config.json is missing)")
    config = load_config(folder / "config.json")
    path = folder / "weights.safetensors"
    if not path.is_file():
        raise UsageError(f"{folder}: no weights yet ({path.name} is missing); "
                         "was the training stopped before its first validation?")
    try:
        return config, load_file(path)
    except Exception as error:  # whatever the library raises on a broken file
        raise UsageError(f"{path}: no readable weights ({error})") from error


def _side_views(spacing: Spacing | None) -> bool:
    return spacing is not None and max(spacing) <= COARSEST_SIDE_VIEW * min(spacing)


def _refuse(folder: Path, resume: bool, overwrite: bool) -> None:
    """See that nothing is written over by mistake; what is resumed may also not have begun."""
    if not resume or not (folder / "config.json").is_file():
        sweep(folder)
        refuse_used(folder, overwrite)


def _clear(folder: Path, resume: bool) -> None:
    """Make a folder for a run; of an earlier one that is not resumed nothing may remain."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    if not resume:
        for name in ("config.json", "weights.safetensors", "history.csv", "last.ckpt"):
            (folder / name).unlink(missing_ok=True)
