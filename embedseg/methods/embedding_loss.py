"""The instance part of the embedding loss, equal in value and gradient in two implementations.

For object k with centre C_k and weights w_kd = exp(scale * mean raw bandwidth over the object),
the likelihood of pixel i is phi_k(i) = exp(-sum_d w_kd ((e_id - C_kd) / unit)^2), and the loss is
the mean over objects of the Lovász hinge of 2 phi_k - 1 against the object's mask (Neven et al.
2019, arXiv:1906.11109; Berman et al. 2018, arXiv:1705.08790).

`literal_instance_loss` says so in torch, for any device. `instance_loss` on a CPU computes value
and gradient in one pass of compiled code, sorting for each object only the pixels that can matter:

- a pixel outside the object with q > 30 has a likelihood below 1e-13 and is left out;
- once every pixel of the object has been passed in order of falling error the Jaccard index is
  one and stays there, so pixels outside whose error is below the least error inside weigh nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embedseg.losses import lovasz_hinge

FAR = 30.0


class InstanceLoss(NamedTuple):
    """Parts of the loss that speak of objects.

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
    embedding: Tensor, bandwidth: Tensor, labels: Tensor, centres: Tensor, *,
    unit: float, scale: float,
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
            centre = centres[b, k - 1].to(embedding)[:, None]
            q = (((embedding[b][:, annotated] - centre) / unit) ** 2 * weight).sum(dim=0)
            phi = torch.exp(-q)
            parts.append(lovasz_hinge(2 * phi - 1, mask[annotated].to(phi)))
            variances.append(((own - mean.detach()) ** 2).mean())
            likelihood[b][mask] = phi.detach()[mask[annotated]]
        zero = embedding[b].sum() * 0
        instance.append(torch.stack(parts).mean() if parts else zero)
        smoothness.append(torch.stack(variances).mean() if variances else zero)
    return InstanceLoss(torch.stack(instance).mean(), torch.stack(smoothness).mean(), likelihood)


@numba.njit(cache=True, nogil=True)
def _members(labels: Any, count: int) -> Any:
    """List the pixels of each object: ends of its run in the second array."""
    ends = np.zeros(count + 1, np.int64)
    for label in labels:
        if label > 0:
            ends[label] += 1
    ends = np.cumsum(ends)
    pixels = np.empty(ends[-1], np.int64)
    fill = ends[:-1].copy()
    for i in range(labels.size):
        if labels[i] > 0:
            pixels[fill[labels[i] - 1]] = i
            fill[labels[i] - 1] += 1
    return ends, pixels


@numba.njit(cache=True, nogil=True)
def _gather(
    e: Any, labels: Any, k: int, centre: Any, weight: Any, own: Any, errors: Any, where: Any
) -> int:
    """Put the errors of the object's pixels, then of the others that matter, into buffers."""
    ndim, pixels = e.shape
    count = 0
    least = 2.0
    for i in own:
        q = 0.0
        for d in range(ndim):
            q += (e[d, i] - centre[d]) ** 2 * weight[d]
        errors[count] = 2.0 * (1.0 - np.exp(-q))
        where[count] = i
        least = min(least, errors[count])
        count += 1
    far = FAR if least <= 0.0 else min(FAR, -np.log(0.5 * least))
    for i in range(pixels):
        q = (e[0, i] - centre[0]) ** 2 * weight[0]
        for d in range(1, ndim):
            q += (e[d, i] - centre[d]) ** 2 * weight[d]
        if q <= far and labels[i] != k and labels[i] >= 0:
            errors[count] = 2.0 * np.exp(-q)
            where[count] = i
            count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _image(e: Any, s: Any, labels: Any, centres: Any, unit: float, scale: float,
           grad_e: Any, grad_s: Any, grad_v: Any, phi: Any) -> Any:
    """Value of both parts for one image; gradients and likelihoods into the last four arrays."""
    ndim, pixels = e.shape
    total = max(0, labels.max())
    ends, members = _members(labels, total)
    present = 0
    for k in range(total):
        present += ends[k + 1] > ends[k]
    if present == 0:
        return 0.0, 0.0
    errors = np.empty(pixels, e.dtype)
    where = np.empty(pixels, np.int64)
    weight = np.empty(ndim, np.float64)
    hinge, variance = 0.0, 0.0
    for k in range(total):
        own = members[ends[k] : ends[k + 1]]
        n = own.size
        if n == 0:
            continue
        for d in range(ndim):
            mean = 0.0
            for i in own:
                mean += s[d, i]
            mean /= n
            weight[d] = np.exp(scale * mean) / unit**2
            for i in own:
                variance += (s[d, i] - mean) ** 2 / (n * ndim * present)
                grad_v[d, i] = 2.0 * (s[d, i] - mean) / (n * ndim * present)
        count = _gather(e, labels, k + 1, centres[k], weight, own, errors, where)
        for j in range(n):
            phi[own[j]] = 1.0 - 0.5 * errors[j]
        order = np.argsort(-errors[:count])
        inside, outside, before = n, 0, 0.0
        push = np.zeros(ndim)
        for j in order:
            mine = j < n
            if mine:
                inside -= 1
            else:
                outside += 1
            jaccard = 1.0 - inside / (n + outside)
            step = jaccard - before
            before = jaccard
            hinge += errors[j] * step / present
            likelihood = 1.0 - 0.5 * errors[j] if mine else 0.5 * errors[j]
            pull = step * likelihood * (2.0 if mine else -2.0) / present
            i = where[j]
            for d in range(ndim):
                away = e[d, i] - centres[k, d]
                grad_e[d, i] += 2.0 * pull * weight[d] * away
                push[d] += pull * weight[d] * away * away
        for d in range(ndim):
            for i in own:
                grad_s[d, i] += push[d] * scale / n
    return hinge, variance


class _Compiled(torch.autograd.Function):
    """Value and gradient at once: the backward pass only multiplies."""

    @staticmethod
    def forward(ctx: Any, embedding: Tensor, bandwidth: Tensor, labels: Tensor, centres: Tensor,
                unit: float, scale: float) -> tuple[Tensor, Tensor, Tensor]:
        batch, ndim = embedding.shape[:2]

        def flat(tensor: Tensor) -> NDArray[Any]:
            return tensor.detach().reshape(batch, ndim, -1).contiguous().numpy()

        e, s = flat(embedding), flat(bandwidth)
        ids = labels.reshape(batch, -1).contiguous().numpy()
        middle = np.ascontiguousarray(centres.numpy(), np.float64)
        grad_e, grad_s, grad_v = (np.zeros_like(e) for _ in range(3))
        phi = np.zeros_like(e[:, 0])
        values = np.array([
            _image(e[b], s[b], ids[b], middle[b], unit, scale,
                   grad_e[b], grad_s[b], grad_v[b], phi[b])
            for b in range(batch)
        ])
        shape = embedding.shape
        ctx.save_for_backward(*(
            torch.from_numpy(g).reshape(shape) / batch for g in (grad_e, grad_s, grad_v)
        ))
        likelihood = torch.from_numpy(phi).reshape(labels.shape)
        ctx.mark_non_differentiable(likelihood)
        instance, smoothness = embedding.new_tensor(values.mean(axis=0))
        return instance, smoothness, likelihood

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_e, grad_s, grad_v = ctx.saved_tensors
        instance, smoothness = grads[:2]
        return instance * grad_e, instance * grad_s + smoothness * grad_v, None, None, None, None


def instance_loss(
    embedding: Tensor, bandwidth: Tensor, labels: Tensor, centres: Tensor, *,
    unit: float, scale: float,
) -> InstanceLoss:
    """Compute the loss by the faster implementation for the device; see `literal_instance_loss`."""
    if embedding.device.type != "cpu":
        return literal_instance_loss(
            embedding, bandwidth, labels, centres, unit=unit, scale=scale
        )
    return InstanceLoss(*_Compiled.apply(  # type: ignore[no-untyped-call]
        embedding, bandwidth, labels, centres, unit, scale))
