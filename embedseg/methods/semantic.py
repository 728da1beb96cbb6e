"""Semantic method: a probability for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from embedseg.common import unknown_name
from embedseg.data import default_colour
from embedseg.methods.base import MOST_WEIGHT, JoinName, Method
from embedseg.methods.losses import full_precision, masked_cross_entropy, multiclass_dice
from embedseg.methods.transfer import Transfer
from embedseg.scoring import ClassScoring
from embedseg.types import NOT_ANNOTATED, DataError, Maps, MapSpec, Segmentation, Spacing

if TYPE_CHECKING:
    from embedseg.data import Statistics

#: Names of a class that separates the pieces of the others, unless `membrane` names one.
MEMBRANES = ("membrane", "membranes")


@final
class _SameClasses(Transfer["Semantic"]):
    """Channels that follow the names of the classes."""

    def adopt_head(
        self, head: nn.Module, specs: Sequence[MapSpec], old: Semantic, new: Semantic
    ) -> None:
        weight, bias = head.weight, head.bias
        assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
        with torch.no_grad():
            # Transposed convolutions have the outputs on the second axis.
            outputs = weight.movedim(int(isinstance(head, _ConvTransposeNd)), 0)
            for values in (outputs, bias):
                before = values.clone()
                for k, name in enumerate(new.names):
                    # A new class begins as the mean of all.
                    known = name in old.names
                    values[k] = before[old.names.index(name)] if known else before.mean(dim=0)

    def translate(self, maps: Maps, old: Semantic, new: Semantic) -> Maps:
        return maps


class Semantic(Method):
    """A class for every pixel; 0 is a class like any other.

    Attributes
    ----------
    names, palette : tuple of str
        Names of the classes, and their colours "#rrggbb"; from the data.
    frequencies : tuple of float
        Share of the training pixels that belong to each class; from the data.
    weighting : {"none", "inverse", "median"}
        How classes weigh in the cross entropy: alike; as 1 / frequency, so that pixels weigh 1 on
        average; or as the median of the frequencies over theirs, so that a class in the middle
        weighs 1 (Eigen, Fergus 2015).
    most_weight : float
        Largest weight of a class.
    dice_weight : float
        Weight of the Dice part of the loss.
    focal : float
        Exponent of the focal loss (Lin et al. 2017): cross entropy weighs (1 - p)^focal, so that
        pixels that are right already count less; 0 is plain cross entropy.
    membrane : str, optional
        Name of the class that separates the pieces of the others, which are then scored too.
        Default: the class called membrane, if any.
    regions : {"planes", "volume"}
        Whether these pieces are sought in each plane of a volume, as in stacks of thick sections,
        or in the whole of it.
    tilt : float
        A class's probability is multiplied by its frequency^-tilt before the likeliest is taken:
        0 is the likeliest class, 1 treats classes as if they were equally frequent.

    References
    ----------
    Eigen, Fergus: Predicting depth, surface normals and semantic labels, ICCV 2015,
    arXiv:1411.4734. Lin et al.: Focal loss for dense object detection, ICCV 2017, arXiv:1708.02002.

    Examples
    --------
    >>> method = Semantic(names=("cell", "membrane"), membrane="membrane")
    >>> method.maps(ndim=2)[0].channels, method.scoring().membrane
    (2, 1)
    """

    type: Literal["semantic"] = "semantic"
    primary: ClassVar[str] = "iou_mean"
    reads: ClassVar[Literal["objects", "classes"]] = "classes"
    anywhere: ClassVar[float] = 0.67
    join: ClassVar[JoinName] = "none"
    transfer: ClassVar[Transfer[Any]] = _SameClasses()

    names: tuple[str, ...] = ("0", "1")
    palette: tuple[str, ...] = ()
    frequencies: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    weighting: Literal["none", "inverse", "median"] = "none"
    most_weight: float = Field(default=10.0, ge=1, le=MOST_WEIGHT)
    dice_weight: float = Field(default=1.0, ge=0, le=MOST_WEIGHT)
    focal: float = Field(default=0.0, ge=0, le=100)
    membrane: str | None = None
    regions: Literal["planes", "volume"] = "planes"
    tilt: float = Field(
        default=0.0,
        ge=-2,
        le=2,
        description="Favours rare classes: 0 takes the likeliest, 1 "
        "treats all as if they were equally frequent.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for field in ("palette", "frequencies"):
            if len(values := getattr(self, field)) not in (0, len(self.names)):
                raise ValueError(f"{field}: {len(values)} values for {len(self.names)} classes")
        if len(self.names) < 2:
            raise ValueError(f"names: {len(self.names)} class(es), expected two or more")
        if self.membrane is not None and self.membrane not in self.names:
            raise ValueError(f"membrane: {unknown_name('class', self.membrane, self.names)}")
        return self

    def plan(self, stats: Statistics) -> Self:
        """Take the classes and their frequencies from the data.

        Raises
        ------
        DataError
            If the masks were not read as classes, or one class never occurs.
        """
        if not stats.classes:
            raise DataError("the masks were read as objects, not as classes (data.classes)")
        for each, share in zip(stats.classes, stats.frequencies, strict=True):
            if share == 0:
                raise DataError(
                    f"no pixel of the training masks belongs to the class {each.name} "
                    f"(values {', '.join(map(str, each.values))}); leave it out"
                )
        names = tuple(each.name for each in stats.classes)
        called = [name for name in names if name.lower() in MEMBRANES]
        return self.model_copy(
            update={
                "names": names,
                "palette": tuple(each.colour for each in stats.classes),
                "frequencies": tuple(round(share, 6) for share in stats.frequencies),
                "membrane": self.membrane if self.membrane in names else next(iter(called), None),
                # A net of planes, though their pixels are square, knows nothing of what joins them.
                "regions": "volume"
                if stats.ndim == 3 and max(stats.spacing) <= 2 * min(stats.spacing)
                else "planes",
            }
        )

    def reasons(self, unit: str) -> list[str]:
        """Describe the weights of the classes and the scoring of regions."""
        lines = []
        if self.weighting != "none":
            lines = [
                "classes weigh "
                + ", ".join(
                    f"{name} {weight:.2f}"
                    for name, weight in zip(self.names, self.weights(), strict=True)
                )
            ]
        if self.membrane:
            lines.append(f"regions between pixels of the class {self.membrane} are scored too")
        return lines

    def weights(self) -> tuple[float, ...]:
        """Return the weight of each class in the cross entropy.

        Examples
        --------
        >>> Semantic(frequencies=(0.8, 0.2), weighting="inverse").weights()
        (0.625, 2.5)
        """
        shares = np.array(self.frequencies or (1 / len(self.names),) * len(self.names))
        whole = {"none": shares, "inverse": 1 / len(shares), "median": np.median(shares)}
        weights = whole[self.weighting] / np.maximum(shares, 1e-9)
        # A very rare class must not outweigh the others.
        return tuple(np.minimum(weights, self.most_weight).tolist())

    def maps(self, ndim: int) -> tuple[MapSpec, ...]:
        """Return one probability per class, from one branch."""
        return (MapSpec("probability", "scalar", len(self.names), "softmax", average="activated"),)

    def targets(self, labels: NDArray[np.int32], spacing: Spacing) -> dict[str, Tensor]:
        """Return the classes, (*space) int64; -1 where not annotated."""
        return {"classes": torch.from_numpy(np.maximum(labels, NOT_ANNOTATED).astype(np.int64))}

    def init_head(self, head: nn.Module, specs: Sequence[MapSpec]) -> None:
        """Start with the classes' frequencies."""
        weight, bias = head.weight, head.bias
        assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
        shares = torch.tensor(self.frequencies or (1.0,) * len(self.names))
        with torch.no_grad():
            bias.copy_(torch.log(shares.clamp(min=1e-4)))

    def loss(
        self, raw: Tensor, targets: Mapping[str, Tensor], spacing: Spacing
    ) -> dict[str, Tensor]:
        """Return cross entropy (or focal loss) plus Dice loss over all classes."""
        raw, classes = full_precision(raw), targets["classes"]
        entropy = masked_cross_entropy(raw, classes, raw.new_tensor(self.weights()), self.focal)
        overlap = multiclass_dice(raw.softmax(dim=1), classes)
        return {"entropy": entropy, "dice": overlap, "total": entropy + self.dice_weight * overlap}

    def decode(self, maps: Maps) -> Segmentation:
        """Take the class of the highest probability, tilted towards rare ones."""
        raw = maps.raw("probability").astype(np.float32)
        if self.tilt and self.frequencies:
            # The logarithm of the softmax is the raw output up to a constant.
            shift = -self.tilt * np.log(np.maximum(self.frequencies, 1e-6))
            raw = raw + shift.astype(np.float32).reshape(-1, *[1] * (raw.ndim - 1))
        return Segmentation(raw.argmax(axis=0).astype(np.int32))

    def score(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """Return the mean IoU over the classes that occur, and the share of right pixels."""
        scores = ClassScoring(self.names).compare(truth, predicted)
        return {"iou_mean": scores.iou_mean, "accuracy": scores.accuracy}

    def scoring(self) -> ClassScoring:
        """Score classes."""
        return ClassScoring(
            self.names,
            self.names.index(self.membrane) if self.membrane else None,
            self.regions == "planes",
        )

    @property
    def colours(self) -> Mapping[str, str]:
        """Names of the classes and their colours."""
        palette = self.palette or tuple(map(default_colour, range(len(self.names))))
        return dict(zip(self.names, palette, strict=True))

    def search_space(self) -> dict[str, Sequence[Any]]:
        """Vary how much rare classes are favoured."""
        return {"tilt": (-0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8)}

    def adjustable(self) -> dict[str, Sequence[Any]]:
        """Return the options that tuning varies."""
        return self.search_space()

    def in_blocks(self, pieces: bool) -> Self:
        """Return the method: pixels are decoded one by one."""
        return self

    def keeps(self, table: Mapping[str, NDArray[Any]], pieces: bool) -> NDArray[np.bool_]:
        """Return that all rows stay; classes have no table of objects."""
        return np.ones(len(table["size"]), bool)

    def calibrated(
        self, segmentations: Sequence[Segmentation], truths: Sequence[NDArray[Any]]
    ) -> Self:
        """Return the method: classes have no scores of objects."""
        return self
