"""Classes of masks: names, values and colours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from embedseg.images import read_label_values
from embedseg.types import NOT_ANNOTATED, DataError, Labels

#: Masks with more values than this most likely hold objects.
MAX_CLASSES = 64
#: Dark for the first class, which mostly is the background, then the colours of Okabe and Ito.
COLOURS = ("#303030", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


class ClassOptions(BaseModel):
    """One class: a name for one or several values of the masks.

    Attributes
    ----------
    name : str
        Name in settings, tables and names of files.
    values : tuple of int
        Values in masks; several are merged. Predictions are written with the first.
    colour : str
        Colour in pictures, "#rrggbb".

    Examples
    --------
    >>> ClassOptions(name="membrane", values=(1, 2)).colour
    ''
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    values: Annotated[tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...], Field(min_length=1)]
    colour: Annotated[str, Field(pattern=r"^(#[0-9a-fA-F]{6})?$")] = ""


def default_colour(index: int) -> str:
    """Return the default colour of a class, by its place among the classes.

    Examples
    --------
    >>> default_colour(1), default_colour(9)
    ('#e69f00', '#e69f00')
    """
    return COLOURS[index % len(COLOURS)]


def _parse_list(value: Any) -> Any:
    """Parse "cell=0,membrane=1+2:#ff0000", or a list of such parts."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple):
        return value
    return tuple(_parse_class(item) if isinstance(item, str) else item for item in value)


def _parse_class(text: str) -> dict[str, Any]:
    match = re.fullmatch(r"\s*([^=]+?)\s*=\s*(\d+(?:\+\d+)*)\s*(?::\s*(#\w+))?\s*", text)
    if not match:
        raise ValueError(f"class {text!r}, expected NAME=VALUE, or NAME=VALUE+VALUE:#rrggbb")
    return {
        "name": match[1],
        "values": [int(value) for value in match[2].split("+")],
        "colour": match[3] or "",
    }


def _complete(classes: tuple[ClassOptions, ...]) -> tuple[ClassOptions, ...]:
    """Check that names and values are unique, and give a colour to classes without one."""
    names = [each.name for each in classes]
    values = [value for each in classes for value in each.values]
    if len(classes) < 2:
        raise ValueError(f"{len(classes)} class ({', '.join(names)}), expected two or more")
    for kind, items in (("name", names), ("value", [str(value) for value in values])):
        if twice := sorted({item for item in items if items.count(item) > 1}):
            raise ValueError(f"the {kind} {', '.join(twice)} stands for several classes")
    return tuple(
        each if each.colour else each.model_copy(update={"colour": default_colour(k)})
        for k, each in enumerate(classes)
    )


Classes = Annotated[
    tuple[ClassOptions, ...], BeforeValidator(_parse_list), AfterValidator(_complete)
]


def find_classes(
    masks: Iterable[Path], ignore_label: int | None = None
) -> tuple[ClassOptions, ...]:
    """Return a class for each value that occurs in masks, named after it.

    Raises
    ------
    DataError
        If there are fewer than two values, or too many for classes.
    """
    seen: dict[int, Path] = {}
    for path in masks:
        for value in read_label_values(path).tolist():
            seen.setdefault(value, path)
        if len(seen) > MAX_CLASSES:
            raise DataError(
                f"{path}: more than {MAX_CLASSES} values up to here, too many for classes; "
                "are these masks of objects? For those, take another method"
            )
    known = sorted(value for value in seen if value > NOT_ANNOTATED and value != ignore_label)
    if len(known) < 2:
        where = next(iter(seen.values()), "masks")
        raise DataError(
            f"{where}: the masks hold {len(known)} class(es) in all "
            f"({', '.join(map(str, known))}), expected two or more"
        )
    return _complete(tuple(ClassOptions(name=str(value), values=(value,)) for value in known))


def to_class_indices(values: Labels, classes: Sequence[ClassOptions], name: str = "mask") -> Labels:
    """Turn the values of a mask into classes 0 to n - 1; -1, not annotated, stays.

    Raises
    ------
    DataError
        For a value without class.

    Examples
    --------
    >>> classes = parse_classes("cell=0,other=3+4")
    >>> to_class_indices(np.array([[0, 3, 4, -1]], np.int32), classes).tolist()
    [[0, 1, 1, -1]]
    """
    table = {NOT_ANNOTATED: NOT_ANNOTATED} | {
        value: index for index, each in enumerate(classes) for value in each.values
    }
    known_values = np.array(sorted(table))
    places = np.minimum(np.searchsorted(known_values, values), len(known_values) - 1)
    if (unknown := known_values[places] != values).any():
        known = ", ".join(f"{each.name}={'+'.join(map(str, each.values))}" for each in classes)
        raise DataError(
            f"{name}: value {int(values[unknown].flat[0])} belongs to no class; there are {known}"
        )
    indices: Labels = np.array([table[value] for value in known_values.tolist()], np.int32)[places]
    return indices


def to_mask_values(indices: NDArray[Any], classes: Sequence[ClassOptions]) -> Labels:
    """Turn classes 0 to n - 1 into the values of masks; -1 stays.

    Examples
    --------
    >>> to_mask_values(np.array([[0, 1, -1]]), parse_classes("cell=0,other=3+4")).tolist()
    [[0, 3, -1]]
    """
    table = np.array([NOT_ANNOTATED, *(each.values[0] for each in classes)], np.int32)
    values: Labels = table[np.asarray(indices) - NOT_ANNOTATED]
    return values


def parse_classes(text: str) -> tuple[ClassOptions, ...]:
    """Parse classes as written on the command line: "NAME=VALUE,NAME=VALUE+VALUE".

    Raises
    ------
    ValueError
        If the text is invalid, or names or values are not unique.

    Examples
    --------
    >>> [(each.name, each.values, each.colour) for each in parse_classes("cell=0,wall=1+2:#ff0000")]
    [('cell', (0,), '#303030'), ('wall', (1, 2), '#ff0000')]
    """
    classes: tuple[ClassOptions, ...] = TypeAdapter(Classes).validate_python(text)
    return classes
