"""Help in groups of options, and completion in a shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

#: Headings of groups of options; those without one come first.
READING = "Reading the data"
TRAINED = "What is trained"
TRAINING = "Training"
PREDICTING = "Prediction"
TIDYING = "Tidying objects"
BLOCKS = "Images larger than memory"
OUTLINES = "Outlines drawn elsewhere"
SURFACES = "Surfaces"
ABOUT = "About the model"
COMPARED = "What is compared"
WRITTEN = "What is written"

Rows = list[tuple[str, str]]


class GroupedCommand(TyperCommand):
    """A command whose help has its options in groups, as plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options under their headings."""
        for title, rows in panels(self, ctx):
            with formatter.section(title):
                formatter.write_dl(rows)


def panels(command: TyperCommand | TyperGroup, context: Any) -> list[tuple[str, Rows]]:
    """Return the arguments and options of a command by heading: usage and help of each."""
    groups: dict[str, Rows] = {"Arguments": [], "Options": []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        general = "Arguments" if parameter.param_type_name == "argument" else "Options"
        title = getattr(parameter, "rich_help_panel", None) or general
        groups.setdefault(title, []).append(record)
    return [(title, rows) for title, rows in groups.items() if rows]


# -- completion ------------------------------------------------------------------------------------
def one_of(*names: str) -> Callable[[str], list[str]]:
    """Return a completion of one of several names.

    Examples
    --------
    >>> one_of("train", "test", "val")("t")
    ['train', 'test']
    """

    def complete(incomplete: str) -> list[str]:
        return starting_with(names, incomplete)

    return complete


def starting_with(names: Iterable[str], incomplete: str) -> list[str]:
    """Return the names that start with the text; in a list with commas, its last part counts.

    Examples
    --------
    >>> starting_with(["roi", "csv"], "roi,c")
    ['roi,csv']
    """
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in names if name.startswith(last)]


def methods(incomplete: str) -> list[str]:
    """Complete the name of a method."""
    from embedseg.methods import METHODS

    return starting_with(METHODS, incomplete)


def nets(incomplete: str) -> list[str]:
    """Complete the name of a net."""
    from embedseg.nets import NETS

    return starting_with(NETS, incomplete)


#: Recipes of training; embedseg.model.planning, which holds them, would load torch.
presets = one_of("default", "paper")
devices = one_of("auto", "cpu", "cuda", "mps")
objects = one_of("roi", "geojson", "csv", "coco", "ome-zarr", "trackmate", "ctc")
