"""Normalisation that PyTorch has no call for."""

from __future__ import annotations

from torch import Tensor


def batch_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    momentum: float,
    axis: int = 1,
) -> tuple[Tensor, ...]:
    """x by the statistics of the batch, new running ones, those of the batch."""
    images = x.movedim(axis, -1)
    dims = tuple(range(x.dim() - 1))
    count = x.numel() // x.shape[axis]
    batch_mean, batch_variance = images.mean(dims), images.var(dims, correction=0)
    spread = (batch_variance + epsilon).rsqrt()
    y = ((images - batch_mean) * spread * scale + bias).movedim(-1, axis)
    unbiased = batch_variance * count / (count - 1) if count > 1 else batch_variance / 0
    mean = momentum * mean + (1 - momentum) * batch_mean.detach()
    variance = momentum * variance + (1 - momentum) * unbiased.detach()
    return y, mean, variance, batch_mean, spread
