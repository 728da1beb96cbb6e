"""Maps and segmentations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from embedseg.types.aliases import Floats, Labels, Spacing


def _sigmoid(raw: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    # Without scipy, whose import would take longer than all maps of an image.
    with np.errstate(over="ignore"):
        return np.asarray(np.divide(1, 1 + np.exp(-raw), out=out))


def _softmax(raw: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import softmax

    return np.asarray(softmax(raw, axis=0))


#: Activations of raw network output; `embedseg.methods.base` holds the torch twins.
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "none": lambda raw: raw,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
}


@dataclass(frozen=True)
class MapSpec:
    """One named group of output channels of a net.

    Attributes
    ----------
    name : str
        Name under which a method asks for the map.
    kind : {"scalar", "vector", "extent", "affinity"}
        Behaviour under a symmetry of the grid: a flip changes the sign of a vector; an axis swap
        exchanges the channels of a vector and of an extent; a scalar is not affected. Channel d of
        a vector or an extent belongs to array axis d. Channel k of an affinity holds, at each
        pixel, a value of the pair of this pixel and the one at `offsets[k]` from it: a flip or a
        swap turns the offset into another one, or into the opposite of one, which is held at the
        pair's other pixel.
    channels : int
        Number of channels.
    activation : {"none", "tanh", "sigmoid", "softmax"}
        Activation that turns raw output into the map.
    head : int
        Decoder branch of the net that outputs it. Maps are listed in the order of their heads.
    average : {"raw", "activated"}
        Whether symmetries and ensembles average before or after the activation.
    offsets : tuple of tuple of int
        Of an affinity: steps along the array axes, one for each channel.

    Examples
    --------
    >>> MapSpec("seed", "scalar", 1, "sigmoid", head=1).channels
    1
    """

    name: str
    kind: Literal["scalar", "vector", "extent", "affinity"]
    channels: int
    activation: Literal["none", "tanh", "sigmoid", "softmax"]
    head: int = 0
    average: Literal["raw", "activated"] = "raw"
    offsets: tuple[tuple[int, ...], ...] = ()


def channel_slices(specs: tuple[MapSpec, ...]) -> dict[str, slice]:
    """Return the channels of each map in the output of a net.

    Examples
    --------
    >>> channel_slices((MapSpec("a", "vector", 2, "tanh"), MapSpec("b", "scalar", 1, "none")))
    {'a': slice(0, 2, None), 'b': slice(2, 3, None)}
    """
    slices, start = {}, 0
    for spec in specs:
        slices[spec.name] = slice(start, start + spec.channels)
        start += spec.channels
    return slices


@dataclass(frozen=True)
class Maps:
    """Raw output of a net on one image, rounded once to float16.

    Every path (in memory, tiled, from disk) decodes these same numbers. `maps["seed"]` activates
    on reading; `maps.raw("seed")` does not.

    Attributes
    ----------
    data : (M, *space) float16 ndarray
        Raw output, all maps one after the other.
    specs : tuple of MapSpec
        Maps that the M channels hold.
    spacing : tuple of float
        Size of a pixel along each axis of `space`, in µm.
    origin : tuple of int, optional
        Index of the first pixel in the whole image, for the maps of a block.

    Examples
    --------
    >>> spec = MapSpec("seed", "scalar", 1, "sigmoid")
    >>> maps = Maps(np.zeros((1, 4, 5), np.float16), (spec,), (1.0, 1.0))
    >>> maps["seed"].shape, float(maps["seed"][0, 0, 0]), maps.shape
    ((1, 4, 5), 0.5, (4, 5))
    """

    data: NDArray[np.float16]
    specs: tuple[MapSpec, ...]
    spacing: Spacing
    origin: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        channels = sum(spec.channels for spec in self.specs)
        if self.data.dtype != np.float16 or self.data.shape[0] != channels:
            raise ValueError(
                f"maps must be float16 with {channels} channels first, "
                f"not {self.data.dtype} of shape {self.data.shape}"
            )
        if self.data.ndim != len(self.spacing) + 1:
            raise ValueError(f"spacing {self.spacing} does not fit maps of shape {self.data.shape}")
        if self.origin is not None and len(self.origin) != len(self.spacing):
            raise ValueError(f"origin {self.origin} does not fit spacing {self.spacing}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image, without channels."""
        return self.data.shape[1:]

    def spec(self, name: str) -> MapSpec:
        """Return the description of one map."""
        for spec in self.specs:
            if spec.name == name:
                return spec
        raise KeyError(f"no map {name!r}; there are {[spec.name for spec in self.specs]}")

    def raw(self, name: str) -> NDArray[np.float16]:
        """Return one map without activation, (channels, *space)."""
        self.spec(name)
        return self.data[channel_slices(self.specs)[name]]

    def __getitem__(self, name: str) -> Floats:
        """Return one map activated, (channels, *space) float32."""
        activate = ACTIVATIONS[self.spec(name).activation]
        return np.asarray(activate(self.raw(name).astype(np.float32)), np.float32)


@dataclass(frozen=True)
class Segmentation:
    """Labels decoded from maps, and a table of their objects.

    Attributes
    ----------
    labels : (*space) int32 ndarray
        0 is background; instances are numbered 1 to n.
    objects : mapping of str to ndarray, or None
        For instance methods one row per object, in order of label: `position` (n, ndim) int64,
        index of the pixel an object grew from; `centre` (n, ndim) float32, µm in the whole image;
        `score` (n,) float32, after tuning the probability that it matches a true object at IoU
        0.5; `size` (n,) int64, pixels; `evidence` (n, k) float32, from which the score is
        computed. None for semantic methods.
    """

    labels: Labels
    objects: Mapping[str, NDArray[Any]] | None = None
