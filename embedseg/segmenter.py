"""The object a user holds: a configuration and weights that fit, segment, save and load."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from embedseg.common import Progress, refuse_used, remove_partial_files
from embedseg.data import Sample, load_training, to_planes, to_spacing
from embedseg.geometry import resample_labels
from embedseg.labels import link_slices
from embedseg.model import (
    COARSEST_SIDE_VIEW,
    ENSEMBLE,
    TUNING,
    Config,
    Ensemble,
    TrainedNet,
    Tuned,
    load_trained_net,
    parse_duration,
    read_ensemble,
    read_model,
    save_config,
    take_over,
    tune,
    tune_ensemble,
    write_ensemble,
    write_tuned,
)
from embedseg.nets import Net, resolve_device, save_weights
from embedseg.training import CHECKPOINT, Run, Watch, fit, read_history, write_history
from embedseg.types import DataError, Maps, Segmentation, Spacing, UsageError, arrange, check_image

if TYPE_CHECKING:
    from embedseg.blockwise import BlockOptions, Result

log = logging.getLogger("embedseg")


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
        #: What a search of the decode options found, if there was one.
        self.tuned: Tuned | None = None
        #: The models whose maps are averaged, if this is an ensemble; then `net` is empty.
        self.ensemble: Ensemble | None = None
        self._home: Path | None = None

    @classmethod
    def new(cls, config: Config, device: str = "auto") -> Segmenter:
        """Make an untrained model; its weights follow from `config.train.seed`."""
        with torch.random.fork_rng():
            torch.manual_seed(config.train.seed)
            net = config.build_net()
            config.method.init_heads(net.outputs, config.ndim)
        return cls(config, net, resolve_device(device))

    @property
    def source(self) -> TrainedNet | Ensemble:
        """What makes maps: the net, or the members of an ensemble."""
        return self.ensemble or TrainedNet(self.config, self.net, self.device)

    @property
    def home(self) -> Path | None:
        """Folder of the model; None where it was neither saved nor loaded."""
        return self._home

    # -- training --------------------------------------------------------------------------------
    def fit(
        self,
        data: Path | str,
        *,
        time_limit: float | str | None = None,
        epochs: int | None = None,
        folder: Path | str | None = None,
        resume: bool = False,
        overwrite: bool = False,
        tune: bool = True,
        devices: int = 1,
        progress: bool = True,
        watch: Watch | None = None,
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
        watch : callable, optional
            Is told after each step how far the training is; see `Standing`. Where it
            raises `embedseg.common.Stopped`, the training ends as with Ctrl-C.

        Raises
        ------
        DataError, UsageError
            For bad data, a folder that is not empty, nothing to resume from.
        """
        if self.ensemble:
            raise UsageError("an ensemble is not trained; train its members")
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
            resume and folder and (folder / CHECKPOINT).is_file()
        ):
            log.info(self.start_from(start))
        run = Run(
            self.net,
            self.config.method,
            self.config.train,
            self.config.spacing,
            train,
            val,
            folder,
            limit,
            epochs,
            self.config.data.min_foreground,
            watch,
        )
        self.history = fit(
            run, self.device, devices=devices, resume=resume, started=started, progress=progress
        )
        self.net.to(self.device)
        if tune and val:
            # Of the time that it took: it may have been stopped.
            budget = 0.1 * run.state.spent
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
        source, weights = read_model(Path(folder))
        return take_over(cast(Net, self.net), self.config, weights, source, str(folder))

    def tune(
        self, data: Path | str, *, budget: float | None = None, progress: bool = True
    ) -> Tuned:
        """Search decode options on the validation images of a data folder and keep the better.

        Parameters
        ----------
        data : path
            Folder with `val`, or `train` from which the validation images are taken as in `fit`.
        budget : float, optional
            Seconds to spend.
        """
        # Members of an ensemble normalise and resample images themselves.
        val = (
            _annotated(load_training(Path(data), self.config.data).val)
            if self.ensemble
            else self._training(Path(data))[1]
        )
        if not val:
            raise DataError(f"{data}: no validation images to tune on")
        if not self.ensemble:
            return self._tune(val, budget, progress)
        self.ensemble, found = tune_ensemble(self.ensemble, val, budget=budget, progress=progress)
        self.config, self.tuned = self.ensemble.config, found
        return found

    def _tune(self, val: Sequence[Sample], budget: float | None, progress: bool) -> Tuned:
        begun, source = time.monotonic(), TrainedNet(self.config, self.net, self.device)
        maps: list[Maps] = []
        for sample in val:
            # Half of the budget is for the net, the other half for decoding.
            if budget is not None and maps and time.monotonic() - begun > budget / 2:
                break
            maps.append(source.ready_maps(sample.image))
        left = None if budget is None else budget - (time.monotonic() - begun)
        found = tune(
            self.config.method,
            maps,
            [s.labels for s in val[: len(maps)]],
            budget=left,
            progress=progress,
        )
        self.config = self.config.model_copy(update={"method": found.method})
        self.tuned = found
        return found

    def _training(self, data: Path) -> tuple[list[Sample], list[Sample]]:
        loaded = load_training(data, self.config.data)
        for words in loaded.words:
            log.info(words)
        train, val = self._prepare(loaded.train), self._prepare(loaded.val)
        return train, _annotated(val)

    def _prepare(self, samples: Sequence[Sample]) -> list[Sample]:
        """Normalise whole images, cut volumes into planes for a 2D net, bring to one spacing."""
        ready = []
        for sample in samples:
            image = check_image(
                sample.image, sample.labels.ndim, self.config.channels, str(sample.path)
            )
            normal = replace(sample, image=self.config.normalize.apply(image))
            if sample.labels.ndim == self.config.ndim + 1:
                parts = to_planes(normal)
            elif sample.labels.ndim == self.config.ndim:
                parts = [normal]
            else:
                raise DataError(
                    f"{sample.path}: {sample.labels.ndim}D, the model is {self.config.ndim}D"
                )
            ready += [self._at_spacing(part) for part in parts]
        return ready

    def _at_spacing(self, sample: Sample) -> Sample:
        return to_spacing(sample, self.config.spacing) if self.config.spacing_known else sample

    # -- segmentation ----------------------------------------------------------------------------
    def segment(
        self,
        image: NDArray[Any],
        *,
        axes: str | None = None,
        spacing: Spacing | None = None,
        tta: bool | None = None,
        planes: bool | None = None,
        progress: Progress = False,
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
        progress : bool or callable
            Whether to show a bar; or what is told how many of how many tiles are done, which may
            raise `embedseg.common.Stopped`.

        Returns
        -------
        (*space) or (T, *space) int32 ndarray
            Objects 1 to n, 0 is background; or the index of each pixel's class in
            `config.data.classes`.
        """
        return self.find(
            image, axes=axes, spacing=spacing, tta=tta, planes=planes, progress=progress
        ).labels

    def find(
        self,
        image: NDArray[Any],
        *,
        axes: str | None = None,
        spacing: Spacing | None = None,
        tta: bool | None = None,
        planes: bool | None = None,
        progress: Progress = False,
    ) -> Segmentation:
        """Return the labels of an image and what is known of each object, its score for one.

        Parameters are those of `segment`. Positions in the table are pixels of the model's
        spacing; there is no table of frames, nor where planes were segmented one by one.
        """
        if axes and "T" in axes.upper():
            frames = np.moveaxis(np.asarray(image), axes.upper().index("T"), 0)
            rest = axes.upper().replace("T", "")
            return Segmentation(
                np.stack(
                    [
                        self.segment(frame, axes=rest, spacing=spacing, tta=tta, planes=planes)
                        for frame in frames
                    ]
                )
            )
        planes = self.config.predict.planes if planes is None else planes
        ready = arrange(
            image,
            axes,
            self.config.ndim + bool(planes and self.config.ndim == 2),
            self.config.channels,
        )
        if planes and self.config.ndim == 2 and self.source.links_planes(spacing):
            log.info(
                "planes are segmented one by one and linked: side views need a known spacing "
                "with axes within a factor of %g",
                COARSEST_SIDE_VIEW,
            )
            inner = None if spacing is None else spacing[1:]
            return Segmentation(
                link_slices(
                    np.stack(
                        [
                            self.segment(plane, axes="CYX", spacing=inner, tta=tta, planes=False)
                            for plane in np.moveaxis(ready, 1, 0)
                        ]
                    )
                )
            )
        return self.on_grid(
            self.source.maps(ready, spacing, tta=tta, progress=progress), ready.shape[1:]
        )

    def predict(
        self,
        image: NDArray[Any],
        *,
        axes: str | None = None,
        spacing: Spacing | None = None,
        tta: bool | None = None,
        planes: bool | None = None,
        progress: Progress = False,
    ) -> Maps:
        """Return the maps of an image, in the model's spacing; parameters as in `segment`."""
        planes = self.config.predict.planes if planes is None else planes
        ready = arrange(
            image,
            axes,
            self.config.ndim + bool(planes and self.config.ndim == 2),
            self.config.channels,
        )
        return self.source.maps(ready, spacing, tta=tta, progress=progress)

    def segment_blocks(
        self,
        image: Path | str,
        output: Path | str,
        *,
        axes: str | None = None,
        spacing: Spacing | None = None,
        level: int = 0,
        options: BlockOptions | None = None,
        overwrite: bool = False,
        progress: bool = True,
    ) -> Result:
        """Segment an image of any size in blocks, from a file or store into another.

        What was cut off goes on where it was: call it again with the same arguments.

        Parameters
        ----------
        image : path or URL
            OME-Zarr, zarr, HDF5, TIFF, a folder of slices or .npy; see
            `embedseg.images.open_lazy`.
        output : path
            `*.zarr` (OME-Zarr with a pyramid), `IMAGE.zarr/labels/NAME`, or `*.tif` (BigTIFF).
            The table of objects is written beside it.
        axes : str, optional
            What the axes are, if the file does not say.
        spacing : tuple of float, optional
            Size of a pixel along the space axes, µm, if the file does not say.
        level : int
            Level of the pyramid of an OME-Zarr image.
        options : BlockOptions, optional
            Size of blocks, workers; see `embedseg.blockwise.BlockOptions`. With several workers
            a script has to do this under `if __name__ == "__main__"`.
        overwrite : bool
            Replace what is there.
        progress : bool
            Whether to show a bar over blocks.

        Raises
        ------
        DataError, UsageError
            If image and model do not fit, the output is there already or cannot be written, blocks
            are smaller than the halo, or the disk is full.

        Examples
        --------
        >>> model.segment_blocks("brain.zarr", "cells.zarr")  # doctest: +SKIP
        """
        from embedseg.blockwise import BlockOptions, segment_blocks
        from embedseg.images import open_lazy

        return segment_blocks(
            self.source,
            open_lazy(image, axes, spacing, level),
            Path(output),
            options or BlockOptions(),
            home=self._home,
            overwrite=overwrite,
            progress=progress,
        )

    def decode(self, maps: Maps) -> Segmentation:
        """Turn maps into a segmentation, by the method's decode options."""
        return self.config.method.decode(maps)

    def on_grid(self, maps: Maps, shape: tuple[int, ...]) -> Segmentation:
        """Return what maps lead to, with the labels on the grid of an image of that shape."""
        found = self.decode(maps)
        if found.labels.shape == tuple(shape):
            return found
        return replace(found, labels=resample_labels(found.labels, shape))

    def with_options(self, settings: Mapping[str, Any]) -> Segmenter:
        """Return a model with the same net and some options changed by dotted name.

        Examples
        --------
        >>> model.with_options({"method.seed_threshold": 0.8})  # doctest: +SKIP
        """
        changed = self.config.changed(settings)
        if changed.net != self.config.net or changed.ndim != self.config.ndim:
            raise UsageError("the net of a trained model cannot be changed")
        model = Segmenter(changed, self.net, self.device)
        model.ensemble = self.ensemble and replace(self.ensemble, config=changed)
        model._home = self._home
        return model

    # -- files -----------------------------------------------------------------------------------
    def save(self, folder: Path | str, *, overwrite: bool = False) -> None:
        """Write the model as a folder: `config.json`, `weights.safetensors`, `history.csv`."""
        folder = Path(folder)
        if self.ensemble:
            if folder.resolve() != self._home:
                raise UsageError("an ensemble is its folder with all members; copy that")
            write_ensemble(folder, self.ensemble)
            if self.tuned:
                write_tuned(folder, self.tuned)
            return
        # Where it was fitted or loaded from it may always be saved again, after tuning say.
        _refuse(folder, False, overwrite or folder.resolve() == self._home)
        folder.mkdir(parents=True, exist_ok=True)
        self._write(folder)
        self._home = folder.resolve()

    def _write(self, folder: Path) -> None:
        save_weights(self.net.state_dict(), folder / "weights.safetensors")
        if self.history:
            write_history(self.history, folder / "history.csv")
        if self.tuned:
            write_tuned(folder, self.tuned)
        save_config(self.config, folder / "config.json")

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> Segmenter:
        """Read a model or an ensemble; no code of the folder's is run.

        Raises
        ------
        UsageError
            If the folder holds no model, or one whose weights do not fit.
        """
        folder, on = Path(folder), resolve_device(device)
        if (folder / ENSEMBLE).is_file():
            ensemble = read_ensemble(folder, on)
            model = cls(ensemble.config, torch.nn.Module(), on)
            model.ensemble, model._home = ensemble, folder.resolve()
            return model
        applied = load_trained_net(folder, on)
        model = cls(applied.config, applied.net, on)
        model.history = read_history(folder / "history.csv")
        model._home = folder.resolve()
        return model


def _annotated(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples of which anything is annotated."""
    return [sample for sample in samples if (sample.labels >= 0).any()]


def _refuse(folder: Path, resume: bool, overwrite: bool) -> None:
    """See that nothing is written over by mistake; what is resumed may also not have begun."""
    if not resume or not (folder / "config.json").is_file():
        remove_partial_files(folder)
        refuse_used(folder, overwrite)


def _clear(folder: Path, resume: bool) -> None:
    """Make a folder for a run; of an earlier one that is not resumed nothing may remain."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial_files(folder)
    if not resume:
        for name in (
            "config.json",
            "weights.safetensors",
            "history.csv",
            "last.ckpt",
            ENSEMBLE,
            TUNING,
        ):
            (folder / name).unlink(missing_ok=True)
