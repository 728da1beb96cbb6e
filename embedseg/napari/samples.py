"""Sample data."""

from __future__ import annotations

from typing import Any

from embedseg.data import load_split
from embedseg.demo import sample_folder
from embedseg.napari._layers import placement

Layer = tuple[Any, dict[str, Any], str]


def nuclei() -> list[Layer]:
    """Return an image of nuclei, 2D."""
    return _sample("nuclei")


def ovules() -> list[Layer]:
    """Return a volume of nuclei in an ovule."""
    return _sample("ovules")


def neurites() -> list[Layer]:
    """Return a volume of neurites."""
    return _sample("neurites")


def _sample(name: str) -> list[Layer]:
    """Return the first test image of sample data and its mask."""
    sample = load_split(sample_folder(name), "test")[0]
    axes = "ZYX"[-sample.labels.ndim :]
    place = placement(axes, sample.spacing)
    return [
        (sample.image[0], {"name": name, **place}, "image"),
        (
            sample.labels,
            {"name": f"{name} truth", "metadata": {"embedseg image": name}, **place},
            "labels",
        ),
    ]
