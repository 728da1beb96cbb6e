"""Options of prediction."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: Greatest length of a tile along an axis, pixels.
LARGEST_TILE = 2**16

TileLength = Annotated[int, Field(ge=1, le=LARGEST_TILE)]
HaloLength = Annotated[int, Field(ge=0, le=LARGEST_TILE)]


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

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tile: tuple[TileLength, ...] | None = None
    memory: float | None = Field(default=None, gt=0, le=1e6)
    halo: HaloLength | tuple[HaloLength, ...] | None = None
    tta: bool = False
    planes: bool = False
    any_spacing: bool = False
