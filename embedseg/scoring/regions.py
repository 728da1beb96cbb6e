"""Scores of regions between membranes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.labels import label_pieces, overlap_table
from embedseg.types import Labels, Mask


def score_regions(truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    r"""Score the regions of two label images by pairs of pixels and by information.

    Parameters
    ----------
    truth, predicted : (*space) integer ndarray
        Numbers of regions. Pixels are compared where the true number is above 0; there, pixels
        with the predicted number 0 are one region too.

    Returns
    -------
    dict of str to float
        `v_rand`, `v_info` and both with `_split` and `_merge`, from 0 to 1, which is best: regions
        wrongly split lower `_split`, regions wrongly merged `_merge`, and `v_rand` and `v_info` are
        the harmonic means. All are 1 without pixels; a single predicted region is not split, and a
        single true one not merged.

    Notes
    -----
    With the share :math:`p_{ij}` of pixels in predicted region i and true region j [1]_,
    :math:`s_i = \sum_j p_{ij}` and :math:`t_j = \sum_i p_{ij}`,

    .. math::
        V^{Rand}_\alpha = \frac{\sum p_{ij}^2}{\alpha \sum s_i^2 + (1 - \alpha) \sum t_j^2},
        \quad V^{Info}_\alpha = \frac{I(S; T)}{(1 - \alpha) H(S) + \alpha H(T)}

    with mutual information I and entropies H; :math:`\alpha` is 0.5, for `_split` 0, for `_merge`
    1.

    References
    ----------
    .. [1] Arganda-Carreras et al. (2015), equations 3 and 6. doi:10.3389/fnana.2015.00142

    Examples
    --------
    >>> scores = score_regions(np.array([1, 1, 2, 2, 0]), np.array([1, 1, 3, 4, 5]))
    >>> scores["v_rand_split"], scores["v_info_merge"]
    (0.75, 1.0)
    """
    counted = truth > 0
    shared = overlap_table(truth[counted], predicted[counted])[0].tocoo()
    both = shared.data / max(shared.sum(), 1)
    true, pred = np.bincount(shared.row, both), np.bincount(shared.col, both)
    pairs, true_pairs, pred_pairs = ((share**2).sum() for share in (both, true, pred))
    true_bits, pred_bits = (-(share * np.log2(share)).sum() for share in (true, pred))
    split = -(both * np.log2(both / true[shared.row])).sum()  # H(S | T)
    merge = -(both * np.log2(both / pred[shared.col])).sum()  # H(T | S)
    return {
        "v_rand": _rest(true_pairs + pred_pairs - 2 * pairs, true_pairs + pred_pairs),
        "v_rand_split": _rest(true_pairs - pairs, true_pairs),
        "v_rand_merge": _rest(pred_pairs - pairs, pred_pairs),
        "v_info": _rest(split + merge, true_bits + pred_bits),
        "v_info_split": _rest(split, pred_bits),
        "v_info_merge": _rest(merge, true_bits),
    }


def score_thinned_regions(truth: Mask, predicted: Mask, known: Mask) -> dict[str, float]:
    """Score the regions of two masks after border thinning; see `score_classes`.

    Parameters
    ----------
    truth, predicted : (*space) bool ndarray
        Pixels outside the membrane; 2 or 3 axes.
    known : (*space) bool ndarray
        Annotated pixels.

    Returns
    -------
    dict of str to float
        Scores of `score_regions`, and `adapted_rand_error`.

    Examples
    --------
    >>> mask = np.array([[True, False, True]])
    >>> score_thinned_regions(mask, mask, np.ones_like(mask))["v_rand"]
    1.0
    """
    from skimage.metrics import adapted_rand_error

    counted = truth & known
    true, pred = label_pieces(counted), label_pieces(predicted & known)
    scores = score_regions(true, _grow_regions(pred, known))
    counts = overlap_table(true[counted], pred[counted])[0].astype(np.float64)
    # Where no two pixels are in one region, scikit-image divides zero by zero.
    with np.errstate(divide="ignore", invalid="ignore"):
        error = float(adapted_rand_error(table=counts)[0])  # type: ignore[no-untyped-call]
    return scores | {"adapted_rand_error": error if np.isfinite(error) else 0.0}


def _grow_regions(regions: Labels, known: Mask) -> Labels:
    """Grow regions over the rest of the annotated pixels until none is left."""
    from skimage.segmentation import watershed

    level = np.zeros(regions.shape, np.uint8)  # flooded in the order of the distance by faces
    grown = np.asarray(watershed(level, regions, mask=known))  # type: ignore[no-untyped-call]
    unreached = label_pieces(known & (grown == 0))
    return np.where(unreached > 0, unreached + grown.max(initial=0), grown).astype(np.int32)


def _rest(lost: float, whole: float) -> float:
    """Return the share of a whole that is left; 1 if the whole is 0."""
    return float(np.clip(1 - lost / whole, 0, 1)) if whole > 0 else 1.0
