"""The interface of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from embedseg.common import plural
from embedseg.methods.transfer import Transfer, Unchanged
from embedseg.scoring import Scoring
from embedseg.types import Maps, MapSpec, Segmentation, Spacing

if TYPE_CHECKING:
    from embedseg.data import Statistics

#: Ways to join the labels of blocks.
JoinName = Literal["seed-ownership", "faces", "none"]

#: Greatest weight of a part of the loss.
MOST_WEIGHT = 1e6

#: Torch twins of `embedseg.types.ACTIVATIONS`; a test holds the two together.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda raw: raw,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softmax": lambda raw: torch.softmax(raw, dim=1),
}


def activate(raw: Tensor, specs: tuple[MapSpec, ...]) -> dict[str, Tensor]:
    """Split the raw output of a net, (B, M, *space), into activated maps by name."""
    # Channels last, values of one map lie apart, and are activated one by one.
    parts = torch.split(raw.contiguous(), [spec.channels for spec in specs], dim=1)
    return {
        spec.name: ACTIVATIONS[spec.activation](part)
        for spec, part in zip(specs, parts, strict=True)
    }


class Method(BaseModel, ABC):
    """The maps of a net: which there are, how they are learned, how they become labels.

    A method is frozen and carries its options as fields. It is saved as JSON: what is saved is what
    runs. Each function here is either abstract or final. A method that finds objects derives from
    `embedseg.methods.InstanceMethod`, which implements what such methods share.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: str
    #: Name of the score that validation and tuning maximise.
    primary: ClassVar[str]
    #: Content of the masks: numbered objects, or classes.
    reads: ClassVar[Literal["objects", "classes"]] = "objects"
    #: Share of training crops drawn anywhere, not around an object or a pixel of a given class.
    anywhere: ClassVar[float] = 0.1
    #: How the labels of blocks become one array.
    join: ClassVar[JoinName]
    #: Options, and their values with which only whole images can be decoded, not blocks.
    whole_only: ClassVar[Mapping[str, Sequence[Any]]] = {}
    #: Options that matter only if another has one of some values: its name, and these values.
    only_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {}
    #: How weights and maps follow from those of a model with other options.
    transfer: ClassVar[Transfer[Any]] = Unchanged()

    # -- options from the data ---------------------------------------------------------------------
    @abstractmethod
    def plan(self, stats: Statistics) -> Self:
        """Return a copy whose options fit the data."""

    @abstractmethod
    def reasons(self, unit: str) -> list[str]:
        """Describe in a few lines what `plan` chose and why; lengths are in `unit`."""

    # -- maps --------------------------------------------------------------------------------------
    @abstractmethod
    def maps(self, ndim: int) -> tuple[MapSpec, ...]:
        """Return the maps that the net predicts, in the order of their heads."""

    @final
    def head_maps(self, ndim: int) -> tuple[tuple[MapSpec, ...], ...]:
        """Return the maps of each decoder branch."""
        specs = self.maps(ndim)
        return tuple(
            tuple(spec for spec in specs if spec.head == head)
            for head in sorted({spec.head for spec in specs})
        )

    @final
    def heads(self, ndim: int) -> tuple[int, ...]:
        """Return the number of channels of each decoder branch."""
        return tuple(sum(spec.channels for spec in specs) for specs in self.head_maps(ndim))

    @final
    def differs(self, other: Method) -> str | None:
        """Return why maps of a model with another method cannot be averaged with those of this one.

        None if they can, once `transfer` has translated them.
        """
        if type(self) is not type(other):
            return f"its method is {other.type}, not {self.type}"
        if list(self.colours) != list(other.colours):
            return f"its classes are {', '.join(other.colours)}, not {', '.join(self.colours)}"
        if [spec.offsets for spec in self.maps(3)] != [spec.offsets for spec in other.maps(3)]:
            return "its affinities are those of other pairs of pixels (method.offsets)"
        return None

    # -- learning ----------------------------------------------------------------------------------
    @abstractmethod
    def targets(self, labels: NDArray[np.int32], spacing: Spacing) -> dict[str, Tensor]:
        """Return what the loss needs of one crop's labels.

        Tensors of different lengths along their first axis are padded with zeros in a batch.
        """

    @abstractmethod
    def init_head(self, head: nn.Module, specs: Sequence[MapSpec]) -> None:
        """Initialise the last layer of a decoder branch, its weights and biases, for training."""

    @final
    def init_heads(self, outputs: Iterable[nn.Module], ndim: int) -> None:
        """Initialise the last layer of every decoder branch of a net."""
        for layer, specs in zip(outputs, self.head_maps(ndim), strict=True):
            self.init_head(layer, specs)

    @abstractmethod
    def loss(
        self, raw: Tensor, targets: Mapping[str, Tensor], spacing: Spacing
    ) -> dict[str, Tensor]:
        """Return the named parts of the loss of a batch, and their weighted sum as "total"."""

    # -- decoding ----------------------------------------------------------------------------------
    @abstractmethod
    def decode(self, maps: Maps) -> Segmentation:
        """Turn the maps of one image into a segmentation."""

    @final
    def needs_whole(self) -> str | None:
        """Return the option because of which only whole images can be decoded, if there is one."""
        for name, values in self.whole_only.items():
            if getattr(self, name) in values:
                return f"method.{name}={getattr(self, name)}"
        return None

    @final
    def matters(self, name: str) -> bool:
        """Return whether an option plays a part, given the others."""
        other, values = self.only_with.get(name, ("type", (self.type,)))
        return getattr(self, other) in values

    @abstractmethod
    def in_blocks(self, pieces: bool) -> Self:
        """Return the method for decoding a block, without the filters that `keeps` applies.

        `pieces`: a block may hold a piece of an object, whose size is known only once it is joined.
        """

    @abstractmethod
    def keeps(self, table: Mapping[str, NDArray[Any]], pieces: bool) -> NDArray[np.bool_]:
        """Return which objects to keep once blocks are joined, by their `size` and `score`."""

    # -- validation and tuning ---------------------------------------------------------------------
    @abstractmethod
    def score(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """Return scores of one label image, `primary` among them."""

    @abstractmethod
    def search_space(self) -> dict[str, Sequence[Any]]:
        """Return the decode options that tuning varies, and the values to try."""

    @abstractmethod
    def adjustable(self) -> dict[str, Sequence[Any]]:
        """Return the decode options that a person varies by eye, and values over their range."""

    @abstractmethod
    def calibrated(
        self, segmentations: Sequence[Segmentation], truths: Sequence[NDArray[Any]]
    ) -> Self:
        """Return a copy whose scores of objects are learned from annotated images."""

    # -- presentation ------------------------------------------------------------------------------
    @abstractmethod
    def scoring(self) -> Scoring:
        """Return the scoring of predictions, for evaluation and reports."""

    @property
    @abstractmethod
    def colours(self) -> Mapping[str, str]:
        """Names of the classes and their colours "#rrggbb"; none if labels are objects."""

    @final
    def describe(self, frames: Sequence[NDArray[np.int32]]) -> str:
        """Describe the labels of an image, or of the frames of a film: objects, or shares."""
        names = list(self.colours)
        if not names:
            return plural(sum(int(frame.max(initial=0)) for frame in frames), "object")
        counts = sum(np.bincount(frame.ravel(), minlength=len(names)) for frame in frames)
        shares = 100 * np.asarray(counts) / max(1, sum(frame.size for frame in frames))
        return ", ".join(f"{name} {share:.1f} %" for name, share in zip(names, shares, strict=True))
