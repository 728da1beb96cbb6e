"""Outputs: OME-Zarr, labels inside an image, BigTIFF."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from embedseg.blockwise.big_tiff import write_big_tiff
from embedseg.common import check_not_inputs, check_output_file, write_file
from embedseg.images import (
    Filling,
    LazyImage,
    Origin,
    add_pyramid,
    axis_lengths,
    check_output_store,
    create_labels,
    insert_labels,
    is_lazy_source,
    keep_origin,
    label_axes,
    name_differences,
    open_lazy,
    read_origin,
    store_version,
)
from embedseg.types import PerAxis, UsageError

#: Longest chunk of an output along an axis, in pixels, by the number of axes.
CHUNK = {2: 1024, 3: 128}


@dataclass(frozen=True)
class Output(ABC):
    """Labels of an image on disk, with their table and the scratch folder beside.

    Attributes
    ----------
    path : Path
        Of the labels.
    image : LazyImage
    origin : mapping, optional
        What makes the labels, for `embedseg.images.read_origin`.
    """

    path: Path
    image: LazyImage
    origin: Origin | None = None

    @property
    @abstractmethod
    def store(self) -> Path:
        """File or folder that table and scratch folder lie beside."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of table and scratch folder, without suffix."""

    @property
    @abstractmethod
    def version(self) -> Literal["0.4", "0.5"]:
        """Version of OME-Zarr."""

    @property
    @abstractmethod
    def source(self) -> str:
        """Path of the image, from the labels."""

    @abstractmethod
    def make_folder(self) -> Path:
        """Return the folder that the labels are put into, created if need be.

        Raises
        ------
        UsageError
            If there is no such image.
        """

    def check_not_image(self) -> None:
        """Check that nothing is written over the image, or inside it."""
        image = Path(self.image.source)
        check_not_inputs((self.path, self.table, self.scratch), [image])

    def check_labels(self, overwrite: bool) -> None:
        """Check that the labels are free to write, as `check` does."""
        check_output_store(self.path, overwrite)

    @abstractmethod
    def finish(self, labels: Path, progress: bool, fill: Filling | None = None) -> None:
        """Make the output from the array that blocks were written into.

        `fill` fills its coarser levels, as in `embedseg.images.add_pyramid`.
        """

    @property
    def scratch(self) -> Path:
        """Folder for everything in between, on the same disk."""
        return self.store.with_name(f"{self.name}.blocks")

    @property
    def table(self) -> Path:
        """File of the table of objects."""
        return self.store.with_name(f"{self.name}.csv")

    def check(self, overwrite: bool, table: bool = True) -> None:
        """Check that the output, and the table, can be written, before anything is computed.

        Raises
        ------
        UsageError
            If one exists, would replace the image, or the folder cannot be written to.
        """
        self.check_not_image()
        parent = self.make_folder()
        held = None if overwrite else read_origin(self.path)
        if held and self.origin and (others := name_differences(held, self.origin)):
            raise UsageError(
                f"{self.path}: exists, made with {others}; choose another, or --overwrite"
            )
        self.check_labels(overwrite)
        if table:
            check_output_file(self.table, overwrite)
        for folder in {parent, self.store.parent}:
            if not os.access(folder, os.W_OK):
                raise UsageError(f"{folder}: cannot be written to")

    def create(self, labels: Path, block: PerAxis, shape: PerAxis, dtype: np.dtype[Any]) -> None:
        """Create the array that blocks of all frames are written into, unless it exists."""
        if labels.exists():
            return
        aside = labels.with_name(labels.name + ".part")
        shutil.rmtree(aside, ignore_errors=True)
        frames = axis_lengths(self.image.shape, self.image.axes, "T")
        chunks = [_chunk(n, CHUNK[len(shape)]) for n in block]
        create_labels(
            aside,
            (*frames, *shape),
            dtype,
            label_axes(self.image.axes),
            self.image.spacing,
            chunks=[*(1 for _ in frames), *chunks],
            version=self.version,
            source=self.source,
            scales=self.image.scales,
        )
        aside.rename(labels)


class _Standalone(Output):
    """An output that is a file or folder by itself."""

    @property
    def store(self) -> Path:
        """The output."""
        return self.path

    @property
    def name(self) -> str:
        """Name of the output, up to the first dot."""
        return self.path.name.partition(".")[0]

    @property
    def version(self) -> Literal["0.4", "0.5"]:
        """Version 0.5."""
        return "0.5"

    @property
    def source(self) -> str:
        """Path of a local image from the labels; a URL as it is."""
        local = Path(self.image.source).exists()
        return os.path.relpath(self.image.source, self.path) if local else self.image.source

    def make_folder(self) -> Path:
        """Return the folder of the output, created if need be."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.parent


@final
class NewStore(_Standalone):
    """A new OME-Zarr store, `*.zarr`."""

    def finish(self, labels: Path, progress: bool, fill: Filling | None = None) -> None:
        """Add coarser levels, and move the store to its place."""
        add_pyramid(labels, progress=progress, fill=fill)
        keep_origin(labels, self.origin)
        shutil.rmtree(self.path, ignore_errors=True)
        labels.rename(self.path)


@final
class BigTiff(_Standalone):
    """A BigTIFF, `*.tif`."""

    def check_labels(self, overwrite: bool) -> None:
        """Check that the file is free to write."""
        check_output_file(self.path, overwrite)

    def finish(self, labels: Path, progress: bool, fill: Filling | None = None) -> None:
        """Copy the labels into the TIFF."""
        axes, spacing = label_axes(self.image.axes), self.image.spacing
        write_file(
            self.path, lambda aside: write_big_tiff(labels, aside, axes, spacing, self.origin)
        )


@final
class InsideImage(Output):
    """Labels inside the store of an image, `IMAGE.zarr/labels/NAME`."""

    @property
    def group(self) -> Path:
        """The group of the image."""
        return self.path.parent.parent

    @property
    def store(self) -> Path:
        """The store of the image, which may hold more of them."""
        return [self.group, *takewhile(is_lazy_source, self.group.absolute().parents)][-1]

    @property
    def name(self) -> str:
        """Name of the store up to the first dot, of the image in it, and of the labels."""
        inside = self.group.absolute().relative_to(self.store.absolute()).parts
        return "-".join([self.store.name.partition(".")[0], *inside, self.path.name])

    @property
    def version(self) -> Literal["0.4", "0.5"]:
        """Version of the image."""
        return store_version(self.group)

    @property
    def source(self) -> str:
        """Path of the image from the labels."""
        return "../../"

    def make_folder(self) -> Path:
        """Return the group of the image."""
        if not self.group.is_dir():
            raise UsageError(f"{self.group}: no such image to put labels into")
        if (image := open_lazy(self.group).source) != str(self.group):
            raise UsageError(
                f"{self.path}: labels belong to one image, expected {image}/labels/NAME"
            )
        return self.group

    def check_not_image(self) -> None:
        """Check that the labels are put beside the image's pixels, not over other labels it is."""
        image = Path(self.image.source)
        check_not_inputs((self.table, self.scratch), [image])
        if self.group.resolve() != image.resolve():
            check_not_inputs([self.path], [image])

    def finish(self, labels: Path, progress: bool, fill: Filling | None = None) -> None:
        """Add coarser levels, and move the labels into the image."""
        add_pyramid(labels, progress=progress, fill=fill)
        keep_origin(labels, self.origin)
        shutil.rmtree(self.path, ignore_errors=True)
        insert_labels(labels, self.group, self.path.name)


def output_at(path: Path, image: LazyImage, origin: Origin | None = None) -> Output:
    """Return the output that a path asks for.

    Parameters
    ----------
    path : Path
        `*.zarr`, `IMAGE.zarr/labels/NAME`, or `*.tif`.
    image : LazyImage
    origin : mapping, optional
        What makes the labels, kept with them.

    Raises
    ------
    UsageError
        For any other path.
    """
    if path.parent.name == "labels" and is_lazy_source(path.parent.parent):
        return InsideImage(path, image, origin)
    if path.suffix == ".zarr":
        return NewStore(path, image, origin)
    if path.suffix.lower() in (".tif", ".tiff"):
        return BigTiff(path, image, origin)
    raise UsageError(
        f"{path}: expected *.zarr, *.tif or IMAGE.zarr/labels/NAME for the "
        "labels of an image in blocks"
    )


def _chunk(block: int, most: int) -> int:
    """Return the largest length of chunks that divide a block: each is written by one process.

    Examples
    --------
    >>> _chunk(512, 128), _chunk(120, 128), _chunk(202, 128), _chunk(131, 128)
    (128, 120, 101, 131)
    """
    parts = (n for n in range(-(-block // most), block // 16 + 2) if block % n == 0)
    return block // next(parts, 1)
