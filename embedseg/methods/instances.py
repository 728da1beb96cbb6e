"""What methods that find instances have in common: the smallest object, and the score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedseg.metrics import score
from embedseg.types import DataError

if TYPE_CHECKING:
    from embedseg.stats import Statistics


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
    'smallest object: 12 px, half of the smallest in a hundred'
    """
    return f"smallest object: {size} px, half of the smallest in a hundred"


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
