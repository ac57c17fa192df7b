"""Shapes that are known only when the net runs."""

from __future__ import annotations

import torch
from torch import Tensor


def reshape_like_caffe2(x: Tensor, shape: list[int]) -> Tensor:
    """A reshape in which 0 keeps a dim."""
    return x.reshape([x.shape[i] if d == 0 else d for i, d in enumerate(shape)])


def cut(x: Tensor, starts: list[int], ends: list[int]) -> Tensor:
    """A box of elements; -1 stands behind the last one."""
    for axis, (start, end) in enumerate(zip(starts, ends)):
        size = x.shape[axis]
        first = start if start >= 0 else size + start + 1
        last = end if end >= 0 else size + end + 1
        x = x.narrow(axis, first, min(last, size) - first)
    return x


def top_k(x: Tensor, k: int, axis: int) -> tuple[Tensor, Tensor]:
    """The k greatest along an axis, the first of equal ones first; 0 and -1 if less."""
    values, indices = x.sort(dim=axis, descending=True, stable=True)
    count = min(k, x.shape[axis])
    values, indices = values.narrow(axis, 0, count), indices.narrow(axis, 0, count)
    if count < k:
        shape = [*x.shape[:axis], k - count, *x.shape[axis + 1 :]]
        values = torch.cat((values, values.new_zeros(shape)), axis)
        indices = torch.cat((indices, indices.new_full(shape, -1)), axis)
    return values, indices


def flat_indices(indices: Tensor, x: Tensor, axis: int) -> Tensor:
    """Where in x as a vector the elements stand that indices along an axis name."""
    if not x.numel():
        return indices.flatten()
    places = torch.arange(x.numel(), device=x.device).reshape(x.shape)
    found = places.gather(axis, indices.clamp(min=0))
    return torch.where(indices < 0, -1, found).flatten()
