"""The object a user holds: a model that is trained, segments, is saved and loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from embedseg.common import Progress
from embedseg.model import (
    Config,
    ModelFolder,
    Predictor,
    Request,
    TrainedNet,
    Tuned,
    decode_maps,
    fit_net,
    open_model,
    origin_of,
    predict_maps,
    segment_image,
    start_from,
    validation_samples,
)
from embedseg.nets import Net, resolve_device
from embedseg.training import Row, Watch
from embedseg.types import Maps, PerAxis, Segmentation, Spacing, UsageError

if TYPE_CHECKING:
    from embedseg.blockwise import BlockOptions, Result


class Segmenter:
    """A model: trained on a data folder, applied to images, saved as a folder.

    Attributes
    ----------
    predictor : Predictor
        What predicts maps: a trained net, or an ensemble.
    history : list of dict
        One row per epoch of its training.
    tuned : Tuned or None
        Outcome of the search of decode options, if there was one since it was loaded.
    home : Path or None
        Folder of the model; None where it was neither saved nor loaded.

    Examples
    --------
    >>> import embedseg
    >>> model = embedseg.Segmenter.load("nuclei")  # doctest: +SKIP
    >>> labels = model.segment(image)              # doctest: +SKIP
    """

    def __init__(
        self, predictor: Predictor, history: Sequence[Row] = (), home: Path | None = None
    ) -> None:
        self.predictor = predictor
        self.history = list(history)
        self.home = home
        self.tuned: Tuned | None = None

    @classmethod
    def new(cls, config: Config, device: str = "auto") -> Segmenter:
        """Make an untrained model; its weights follow from `config.train.seed`."""
        on = resolve_device(device)
        with torch.random.fork_rng():
            torch.manual_seed(config.train.seed)
            net = config.build_net()
            config.method.init_heads(net.outputs, config.ndim)
        return cls(TrainedNet(config, net.to(on), on))

    @property
    def config(self) -> Config:
        """Options of the model."""
        return self.predictor.config

    @property
    def device(self) -> torch.device:
        """Device that the model runs on."""
        return self.predictor.device

    @property
    def net(self) -> Net:
        """The net; an ensemble, which has several, raises a UsageError."""
        return self.predictor.net

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
            Resume the run in `folder`; where there is none yet, it begins.
        overwrite : bool
            Overwrite a model that is in `folder`, as soon as there are weights of the new one.
        tune : bool
            Whether to search decode options at the end.
        devices : int
            How many devices of the kind share each batch, each in its own process: a script
            has to start training under `if __name__ == "__main__"`.
        progress : bool
            Whether to show progress bars.
        watch : callable, optional
            Called after each step with the `TrainingProgress`; where it raises
            `embedseg.common.Stopped`, the training ends as with Ctrl-C.

        Raises
        ------
        DataError, UsageError
            For bad data, a folder that is not empty, nothing to resume from, or an ensemble.
        """
        if not isinstance(self.predictor, TrainedNet):
            raise UsageError("an ensemble is not trained; train its members")
        home = None if folder is None else ModelFolder(Path(folder))
        if home:
            home.check_free(resume=resume, overwrite=overwrite)
        with home.locked() if home else nullcontext():
            fitted = fit_net(
                self.predictor,
                Path(data),
                time_limit=time_limit,
                epochs=epochs,
                folder=home,
                resume=resume,
                overwrite=overwrite,
                tune=tune,
                devices=devices,
                progress=progress,
                watch=watch,
            )
            self.predictor, self.history = fitted.net, fitted.history
            self.tuned = fitted.tuned or self.tuned
            if home:
                self._write(home)
        return self

    def start_from(self, folder: Path | str) -> str:
        """Copy what fits of another model's weights; return a message of what was kept.

        Raises
        ------
        UsageError
            If the folder holds no model, or one of which nothing fits.
        """
        return start_from(self.net, self.config, folder)

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
        progress : bool
            Whether to show a progress bar.

        Raises
        ------
        DataError
            If there are no validation images.
        """
        samples = validation_samples(self.config, Path(data))
        self.predictor, tuned = self.predictor.tuned(samples, budget=budget, progress=progress)
        self.tuned = tuned
        return tuned

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
            Axes of the image: "YX", "ZYX", "CYX", "TZYX" ...
        spacing : tuple of float, optional
            Size of a pixel along the space axes, µm; default: the model's.
        tta : bool, optional
            Average over the symmetries of the grid; default: `config.predict.tta`.
        planes : bool, optional
            Apply a 2D model to a volume plane by plane; default: `config.predict.planes`.
        progress : bool or callable
            Whether to show a bar; or what is called with the numbers of tiles done and in all,
            and may raise `embedseg.common.Stopped`.

        Returns
        -------
        (*space) or (T, *space) int32 ndarray
            Objects 1 to n, 0 is background; or the index of each pixel's class in
            `config.data.classes`.
        """
        request = Request(axes, spacing, tta, planes, progress)
        return segment_image(self.predictor, image, request).labels

    def segment_objects(
        self,
        image: NDArray[Any],
        *,
        axes: str | None = None,
        spacing: Spacing | None = None,
        tta: bool | None = None,
        planes: bool | None = None,
        progress: Progress = False,
    ) -> Segmentation:
        """Return the labels of an image, and a table of its objects: their scores among others.

        Parameters are those of `segment`. Positions in the table are pixels of the model's
        spacing; there is no table of frames, nor where planes are segmented one by one.
        """
        request = Request(axes, spacing, tta, planes, progress)
        return segment_image(self.predictor, image, request)

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
        return predict_maps(self.predictor, image, Request(axes, spacing, tta, planes, progress))

    def decode(self, maps: Maps, shape: PerAxis | None = None) -> Segmentation:
        """Decode maps by the method's decode options.

        Parameters
        ----------
        maps : Maps
        shape : tuple of int, optional
            Space axes of the image: labels are resampled to its grid. Default: that of the maps.
        """
        return decode_maps(self.config, maps, shape)

    def segment_blocks(
        self,
        image: Path | str,
        output: Path | str,
        *,
        axes: str | None = None,
        spacing: Spacing | None = None,
        level: int | None = None,
        channels: Sequence[str] = (),
        options: BlockOptions | None = None,
        frames: bool = False,
        overwrite: bool = False,
        progress: bool = True,
    ) -> Result:
        """Segment an image of any size in blocks, from a file or store into another.

        An interrupted run resumes where it stopped: call it again with the same arguments.

        Parameters
        ----------
        image : path or URL
            OME-Zarr, zarr, HDF5, TIFF, a folder of slices or .npy; see
            `embedseg.images.open_lazy`.
        output : path
            `*.zarr` (OME-Zarr with a pyramid), `IMAGE.zarr/labels/NAME`, or `*.tif` (BigTIFF).
            The table of objects is written beside it. Labels in a store lie where the image says
            that its pixels lie (scale and translation of the level that is read), and so do the
            centres in the table, in µm; its boxes are in pixels.
        axes : str, optional
            Axes of the image, where the file does not give them.
        spacing : tuple of float, optional
            Size of a pixel along the space axes, µm, where the file has none.
        level : int
            Level of the pyramid of an OME-Zarr image or a TIFF; by default the one that fits the
            model's pixel size, see `embedseg.images.levels.open_fitting`.
        channels : sequence of str
            Names of the channels to read, or their numbers from 0 on, such as ["DAPI"]. Default:
            `config.data.channels` where the image has these, else all.
        options : BlockOptions, optional
            Size of blocks, workers; see `embedseg.blockwise.BlockOptions`. With several workers
            a script has to do this under `if __name__ == "__main__"`.
        frames : bool
            Whether to segment an image with a time axis frame by frame; labels then have that
            axis, and the table a column with the frame, from 0.
        overwrite : bool
            Overwrite existing files.
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
        from embedseg.images import identify_image, open_fitting

        options = options or BlockOptions()
        request = {
            "axes": axes and axes.upper(),
            "spacing": spacing,
            "level": level,
            "channels": tuple(channels),
            "frames": frames,
            "block": options.block,
            "halo": options.halo,
        }
        return segment_blocks(
            self.predictor,
            open_fitting(image, axes, spacing, level, self.config.known_spacing),
            Path(output),
            options,
            home=self.home,
            channels=channels,
            frames=frames,
            overwrite=overwrite,
            progress=progress,
            origin={"image": identify_image(image), **origin_of(self.predictor, **request)},
        )

    def with_options(self, settings: Mapping[str, Any]) -> Segmenter:
        """Return a model with the same net and some options changed by dotted name.

        Raises
        ------
        UsageError
            If an option does not exist, a value does not fit, or the net would change.

        Examples
        --------
        >>> model.with_options({"method.seed_threshold": 0.8})  # doctest: +SKIP
        """
        changed = self.config.changed(settings)
        if changed.net != self.config.net or changed.ndim != self.config.ndim:
            raise UsageError("the net of a trained model cannot be changed")
        return Segmenter(self.predictor.with_config(changed), home=self.home)

    # -- files -----------------------------------------------------------------------------------
    def save(self, folder: Path | str, *, overwrite: bool = False) -> None:
        """Write the model as a folder: `config.json`, `weights.safetensors`, `history.csv`.

        Where it was fitted or loaded from, it may always be saved again.

        Raises
        ------
        UsageError
            If another folder is not empty and `overwrite` is not set, or the model is an ensemble,
            which is saved only where it lies.
        """
        to = ModelFolder(Path(folder))
        if self.predictor.members:
            self._write(to)
            return
        if to.path.resolve() == self.home:
            self._write(to)
            return
        to.check_free(overwrite=overwrite)
        with to.replaced() as made:
            self._write(made)
        self.home = to.path.resolve()

    def _write(self, folder: ModelFolder) -> None:
        if self.history:
            folder.save_history(self.history)
        if self.tuned:
            folder.save_trials(self.tuned)
        self.predictor.save(folder)
        self.home = folder.path.resolve()

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> Segmenter:
        """Read a model or an ensemble; no code of the folder's is run.

        Raises
        ------
        UsageError
            If the folder holds no model, or one whose weights do not fit.
        """
        path = Path(folder)
        predictor = open_model(path, resolve_device(device))
        history = [] if predictor.members else ModelFolder(path).history()
        return cls(predictor, history, path.resolve())
