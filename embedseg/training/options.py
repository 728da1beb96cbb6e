"""Options of training."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from embedseg.data import PRESETS, Augment
from embedseg.nets import computes_bfloat16

#: Greatest length of a crop along an axis, pixels.
LARGEST_CROP = 2**16

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class TrainOptions(BaseModel):
    """Options of training.

    Attributes
    ----------
    crop : tuple of int
        Size of a training crop, pixels per axis.
    batch : int
        Crops in a batch, over all devices together.
    accumulate : int
        Batches whose gradients are averaged into one step of the optimiser.
    epochs, steps_per_epoch : int
        Length of a run without a time limit; an epoch is a fixed number of steps.
    patience : float
        Training stops early when validation has not improved over this share of the run; with 1 it
        never does.
    optimizer : {"muon", "adamw", "adam"}
        Muon gives each convolution an orthogonal step; AdamW decouples the weight decay; Adam is
        the paper's.
    learning_rate, weight_decay : float
        Of the optimiser, at the top of the schedule. The defaults are for Muon; AdamW wants a
        learning rate of 1e-3 to 2e-3.
    schedule : {"cosine", "poly"}
        Decay of the learning rate over the run: to 0 as half a cosine, or as (1 - p)^0.9.
    warmup : float
        Share of the run over which the learning rate rises to its top.
    clip : float, optional
        Largest norm of the gradient; larger ones are scaled down to it. Default: no limit.
    average : float
        Decay per step of an exponential moving average of the weights, which is then what is
        validated and kept; 0 keeps the weights themselves.
    background : float
        Share of crops drawn anywhere instead of around an object, or a pixel of any class alike.
    balance : float
        Share of the other crops for which every image is equally likely; for the rest every object
        is.
    augment : Augment
        A preset, none, paper, light or strong, or its options.
    precision : {"auto", "32-true", "bf16-mixed", "16-mixed"}
        As in Lightning Fabric; "auto" is bf16-mixed where the device computes in it.
    compile : bool
        Whether `torch.compile` translates the net: minutes at the start, faster steps after.
    val_images : int
        Validation images that are scored while training, at most.
    tensorboard : bool
        Whether the history also goes to `tensorboard` in the model's folder (extra `log`).
    start : str, optional
        Folder of the model whose weights the training begins with.
    seed : int
        Of weights, crops and augmentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    crop: tuple[Annotated[int, Field(ge=1, le=LARGEST_CROP)], ...]
    batch: int = Field(default=4, ge=1, le=2**16)
    accumulate: int = Field(default=1, ge=1, le=2**16)
    epochs: int = Field(default=100, ge=1, le=10**6)
    steps_per_epoch: int = Field(default=50, ge=1, le=10**6)
    patience: float = Field(default=0.5, gt=0, le=1)
    optimizer: Literal["muon", "adamw", "adam"] = "muon"
    learning_rate: float = Field(default=4e-3, gt=0, le=1)
    weight_decay: float = Field(default=0.02, ge=0, le=1)
    schedule: Literal["cosine", "poly"] = "cosine"
    warmup: float = Field(default=0.03, ge=0, lt=1)
    clip: float | None = Field(default=None, gt=0, le=1e12)
    average: float = Field(default=0.995, ge=0, lt=1)
    background: float = Field(default=0.1, ge=0, le=1)
    balance: float = Field(default=0.0, ge=0, le=1)
    augment: Augment = PRESETS["light"]
    precision: Precision | Literal["auto"] = "auto"
    compile: bool = False
    val_images: int = Field(default=32, ge=1, le=10**6)
    tensorboard: bool = False
    start: str | None = None
    seed: int = Field(default=0, ge=0, lt=2**32)

    def precision_on(self, device: torch.device) -> Precision:
        """Return the precision in which a device trains.

        Examples
        --------
        >>> TrainOptions(crop=(8, 8), precision="auto").precision_on(torch.device("mps"))
        '32-true'
        """
        if self.precision != "auto":
            return self.precision
        return "bf16-mixed" if computes_bfloat16(device) else "32-true"

    def rate(self, progress: float) -> float:
        """Return the learning rate at a share of the run in [0, 1].

        Examples
        --------
        >>> options = TrainOptions(crop=(8, 8), warmup=0.1, learning_rate=1.0)
        >>> [round(options.rate(p), 2) for p in (0.05, 0.1, 0.55, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
        """
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        left = 1 - min(1.0, (progress - self.warmup) / (1 - self.warmup))
        falling = {"poly": float(left**0.9), "cosine": 0.5 - 0.5 * math.cos(math.pi * left)}
        return self.learning_rate * falling[self.schedule]
