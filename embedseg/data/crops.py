"""Training crops around objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.data.samples import Sample, annotated_samples
from embedseg.labels import box_corners
from embedseg.types import OUTSIDE, DataError, Floats, Indices, Labels

#: Crops drawn to find one with enough foreground.
TRIES = 20
#: Pixels of each class in an image around which crops may be drawn.
MAX_PLACES = 1000


class Crop(NamedTuple):
    """A part of a sample.

    Attributes
    ----------
    image : (C, *(crop + 2 margin)) float32 ndarray
        Mirrored beyond the edge of the sample.
    labels : (*(crop + 2 margin)) int32 ndarray
        Labels of the sample, so with gaps in the numbers of objects; -2 beyond the edge.
    source : str
        File or name of the sample.
    """

    image: Floats
    labels: Labels
    source: str


class Crops:
    """Draws crops from samples: most around an object, or around each class equally often.

    Parameters
    ----------
    samples : sequence of Sample
        Normalised samples; crops are not normalised.
    crop : tuple of int
        Size of a crop, pixels per axis.
    background : float
        Share of crops drawn anywhere in any image instead of around an object; around a random
        annotated pixel if an image is partially annotated.
    balance : float
        Share of the crops around objects for which every image is equally likely; for the others
        every object is, so that images with many objects come more often.
    min_foreground : float
        Smallest share of the annotated pixels of a crop that belong to objects; if all crops tried
        hold less, the fullest is taken.
    margin : tuple of int, optional
        Pixels added to a crop on each side of each axis; default: none.

    Raises
    ------
    ValueError
        Without samples that have annotated pixels.
    DataError
        If no crop seems to hold enough foreground.

    Examples
    --------
    >>> labels = np.zeros((9, 9), np.int32)
    >>> labels[4, 4] = 5
    >>> crops = Crops([Sample("a", labels[None].astype(np.float32), labels)], (4, 12), background=0)
    >>> image, labels, _ = crops.draw(np.random.default_rng(0))
    >>> image.shape, np.unique(labels).tolist()  # narrower than a crop: padded with -2
    ((1, 4, 12), [-2, 0, 5])
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        crop: tuple[int, ...],
        *,
        background: float = 0.1,
        balance: float = 0.0,
        min_foreground: float = 0.0,
        margin: tuple[int, ...] | None = None,
    ) -> None:
        self.samples = annotated_samples(samples)
        if not self.samples:
            raise ValueError("no samples with annotated pixels to draw crops from")
        self.crop = np.array(crop, np.int64)
        self.margin = np.array(margin or (0,) * len(crop), np.int64)
        self.background, self.balance = background, balance
        self.min_foreground = min_foreground
        boxes = [_find_anchors(sample) for sample in self.samples]
        counts = np.array([len(lower) for lower, _ in boxes])
        self._owner = np.repeat(np.arange(len(boxes)), counts)
        self._first, self._count = (np.cumsum(counts) - counts)[counts > 0], counts[counts > 0]
        self._lower = np.concatenate([lower for lower, _ in boxes])
        self._upper = np.concatenate([upper for _, upper in boxes])
        self._annotated = [_find_annotated(sample.labels) for sample in self.samples]
        if min_foreground:
            rng = np.random.default_rng(0)
            most = max(_foreground(self._draw_any(rng).labels) for _ in range(TRIES**2))
            if most < min_foreground:
                raise DataError(
                    f"no crop of {tuple(crop)} holds a share of {min_foreground:g} of foreground "
                    f"(data.min_foreground); the fullest of {TRIES**2} holds {most:.2g}"
                )

    def draw(self, rng: np.random.Generator) -> Crop:
        """Draw one crop.

        An object that fits lies wholly inside, anywhere in the crop; of a larger one a part does.
        """
        best = self._draw_any(rng)
        if not self.min_foreground:
            return best
        most = _foreground(best.labels)
        for _ in range(TRIES - 1):
            if most >= self.min_foreground:
                break
            drawn = self._draw_any(rng)
            share = _foreground(drawn.labels)
            if share > most:
                best, most = drawn, share
        return best

    def _draw_any(self, rng: np.random.Generator) -> Crop:
        if not len(self._owner) or rng.random() < self.background:
            which = int(rng.integers(len(self.samples)))
            sample, places = self.samples[which], self._annotated[which]
            lower, upper = np.zeros_like(self.crop), np.array(sample.labels.shape)
            if places is not None:
                at = np.unravel_index(places[rng.integers(len(places))], sample.labels.shape)
                lower = np.array(at, np.int64)
                upper = lower + 1
        else:
            chosen = self._choose_object(rng)
            sample = self.samples[self._owner[chosen]]
            lower, upper = self._lower[chosen], self._upper[chosen]
        start = self._choose_start(lower, upper, sample.labels.shape, rng)
        image, labels = _cut(sample, start - self.margin, self.crop + 2 * self.margin)
        return Crop(image, labels, str(sample.path or sample.name))

    def _choose_object(self, rng: np.random.Generator) -> int:
        if rng.random() >= self.balance:
            return int(rng.integers(len(self._owner)))
        which = rng.integers(len(self._first))
        return int(self._first[which] + rng.integers(self._count[which]))

    def _choose_start(
        self, lower: Indices, upper: Indices, shape: tuple[int, ...], rng: np.random.Generator
    ) -> Indices:
        """Choose the start of a crop that, on each axis, holds the box or lies inside it."""
        ends = np.stack([lower, upper - self.crop])
        start = rng.integers(ends.min(axis=0), ends.max(axis=0), endpoint=True)
        # Inside the image if that is larger than the crop; else around it.
        slack = np.array(shape) - self.crop
        inside: Indices = np.clip(start, np.minimum(slack, 0), np.maximum(slack, 0))
        return inside


def _cut(sample: Sample, start: Indices, crop: Indices) -> tuple[Floats, Labels]:
    shape = np.array(sample.labels.shape)
    inside = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(start, start + crop, strict=True))
    image, labels = sample.image[:, *inside], sample.labels[inside]
    missing = np.stack([np.maximum(-start, 0), np.maximum(start + crop - shape, 0)], axis=1)
    if missing.any():
        image = np.pad(image, [(0, 0), *missing], mode="reflect")
        labels = np.pad(labels, missing, constant_values=OUTSIDE)
    return np.ascontiguousarray(image, np.float32), np.array(labels)


def _find_anchors(sample: Sample) -> tuple[Indices, Indices]:
    """Return the corners of the objects, or of as many pixels of each class."""
    if not sample.semantic:
        return box_corners(sample.labels)
    places, flat = [], sample.labels.ravel()
    # A few million pixels are enough; an odd step reaches all columns.
    step = flat.size // 2**22 | 1
    for index in range(int(sample.labels.max(initial=-1)) + 1):
        pixels = np.flatnonzero(flat[::step] == index) * step
        pixels = pixels if len(pixels) else np.flatnonzero(flat == index)
        if len(pixels):
            spread = np.linspace(0, len(pixels) - 1, MAX_PLACES).astype(np.int64)
            places.append(pixels[spread])
    lower = np.stack(np.unravel_index(np.concatenate(places), sample.labels.shape), axis=1)
    return lower, lower + 1


def _foreground(labels: Labels) -> float:
    return float((labels > 0).sum() / max(1, (labels >= 0).sum()))


def _find_annotated(labels: Labels) -> NDArray[np.int64] | None:
    """Return flat indices of annotated pixels, some thousand at most; None if all are."""
    known = labels.ravel() >= 0
    if known.all():
        return None
    places = np.flatnonzero(known)
    return places[:: max(1, len(places) // 10_000)]
