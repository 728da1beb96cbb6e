"""Weights and maps of a model, brought to other options of its method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, final

from torch import nn

from embedseg.types import Maps, MapSpec

M = TypeVar("M", contravariant=True)


class Transfer(ABC, Generic[M]):
    """How the meaning of maps depends on the options of a method.

    `old` and `new` are methods of the same class.
    """

    @abstractmethod
    def adopt_head(self, head: nn.Module, specs: Sequence[MapSpec], old: M, new: M) -> None:
        """Change a last layer, trained with `old`, so that it means the same with `new`."""

    @abstractmethod
    def translate(self, maps: Maps, old: M, new: M) -> Maps:
        """Return maps of a model with `old` as they would be with `new`.

        Only for methods whose maps can be averaged, see `Method.differs`.
        """


@final
class Unchanged(Transfer[Any]):
    """Maps mean the same whatever the options."""

    def adopt_head(self, head: nn.Module, specs: Sequence[MapSpec], old: Any, new: Any) -> None:
        """Leave the layer as it is."""

    def translate(self, maps: Maps, old: Any, new: Any) -> Maps:
        """Return the maps as they are."""
        return maps
