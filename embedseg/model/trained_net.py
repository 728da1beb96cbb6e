"""A trained net on images and volumes, with its normalisation and spacing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import device, nn, random
from torch.overrides import TorchFunctionMode

from embedseg.common import Progress
from embedseg.data import Sample, prepare_samples
from embedseg.geometry import resample
from embedseg.model.config import Config
from embedseg.model.folder import CONFIG, Member, ModelFolder
from embedseg.model.tuning import Tuned, tune
from embedseg.nets import (
    WEIGHTS,
    Net,
    evaluating,
    fused_for_inference,
    pixels_that_fit,
    save_weights,
)
from embedseg.prediction import PredictOptions, pixels_seen, predict, predict_planes
from embedseg.types import Box, Maps, PerAxis, Spacing, UsageError

#: Beyond this ratio of the coarsest to the finest axis, side views of a volume show too little.
COARSEST_SIDE_VIEW = 3.0


@dataclass(frozen=True)
class TrainedNet:
    """A net with its configuration, on a device.

    Attributes
    ----------
    config : Config
    net : Net
    device : torch.device
        Where the net is.
    """

    config: Config
    net: Net
    device: device

    def maps(
        self,
        image: NDArray[np.float32],
        spacing: Spacing | None,
        *,
        tta: bool | None = None,
        progress: Progress = False,
        keep: Box | None = None,
    ) -> Maps:
        """Return the maps of an image; one with an axis more than the net is a volume.

        Parameters
        ----------
        image : (C, *space) float32 ndarray
            As it was read.
        spacing : tuple of float or None
            Of the image, µm; None: that of the model.
        tta : bool, optional
            Default: `config.predict.tta`.
        progress : bool or callable
            As in `embedseg.prediction.predict`.
        keep : tuple of slice, optional
            Box of the image, in the model's spacing, whose maps are wanted.
        """
        if spacing is not None and len(spacing) != image.ndim - 1:
            raise UsageError(
                f"spacing {spacing} has {len(spacing)} values, the image has "
                f"{image.ndim - 1} space axes"
            )
        normal = self.config.normalize.apply(image)
        if image.ndim - 1 == self.config.ndim:
            if spacing is not None and self.config.spacing_known:
                normal = resample(normal, tuple(spacing), self.config.spacing)
            return self.ready_maps(normal, tta=tta, progress=progress, keep=keep)
        return cut_out(self._plane_maps(normal, spacing, tta, progress), keep)

    def ready_maps(
        self,
        image: NDArray[np.float32],
        *,
        tta: bool | None = None,
        progress: Progress = False,
        keep: Box | None = None,
    ) -> Maps:
        """Return the maps of an image that is normalised and in the model's spacing."""
        return predict(
            self.net,
            image,
            specs=self.config.method.maps(self.config.ndim),
            spacing=self.config.spacing,
            options=self._options(tta),
            device=self.device,
            progress=progress,
            keep=keep,
        )

    def pixels_seen(self, channels: int, shape: PerAxis, keep: Box) -> int:
        """Return how many pixels the net sees for a box of an image, halos of tiles included."""
        if len(shape) > self.config.ndim:
            return prod(shape)
        return pixels_seen(self.net, channels, shape, keep, self._options(None), self.device)

    def pixels_at_once(self, channels: int, memory: float) -> float:
        """Return how many pixels of an image the net can take in `memory` bytes."""
        with evaluating(self.net):
            return pixels_that_fit(
                fused_for_inference(self.net), channels, self.net.divisor, self.device, memory
            )

    @property
    def members(self) -> tuple[Member, ...]:
        """No members: this is one net."""
        return ()

    def configs(self) -> list[Config]:
        """Return the configuration, in a list."""
        return [self.config]

    def with_config(self, config: Config) -> TrainedNet:
        """Return the same net with other options."""
        return replace(self, config=config)

    # -- decode options ----------------------------------------------------------------------------
    def tuned(
        self, samples: Sequence[Sample], *, budget: float | None = None, progress: bool = True
    ) -> tuple[TrainedNet, Tuned]:
        """Return this with better decode options, searched on samples as they were read."""
        return self.tuned_on(self.prepared(samples), budget=budget, progress=progress)

    def prepared(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return samples as the net takes them: normalised, cut to its axes, in its spacing."""
        return prepare_samples(
            samples,
            ndim=self.config.ndim,
            channels=self.config.channels,
            normalize=self.config.normalize,
            spacing=self.config.known_spacing,
            any_spacing=self.config.predict.any_spacing,
        )

    def tuned_on(
        self, prepared: Sequence[Sample], *, budget: float | None = None, progress: bool = True
    ) -> tuple[TrainedNet, Tuned]:
        """Do what `tuned` does with samples that are prepared."""
        begun = time.monotonic()
        maps: list[Maps] = []
        for sample in prepared:
            # Half of the budget is for the net, the other half for decoding.
            if budget is not None and maps and time.monotonic() - begun > budget / 2:
                break
            maps.append(self.ready_maps(sample.image))
        left = None if budget is None else budget - (time.monotonic() - begun)
        truths = [sample.labels for sample in prepared[: len(maps)]]
        tuned = tune(self.config.method, maps, truths, budget=left, progress=progress)
        return self.with_config(self.config.model_copy(update={"method": tuned.method})), tuned

    # -- files -------------------------------------------------------------------------------------
    def fingerprint(self) -> str:
        """Return a digest of the weights."""
        digest = hashlib.sha256()
        for name, values in self.net.state_dict().items():
            digest.update(name.encode() + values.cpu().numpy().tobytes())
        return digest.hexdigest()

    def save(self, folder: ModelFolder) -> None:
        """Write weights and configuration."""
        save_weights(self.net.state_dict(), folder.path / WEIGHTS)
        folder.save_config(self.config)

    def copy_to(self, folder: Path) -> None:
        """Write a complete copy into a folder that does not exist."""
        folder.mkdir(parents=True)
        self.save(ModelFolder(folder))

    # -- maps --------------------------------------------------------------------------------------
    def links_planes(self, spacing: Spacing | None) -> bool:
        """Return whether a volume can only be segmented plane by plane and then linked."""
        return not (_side_views(spacing) or self._flat())

    def _plane_maps(
        self,
        volume: NDArray[np.float32],
        spacing: Spacing | None,
        tta: bool | None,
        progress: Progress,
    ) -> Maps:
        """Return the maps of a volume, of which a 2D net sees planes."""
        own, method = self.config.spacing, self.config.method
        # Where the pixel size of the training is not known, it is taken to be that of these planes.
        plane = own if spacing is None or self.config.spacing_known else spacing[1:]
        directions: tuple[int, ...] = (0, 1, 2)
        target: Spacing = (min(plane),) * 3
        if self._flat() and not _side_views(spacing):
            directions, target = (0,), (spacing[0] if spacing else min(plane), *plane)
        if spacing is not None:
            volume = resample(volume, tuple(spacing), target)
        return predict_planes(
            self.net,
            volume,
            specs=method.maps(2),
            volume_specs=method.maps(3),
            spacing=tuple(step * min(own) / min(plane) for step in target),
            options=self._options(tta),
            directions=directions,
            device=self.device,
            progress=progress,
        )

    def _flat(self) -> bool:
        """Return whether planes in one direction show all that the maps say of a volume."""
        return all(spec.kind == "scalar" for spec in self.config.method.maps(3))

    def _options(self, tta: bool | None) -> PredictOptions:
        options = self.config.predict
        return options if tta is None else options.model_copy(update={"tta": tta})


def cut_out(maps: Maps, keep: Box | None) -> Maps:
    """Return the maps of a box."""
    return maps if keep is None else replace(maps, data=maps.data[(slice(None), *keep)])


def _side_views(spacing: Spacing | None) -> bool:
    return spacing is not None and max(spacing) <= COARSEST_SIDE_VIEW * min(spacing)


class _Undrawn(TorchFunctionMode):
    """Leaves weights as they are: they are read from a file, and drawing them takes longer.

    On "meta", to draw them would import torch's compiler.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            tensor = args[0] if args else kwargs["tensor"]
            # What a net from elsewhere draws besides is perhaps in no file.
            if isinstance(tensor, nn.Parameter):
                return tensor
        return func(*args, **kwargs)


def _outline(config: Config, folder: ModelFolder) -> nn.Module | None:
    """Return a net without values, which takes no memory however large a net the options ask for.

    None for a net from elsewhere that reads values while it is built.
    """
    try:
        with device("meta"), _Undrawn():
            return config.build_net(folder.path / CONFIG)
    except (RuntimeError, NotImplementedError):
        return None


def load_trained_net(folder: ModelFolder, on: device, config: Config | None = None) -> TrainedNet:
    """Read a model to work with; `config` may stand in for its own.

    Raises
    ------
    UsageError
        If the folder holds no model, or one whose weights do not fit.
    """
    own, weights = folder.config(), folder.weights()
    try:
        if outline := _outline(own, folder):
            outline.load_state_dict(weights, assign=True)
        # The weights replace what is drawn here, so the caller's generator is left alone.
        with random.fork_rng(), _Undrawn():
            net = own.build_net(folder.path / CONFIG)
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(f"{folder.path}: the weights do not fit the net ({error})") from error
    return TrainedNet(config or own, net.to(on), on)
