"""Registries: names of plug-ins, imported when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import TypeVar

from embedseg.common.text import unknown_name
from embedseg.types import UsageError

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Objects by name, written as "module:attribute" and imported when asked for.

    Names, their order and `in` import nothing. Other packages add names by entry points; names
    given here or assigned later override these.

    Parameters
    ----------
    noun : str
        What one of the objects is called in messages.
    group : str
        Group of entry points.
    targets : mapping of str to str
        "module:attribute" by name.

    Examples
    --------
    >>> constants = Registry("constant", "my_package.constants", {"pi": "math:pi"})
    >>> constants["tau"] = "math:tau"
    >>> list(constants), round(constants["tau"], 2)
    (['pi', 'tau'], 6.28)
    >>> constants["e"]
    Traceback (most recent call last):
    embedseg.types.errors.UsageError: no constant 'e'; there are pi, tau
    """

    def __init__(self, noun: str, group: str, targets: Mapping[str, str]) -> None:
        self.noun, self.group, self._ours = noun, group, dict(targets)

    @cached_property
    def _theirs(self) -> dict[str, str]:
        return {entry.name: entry.value for entry in entry_points(group=self.group)}

    @property
    def _targets(self) -> dict[str, str]:
        return self._ours | {k: v for k, v in self._theirs.items() if k not in self._ours}

    def unknown(self, name: str) -> str:
        """Return the message for an unknown name."""
        return unknown_name(self.noun, name, self)

    def check(self, name: str) -> None:
        """Raise a `UsageError` if there is no such name."""
        if name not in self:
            raise UsageError(self.unknown(name))

    def __getitem__(self, name: str) -> T:
        self.check(name)
        module, _, attribute = self._targets[name].partition(":")
        found: T = getattr(import_module(module), attribute)
        return found

    def __setitem__(self, name: str, target: str) -> None:
        self._ours[name] = target

    def __contains__(self, name: object) -> bool:
        # What is read from a file may be a list, which has no hash.
        return name in list(self._targets)

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)
