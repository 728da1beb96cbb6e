"""Registries: names without imports, entry points, messages."""

import sys
from importlib.metadata import EntryPoint

import pytest

from embedseg.common import Registry
from embedseg.export import EXPORTERS, IMPORTERS
from embedseg.methods import METHODS
from embedseg.nets import NETS
from embedseg.types import UsageError
from embedseg.zoo.exporters import EXPORTERS as MODEL_EXPORTERS

REGISTRIES = [METHODS, NETS, EXPORTERS, IMPORTERS, MODEL_EXPORTERS]


@pytest.fixture
def numbers(monkeypatch):
    def entry_points(group):
        given = {"pi": "cmath:pi", "inf": "math:inf"} if group == "test.numbers" else {}
        return [EntryPoint(name, value, group) for name, value in given.items()]

    monkeypatch.setattr("embedseg.common.registry.entry_points", entry_points)
    return Registry("number", "test.numbers", {"pi": "math:pi", "lost": "no_such_module:value"})


def test_names_import_nothing(numbers):
    numbers["antigravity"] = "antigravity:fly"
    assert list(numbers) == ["pi", "lost", "antigravity", "inf"] and len(numbers) == 4
    assert "antigravity" in numbers and "fly" not in numbers
    assert "antigravity" not in sys.modules


def test_own_names_override_entry_points_and_assigned_ones_override_all(numbers):
    assert numbers["pi"] == pytest.approx(3.14159, abs=1e-5) and numbers["inf"] == float("inf")
    numbers["inf"] = "math:e"
    assert numbers["inf"] == pytest.approx(2.71828, abs=1e-5)
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        _ = numbers["lost"]


def test_an_unknown_name_lists_the_known(numbers):
    message = "no number 'tau'; there are pi, lost, inf"
    assert numbers.unknown("tau") == message
    for ask in (numbers.check, numbers.__getitem__):
        with pytest.raises(UsageError, match=f"^{message}$"):
            ask("tau")


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.group)
def test_every_name_leads_somewhere(registry):
    assert all(registry.values())
    assert len({each.group for each in REGISTRIES}) == len(REGISTRIES)
