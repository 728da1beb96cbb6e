"""The interface of trained nets and ensembles, and `open_model`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from embedseg.common import Progress
from embedseg.data import Sample
from embedseg.model.config import Config
from embedseg.model.ensemble import read_ensemble
from embedseg.model.folder import Member, ModelFolder
from embedseg.model.trained_net import load_trained_net
from embedseg.model.tuning import Tuned
from embedseg.nets import Net
from embedseg.types import Box, Maps, PerAxis, Spacing


class Predictor(Protocol):
    """A model at work on a device: images become maps."""

    @property
    def config(self) -> Config:
        """Configuration; of an ensemble, that in which its maps are averaged and decoded."""

    @property
    def device(self) -> torch.device:
        """Device that the nets run on."""

    @property
    def members(self) -> tuple[Member, ...]:
        """Members of an ensemble; none for a single net."""

    @property
    def net(self) -> Net:
        """The net.

        Raises
        ------
        UsageError
            If this is an ensemble, which has several.
        """

    def configs(self) -> list[Config]:
        """Return the configurations of all nets."""

    def maps(
        self,
        image: NDArray[np.float32],
        spacing: Spacing | None,
        *,
        tta: bool | None = None,
        progress: Progress = False,
        keep: Box | None = None,
    ) -> Maps:
        """Return the maps of an image, (C, *space), as it was read; see `TrainedNet.maps`."""

    def pixels_seen(self, channels: int, shape: PerAxis, keep: Box) -> int:
        """Return how many pixels a net sees for a box of an image, halos of tiles included."""

    def pixels_at_once(self, channels: int, memory: float) -> float:
        """Return how many pixels of an image a net can take in `memory` bytes."""

    def links_planes(self, spacing: Spacing | None) -> bool:
        """Return whether a volume can only be segmented plane by plane and then linked."""

    def with_config(self, config: Config) -> Self:
        """Return the same nets with other options."""

    def tuned(
        self, samples: Sequence[Sample], *, budget: float | None = None, progress: bool = True
    ) -> tuple[Self, Tuned]:
        """Return this with better decode options, searched on samples as they were read."""

    def fingerprint(self) -> str:
        """Return a digest of all weights."""

    def save(self, folder: ModelFolder) -> None:
        """Write weights and configuration.

        Raises
        ------
        UsageError
            If this is an ensemble, and the folder not its own.
        """

    def copy_to(self, folder: Path) -> None:
        """Write a complete copy into a folder that does not exist."""


def open_model(folder: Path | str, device: torch.device) -> Predictor:
    """Read a model or an ensemble; no code of the folder's is run.

    Raises
    ------
    UsageError
        If the folder holds no model, or one whose weights do not fit.
    """
    opened = ModelFolder(Path(folder))
    return read_ensemble(opened, device) if opened.members() else load_trained_net(opened, device)
