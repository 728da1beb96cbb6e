"""Instance loss of the embedding method, in two equal implementations.

For object k with centre C_k and weights w_kd = exp(scale * mean raw bandwidth over the object),
the likelihood of pixel i is phi_k(i) = exp(-sum_d w_kd ((e_id - C_kd) / unit)^2), and the loss is
the mean over objects of the Lovász hinge of 2 phi_k - 1 against the object's mask (Neven et al.
2019, arXiv:1906.11109; Berman et al. 2018, arXiv:1705.08790).

`literal_instance_loss` is this formula in torch. `instance_loss` on a CPU computes value and
gradient in one pass of compiled code, sorting for each object only the pixels that can matter:

- a pixel outside the object whose likelihood is lost in rounding is left out: below 1e-13, q > 30;
  below 6e-8, q > 16.6, in single precision;
- once every pixel of the object has been passed in order of falling error the Jaccard index is
  one and stays there, so pixels outside whose error is below the least error inside weigh nothing.

On other devices it is `batched_instance_loss`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from embedseg.methods._embedding_loss_dense import Values, dense_loss
from embedseg.methods._embedding_loss_kernels import image_loss
from embedseg.methods.losses import lovasz_hinge

#: By the bytes of a value: the q from which a pixel outside is left out, and the types in which
#: q is sorted.
FAR = {
    8: (30.0, np.dtype(np.float64), np.dtype(np.uint64)),
    4: (16.6, np.dtype(np.float32), np.dtype(np.uint32)),
}


class InstanceLoss(NamedTuple):
    """The parts of the loss over objects.

    Attributes
    ----------
    instance : () Tensor
        Lovász hinge, mean over the objects of an image, then over images.
    smoothness : () Tensor
        Variance of the raw bandwidth inside objects, same means.
    likelihood : (B, *space) Tensor
        phi of each pixel for its own object, 0 elsewhere; carries no gradient.
    """

    instance: Tensor
    smoothness: Tensor
    likelihood: Tensor


def literal_instance_loss(
    embedding: Tensor,
    bandwidth: Tensor,
    labels: Tensor,
    centres: Tensor,
    known: Tensor | None = None,
    *,
    unit: float,
    scale: float,
) -> InstanceLoss:
    """Compute the loss one object at a time, as published.

    Parameters
    ----------
    embedding : (B, ndim, *space) float Tensor
        Coordinate plus offset of each pixel, µm.
    bandwidth : (B, ndim, *space) float Tensor
        Raw bandwidth.
    labels : (B, *space) integer Tensor
        1 to n per image, 0 background, -1 not annotated.
    centres : (B, n, ndim) float Tensor
        Centre of object k at row k - 1, µm.
    known : (B, n, ndim) bool Tensor, optional
        Axes along which it is known; default: all. An unknown axis has no part in q, and of the
        pixels outside only those compete that lie beside the object, within its extent along that
        axis: pixels beyond may belong to it.
    unit, scale : float
        Unit of the weights in µm, and the factor in their exponent.
    """
    likelihood = torch.zeros_like(bandwidth[:, 0])
    instance, smoothness = [], []
    for b in range(len(labels)):
        annotated = labels[b] >= 0
        parts, variances = [], []
        for k in range(1, int(labels[b].max()) + 1 if labels[b].numel() else 1):
            mask = labels[b] == k
            if not mask.any():
                continue
            own = bandwidth[b][:, mask]
            mean = own.mean(dim=1, keepdim=True)
            weight = torch.exp(scale * mean)
            valid = annotated
            if known is not None:
                weight = weight * known[b, k - 1, :, None].to(weight)
                valid = annotated & _beside(mask, known[b, k - 1])
            centre = centres[b, k - 1].to(embedding)[:, None]
            q = (((embedding[b][:, valid] - centre) / unit) ** 2 * weight).sum(dim=0)
            phi = torch.exp(-q)
            parts.append(lovasz_hinge(2 * phi - 1, mask[valid].to(phi)))
            variances.append(((own - mean.detach()) ** 2).mean())
            likelihood[b][mask] = phi.detach()[mask[valid]]
        zero = embedding[b].sum() * 0
        instance.append(torch.stack(parts).mean() if parts else zero)
        smoothness.append(torch.stack(variances).mean() if variances else zero)
    return InstanceLoss(torch.stack(instance).mean(), torch.stack(smoothness).mean(), likelihood)


def _beside(mask: Tensor, known: Tensor) -> Tensor:
    """Return which pixels lie within an object's extent along each axis that is not known."""
    inside = torch.ones_like(mask)
    for axis in range(mask.ndim):
        if not known[axis]:
            there = mask.nonzero()[:, axis]
            at = torch.arange(mask.shape[axis], device=mask.device)
            within = (at >= there.min()) & (at <= there.max())
            inside &= within.reshape([-1 if d == axis else 1 for d in range(mask.ndim)])
    return inside


class _Known(torch.autograd.Function):
    """A loss whose gradient is computed with it: the backward pass only multiplies."""

    @staticmethod
    def forward(
        ctx: Any,
        embedding: Tensor,
        bandwidth: Tensor,
        function: Callable[..., Values],
        labels: Tensor,
        *rest: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:
        shape = embedding.shape
        values = function(embedding.flatten(2), bandwidth.flatten(2), labels, *rest)
        ctx.save_for_backward(*(gradient.reshape(shape) for gradient in values[3:]))
        likelihood = values.likelihood.reshape(labels.shape)
        ctx.mark_non_differentiable(likelihood)
        return values.instance, values.smoothness, likelihood

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        embedding, bandwidth, variance = ctx.saved_tensors
        instance, smoothness = grads[:2]
        both = torch.addcmul(instance * bandwidth, smoothness, variance)
        return instance * embedding, both, *[None] * (len(ctx.needs_input_grad) - 2)


def batched_instance_loss(
    embedding: Tensor,
    bandwidth: Tensor,
    labels: Tensor,
    centres: Tensor,
    known: Tensor | None = None,
    *,
    unit: float,
    scale: float,
    most: int | None = None,
) -> InstanceLoss:
    """Compute the loss of all objects at once, without waiting for the device in between.

    Parameters
    ----------
    embedding, bandwidth, labels, centres, known, unit, scale
        As in `literal_instance_loss`.
    most : int, optional
        Values held at once, objects times pixels; default: what fits the device.
    """
    function = partial(dense_loss, unit=unit, scale=scale, most=most)
    return InstanceLoss(
        *_Known.apply(embedding, bandwidth, function, labels, centres, known)  # type: ignore[no-untyped-call]
    )


def _compiled_loss(
    embedding: Tensor,
    bandwidth: Tensor,
    labels: Tensor,
    centres: Tensor,
    known: Tensor | None,
    *,
    unit: float,
    scale: float,
) -> Values:
    """Compute value and gradient on a CPU, images side by side in threads."""
    batch = len(embedding)
    e, s = (values.detach().contiguous().numpy() for values in (embedding, bandwidth))
    ids = labels.reshape(batch, -1).contiguous().numpy()
    middle = np.ascontiguousarray(centres.numpy(), np.float64)
    axes = np.ones(middle.shape, bool) if known is None else known.numpy() > 0
    sizes = np.array(labels.shape[1:], np.int64)
    steps = np.append(np.cumprod(sizes[:0:-1])[::-1], 1)
    strides = np.stack([steps, sizes], axis=1)
    gradients = [np.zeros_like(e) for _ in range(3)]
    phi = np.zeros_like(e[:, 0])
    far, key, bits = FAR[e.dtype.itemsize]

    def image(b: int) -> tuple[float, float]:
        value: tuple[float, float] = image_loss(
            e[b],
            s[b],
            ids[b],
            middle[b],
            axes[b],
            strides,
            unit,
            scale,
            far,
            gradients[0][b],
            gradients[1][b],
            gradients[2][b],
            phi[b],
            key,
            bits,
        )
        return value

    threads = min(batch, torch.get_num_threads())
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            values = np.array(list(pool.map(image, range(batch))))
    else:
        values = np.array([image(b) for b in range(batch)])
    instance, smoothness = embedding.new_tensor(values.mean(axis=0))
    return Values(
        instance,
        smoothness,
        torch.from_numpy(phi),
        *(torch.from_numpy(gradient).div_(batch) for gradient in gradients),
    )


def instance_loss(
    embedding: Tensor,
    bandwidth: Tensor,
    labels: Tensor,
    centres: Tensor,
    known: Tensor | None = None,
    *,
    unit: float,
    scale: float,
) -> InstanceLoss:
    """Compute the loss by the faster implementation for the device; see `literal_instance_loss`."""
    function: Any = _compiled_loss if embedding.device.type == "cpu" else dense_loss
    function = partial(function, unit=unit, scale=scale)
    return InstanceLoss(
        *_Known.apply(embedding, bandwidth, function, labels, centres, known)  # type: ignore[no-untyped-call]
    )
