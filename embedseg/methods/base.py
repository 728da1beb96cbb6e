"""The interface of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from embedseg.scoring import ObjectScoring, Scoring
from embedseg.types import Maps, MapSpec, Segmentation, Spacing, channel_slices

if TYPE_CHECKING:
    from embedseg.data import Statistics

#: Torch twins of `embedseg.types.ACTIVATIONS`; a test holds the two together.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda raw: raw,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softmax": lambda raw: torch.softmax(raw, dim=1),
}


def activate(raw: Tensor, specs: tuple[MapSpec, ...]) -> dict[str, Tensor]:
    """Split the raw output of a net, (B, M, *space), into activated maps by name."""
    slices = channel_slices(specs)
    return {spec.name: ACTIVATIONS[spec.activation](raw[:, slices[spec.name]]) for spec in specs}


class Method(BaseModel, ABC):
    """A way from images to segmentations; subclasses are final and carry their own options.

    A method is frozen and is saved as JSON: what is saved is what runs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    #: Name of the score that validation and tuning maximise.
    primary: ClassVar[str]
    #: What the masks that it learns from hold: numbered objects, or classes.
    reads: ClassVar[Literal["objects", "classes"]] = "objects"
    #: Share of training crops drawn anywhere, not around an object or a pixel of a given class.
    anywhere: ClassVar[float] = 0.1
    #: How the labels of blocks become one array.
    join: ClassVar[Literal["seed-ownership", "faces", "none"]]

    @abstractmethod
    def plan(self, stats: Statistics) -> Self:
        """Return a copy whose options fit the data."""

    @abstractmethod
    def reasons(self, unit: str) -> list[str]:
        """Say in a few lines what `plan` chose and why; lengths are in `unit`."""

    @abstractmethod
    def maps(self, ndim: int) -> tuple[MapSpec, ...]:
        """Return the maps that the net has to predict, in the order of their heads."""

    @abstractmethod
    def targets(self, labels: NDArray[np.int32], spacing: Spacing) -> dict[str, Tensor]:
        """Return what the loss needs of one crop's labels.

        Tensors of different lengths along their first axis are padded with zeros in a batch.
        """

    @abstractmethod
    def init_head(self, head: nn.Module, specs: Sequence[MapSpec]) -> None:
        """Set weights and biases of the last layer of a decoder so that training starts well."""

    def adopt_head(self, head: nn.Module, specs: Sequence[MapSpec], before: Method) -> None:
        """Let a last layer, trained with other options, mean the same with these; in place.

        `before` is a method of the same class. Where options have no part in what maps mean,
        nothing has to be done.
        """

    @abstractmethod
    def loss(
        self, raw: Tensor, targets: Mapping[str, Tensor], spacing: Spacing
    ) -> dict[str, Tensor]:
        """Return the named parts of the loss of a batch, and their weighted sum as "total"."""

    @abstractmethod
    def decode(self, maps: Maps) -> Segmentation:
        """Turn the maps of one image into a segmentation."""

    @abstractmethod
    def score(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """Compare two label images; holds `primary`."""

    def calibrated(self, found: Sequence[Segmentation], truths: Sequence[NDArray[Any]]) -> Self:
        """Learn from what was found in annotated images how sure to be; here: nothing."""
        return self

    def in_blocks(self) -> Self:
        """Return the method as it decodes a block of an image: what it must not do there, left out.

        It is done by `keeps`, once the objects of all blocks are joined.
        """
        return self

    def keeps(self, table: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """Return which rows of a table of objects, with `size` and `score`, stay; here: all."""
        return np.ones(len(table["size"]), bool)

    def scoring(self) -> Scoring:
        """Return how predictions are scored beyond `score`; here: as objects."""
        return ObjectScoring()

    def found(self, frames: Sequence[NDArray[np.int32]]) -> str:
        """Say what the labels of an image, or of the frames of a film, hold; here: objects."""
        count = sum(int(frame.max(initial=0)) for frame in frames)
        return f"{count} object{'s' * (count != 1)}"

    @property
    def colours(self) -> Mapping[str, str]:
        """Names of classes and their colours in pictures; none where labels are objects."""
        return {}

    def differs(self, other: Method) -> str | None:
        """Say why maps of a model with another method cannot be averaged with those of this.

        None if they mean the same. Here that takes the same method, and options of its own have no
        part in what maps mean.
        """
        if type(self) is not type(other):
            return f"its method is {other.type}, not {self.type}"
        return None

    def translated(self, maps: Maps, before: Method) -> Maps:
        """Return maps of a model with the method `before` as they would be with this one's options.

        `before.differs` has said that the two can be averaged. Where options have no part in what
        maps mean, nothing has to be done.
        """
        return maps

    @abstractmethod
    def search_space(self) -> dict[str, Sequence[Any]]:
        """Return which decode options tuning may vary, and over which values."""

    def adjustable(self) -> dict[str, Sequence[Any]]:
        """Return which decode options a person may vary by eye, and values over their range."""
        return self.search_space()

    def head_maps(self, ndim: int) -> tuple[tuple[MapSpec, ...], ...]:
        """Return the maps of each decoder branch."""
        specs = self.maps(ndim)
        return tuple(
            tuple(spec for spec in specs if spec.head == head)
            for head in sorted({spec.head for spec in specs})
        )

    def heads(self, ndim: int) -> tuple[int, ...]:
        """Return the number of channels of each decoder branch."""
        return tuple(sum(spec.channels for spec in specs) for specs in self.head_maps(ndim))

    def init_heads(self, outputs: Iterable[nn.Module], ndim: int) -> None:
        """Initialise the last layer of every decoder branch of a net."""
        for layer, specs in zip(outputs, self.head_maps(ndim), strict=True):
            self.init_head(layer, specs)
