"""Folds that PyTorch has no call for."""

from __future__ import annotations

import torch
from torch import Tensor


def fold_front_back(
    x: Tensor,
    lengths: Tensor,
    kind: str,
    count: int,
    front: bool,
) -> Tensor:
    """The sum, mean or maximum over the first or last dims, of `lengths` elements."""
    if front:
        x = x.flatten(0, count - 1).movedim(0, -1)
    else:
        x = x.flatten(x.dim() - count)
    lengths = lengths.reshape(x.shape[:-1])
    there = torch.arange(x.shape[-1], device=x.device) < lengths.unsqueeze(-1)
    if kind == "Max":
        greatest = torch.where(there, x, float("-inf")).amax(-1)
        return torch.where(lengths > 0, greatest, 0)
    total = torch.where(there, x, 0).sum(-1)
    return total if kind == "Sum" else total / lengths.clamp(min=1)


def histogram(x: Tensor, edges: list[float]) -> Tensor:
    """How many elements lie between each two edges, the upper one left out."""
    bounds = torch.tensor(edges, dtype=x.dtype, device=x.device)
    inside = (x[:, None] >= bounds[:-1]) & (x[:, None] < bounds[1:])
    return inside.sum(0)
