"""Instance methods: smallest object, scores, confidence."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from embedseg.methods.base import Method
from embedseg.methods.confidence import gather_evidence, learn_weights, probability
from embedseg.scoring import ObjectScoring, score
from embedseg.types import DataError, Segmentation, UsageError

if TYPE_CHECKING:
    from embedseg.data import Statistics


class InstanceMethod(Method, ABC):
    """A method that finds objects, each with a score.

    Its subclasses implement `plan`, `reasons`, `maps`, `targets`, `init_head`, `loss`, `decode` and
    `search_space`; `decode` ends with `judged`.

    Attributes
    ----------
    min_object_size : int
        Objects need more pixels than this.
    confidence : tuple of float, optional
        Weights of the evidence for an object in its score, learned when decode options are tuned;
        see `embedseg.methods.confidence`. Default: the preliminary score of `decode`.
    min_score : float
        Objects with a lower score are left out.
    """

    primary: ClassVar[str] = "ap_mean"

    min_object_size: int = Field(
        default=0, ge=0, le=10**12, description="Objects need more pixels than this."
    )
    confidence: tuple[Annotated[float, Field(ge=-1e9, le=1e9)], ...] | None = None
    min_score: float = Field(
        default=0.0, ge=0, le=1, description="Objects with a lower score are left out."
    )

    @final
    def in_blocks(self, pieces: bool) -> Self:
        """Return the method for objects of any score, and of any size where they are pieces."""
        any_size = {"min_object_size": 0} if pieces else {}
        return self.model_copy(update={"min_score": 0.0, **any_size})

    @final
    def keeps(self, table: Mapping[str, NDArray[Any]], pieces: bool) -> NDArray[np.bool_]:
        """Return which objects reach the lowest score and, joined of pieces, exceed the size."""
        keep = self._above_min_score(table)
        return keep & (table["size"] > self.min_object_size) if pieces else keep

    @final
    def judged(self, labels: NDArray[np.int32], objects: dict[str, NDArray[Any]]) -> Segmentation:
        """Score objects by the evidence for them, and drop those with a low score.

        `objects` holds a preliminary `score`, and `evidence`, (n, k).
        """
        if self.confidence is not None:
            expected = objects["evidence"].shape[1] + 1
            if len(self.confidence) != expected:
                raise UsageError(
                    f"method.confidence: {len(self.confidence)} weights, expected {expected}; "
                    "tuning learns them"
                )
            objects["score"] = probability(objects["evidence"], self.confidence)
        keep = self._above_min_score(objects)
        if keep.all():
            return Segmentation(labels, objects)
        names = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)
        return Segmentation(names[labels], {name: values[keep] for name, values in objects.items()})

    def _above_min_score(self, table: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        return np.asarray(table["score"] >= np.float32(self.min_score))

    @final
    def score(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """Return the mean AP over IoU 0.50 to 0.90, and AP at 0.50."""
        return instance_scores(truth, predicted)

    @final
    def adjustable(self) -> dict[str, Sequence[Any]]:
        """Return the options that tuning varies, and the lowest score."""
        return {**self.search_space(), "min_score": (0.0, 0.25, 0.5, 0.75, 0.9)}

    @final
    def calibrated(
        self, segmentations: Sequence[Segmentation], truths: Sequence[NDArray[Any]]
    ) -> Self:
        """Learn the weights of the evidence from annotated images."""
        return self.model_copy(
            update={"confidence": learn_weights(*gather_evidence(segmentations, truths))}
        )

    @final
    def scoring(self) -> ObjectScoring:
        """Score objects."""
        return ObjectScoring()

    @final
    @property
    def colours(self) -> Mapping[str, str]:
        """None: labels are objects."""
        return {}


def smallest_object(stats: Statistics) -> int:
    """Return the smallest size of an object, in pixels: half of the 1st percentile.

    Raises
    ------
    DataError
        If there is no object.
    """
    if not len(stats.volumes):
        raise DataError(
            "the training masks hold no object whose extent is known: all labels are 0 or -1, or "
            "meet pixels that are not annotated (-1); set pixels of the background to 0"
        )
    return int(np.percentile(stats.volumes, 1) / 2)


def describe_smallest(size: int) -> str:
    """Describe the choice of `smallest_object`.

    Examples
    --------
    >>> describe_smallest(12)
    'smallest object: 12 px (planned: half of the smallest in a hundred)'
    """
    return f"smallest object: {size} px (planned: half of the smallest in a hundred)"


def sizes_to_try(size: int) -> tuple[int, ...]:
    """Return the sizes that tuning tries, the planned one among them.

    Examples
    --------
    >>> sizes_to_try(12), sizes_to_try(0)
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
