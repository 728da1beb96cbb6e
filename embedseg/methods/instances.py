"""What instance methods share: smallest object, scores, confidence."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from embedseg.methods.base import Method
from embedseg.methods.confidence import gathered, learn, probability
from embedseg.scoring import score
from embedseg.types import DataError, Segmentation

if TYPE_CHECKING:
    from embedseg.data import Statistics


class InstanceMethod(Method, ABC):
    """A method that finds objects, and says of each how sure it is.

    Attributes
    ----------
    min_object_size : int
        Objects need more pixels than this.
    confidence : tuple of float, optional
        Weights of the evidence for an object in its score, learned when decode options are tuned;
        see `embedseg.methods.confidence`. Without them the score is what the method puts out.
    min_score : float
        Objects with a lower score are left out.
    """

    primary: ClassVar[str] = "ap_mean"

    min_object_size: int = Field(default=0, ge=0, description="Objects need more pixels than this.")
    confidence: tuple[float, ...] | None = None
    min_score: float = Field(
        default=0.0, ge=0, le=1, description="Objects with a lower score are left out."
    )

    def score(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """Return the mean AP over IoU 0.50 to 0.90, and AP at 0.50."""
        return instance_scores(truth, predicted)

    def calibrated(self, found: Sequence[Segmentation], truths: Sequence[NDArray[Any]]) -> Self:
        """Learn from annotated images what the evidence for an object is worth."""
        return self.model_copy(update={"confidence": learn(*gathered(found, truths))})

    def adjustable(self) -> dict[str, Sequence[Any]]:
        """Return what tuning may vary, and the score from which on objects are kept."""
        return {**self.search_space(), "min_score": (0.0, 0.25, 0.5, 0.75, 0.9)}

    def in_blocks(self) -> Self:
        """Keep objects of any score: that of one which is cut by a block is another."""
        return self.model_copy(update={"min_score": 0.0})

    def keeps(self, table: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """Return which objects have a score that is high enough."""
        return np.asarray(table["score"] >= np.float32(self.min_score))

    def judged(self, labels: NDArray[np.int32], objects: dict[str, NDArray[Any]]) -> Segmentation:
        """Give objects their score by the evidence for them, and drop those with a low one.

        `objects` holds a `score` to begin with, and `evidence`, (n, k).
        """
        if self.confidence is not None:
            objects["score"] = probability(objects["evidence"], self.confidence)
        keep = InstanceMethod.keeps(self, objects)
        if keep.all():
            return Segmentation(labels, objects)
        names = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)
        return Segmentation(names[labels], {name: values[keep] for name, values in objects.items()})


def smallest_object(stats: Statistics) -> int:
    """Return the size from which on pixels are an object: half of the smallest in a hundred.

    Raises
    ------
    DataError
        If there is no object.
    """
    if not len(stats.volumes):
        raise DataError("the training masks hold no object; all labels are 0 or -1")
    return int(np.percentile(stats.volumes, 1) / 2)


def smallest_in_words(size: int) -> str:
    """Say what `smallest_object` chose.

    Examples
    --------
    >>> smallest_in_words(12)
    'smallest object: 12 px (planned: half of the smallest in a hundred)'
    """
    return f"smallest object: {size} px (planned: half of the smallest in a hundred)"


def smallest_to_try(size: int) -> tuple[int, ...]:
    """Return the sizes that tuning tries beside the planned one.

    Examples
    --------
    >>> smallest_to_try(12), smallest_to_try(0)
    ((0, 12, 24), (0,))
    """
    return tuple(sorted({0, size, 2 * size}))


def instance_scores(truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    """Return the mean AP over IoU 0.50 to 0.90, and AP at 0.50.

    Examples
    --------
    >>> instance_scores(np.array([[0, 1]]), np.array([[0, 2]]))
    {'ap_mean': 1.0, 'ap_50': 1.0}
    """
    scores = score(truth, predicted)
    return {"ap_mean": scores.ap_mean, "ap_50": scores.ap["0.50"]}
