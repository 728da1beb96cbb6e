"""The request of predict: all of its options, parsed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedseg.cli.collecting import importing

if TYPE_CHECKING:
    from embedseg.blockwise import BlockOptions
    from embedseg.labels import CleanOptions
    from embedseg.segmenter import Segmenter


@dataclass(frozen=True)
class PredictRequest:
    """What predict is asked to do; the options of the command, parsed.

    Attributes
    ----------
    model, device, changes
        The model, where it runs, and settings that differ from its own.
    inputs, axes, channels, spacing, frames
        Files, folders or patterns, and how they are read.
    track
        Whether the objects of films are linked.
    tta, planes
        How maps are predicted.
    output, overwrite
        Folder for the label images; in blocks, the store or file of labels.
    maps, plot, pieces, formats
        What is written beside the labels: maps, pictures, pieces of classes, objects.
    tidy
        How objects are tidied.
    level
        Level of a pyramid that is read; None: the one that fits the model's pixel size.
    blocks, dry_run
        Options of images in blocks.
    command
        The command as it was typed.
    json
        Whether the result is printed as JSON.
    """

    model: Path
    device: str
    changes: dict[str, str]
    inputs: list[str]
    axes: str | None
    channels: tuple[str, ...]
    spacing: tuple[float, ...] | None
    frames: bool
    track: bool
    tta: bool
    planes: bool
    output: Path
    overwrite: bool
    maps: bool
    plot: bool
    pieces: list[str]
    formats: tuple[str, ...]
    tidy: CleanOptions
    blocks: BlockOptions
    level: int | None
    dry_run: bool
    command: str
    json: bool

    @property
    def by_frame(self) -> bool:
        """Whether a time axis is segmented frame by frame."""
        return self.frames or self.track or "T" in (self.axes or "")

    @property
    def in_blocks(self) -> bool:
        """Whether one image is to be segmented in blocks."""
        from embedseg.blockwise import BlockOptions
        from embedseg.images import is_lazy_source

        return (
            self.blocks != BlockOptions()
            or self.dry_run
            or self.output.suffix.lower() in (".zarr", ".tif", ".tiff")
            or is_lazy_source(self.output.parent.parent)
            or any(map(is_lazy_source, self.inputs))
        )

    @property
    def needs_whole_images(self) -> bool:
        """Whether something is asked for that images in blocks do not have."""
        from embedseg.labels import CleanOptions

        more = self.maps or self.plot or self.track or bool(self.pieces or self.formats)
        return more or self.tidy != CleanOptions()

    def origin(self, segmenter: Segmenter) -> dict[str, Any]:
        """Return what labels are made with, but for their image."""
        from embedseg.model import origin_of

        return origin_of(
            segmenter.predictor,
            tta=self.tta,
            planes=self.planes,
            axes=self.axes,
            spacing=self.spacing,
            level=self.level,
            channels=self.channels,
            track=self.track,
            frames=self.by_frame,
            block=self.blocks.block,
            halo=self.blocks.halo,
            **self.tidy.model_dump(),
        )

    @importing()
    def load_model(self, changes: dict[str, str] | None = None) -> Segmenter:
        """Read the model, with the changes of its settings and more."""
        from embedseg.segmenter import Segmenter

        return Segmenter.load(self.model, self.device).with_options(self.changes | (changes or {}))
