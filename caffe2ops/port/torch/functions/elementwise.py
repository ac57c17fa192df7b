"""Functions of one element."""

from __future__ import annotations

import torch
from torch import Tensor


def divide_whole(a: Tensor, b: Tensor) -> Tensor:
    """Whole numbers divided, what is divided by 0 giving 0."""
    quotient = a.div(torch.where((b == 0) | (b == -1), 1, b), rounding_mode="trunc")
    return torch.where(b == 0, 0, torch.where(b == -1, -a, quotient))


def divide_by_root(x: Tensor, scale: Tensor) -> Tensor:
    """Each row over the root of its number; a row whose number is 0 stays."""
    root = scale.to(x.dtype).sqrt().reshape(-1, *[1] * (x.dim() - 1))
    return x / torch.where(root == 0, 1, root)


def box_cox(x: Tensor, lambda1: Tensor, lambda2: Tensor) -> Tensor:
    """((x + lambda2) ^ lambda1 - 1) / lambda1, the logarithm where lambda1 is 0."""
    base = (x.reshape(-1, lambda2.numel()) + lambda2).clamp(min=1e-6)
    zero = lambda1 == 0
    power = (base**lambda1 - 1) / torch.where(zero, 1, lambda1)
    return torch.where(zero, base.log(), power).reshape(x.shape)


def bernoulli_entropy(p: Tensor) -> Tensor:
    """p log p + (1 - p) log(1 - p), with logarithms of at least 1e-20."""
    return p * p.clamp(min=1e-20).log() + (1 - p) * (1 - p).clamp(min=1e-20).log()


def bernoulli_jsd(t: Tensor, x: Tensor) -> Tensor:
    """The divergence of Jensen and Shannon of two Bernoulli distributions."""
    sides = (bernoulli_entropy(t) + bernoulli_entropy(x)) / 2
    return sides - bernoulli_entropy((t + x) / 2)
