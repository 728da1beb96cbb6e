"""Galleries: numbers of all images, pictures of a few."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.common import format_shape
from embedseg.data import split_frames
from embedseg.images import Image
from embedseg.methods import Method
from embedseg.report.images import (
    choose_slices,
    encode_data_uri,
    paint_thumbnail,
    stack_slices,
    take_labels,
    thumbnail_index,
)
from embedseg.report.overlays import Pixels
from embedseg.report.views import ImageErrors, View, make_view
from embedseg.scoring import Scoring
from embedseg.types import DataError, Segmentation, Spacing

log = logging.getLogger("embedseg")

#: Pictures kept of the worst images, and as many of the best, by the number of axes.
EXTREMES = {2: 6, 3: 3}
#: Characters of all pictures of a report at most; about 8 MB.
MAX_CHARACTERS = 8_000_000
#: Layers that are visible at first.
SHOWN_LAYERS = ("image", "errors", "prediction")


class Layer(NamedTuple):
    """A layer of a picture: its name, its pixels as a data URI, and its alternative text."""

    name: str
    uri: str
    alt: str


class Picture(NamedTuple):
    """Layers of one size, the slices of a volume under each other.

    Attributes
    ----------
    layers : tuple of Layer
    places : tuple of int
        Indices of the slices shown.
    depth : int
        Slices of the volume; 1 for an image.
    width, height : int
        Pixels of a slice.
    first : int
        Position in `places` of the slice that is visible at first.
    """

    layers: tuple[Layer, ...]
    places: tuple[int, ...]
    depth: int
    width: int
    height: int
    first: int

    @property
    def size(self) -> int:
        """Number of characters of all layers."""
        return sum(len(layer.uri) for layer in self.layers)


@dataclass
class GalleryEntry:
    """An image of a gallery: its objects, scores and picture.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Of space.
    contents : str
        Predicted objects or classes in words, such as "3 objects".
    truth : str
        True ones; empty without truth.
    columns : dict of str to str
        Scores and errors, for a table.
    rank : float
        The main score; nan without truth.
    picture : Picture, optional
    """

    name: str
    shape: tuple[int, ...]
    contents: str
    truth: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    rank: float = math.nan
    picture: Picture | None = None


class Gallery:
    """Images with predictions, with or without truth.

    With scores, pictures of the worst and the best images are kept; without, those of evenly spaced
    ones. An error in an image is logged, and the image left out.

    Parameters
    ----------
    method : Method
        Determines whether labels are objects or classes, their scores and colours.

    Examples
    --------
    >>> from embedseg.methods.registry import as_method
    >>> gallery, labels = Gallery(as_method({"type": "boundary"})), np.eye(20, dtype=np.int32)
    >>> gallery.add("a", labels.astype(np.float32), Segmentation(labels))
    >>> gallery.entries[0].contents, [layer.name for layer in gallery.entries[0].picture.layers]
    ('1 object', ['image', 'prediction'])
    """

    def __init__(self, method: Method) -> None:
        self.method = method
        self.view: View = make_view(method)
        self.scoring: Scoring = method.scoring()
        self.entries: list[GalleryEntry] = []
        self.errors: list[ImageErrors] = []
        self.results: list[tuple[str, Any]] = []
        self._sizes: dict[str, list[tuple[NDArray[Any], float]]] = {}
        self._units: set[str] = set()
        self.object_scores: dict[str, list[NDArray[Any]]] = {}
        self._step = 1

    @property
    def unit(self) -> str:
        """One unit for the sizes of all images: pixels unless each has a known spacing."""
        return next(iter(self._units)) if len(self._units) == 1 else "px"

    @property
    def sizes(self) -> dict[str, list[NDArray[Any]]]:
        """The sizes of objects in each image, in `unit`, of "truth" and "prediction"."""
        count = self.unit == "px"
        return {
            name: [counts * (1.0 if count else pixel) for counts, pixel in images]
            for name, images in self._sizes.items()
        }

    def add(
        self,
        name: str,
        image: NDArray[Any],
        segmentation: Segmentation,
        truth: NDArray[np.int32] | None = None,
        *,
        scores: Any = None,
        spacing: Spacing | None = None,
    ) -> None:
        """Add an image.

        Parameters
        ----------
        name : str
        image : (*space) or (C, *space) ndarray
        segmentation : Segmentation
            On the grid of the image.
        truth : (*space) integer ndarray, optional
        scores : object, optional
            As returned by the method's scoring; default: computed here, if there is a truth.
        spacing : tuple of float, optional
            Size of a pixel, µm.
        """
        with _log_errors(name):
            self._add(name, image, segmentation, truth, scores, spacing)

    def add_frames(
        self, name: str, image: Image, segmentation: Segmentation, spacing: Spacing | None
    ) -> None:
        """Add an image as it was read; each frame of a film is a separate image."""
        if "T" not in image.axes:
            self.add(name, split_frames(image)[0], segmentation, spacing=spacing)
            return
        with _log_errors(name):
            for t, (frame, labels) in enumerate(
                zip(split_frames(image), segmentation.labels, strict=True)
            ):
                self.add(f"{name}_t{t:03d}", frame, Segmentation(labels), spacing=spacing)

    def _add(
        self,
        name: str,
        image: NDArray[Any],
        segmentation: Segmentation,
        truth: NDArray[np.int32] | None,
        scores: Any,
        spacing: Spacing | None,
    ) -> None:
        labels = segmentation.labels
        entry = GalleryEntry(name, labels.shape, self.method.describe([labels]))
        errors = None
        if truth is not None:
            errors = self.view.compare(truth, labels)
            scores = self.scoring.compare(truth, labels) if scores is None else scores
            headline = self.scoring.headline(self.scoring.summarise([(name, scores)]))
            entry.truth = self.method.describe([np.maximum(truth, 0)])
            entry.rank = _to_float(headline[self.scoring.main[0]])
            entry.columns = {key: f"{_to_float(value):.3f}" for key, value in headline.items()}
            entry.columns |= self.view.columns(errors)
        object_scores = self.view.object_scores(segmentation, errors)
        self.entries.append(entry)
        if truth is not None and errors is not None:
            self.errors.append(errors)
            self.results.append((name, scores))
            self._add_sizes("truth", truth, spacing)
        self._add_sizes("prediction", labels, spacing)
        for kind, values in object_scores.items():
            self.object_scores.setdefault(kind, []).append(values)
        # Last, so that an error in the picture does not lose the scores.
        if self._wants_picture(entry):
            entry.picture = self._draw(entry, image, truth, labels, errors, spacing)
            self._drop_pictures(labels.ndim)

    def _add_sizes(self, name: str, labels: NDArray[np.int32], spacing: Spacing | None) -> None:
        self._units.add("px" if spacing is None else {2: "µm²", 3: "µm³"}[labels.ndim])
        pixel = float(np.prod(spacing)) if spacing else 1.0
        self._sizes.setdefault(name, []).append((self.view.count_pixels(labels), pixel))

    # -- pictures ------------------------------------------------------------------------------
    def pictured_entries(self) -> list[GalleryEntry]:
        """Return the entries with pictures, the worst first; drop those over the limit."""
        shown = [entry for entry in self.entries if entry.picture]
        if self.results:
            shown.sort(key=lambda entry: entry.rank)
        while (
            shown and sum(entry.picture.size for entry in shown if entry.picture) > MAX_CHARACTERS
        ):
            # Medium scores are least informative.
            shown.pop(len(shown) // 2).picture = None
        return shown

    def _wants_picture(self, entry: GalleryEntry) -> bool:
        if math.isnan(entry.rank):
            return (len(self.entries) - 1) % self._step == 0
        ranks = sorted(e.rank for e in self.entries if e.picture and not math.isnan(e.rank))
        most = EXTREMES[len(entry.shape)]
        return len(ranks) < 2 * most or entry.rank < ranks[most - 1] or entry.rank > ranks[-most]

    def _drop_pictures(self, ndim: int) -> None:
        """Drop pictures beyond the number to keep: medium scores, or every second image."""
        shown = [entry for entry in self.entries if entry.picture]
        ranked = sorted((e for e in shown if not math.isnan(e.rank)), key=lambda entry: entry.rank)
        for entry in ranked[EXTREMES[ndim] : len(ranked) - EXTREMES[ndim]]:
            entry.picture = None
        if len(shown) - len(ranked) > 2 * EXTREMES[ndim]:
            self._step *= 2
            for number, entry in enumerate(self.entries):
                if math.isnan(entry.rank) and number % self._step:
                    entry.picture = None

    def _draw(
        self,
        entry: GalleryEntry,
        image: NDArray[Any],
        truth: NDArray[np.int32] | None,
        labels: NDArray[np.int32],
        errors: ImageErrors | None,
        spacing: Spacing | None,
    ) -> Picture:
        depth = 1 if labels.ndim == 2 else labels.shape[0]
        slices = choose_slices(depth)
        index = thumbnail_index(labels.shape, spacing or (1.0,) * labels.ndim, slices)
        image = image if image.ndim > labels.ndim else image[np.newaxis]
        if image.shape[1:] != labels.shape:
            raise DataError(f"image of shape {image.shape[1:]}, labels of {labels.shape}")
        painted: dict[str, Pixels] = self.view.paint(
            None if truth is None else take_labels(truth, index), take_labels(labels, index), errors
        )
        captions = {
            "truth": entry.truth,
            "prediction": entry.contents,
            "errors": ", ".join(
                f"{item.name} {entry.columns[item.name]}"
                for item in self.view.legend
                if item.name in entry.columns
            ),
        }
        size = format_shape(entry.shape)
        layers = [
            Layer(
                "image",
                encode_data_uri(stack_slices(paint_thumbnail(image, index)), lossless=False),
                f"{entry.name}, {size} pixels",
            )
        ]
        layers += [
            Layer(
                name,
                encode_data_uri(stack_slices(pixels), lossless=True),
                f"{name}: {captions[name]}",
            )
            for name, pixels in painted.items()
        ]
        height, width = len(index[1]), len(index[2])
        return Picture(
            tuple(layers), tuple(slices), depth, width, height, self._fullest(labels, slices)
        )

    def _fullest(self, labels: NDArray[np.int32], slices: Sequence[int]) -> int:
        """Return the position of the chosen slice with most labelled pixels."""
        if labels.ndim == 2:
            return 0
        return int(np.argmax([(labels[z] > 0).sum() for z in slices]))


@contextmanager
def _log_errors(name: str) -> Iterator[None]:
    """Log any error: a failed report must not cost the work it describes."""
    try:
        yield
    except Exception as error:
        log.debug("%s", name, exc_info=True)
        log.warning("%s: left out of the report (%s: %s)", name, type(error).__name__, error)


def _to_float(value: float | None) -> float:
    return math.nan if value is None else float(value)
