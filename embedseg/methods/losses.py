"""Losses as pure functions of tensors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def full_precision(values: Tensor) -> Tensor:
    """Return half-precision values as float32, all others as they are.

    Examples
    --------
    >>> full_precision(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def lovasz_hinge(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the Lovász hinge: a convex surrogate of 1 - Jaccard index.

    Pixels are sorted by falling hinge error 1 - logit * sign; each error is weighted with the
    step that the Jaccard loss makes when that pixel joins the wrong ones. Sorted pixel j, with I
    object pixels still right and union U before it, makes a step of 1 / U if it belongs to the
    object and of I / (U (U + 1)) if not. Differences of neighbouring Jaccard losses would say the
    same, but lose their digits on large images.

    Parameters
    ----------
    logits : (*batch, P) float Tensor
        Positive means object. Half precision is computed in float32.
    targets : (*batch, P) Tensor
        Bool, or 0 and 1: what is the object.

    Returns
    -------
    (*batch) Tensor
        One value per object; 0 for P = 0. For an object without pixels the largest error, or 0
        if no error is positive.

    References
    ----------
    Berman, Triki, Blaschko: The Lovász-softmax loss, CVPR 2018, arXiv:1705.08790, algorithm 1.

    Examples
    --------
    At logits of -1 and 1 a right pixel has error 0 and a wrong one error 2, so the loss is twice
    the Jaccard loss; here 1 - 1/3:

    >>> logits = torch.tensor([1.0, 1.0, -1.0, -1.0])
    >>> round(float(lovasz_hinge(logits, torch.tensor([1, 0, 1, 0]))), 4)
    1.3333
    """
    if logits.shape != targets.shape:
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} and targets of shape {tuple(targets.shape)} "
            "must be alike"
        )
    logits = full_precision(logits)
    mine = targets > 0
    errors, order = torch.sort(1 - torch.where(mine, logits, -logits), dim=-1, descending=True)
    return (errors.relu() * _jaccard_steps(mine.gather(-1, order)).to(errors.dtype)).sum(dim=-1)


def masked_bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the binary cross entropy, mean over known pixels of an image, then over images.

    Parameters
    ----------
    logits : (B, *space) float Tensor
    targets : (B, *space) Tensor
        1, 0, or negative where nothing is known.

    Examples
    --------
    >>> round(float(masked_bce(torch.zeros(1, 3), torch.tensor([[1, 0, -1]]))), 4)
    0.6931
    """
    known = (targets >= 0).flatten(1)
    each = binary_cross_entropy_with_logits(
        logits, targets.clamp(min=0).to(logits.dtype), reduction="none"
    ).flatten(1)
    return ((each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)).mean()


def dice(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return 1 minus the soft Dice coefficient over known pixels, mean over images.

    Parameters
    ----------
    probabilities : (B, *space) float Tensor
    targets : (B, *space) Tensor
        1, 0, or negative where nothing is known.

    References
    ----------
    Milletari et al.: V-Net, 3DV 2016, arXiv:1606.04797, equation 3; with 1 added above and below,
    so that what is empty and found empty costs nothing.

    Examples
    --------
    >>> float(dice(torch.tensor([[1.0, 0.0, 0.7]]), torch.tensor([[1, 0, -1]])))
    0.0
    """
    known = (targets >= 0).flatten(1)
    p, t = probabilities.flatten(1) * known, targets.clamp(min=0).flatten(1) * known
    shared = (p * t).sum(dim=1)
    return (1 - (2 * shared + 1) / ((p * p).sum(dim=1) + t.sum(dim=1) + 1)).mean()


def masked_cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor, focal: float = 0.0
) -> Tensor:
    """Return the weighted cross entropy, mean over known pixels of an image, then over images.

    Parameters
    ----------
    logits : (B, n, *space) float Tensor
    targets : (B, *space) int64 Tensor
        Classes 0 to n - 1, or negative where nothing is known.
    weights : (n,) float Tensor
        Of the classes.
    focal : float
        Each pixel also weighs (1 - probability of its class)^focal.

    References
    ----------
    Lin et al.: Focal loss for dense object detection, ICCV 2017, arXiv:1708.02002, equation 4.

    Examples
    --------
    >>> targets = torch.tensor([[1, 0, -1]])
    >>> round(float(masked_cross_entropy(torch.zeros(1, 2, 3), targets, torch.ones(2))), 4)
    0.6931
    >>> round(float(masked_cross_entropy(torch.zeros(1, 2, 3), targets, torch.ones(2), 1.0)), 4)
    0.3466
    """
    known, classes = (targets >= 0).flatten(1), targets.clamp(min=0)
    each = -logits.log_softmax(dim=1).gather(1, classes[:, None])[:, 0]
    if focal:
        each = each * (1 - (-each).exp()) ** focal
    each = (each * weights[classes]).flatten(1)
    return ((each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)).mean()


def multiclass_dice(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return 1 minus the soft Dice coefficient, mean over the classes that occur in the batch.

    Over a batch, not over each image, so that a few pixels of a rare class in one crop do not
    count as much as all of it in another.

    Parameters
    ----------
    probabilities : (B, n, *space) float Tensor
    targets : (B, *space) int64 Tensor
        Classes 0 to n - 1, or negative where nothing is known.

    References
    ----------
    Milletari et al.: V-Net, 3DV 2016, arXiv:1606.04797, equation 3, for each class.

    Examples
    --------
    >>> sure = torch.tensor([[[1.0, 0.0, 0.3], [0.0, 1.0, 0.7]]])
    >>> float(multiclass_dice(sure, torch.tensor([[0, 1, -1]])))
    0.0
    """
    known, count = targets >= 0, probabilities.shape[1]
    shape = (count, -1)
    p = (probabilities * known[:, None]).movedim(1, 0).reshape(shape)
    index = torch.arange(count, device=targets.device).reshape(-1, *[1] * targets.ndim)
    t = (targets == index).reshape(shape)
    there = t.any(dim=1)
    overlap = (2 * (p * t).sum(dim=1) + 1) / ((p * p).sum(dim=1) + t.sum(dim=1) + 1)
    return ((1 - overlap) * there).sum() / there.sum().clamp(min=1)


def _jaccard_steps(mine: Tensor) -> Tensor:
    """Return the growth of the Jaccard loss as sorted pixels, (*batch, P) bool, become wrong."""
    # Counts as integers: float32 ones stop adding up at 2^24. Divided in float32: steps have
    # a relative error of 1e-7 whatever the size of the image (and there is no float64 on MPS).
    total = mine.sum(dim=-1, keepdim=True)
    right = (total - mine.cumsum(dim=-1)).to(_floats(mine))
    union = (total + (~mine).cumsum(dim=-1)).to(_floats(mine))
    # Here `right` and `union` include pixel j; right is unchanged by a pixel outside the object
    # and union by one inside. Without any object pixel the first wrong one costs everything.
    outside = torch.where(union == 1, 1.0, right / ((union - 1).clamp(min=1) * union))
    return torch.where(mine, 1 / union, outside)


def _floats(like: Tensor) -> torch.dtype:
    return torch.float32 if like.device.type == "mps" else torch.float64
