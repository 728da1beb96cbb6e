"""Training crops around objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.data.samples import Sample
from embedseg.labels import object_boxes
from embedseg.types import OUTSIDE, DataError, Indices

#: Crops that are looked at for one with enough foreground.
TRIES = 20
#: Pixels of a class in an image around which crops may be drawn.
PLACES = 1000


class Crop(NamedTuple):
    """A part of a sample.

    Attributes
    ----------
    image : (C, *(crop + 2 margin)) float32 ndarray
        Beyond the edge of the sample, it goes on as its mirror image.
    labels : (*(crop + 2 margin)) int32 ndarray
        As in the sample, so with gaps in the numbers of objects; -2 beyond the edge.
    source : str
        File or name of the sample.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    source: str


class Crops:
    """Draws crops from samples: most around an object, or a pixel of any class alike.

    Parameters
    ----------
    samples : sequence of Sample
        Already normalised, as crops are not.
    crop : tuple of int
        Size of a crop, pixels per axis.
    background : float
        Share of crops drawn anywhere in any image instead of around an object; around a random
        annotated pixel where an image is annotated in part.
    balance : float
        Share of the crops around objects for which every image is equally likely; for the others
        every object is, so that images with many objects come more often.
    min_foreground : float
        Share of the annotated pixels of a crop that belong to objects at least; of some crops that
        all hold less, the fullest is taken.
    margin : tuple of int, optional
        Pixels that are cut around a crop too, on each side; default: none.

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
    >>> image, found, _ = crops.draw(np.random.default_rng(0))
    >>> image.shape, np.unique(found).tolist()  # narrower than a crop: padded with "outside"
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
        self.samples = [sample for sample in samples if (sample.labels >= 0).any()]
        if not self.samples:
            raise ValueError("no samples with annotated pixels to draw crops from")
        self.crop = np.array(crop, np.int64)
        self.margin = np.array(margin or (0,) * len(crop), np.int64)
        self.background, self.balance = background, balance
        self.min_foreground = min_foreground
        boxes = [_boxes(sample) for sample in self.samples]
        counts = np.array([len(lower) for lower, _ in boxes])
        self._owner = np.repeat(np.arange(len(boxes)), counts)
        self._first, self._count = (np.cumsum(counts) - counts)[counts > 0], counts[counts > 0]
        self._lower = np.concatenate([lower for lower, _ in boxes])
        self._upper = np.concatenate([upper for _, upper in boxes])
        self._annotated = [_annotated(sample.labels) for sample in self.samples]
        if min_foreground:
            rng = np.random.default_rng(0)
            most = max(_foreground(self._drawn(rng).labels) for _ in range(TRIES**2))
            if most < min_foreground:
                raise DataError(
                    f"no crop of {tuple(crop)} holds a share of {min_foreground:g} of foreground "
                    f"(data.min_foreground); the fullest of {TRIES**2} holds {most:.2g}"
                )

    def draw(self, rng: np.random.Generator) -> Crop:
        """Return one crop.

        An object that fits is wholly inside, anywhere in the crop; of a larger one a part is.
        """
        best = self._drawn(rng)
        if not self.min_foreground:
            return best
        most = _foreground(best.labels)
        for _ in range(TRIES - 1):
            if most >= self.min_foreground:
                break
            drawn = self._drawn(rng)
            share = _foreground(drawn.labels)
            if share > most:
                best, most = drawn, share
        return best

    def _drawn(self, rng: np.random.Generator) -> Crop:
        if not len(self._owner) or rng.random() < self.background:
            which = int(rng.integers(len(self.samples)))
            sample, places = self.samples[which], self._annotated[which]
            lower, upper = np.zeros_like(self.crop), np.array(sample.labels.shape)
            if places is not None:
                at = np.unravel_index(places[rng.integers(len(places))], sample.labels.shape)
                lower = np.array(at, np.int64)
                upper = lower + 1
        else:
            chosen = self._object(rng)
            sample = self.samples[self._owner[chosen]]
            lower, upper = self._lower[chosen], self._upper[chosen]
        start = self._start(lower, upper, sample.labels.shape, rng)
        image, labels = _cut(sample, start - self.margin, self.crop + 2 * self.margin)
        return Crop(image, labels, str(sample.path or sample.name))

    def _object(self, rng: np.random.Generator) -> int:
        if rng.random() >= self.balance:
            return int(rng.integers(len(self._owner)))
        which = rng.integers(len(self._first))
        return int(self._first[which] + rng.integers(self._count[which]))

    def _start(
        self, lower: Indices, upper: Indices, shape: tuple[int, ...], rng: np.random.Generator
    ) -> Indices:
        """Choose where the crop begins: it holds the box, or lies inside it, on each axis."""
        ends = np.stack([lower, upper - self.crop])
        start = rng.integers(ends.min(axis=0), ends.max(axis=0), endpoint=True)
        # Inside the image where it is large enough; all around it where it is not.
        slack = np.array(shape) - self.crop
        inside: Indices = np.clip(start, np.minimum(slack, 0), np.maximum(slack, 0))
        return inside


def _cut(
    sample: Sample, start: Indices, crop: Indices
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    shape = np.array(sample.labels.shape)
    inside = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(start, start + crop, strict=True))
    image, labels = sample.image[:, *inside], sample.labels[inside]
    missing = np.stack([np.maximum(-start, 0), np.maximum(start + crop - shape, 0)], axis=1)
    if missing.any():
        image = np.pad(image, [(0, 0), *missing], mode="reflect")
        labels = np.pad(labels, missing, constant_values=OUTSIDE)
    return np.ascontiguousarray(image, np.float32), np.array(labels)


def _boxes(sample: Sample) -> tuple[Indices, Indices]:
    """Return what crops are drawn around: boxes of objects, or as many pixels of every class."""
    if not sample.semantic:
        return object_boxes(sample.labels)
    places, flat = [], sample.labels.ravel()
    # A few million pixels tell where classes are; an odd step goes through all columns.
    step = flat.size // 2**22 | 1
    for index in range(int(sample.labels.max(initial=-1)) + 1):
        found = np.flatnonzero(flat[::step] == index) * step
        found = found if len(found) else np.flatnonzero(flat == index)
        if len(found):
            places.append(found[np.linspace(0, len(found) - 1, PLACES).astype(np.int64)])
    lower = np.stack(np.unravel_index(np.concatenate(places), sample.labels.shape), axis=1)
    return lower, lower + 1


def _foreground(labels: NDArray[np.int32]) -> float:
    return float((labels > 0).sum() / max(1, (labels >= 0).sum()))


def _annotated(labels: NDArray[np.int32]) -> NDArray[np.int64] | None:
    """Return where the annotated pixels are, or some thousand of them; None if all are."""
    known = labels.ravel() >= 0
    if known.all():
        return None
    places = np.flatnonzero(known)
    return places[:: max(1, len(places) // 10_000)]
