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

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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


def batched_instance_loss(
    embedding: Tensor,
    bandwidth: Tensor,
    labels: Tensor,
    centres: Tensor,
    known: Tensor | None = None,
    *,
    unit: float,
    scale: float,
    most: int = 2**24,
) -> InstanceLoss:
    """Compute the loss of many objects at once, without waiting for the device in between.

    Parameters
    ----------
    embedding, bandwidth, labels, centres, known, unit, scale
        As in `literal_instance_loss`.
    most : int
        Values held at once, objects times pixels.
    """
    batch, ndim = embedding.shape[:2]
    count, pixels = centres.shape[1], labels[0].numel()
    shape = labels.shape[1:]
    numbers = torch.arange(1, count + 1, device=labels.device)
    places = [
        axis.reshape(-1)
        for axis in torch.meshgrid(
            *(torch.arange(n, device=labels.device) for n in shape), indexing="ij"
        )
    ]
    instance, smoothness, likelihood = [], [], []
    for b in range(batch):
        e, s, ids = embedding[b].flatten(1), bandwidth[b].flatten(1), labels[b].flatten()
        own = ids.clamp(min=0)
        sizes = s.new_zeros(count + 1).index_add(0, own, s.new_ones(pixels))
        means = s.new_zeros(ndim, count + 1).index_add(1, own, s) / sizes.clamp(min=1)
        there = sizes[1:] > 0
        present = there.sum().clamp(min=1)
        away = (s - means.detach()[:, own]) ** 2 / (ndim * sizes[own].clamp(min=1))
        smoothness.append((away * (ids > 0)).sum() / present)
        axes = there.new_ones(count, ndim) if known is None else known[b] > 0
        weight = torch.exp(scale * means[:, 1:].T) / unit**2 * axes
        parts, phi = [], s.new_zeros(pixels)
        for at in range(0, count, max(1, most // max(pixels, 1))):
            now = slice(at, at + max(1, most // max(pixels, 1)))
            mine = ids == numbers[now, None]
            valid = ids >= 0
            for d in range(ndim):
                # Along an axis that is not known, only pixels beside the object compete.
                low = torch.where(mine, places[d], shape[d]).amin(dim=1, keepdim=True)
                high = torch.where(mine, places[d], -1).amax(dim=1, keepdim=True)
                beside = (places[d] >= low) & (places[d] <= high)
                valid = valid & (axes[now, d, None] | beside)
            middle = centres[b, now].to(e)
            q = torch.stack(
                [weight[now, d, None] * (e[d] - middle[:, d, None]) ** 2 for d in range(ndim)]
            ).sum(dim=0)
            chance = torch.exp(-q)
            hinge = lovasz_hinge(torch.where(valid, 2 * chance - 1, -3.0), mine)
            parts.append((hinge * there[now]).sum())
            phi = phi + (chance.detach() * mine).sum(dim=0)
        instance.append(sum(parts, e.sum() * 0) / present)
        likelihood.append(phi.reshape(shape))
    return InstanceLoss(
        torch.stack(instance).mean(), torch.stack(smoothness).mean(), torch.stack(likelihood)
    )


class _Compiled(torch.autograd.Function):
    """Value and gradient at once: the backward pass only multiplies."""

    @staticmethod
    def forward(
        ctx: Any,
        embedding: Tensor,
        bandwidth: Tensor,
        labels: Tensor,
        centres: Tensor,
        known: Tensor | None,
        unit: float,
        scale: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        batch, ndim = embedding.shape[:2]

        def flat(tensor: Tensor) -> NDArray[Any]:
            return tensor.detach().reshape(batch, ndim, -1).contiguous().numpy()

        e, s = flat(embedding), flat(bandwidth)
        ids = labels.reshape(batch, -1).contiguous().numpy()
        middle = np.ascontiguousarray(centres.numpy(), np.float64)
        axes = np.ones(middle.shape, bool) if known is None else known.numpy() > 0
        sizes = np.array(labels.shape[1:], np.int64)
        steps = np.append(np.cumprod(sizes[:0:-1])[::-1], 1)
        strides = np.stack([steps, sizes], axis=1)
        grad_e, grad_s, grad_v = (np.zeros_like(e) for _ in range(3))
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
                grad_e[b],
                grad_s[b],
                grad_v[b],
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
        shape = embedding.shape
        ctx.save_for_backward(
            *(torch.from_numpy(g).reshape(shape) / batch for g in (grad_e, grad_s, grad_v))
        )
        likelihood = torch.from_numpy(phi).reshape(labels.shape)
        ctx.mark_non_differentiable(likelihood)
        instance, smoothness = embedding.new_tensor(values.mean(axis=0))
        return instance, smoothness, likelihood

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_e, grad_s, grad_v = ctx.saved_tensors
        instance, smoothness = grads[:2]
        both = instance * grad_s + smoothness * grad_v
        return instance * grad_e, both, None, None, None, None, None


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
    if embedding.device.type != "cpu":
        return batched_instance_loss(
            embedding, bandwidth, labels, centres, known, unit=unit, scale=scale
        )
    return InstanceLoss(
        *_Compiled.apply(  # type: ignore[no-untyped-call]
            embedding, bandwidth, labels, centres, known, unit, scale
        )
    )
