"""Samples: an image with its labels, brought to one spacing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from embedseg.data.classes import find_classes, to_class_indices
from embedseg.data.folder import find_pairs, find_splits, split_validation
from embedseg.data.options import DataOptions
from embedseg.data.problems import PROBLEMS
from embedseg.data.swapped import find_swap
from embedseg.geometry import resample, resample_labels
from embedseg.images import (
    Image,
    are_equal_colours,
    fit_channels,
    label_axes,
    read_image,
    read_labels,
    space_axes,
    stem,
    take_channels,
)
from embedseg.labels import fill_holes, relabel, split_pieces
from embedseg.types import (
    NOT_ANNOTATED,
    DataError,
    Floats,
    Labels,
    Mask,
    Spacing,
    check_image,
    missing_pixels,
)

log = logging.getLogger("embedseg")


@dataclass(frozen=True)
class Sample:
    """An image with its labels.

    Attributes
    ----------
    name : str
        Stem of the file.
    image : (C, *space) float32 ndarray
        Not normalised when read; NaN are pixels without image.
    labels : (*space) int32 ndarray
        0 is background, -1 not annotated or without image, objects are numbered 1 to n; or classes
        0 to n - 1.
    spacing : tuple of float, optional
        Size of a pixel, µm; None if unknown.
    path : Path, optional
        File of the image.
    semantic : bool
        Whether the labels are classes.
    channels : tuple of str
        Names of the channels; empty unless all are known.
    """

    name: str
    image: Floats
    labels: Labels
    spacing: Spacing | None = None
    path: Path | None = None
    semantic: bool = False
    channels: tuple[str, ...] = ()

    @property
    def annotated(self) -> bool:
        """Whether any pixel is annotated."""
        return bool((self.labels > NOT_ANNOTATED).any())

    def with_labels(self, labels: Labels, **changed: Any) -> Sample:
        """Return a copy with other labels: objects are renumbered, classes stay."""
        return replace(self, labels=labels if self.semantic else relabel(labels), **changed)


def annotated_samples(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples of which anything is annotated."""
    return [sample for sample in samples if sample.annotated]


class TrainingData(NamedTuple):
    """Samples to train and validate on, and messages on how they were found."""

    train: list[Sample]
    val: list[Sample]
    messages: list[str]


def load_split(
    root: Path | str,
    split: str,
    options: DataOptions | None = None,
    channels: int | None = None,
    *,
    progress: bool = False,
) -> list[Sample]:
    """Read the samples of one split; of "val" without a `val` folder, as `load_training` does.

    Parameters
    ----------
    root, split, options
        Data folder, name of the split, and how it is read.
    channels : int, optional
        As in `load_pairs`.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    DataError
        For a missing folder, files without a partner, or an invalid file.
    """
    options = options or DataOptions()
    if split == "val" and "val" not in find_splits(root, options.masks):
        return load_training(root, options, channels, progress=progress).val
    pairs, _ = find_pairs(root, split, options.masks)
    return load_pairs(pairs, options, channels, progress=progress)


def load_pairs(
    pairs: Sequence[tuple[Path, Path]],
    options: DataOptions,
    channels: int | None = None,
    *,
    progress: bool = False,
) -> list[Sample]:
    """Read pairs of an image and a mask; a time axis gives one sample per frame.

    Parameters
    ----------
    pairs, options
        Files, and how they are read.
    channels : int, optional
        Channels that a model takes; each image is brought to them, see `fit_channels`. Default:
        those of `options`, else all; where each image is a grey one, some of them saved as RGB or
        RGBA, one.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    DataError
        For an invalid file, or images that differ in axes or channels.
    """
    samples = [
        sample
        for image, mask in tqdm(pairs, desc="reading", disable=not progress)
        for sample in read_pair(image, mask, options, channels)
    ]
    if channels is None:
        samples = _in_one_order(samples if options.channels else _as_grey(samples))
    first = samples[0]
    for sample in samples:
        if (sample.image.ndim, len(sample.image)) != (first.image.ndim, len(first.image)):
            raise DataError(
                f"{sample.path}: image of shape {sample.image.shape} (channels first), but "
                f"{first.path} has {first.image.shape}; all need the same axes and channels"
            )
    return samples


def _as_grey(samples: list[Sample]) -> list[Sample]:
    """Return samples with one channel if each is grey, some of them saved as RGB or RGBA."""
    coloured = sum(len(sample.image) > 1 for sample in samples)
    if not coloured or not all(
        len(sample.image) == 1 or are_equal_colours(sample.image) for sample in samples
    ):
        return samples
    log.info(
        "%s: equal colours in %d of %d images, all read as grey",
        samples[0].path and samples[0].path.parent,
        coloured,
        len(samples),
    )
    return [replace(sample, image=sample.image[:1], channels=()) for sample in samples]


def common_channels(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return the names of the channels of all samples, as in the first; empty if some differ.

    Examples
    --------
    >>> image, labels = np.zeros((2, 1, 1), np.float32), np.ones((1, 1), np.int32)
    >>> one = Sample("a", image, labels, channels=("DAPI", "GFP"))
    >>> common_channels([one, Sample("b", image, labels, channels=("GFP", "DAPI"))])
    ('DAPI', 'GFP')
    >>> common_channels([one, Sample("b", image, labels)])
    ()
    """
    first = samples[0].channels
    same = len(set(first)) == len(first) and all(
        sorted(sample.channels) == sorted(first) for sample in samples
    )
    return first if same else ()


def _in_one_order(samples: list[Sample]) -> list[Sample]:
    """Return samples whose channels lie in the order of the first, if all have the same names."""
    first = samples[0].channels
    others = [sample for sample in samples if sample.channels != first]
    if not others or any(len(sample.image) != len(samples[0].image) for sample in others):
        return samples
    listed = " and ".join(
        ", ".join(each.channels) or "no names" for each in (samples[0], others[0])
    )
    where = f"{samples[0].path} and {others[0].path} name their channels {listed}"
    if not common_channels(samples):
        log.warning("%s: they are read in the order of the files", where)
        return samples
    log.warning("%s: read by name", where)
    return [
        replace(
            sample,
            image=sample.image[[sample.channels.index(name) for name in first]],
            channels=first,
        )
        for sample in samples
    ]


def read_pair(
    image_path: Path, mask_path: Path, options: DataOptions, channels: int | None = None
) -> list[Sample]:
    """Read an image with its mask; see `load_pairs`."""
    image, chosen = read_image(image_path, options.axes), options.channels or ()
    if channels is not None:
        image = fit_channels(image, channels, usual=chosen)
    elif chosen:
        image = take_channels(image, chosen)
    # A mask has the axes of its image, without channels; its shape is checked below.
    mask = read_labels(mask_path, label_axes(image.axes), options.ignore_label)
    spacing = choose_spacing(image, mask, options)
    pixels, masks = split_frames(image), split_frames(mask)
    if len(pixels) != len(masks) or pixels[0].shape[1:] != masks[0].shape[1:]:
        raise DataError(
            f"{mask_path}: mask of shape {mask.data.shape} does not fit the image's "
            f"{image.data.shape} ({image.axes})"
        )
    for frame, labels in zip(pixels, masks, strict=True):
        if swap := find_swap(frame, labels[0], objects=options.classes is None):
            problem, found = swap
            raise DataError(f"{mask_path}: {problem}, {found}; {PROBLEMS[problem][1]}")
    names = [stem(image_path)]
    if "T" in image.axes:
        names = [f"{names[0]}_t{frame:03d}" for frame in range(len(pixels))]
    return [
        Sample(
            name,
            check_image(frame, frame.ndim - 1, len(frame), str(image_path)),
            _to_labels(labels[0], missing_pixels(frame), options, mask_path),
            spacing,
            image_path,
            options.classes is not None,
            image.channels,
        )
        for name, frame, labels in zip(names, pixels, masks, strict=True)
    ]


def choose_spacing(image: Image, mask: Image | None, options: DataOptions) -> Spacing | None:
    """Return the spacing of the options, else of the image, else of the mask.

    Raises
    ------
    DataError
        If the spacing of the options does not fit the space axes of the image.
    """
    ndim = len(space_axes(image.axes))
    if options.spacing is None:
        return image.spacing or (mask.spacing if mask else None)
    if len(options.spacing) != ndim:
        raise DataError(
            f"{image.path}: spacing {options.spacing} has {len(options.spacing)} "
            f"values, the image has {ndim} space axes"
        )
    return options.spacing


def split_frames(image: Image) -> list[NDArray[Any]]:
    """Return an array (C, *space) per time point; a single one without a time axis."""
    data = image.data if "C" in image.axes else np.expand_dims(image.data, int("T" in image.axes))
    return list(data) if "T" in image.axes else [data]


def _to_labels(values: Labels, missing: Mask, options: DataOptions, path: Path) -> Labels:
    if not options.classes:
        values = fill_holes(values) if options.fill_holes else values
        return relabel(np.where(missing, NOT_ANNOTATED, values))
    indices = to_class_indices(values, options.classes, str(path))
    return np.where(missing, NOT_ANNOTATED, indices)


def load_training(
    root: Path | str,
    options: DataOptions | None = None,
    channels: int | None = None,
    *,
    progress: bool = False,
) -> TrainingData:
    """Read the samples for training and validation.

    Validation images are those of the `val` folder; without one, `options.val` splits some off the
    train images, or a strip off the only one. They have the channels of the train images.

    Parameters
    ----------
    root, options
        Data folder, and how it is read.
    channels : int, optional
        As in `load_pairs`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    TrainingData
        Its messages describe how files were paired, and where validation images come from.

    Raises
    ------
    DataError
        For an invalid folder or file, or too few images to split some off.
    """
    options = options or DataOptions()
    train, rule = find_pairs(root, "train", options.masks)
    messages = [f"train: images and masks paired by {rule}"]
    if "val" in find_splits(root, options.masks):
        val, rule = find_pairs(root, "val", options.masks)
        messages.append(f"val: the folder, images and masks paired by {rule}")
    else:
        pairs = train
        train, val, how = split_validation(pairs, options.val, options.seed)
        messages.append(f"val: no folder, so {how}")
        if train == val:
            assert isinstance(options.val, float)
            samples = load_pairs(pairs, options, channels, progress=progress)
            warn_of_unused(options.ignore_label, (each.labels for each in samples), root)
            parts = [split_strip(sample, options.val) for sample in samples]
            return TrainingData(
                [rest for rest, _ in parts], [strip for _, strip in parts], messages
            )
    samples = load_pairs(train, options, channels, progress=progress)
    count = len(samples[0].image)
    loaded = TrainingData(samples, load_pairs(val, options, count, progress=progress), messages)
    all_labels = (each.labels for each in (*loaded.train, *loaded.val))
    warn_of_unused(options.ignore_label, all_labels, root)
    return loaded


def warn_of_unused(ignore_label: int | None, labels: Iterable[Labels], folder: Path | str) -> None:
    """Log a warning if no mask of a folder has the value that means "not annotated"."""
    if ignore_label is not None and not any((each == NOT_ANNOTATED).any() for each in labels):
        log.warning("--ignore-label %d: no mask of %s has this value", ignore_label, folder)


def split_strip(sample: Sample, share: float) -> tuple[Sample, Sample]:
    """Split a strip off the end of the longest axis, with a share of what is annotated.

    Of objects, it is their pixels that are shared out; objects on the cut are divided.

    Returns
    -------
    Sample, Sample
        The rest, and the strip.

    Examples
    --------
    >>> sample = Sample("a", np.ones((1, 2, 8), np.float32), np.ones((2, 8), np.int32))
    >>> [part.labels.shape for part in split_strip(sample, 0.25)]
    [(2, 6), (2, 2)]
    """
    labels = sample.labels
    axis, length = int(np.argmax(labels.shape)), max(labels.shape)
    counted = labels > 0 if (labels > 0).any() and not sample.semantic else labels > NOT_ANNOTATED
    along = counted.sum(axis=tuple(d for d in range(labels.ndim) if d != axis))
    behind = along[::-1].cumsum()
    width = int(np.searchsorted(behind, share * behind[-1])) + 1
    # At least a pixel is left for the rest.
    cut = length - min(width, length - 1)

    def take(part: range) -> Sample:
        image = sample.image.take(part, axis + 1)
        return sample.with_labels(labels.take(part, axis), image=image)

    return take(range(cut)), take(range(cut, length))


def infer_classes(root: Path | str, options: DataOptions) -> DataOptions:
    """Return options with a class for each value of the masks, unless they name classes.

    Raises
    ------
    DataError
        If there are fewer than two values, or too many for classes.
    """
    if options.classes:
        return options
    splits = [name for name in ("train", "val") if name in find_splits(root, options.masks)]
    masks = [mask for name in splits for _, mask in find_pairs(root, name, options.masks)[0]]
    return options.model_copy(update={"classes": find_classes(masks, options.ignore_label)})


def resample_sample(sample: Sample, spacing: Spacing) -> Sample:
    """Resample a sample to a spacing, if its own differs by more than 1 %.

    A sample of unknown spacing gets the new one without resampling.

    Examples
    --------
    >>> sample = Sample("a", np.ones((1, 4, 4), np.float32), np.ones((4, 4), np.int32), (1.0, 1.0))
    >>> resample_sample(sample, (2.0, 1.0)).labels.shape
    (2, 4)
    """
    if sample.spacing is None or np.allclose(sample.spacing, spacing, rtol=0.01, atol=0):
        return replace(sample, spacing=spacing)
    image = resample(sample.image, sample.spacing, spacing)
    labels = resample_labels(sample.labels, image.shape[1:])
    return sample.with_labels(labels, image=image, spacing=spacing)


def split_planes(sample: Sample) -> list[Sample]:
    """Split a volume into its planes along the first axis.

    The pieces of an object in a plane become separate objects. Planes without annotation are left
    out.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 1]], [[1, 0, 1]]], np.int32)
    >>> planes = split_planes(Sample("a", labels[None].astype(np.float32), labels))
    >>> [(plane.name, plane.labels.tolist()) for plane in planes]
    [('a_z000', [[1, 1, 1]]), ('a_z001', [[1, 0, 2]])]
    """
    spacing = sample.spacing and sample.spacing[1:]
    labels = sample.labels if sample.semantic else map(split_pieces, sample.labels)
    planes = [
        replace(
            sample,
            name=f"{sample.name}_z{z:03d}",
            image=sample.image[:, z],
            labels=plane,
            spacing=spacing,
        )
        for z, plane in enumerate(labels)
    ]
    return annotated_samples(planes)
