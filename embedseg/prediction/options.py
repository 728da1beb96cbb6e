"""Options of prediction."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt


class PredictOptions(BaseModel):
    """How a net is applied to an image.

    Attributes
    ----------
    tile : tuple of int, optional
        Size of a tile, halo included; default: as large as memory allows.
    memory : float, optional
        GB that a tile may take; default: a share of the free memory of the device.
    halo : int or tuple of int, optional
        Pixels around a tile that are computed and dropped; default: 8 (2D) or 4 (3D) times the
        net's divisor.
    tta : bool
        Average over the symmetries of the grid (test-time augmentation).
    planes : bool
        Apply a 2D net to a volume plane by plane.
    any_spacing : bool
        Accept images with pixels more than 20 times larger or smaller than those of the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tile: tuple[PositiveInt, ...] | None = None
    memory: float | None = Field(default=None, gt=0)
    halo: NonNegativeInt | tuple[NonNegativeInt, ...] | None = None
    tta: bool = False
    planes: bool = False
    any_spacing: bool = False
