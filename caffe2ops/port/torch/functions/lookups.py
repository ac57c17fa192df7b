"""Looking up and putting down by index."""

from __future__ import annotations

import torch
from torch import Tensor


def gather_within(data: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Elements along an axis, the dims before it shared with the indices."""
    outer = data.shape[:axis]
    rows = data.reshape(-1, *data.shape[axis:])
    wanted = indices.reshape(rows.shape[0], -1).long()
    batch = torch.arange(rows.shape[0], device=data.device)[:, None]
    found = rows[batch, wanted]
    return found.reshape(*outer, *indices.shape[axis:], *data.shape[axis + 1 :])


def flexible_top_k(x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """The k greatest of each row, k of its own for each, one row behind the other."""
    values, indices = x.sort(dim=-1, descending=True, stable=True)
    kept = torch.arange(x.shape[-1], device=x.device) < k.unsqueeze(-1)
    return values[kept], indices[kept]


def dense_by_mask(
    indices: Tensor,
    values: Tensor,
    default: Tensor,
    mask: list[int],
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Values placed by where their index stands in the mask, and which are there."""
    one = torch.tensor([indices.numel()], device=indices.device)
    sizes = one if lengths is None else lengths
    rows = torch.arange(sizes.numel(), device=indices.device)
    rows = rows.repeat_interleave(sizes.long())
    hits = indices.long()[:, None] == torch.tensor(mask, device=indices.device)
    row, column = hits.nonzero().unbind(1)
    cells = (rows[row], column)
    filled = default.expand(sizes.numel(), len(mask), *default.shape)
    filled = filled.index_put(cells, values[row])
    there = torch.zeros(filled.shape[:2], dtype=torch.bool, device=indices.device)
    there = there.index_put(cells, torch.tensor(True))
    return (filled[0], there[0]) if lengths is None else (filled, there)
