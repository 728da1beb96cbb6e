"""Classes of masks: which values stand for which class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from embedseg.images import label_values
from embedseg.types import DataError

#: Masks with more values than this hold objects, most likely.
MOST = 64
#: Dark for the first class, which mostly is what lies between the others, then Okabe and Ito's.
COLOURS = ("#303030", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


class ClassOptions(BaseModel):
    """One class: a name for one or several values of the masks.

    Attributes
    ----------
    name : str
        What it is called in settings, tables and names of files.
    values : tuple of int
        What stands for it in masks; several are merged. The first is what predictions are written
        with.
    colour : str
        "#rrggbb", in pictures.

    Examples
    --------
    >>> ClassOptions(name="membrane", values=(1, 2)).colour
    ''
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    values: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    colour: Annotated[str, Field(pattern=r"^(#[0-9a-fA-F]{6})?$")] = ""


def colour_of(index: int) -> str:
    """Return the colour of a class without one of its own, by its place among the classes.

    Examples
    --------
    >>> colour_of(1), colour_of(9)
    ('#e69f00', '#e69f00')
    """
    return COLOURS[index % len(COLOURS)]


def _listed(value: Any) -> Any:
    """Read "cell=0,membrane=1+2:#ff0000", or a list of such parts."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple):
        return value
    return tuple(_part(item) if isinstance(item, str) else item for item in value)


def _part(text: str) -> dict[str, Any]:
    found = re.fullmatch(r"\s*([^=]+?)\s*=\s*(\d+(?:\+\d+)*)\s*(?::\s*(#\w+))?\s*", text)
    if not found:
        raise ValueError(f"{text!r} is no class; write NAME=VALUE, or NAME=VALUE+VALUE:#rrggbb")
    return {
        "name": found[1],
        "values": [int(value) for value in found[2].split("+")],
        "colour": found[3] or "",
    }


def _whole(classes: tuple[ClassOptions, ...]) -> tuple[ClassOptions, ...]:
    """See that classes can be told apart, and give a colour to those without."""
    names = [each.name for each in classes]
    values = [value for each in classes for value in each.values]
    if len(classes) < 2:
        raise ValueError(f"{len(classes)} class ({', '.join(names)}), expected two or more")
    for kind, items in (("name", names), ("value", [str(value) for value in values])):
        if twice := sorted({item for item in items if items.count(item) > 1}):
            raise ValueError(f"the {kind} {', '.join(twice)} stands for several classes")
    return tuple(
        each if each.colour else each.model_copy(update={"colour": colour_of(k)})
        for k, each in enumerate(classes)
    )


Classes = Annotated[tuple[ClassOptions, ...], BeforeValidator(_listed), AfterValidator(_whole)]


def find_classes(
    masks: Iterable[Path], ignore_label: int | None = None
) -> tuple[ClassOptions, ...]:
    """Return a class for each value that occurs in masks, called by it.

    Raises
    ------
    DataError
        If there are fewer than two values, or so many that they must be objects.
    """
    seen: dict[int, Path] = {}
    for path in masks:
        for value in label_values(path).tolist():
            seen.setdefault(value, path)
        if len(seen) > MOST:
            raise DataError(
                f"{path}: more than {MOST} values up to here, too many for classes; "
                "are these masks of objects? For those, take another method"
            )
    known = sorted(value for value in seen if value >= 0 and value != ignore_label)
    if len(known) < 2:
        where = next(iter(seen.values()), "masks")
        raise DataError(
            f"{where}: the masks hold {len(known)} class(es) in all "
            f"({', '.join(map(str, known))}), expected two or more"
        )
    return _whole(tuple(ClassOptions(name=str(value), values=(value,)) for value in known))


def to_indices(
    values: NDArray[np.int32], classes: Sequence[ClassOptions], name: str = "mask"
) -> NDArray[np.int32]:
    """Return which class each pixel belongs to, 0 to n - 1; -1, not annotated, stays.

    Raises
    ------
    DataError
        For a value that no class has.

    Examples
    --------
    >>> both = find_named("cell=0,other=3+4")
    >>> to_indices(np.array([[0, 3, 4, -1]], np.int32), both).tolist()
    [[0, 1, 1, -1]]
    """
    # Shifted by one, so that -1 has a place.
    most = max(int(values.max(initial=0)), *(max(each.values) for each in classes))
    table = np.full(most + 2, -2, np.int32)
    table[0] = -1
    for index, each in enumerate(classes):
        table[np.array(each.values) + 1] = index
    found: NDArray[np.int32] = table[values + 1]
    if (found == -2).any():
        known = ", ".join(f"{each.name}={'+'.join(map(str, each.values))}" for each in classes)
        raise DataError(
            f"{name}: value {int(values[found == -2].flat[0])} belongs to no class; "
            f"there are {known}"
        )
    return found


def to_values(indices: NDArray[Any], classes: Sequence[ClassOptions]) -> NDArray[np.int32]:
    """Return the values with which classes are written into files; -1 stays.

    Examples
    --------
    >>> to_values(np.array([[0, 1, -1]]), find_named("cell=0,other=3+4")).tolist()
    [[0, 3, -1]]
    """
    table = np.array([-1, *(each.values[0] for each in classes)], np.int32)
    values: NDArray[np.int32] = table[np.asarray(indices) + 1]
    return values


def find_named(text: str) -> tuple[ClassOptions, ...]:
    """Read classes as they are written on the command line: "NAME=VALUE,NAME=VALUE+VALUE".

    Raises
    ------
    ValueError
        If they cannot be read or told apart.

    Examples
    --------
    >>> [(each.name, each.values, each.colour) for each in find_named("cell=0,wall=1+2:#ff0000")]
    [('cell', (0,), '#303030'), ('wall', (1, 2), '#ff0000')]
    """
    found: tuple[ClassOptions, ...] = TypeAdapter(Classes).validate_python(text)
    return found
