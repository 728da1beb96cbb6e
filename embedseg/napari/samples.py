"""Sample data."""

from __future__ import annotations

from embedseg.data import load_split
from embedseg.demo import sample_folder
from embedseg.napari._layers import Layer, make_placement


def nuclei() -> list[Layer]:
    """Return an image of nuclei, 2D."""
    return _read_sample("nuclei")


def ovules() -> list[Layer]:
    """Return a volume of nuclei in an ovule."""
    return _read_sample("ovules")


def neurites() -> list[Layer]:
    """Return a volume of neurites."""
    return _read_sample("neurites")


def _read_sample(name: str) -> list[Layer]:
    """Return the first test image of sample data and its mask."""
    sample = load_split(sample_folder(name), "test")[0]
    axes = "ZYX"[-sample.labels.ndim :]
    place = make_placement(axes, sample.spacing)
    return [
        (sample.image[0], {"name": name, **place}, "image"),
        (
            sample.labels,
            {"name": f"{name} truth", "metadata": {"embedseg image": name}, **place},
            "labels",
        ),
    ]
