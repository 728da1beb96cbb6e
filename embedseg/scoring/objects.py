"""Scores of objects: AP, PQ, SEG, Rand, VOI.

Everything is computed from one sparse table of overlaps, so the cost follows the number of objects
that touch, not objects x objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedseg.labels import Overlaps, assign_pairs, count_overlaps
from embedseg.types import Indices

if TYPE_CHECKING:
    from scipy import sparse

#: IoU thresholds of all scores.
THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
#: Thresholds that `ap_mean` averages: 0.50, 0.55 ... 0.90.
MEAN_OVER = tuple(f"{t:.2f}" for t in THRESHOLDS[:9])
#: Objects that cover more of the annotated pixels fill an image: VOI and Rand come first.
DENSE = 0.6


@dataclass(frozen=True)
class Scores:
    """Agreement of predicted labels with true ones.

    Without true and predicted objects, every score is 1 and VOI is 0; otherwise a score that would
    divide by zero is 0.

    Attributes
    ----------
    n_true, n_pred : int
        Objects compared.
    tp : dict of str to int
        Matched pairs by IoU threshold, "0.50" to "0.95": one-to-one, as many as possible at
        IoU >= threshold.
    sq : float
        Segmentation quality: mean IoU of the pairs matched at 0.5 [1]_.
    seg : float
        SEG of the Cell Tracking Challenge [2]_: mean over true objects of the IoU with the
        predicted object that covers more than half of them, 0 if there is none.
    aji : float
        Aggregated Jaccard index [3]_: every true object takes the predicted one of highest IoU;
        sum of their intersections over the sum of their unions and of all predicted objects that
        are not taken.
    rand : float
        Adapted Rand F-score [4]_, 1 - `skimage.metrics.adapted_rand_error`, over the pixels of true
        objects. As there, predicted background counts as one segment, so missed pixels are merged:
        many small objects predicted a little too small score low, and a single object that is
        missed altogether scores 1. F1 at 0.5 replaces it where no two pixels can be compared.
    voi_split, voi_merge : float
        Parts of the variation of information [5]_, in bits, from
        `skimage.metrics.variation_of_information`: objects wrongly split and wrongly merged.
        Background counts as a segment. 0 is best.
    covered : float
        Share of the annotated pixels that true objects cover. Above `DENSE`, VOI and Rand are the
        primary scores: objects that touch everywhere are large and winding, and one wrong join
        costs AP two of them, however small the piece.

    References
    ----------
    .. [1] Kirillov et al. (2019), Panoptic segmentation, CVPR. arXiv:1801.00868
    .. [2] Maška et al. (2014), A benchmark for comparison of cell tracking algorithms,
       Bioinformatics 30(11). doi:10.1093/bioinformatics/btu080
    .. [3] Kumar et al. (2017), A dataset and a technique for generalized nuclear segmentation,
       IEEE Trans. Med. Imaging 36(7). doi:10.1109/TMI.2017.2677499
    .. [4] Arganda-Carreras et al. (2015), Crowdsourcing the creation of image segmentation
       algorithms for connectomics, Front. Neuroanat. 9:142. doi:10.3389/fnana.2015.00142
    .. [5] Meilă (2007), Comparing clusterings, J. Multivariate Analysis 98(5).
       doi:10.1016/j.jmva.2006.11.013

    Examples
    --------
    >>> half = score(np.array([[1, 1, 0, 2, 2]]), np.array([[3, 3, 0, 0, 0]]))
    >>> half.ap["0.50"], half.recall["0.50"], half.f1["0.95"], half.seg
    (0.5, 0.5, 0.6666666666666666, 0.5)
    """

    n_true: int
    n_pred: int
    tp: dict[str, int]
    sq: float
    seg: float
    aji: float
    rand: float
    voi_split: float
    voi_merge: float
    covered: float

    @cached_property
    def ap(self) -> dict[str, float]:
        """TP / (TP + FP + FN) by IoU threshold."""
        return self._rates(lambda tp: self.n_true + self.n_pred - tp)

    @cached_property
    def precision(self) -> dict[str, float]:
        """TP / predicted objects by IoU threshold."""
        return self._rates(lambda tp: self.n_pred)

    @cached_property
    def recall(self) -> dict[str, float]:
        """TP / true objects by IoU threshold."""
        return self._rates(lambda tp: self.n_true)

    @cached_property
    def f1(self) -> dict[str, float]:
        """Harmonic mean of precision and recall by IoU threshold."""
        return self._rates(lambda tp: (self.n_true + self.n_pred) / 2)

    @property
    def ap_mean(self) -> float:
        """Mean of `ap` over the thresholds 0.50, 0.55 ... 0.90."""
        return float(np.mean([self.ap[key] for key in MEAN_OVER]))

    @property
    def rq(self) -> float:
        """Recognition quality: F1 at 0.5."""
        return self.f1["0.50"]

    @property
    def pq(self) -> float:
        """Panoptic quality, SQ x RQ, at IoU >= 0.5."""
        return self.sq * self.rq

    @property
    def voi(self) -> float:
        """Variation of information, bits: `voi_split` + `voi_merge`."""
        return self.voi_split + self.voi_merge

    def to_dict(self) -> dict[str, Any]:
        """Return scores and counts, ready for JSON."""
        names = (
            "ap precision recall f1 ap_mean pq sq rq seg aji rand voi voi_split voi_merge covered "
            "n_true n_pred"
        )
        return {name: getattr(self, name) for name in names.split()}

    def _rates(self, whole: Callable[[int], float]) -> dict[str, float]:
        return {key: rate(tp, whole(tp), self.n_true + self.n_pred) for key, tp in self.tp.items()}


def rate(part: float, whole: float, objects: int) -> float:
    """Return part / whole; 0 if the whole is 0, but 1 without any objects.

    Examples
    --------
    >>> rate(1, 2, 3), rate(0, 0, 3), rate(0, 0, 0)
    (0.5, 0.0, 1.0)
    """
    if not objects:
        return 1.0
    return float(part / whole) if whole else 0.0


def score(
    truth: NDArray[Any], predicted: NDArray[Any], *, thresholds: Sequence[float] = ()
) -> Scores:
    """Compare predicted labels with true ones.

    Parameters
    ----------
    truth : (*space) integer ndarray
        0 is background. Pixels with -1 are not annotated: planes along any axis that hold nothing
        else are removed, so that annotated slices, or a box, are compared as separate images. Then
        predicted objects mostly on -1 do not count, and the rest is compared on the other pixels.
    predicted : (*space) integer ndarray
        0 and below are background.
    thresholds : sequence of float
        IoU thresholds beyond 0.50, 0.55 ... 0.95, above 0.

    Raises
    ------
    DataError
        For different shapes, or values that are not labels.

    Examples
    --------
    >>> score(np.array([[1, 1, 0, 2]]), np.array([[5, 5, 0, 4]])).pq
    1.0
    """
    overlaps = count_overlaps(truth, predicted)
    ious = overlaps.ious
    pairs = {f"{t:.2f}": assign_pairs(ious, t) for t in sorted({*thresholds, *THRESHOLDS})}
    tp = {key: len(matched) for key, matched in pairs.items()}
    n_true, n_pred = len(overlaps.true_sizes), len(overlaps.pred_sizes)
    objects, matched = n_true + n_pred, pairs["0.50"]
    split, merge = _voi(overlaps.shared)
    return Scores(
        n_true,
        n_pred,
        tp,
        sq=rate(ious[matched[:, 0], matched[:, 1]].sum(), len(matched), objects),
        seg=_seg(overlaps),
        aji=_aji(overlaps),
        rand=_rand(overlaps.shared, instead=rate(2 * len(matched), objects, objects)),
        voi_split=split,
        voi_merge=merge,
        covered=float(overlaps.true_sizes.sum() / max(1, overlaps.shared.sum())),
    )


def object_cover(truths: Iterable[NDArray[Any]]) -> float:
    """Return the share of the annotated pixels of some images that objects cover.

    Examples
    --------
    >>> object_cover([np.array([1, 1, 0, -1]), np.array([-1, 4])])
    0.75
    """
    counts = [(int((each > 0).sum()), int((each >= 0).sum())) for each in truths]
    return sum(objects for objects, _ in counts) / max(1, sum(known for _, known in counts))


def match_objects(truth: NDArray[Any], predicted: NDArray[Any], threshold: float = 0.5) -> Indices:
    """Match true and predicted objects one to one at IoU >= threshold.

    Parameters
    ----------
    truth, predicted : (*space) integer ndarray
        Labels, as `score` takes them.
    threshold : float
        IoU, above 0.

    Returns
    -------
    (k, 2) int64 ndarray
        True and predicted label of each pair; as many pairs as possible, and among such pairings
        one with the largest sum of IoU.

    Examples
    --------
    >>> match_objects(np.array([[1, 1, 0, 2]]), np.array([[5, 5, 4, 0]]))
    array([[1, 5]])
    """
    return _match(count_overlaps(truth, predicted), threshold)


def find_errors(
    truth: NDArray[Any], predicted: NDArray[Any], threshold: float = 0.5
) -> tuple[Indices, Indices]:
    """Return which true labels are missed and which predicted ones are spurious.

    Predicted objects mostly outside annotated pixels do not count.

    Parameters
    ----------
    truth, predicted, threshold
        As for `match_objects`.

    Returns
    -------
    (m,) and (s,) int64 ndarray
        Labels, ascending.

    Examples
    --------
    >>> find_errors(np.array([[1, 1, 0, 2, -1]]), np.array([[5, 5, 4, 0, 6]]))
    (array([2]), array([4]))
    """
    overlaps = count_overlaps(truth, predicted)
    true, pred = _match(overlaps, threshold).T
    return np.setdiff1d(overlaps.true_ids, true), np.setdiff1d(overlaps.pred_ids, pred)


def _match(overlaps: Overlaps, threshold: float) -> Indices:
    pairs = assign_pairs(overlaps.ious, threshold)
    return np.stack([overlaps.true_ids[pairs[:, 0]], overlaps.pred_ids[pairs[:, 1]]], axis=1)


def _seg(overlaps: Overlaps) -> float:
    entries = overlaps.shared[1:, 1:].tocoo()
    size = overlaps.true_sizes[entries.row]
    value = entries.data / (size + overlaps.pred_sizes[entries.col] - entries.data)
    n_true, n_pred = len(overlaps.true_sizes), len(overlaps.pred_sizes)
    return rate(value[2 * entries.data > size].sum(), n_true, n_true + n_pred)


def _aji(overlaps: Overlaps) -> float:
    entries = overlaps.shared[1:, 1:].tocoo()
    union = overlaps.true_sizes[entries.row] + overlaps.pred_sizes[entries.col] - entries.data
    order = np.lexsort((entries.col, -entries.data / union, entries.row))
    taken, first = np.unique(entries.row[order], return_index=True)
    best = order[first]
    alone = np.delete(overlaps.true_sizes, taken).sum()
    unused = np.delete(overlaps.pred_sizes, np.unique(entries.col[best])).sum()
    return rate(
        entries.data[best].sum(),
        union[best].sum() + alone + unused,
        len(overlaps.true_sizes) + len(overlaps.pred_sizes),
    )


def _rand(shared: sparse.csr_array, instead: float) -> float:
    from skimage.metrics import adapted_rand_error

    # Objects of one pixel have no pair of pixels: scikit-image divides zero by zero.
    with np.errstate(divide="ignore", invalid="ignore"):
        counts = shared[1:].astype(np.float64)
        error = adapted_rand_error(table=counts)[0]  # type: ignore[no-untyped-call]
    return float(1 - error) if np.isfinite(error) else instead


def _voi(shared: sparse.csr_array) -> tuple[float, float]:
    from skimage.metrics import variation_of_information

    if not shared.sum():
        return 0.0, 0.0
    # scikit-image reads the shapes of the images even if it gets their table.
    image = np.zeros(1, np.int64)
    parts = variation_of_information(  # type: ignore[no-untyped-call]
        image, image, table=shared / shared.sum()
    )
    return abs(float(parts[0])), abs(float(parts[1]))
