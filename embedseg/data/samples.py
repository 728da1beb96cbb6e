"""Samples: an image with its labels, brought to one spacing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from embedseg import labels as lab
from embedseg.data.classes import find_classes, to_indices
from embedseg.data.folder import find_data, find_pairs, set_apart
from embedseg.data.options import DataOptions
from embedseg.geometry import resample, resample_labels
from embedseg.images import Image, read_image, read_labels, stem
from embedseg.types import DataError, Spacing, check_image


@dataclass(frozen=True)
class Sample:
    """An image with its labels.

    Attributes
    ----------
    name : str
        Stem of the file.
    image : (C, *space) float32 ndarray
        Not normalised as it is read.
    labels : (*space) int32 ndarray
        0 is background, -1 not annotated, objects are numbered 1 to n; or classes 0 to n - 1.
    spacing : tuple of float, optional
        Size of a pixel, µm; None where nothing is known.
    path : Path, optional
        Where the image came from.
    semantic : bool
        Whether the labels are classes.
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    spacing: Spacing | None = None
    path: Path | None = None
    semantic: bool = False

    def with_labels(self, labels: NDArray[np.int32], **changed: Any) -> Sample:
        """Return a copy with other labels: objects are numbered anew, classes stay."""
        return replace(self, labels=labels if self.semantic else lab.relabel(labels), **changed)


class Training(NamedTuple):
    """What a model is fitted to, and in words how it was found."""

    train: list[Sample]
    val: list[Sample]
    words: list[str]


def load_split(
    root: Path | str, split: str, options: DataOptions | None = None, *, progress: bool = False
) -> list[Sample]:
    """Read the images and masks of one split; without a `val` folder, those set apart for it.

    Raises
    ------
    DataError
        For a folder that is not there, files without a partner, or anything wrong with a file.
    """
    options = options or DataOptions()
    if split == "val" and "val" not in find_data(root, options.masks):
        train, _ = find_pairs(root, "train", options.masks)
        return load_pairs(
            set_apart(train, options.val, options.seed)[1], options, progress=progress
        )
    pairs, _ = find_pairs(root, split, options.masks)
    return load_pairs(pairs, options, progress=progress)


def load_pairs(
    pairs: Sequence[tuple[Path, Path]], options: DataOptions, *, progress: bool = False
) -> list[Sample]:
    """Read pairs of an image and a mask; a time axis gives one sample per frame.

    Raises
    ------
    DataError
        For anything wrong with a file, or images that differ in axes or channels.
    """
    samples = [
        sample
        for image, mask in tqdm(pairs, desc="reading", disable=not progress)
        for sample in read_pair(image, mask, options)
    ]
    first = samples[0]
    for sample in samples:
        if (sample.image.ndim, len(sample.image)) != (first.image.ndim, len(first.image)):
            raise DataError(
                f"{sample.path}: image of shape {sample.image.shape} (channels first), but "
                f"{first.path} has {first.image.shape}; all need the same axes and channels"
            )
    return samples


def read_pair(image_path: Path, mask_path: Path, options: DataOptions) -> list[Sample]:
    """Read an image with its mask; see `load_pairs`."""
    image = read_image(image_path, options.axes)
    # A mask lies on its image, so it has the same axes without channels; its shape tells.
    axes = image.axes.replace("C", "")
    mask = read_labels(mask_path, axes, options.ignore_label)
    spacing = spacing_of(image, mask, options)
    pixels, found = frames(image), frames(mask)
    if len(pixels) != len(found) or pixels[0].shape[1:] != found[0].shape[1:]:
        raise DataError(
            f"{mask_path}: mask of shape {mask.data.shape} does not fit the image's "
            f"{image.data.shape} ({image.axes})"
        )
    names = [stem(image_path)]
    if "T" in image.axes:
        names = [f"{names[0]}_t{frame:03d}" for frame in range(len(pixels))]
    return [
        Sample(
            name,
            check_image(frame, frame.ndim - 1, len(frame), str(image_path)),
            _tidy(labels[0], options, mask_path),
            spacing,
            image_path,
            options.classes is not None,
        )
        for name, frame, labels in zip(names, pixels, found, strict=True)
    ]


def spacing_of(image: Image, mask: Image | None, options: DataOptions) -> Spacing | None:
    """Return what is known of the size of a pixel: from the options, the image, or the mask.

    Raises
    ------
    DataError
        If the options give another number of values than the image has space axes.
    """
    ndim = len(image.axes.replace("T", "").replace("C", ""))
    if options.spacing is None:
        return image.spacing or (mask.spacing if mask else None)
    if len(options.spacing) != ndim:
        raise DataError(
            f"{image.path}: spacing {options.spacing} has {len(options.spacing)} "
            f"values, the image has {ndim} space axes"
        )
    return options.spacing


def frames(image: Image) -> list[NDArray[Any]]:
    """Return an array (C, *space) per time point; one without a time axis."""
    data = image.data if "C" in image.axes else np.expand_dims(image.data, int("T" in image.axes))
    return list(data) if "T" in image.axes else [data]


def _tidy(labels: NDArray[np.int32], options: DataOptions, path: Path) -> NDArray[np.int32]:
    if options.classes:
        return to_indices(labels, options.classes, str(path))
    return lab.relabel(lab.fill_holes(labels) if options.fill_holes else labels)


def load_training(
    root: Path | str, options: DataOptions | None = None, *, progress: bool = False
) -> Training:
    """Read what a model is fitted to, and what it is validated on.

    Validation images are those of the `val` folder; without one, `options.val` sets some of the
    train images apart.

    Returns
    -------
    Training
        `train`, `val` and `words`: how files were paired and where validation comes from.

    Raises
    ------
    DataError
        For anything wrong with the folder or a file, or too few images to set some apart.
    """
    options = options or DataOptions()
    train, rule = find_pairs(root, "train", options.masks)
    words = [f"train: images and masks paired by {rule}"]
    if "val" in find_data(root, options.masks):
        val, rule = find_pairs(root, "val", options.masks)
        words.append(f"val: the folder, images and masks paired by {rule}")
    else:
        train, val, how = set_apart(train, options.val, options.seed)
        words.append(f"val: no folder, so {how}")
    return Training(
        load_pairs(train, options, progress=progress),
        load_pairs(val, options, progress=progress),
        words,
    )


def with_classes(root: Path | str, options: DataOptions) -> DataOptions:
    """Return options that take the masks' values for classes; those that are named stay.

    Raises
    ------
    DataError
        If the values cannot be classes.
    """
    if options.classes:
        return options
    splits = [name for name in ("train", "val") if name in find_data(root, options.masks)]
    masks = [mask for name in splits for _, mask in find_pairs(root, name, options.masks)[0]]
    return options.model_copy(update={"classes": find_classes(masks, options.ignore_label)})


def to_spacing(sample: Sample, spacing: Spacing) -> Sample:
    """Resample a sample whose spacing differs by more than 1 %.

    A sample without spacing is taken to have the one asked for.

    Examples
    --------
    >>> sample = Sample("a", np.ones((1, 4, 4), np.float32), np.ones((4, 4), np.int32), (1.0, 1.0))
    >>> to_spacing(sample, (2.0, 1.0)).labels.shape
    (2, 4)
    """
    if sample.spacing is None or np.allclose(sample.spacing, spacing, rtol=0.01, atol=0):
        return replace(sample, spacing=spacing)
    image = resample(sample.image, sample.spacing, spacing)
    labels = resample_labels(sample.labels, image.shape[1:])
    return sample.with_labels(labels, image=image, spacing=spacing)


def to_planes(sample: Sample) -> list[Sample]:
    """Cut a volume into its planes along the first axis.

    An object that lies in a plane in several pieces becomes several objects there. Planes on which
    nothing is annotated are left out.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 1]], [[1, 0, 1]]], np.int32)
    >>> planes = to_planes(Sample("a", labels[None].astype(np.float32), labels))
    >>> [(plane.name, plane.labels.tolist()) for plane in planes]
    [('a_z000', [[1, 1, 1]]), ('a_z001', [[1, 0, 2]])]
    """
    spacing = sample.spacing and sample.spacing[1:]
    planes = sample.labels if sample.semantic else map(lab.split_pieces, sample.labels)
    return [
        replace(
            sample,
            name=f"{sample.name}_z{z:03d}",
            image=sample.image[:, z],
            labels=labels,
            spacing=spacing,
        )
        for z, labels in enumerate(planes)
        if (labels >= 0).any()
    ]
