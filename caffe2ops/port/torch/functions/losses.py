"""Losses and distances."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def cosine_similarity(x: Tensor, y: Tensor) -> Tensor:
    """The cosine between rows, with squares of at least 1e-12."""
    xx, yy = x.square().sum(1).clamp(min=1e-12), y.square().sum(1).clamp(min=1e-12)
    return (x * y).sum(1) / (xx * yy).sqrt()


def label_cross_entropy(x: Tensor, labels: Tensor) -> Tensor:
    """-log of the probability [N, D] of each row's label, of at least 1e-20."""
    picked = x.gather(1, labels.reshape(-1, 1).long()).squeeze(1)
    return -picked.clamp(min=1e-20).log()


def softmax_loss(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
    by_rows: bool = False,
    scale: float = 1.0,
) -> Tensor:
    """The mean cross entropy of rows, or with weights their sum over that of these."""
    if labels.is_floating_point():
        log = F.softmax(logits, 1).clamp(min=1e-20).log()
        losses = -(log * labels.reshape(logits.shape)).sum(1)
    else:
        losses = F.cross_entropy(logits, labels.flatten().long(), reduction="none")
    if weights is None:
        return losses.sum() * scale / max(len(losses), 1)
    total = (losses * weights.flatten()).sum() * scale
    divisor = torch.tensor(float(len(losses))) if by_rows else weights.sum()
    return torch.where(divisor == 0, 0, total / torch.where(divisor == 0, 1, divisor))


def accuracy(x: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """How many rows have their label among the k greatest, as a part of all."""
    best = x.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return (best == labels.reshape(-1, 1)).any(1).float().mean()


def spatial_softmax_loss(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
) -> Tensor:
    """The mean cross entropy [N, C, H, W] of the places whose label is not -1."""
    there = (labels >= 0).to(logits.dtype)
    weights = there if weights is None else weights.reshape(labels.shape) * there
    wanted = labels.clamp(min=0).long()[:, None]
    chances = F.softmax(logits, 1).gather(1, wanted).squeeze(1)
    losses = -chances.clamp(min=1e-20).log()
    total = weights.sum()
    mean = (losses * weights).sum() / torch.where(total == 0, 1, total)
    return torch.where(total == 0, 0, mean)
