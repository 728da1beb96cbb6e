"""Options for reading a data folder."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from embedseg.data.classes import Classes
from embedseg.types import LARGEST_PIXEL, SMALLEST_PIXEL

PixelSize = Annotated[float, Field(ge=SMALLEST_PIXEL, le=LARGEST_PIXEL)]


def _as_list(value: Any) -> Any:
    """Return a single channel as a list: so it comes from the command line."""
    return [value] if isinstance(value, str | int) else value


def _all_different(channels: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(channels)) < len(channels):
        raise ValueError("a channel is named twice")
    return channels


Channels = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(min_length=1),
    BeforeValidator(_as_list),
    AfterValidator(_all_different),
]


class DataOptions(BaseModel):
    """Options for reading a data folder.

    Attributes
    ----------
    masks : str
        Name of the folder with masks beside `images`.
    axes : str, optional
        Axes of the images, such as "ZYX", if the files do not name them.
    spacing : tuple of float, optional
        Size of a pixel along each space axis, µm; overrides the files' metadata.
    channels : tuple of str, optional
        Channels of the images to train on, by name or number from 0 on, such as ("DAPI",); also
        those that are read of an image to segment, if it has them. Default: all.
    ignore_label : int, optional
        Value of pixels in masks that are not annotated, besides -1.
    classes : tuple of ClassOptions, optional
        Classes of masks that hold classes instead of objects, and their values, as
        "cell=0,membrane=1+2". Default: masks hold objects.
    fill_holes : bool
        Whether to fill holes in objects.
    min_foreground : float
        Training crops in which objects have less than this share of the annotated pixels are
        skipped.
    val : float, int or list of str
        Without a `val` folder: the validation images, as a share of the train images, the number of
        last ones, or their names.
    seed : int
        Seed of the choice of validation images if `val` is a share.

    Examples
    --------
    >>> DataOptions(val=3).val, DataOptions().masks
    (3, 'masks')
    """

    # Names of images on the command line may be parsed as numbers.
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True
    )

    masks: str = "masks"
    axes: str | None = None
    spacing: tuple[PixelSize, ...] | None = None
    channels: Channels | None = None
    ignore_label: int | None = Field(default=None, ge=-(2**31), lt=2**32)
    classes: Classes | None = None
    fill_holes: bool = False
    min_foreground: float = Field(default=0.0, ge=0, le=1)
    val: (
        Annotated[int, Field(ge=1, le=10**6)]
        | Annotated[float, Field(gt=0, lt=1)]
        | tuple[str, ...]
    ) = 0.15
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.classes and self.fill_holes:
            raise ValueError("holes in classes are not filled; leave out fill_holes or classes")
        return self
