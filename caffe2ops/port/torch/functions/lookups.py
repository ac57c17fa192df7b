"""Looking up and putting down by index."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gather_within(data: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Elements along an axis, the dims before it shared with the indices."""
    outer = data.shape[:axis]
    rows = data.reshape(math.prod(outer), *data.shape[axis:])
    wanted = indices.reshape(len(rows), math.prod(indices.shape[axis:])).long()
    batch = torch.arange(rows.shape[0], device=data.device)[:, None]
    found = rows[batch, wanted]
    return found.reshape(*outer, *indices.shape[axis:], *data.shape[axis + 1 :])


def flexible_top_k(x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """The k greatest of each row, k of its own for each, one row behind the other."""
    values, indices = x.sort(dim=-1, descending=True, stable=True)
    kept = torch.arange(x.shape[-1], device=x.device) < k.reshape(-1, 1)
    kept = kept.reshape(x.shape)
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


def boolean_unmask(masks: tuple[Tensor, ...], pieces: tuple[Tensor, ...]) -> Tensor:
    """Pieces put to where their masks are true; the first mask counts."""
    made = pieces[0].new_zeros(masks[0].shape)
    free = torch.ones_like(masks[0])
    for mask, piece in zip(masks, pieces):
        made = made.masked_scatter(mask & free, piece)
        free = free & ~mask
    return made


def find(index: Tensor, query: Tensor, missing: int) -> Tensor:
    """The last place in the index of each element, or what stands for missing ones."""
    places = torch.arange(-1, index.numel(), device=index.device)
    hits = query[..., None] == index.flatten()
    there = torch.nn.functional.pad(hits, (1, 0), value=True)
    last = torch.where(there, places, -1).amax(-1)
    return torch.where(last < 0, missing, last).to(query.dtype)


def duplicates(data: Tensor) -> Tensor:
    """Where elements stand that have stood before."""
    order = data.argsort(stable=True)
    same = data[order][1:] == data[order][:-1]
    return order[1:][same].sort().values


def merge_id_lists(
    lengths: tuple[Tensor, ...],
    values: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor]:
    """The lists of each row joined, sorted, each id once."""
    rows = [torch.arange(len(n), device=n.device).repeat_interleave(n) for n in lengths]
    both = torch.stack((torch.cat(rows), torch.cat(values).long()), 1)
    pairs: Tensor = torch.unique(both, dim=0)
    counts = torch.bincount(pairs[:, 0], minlength=len(lengths[0]))
    return counts.int(), pairs[:, 1].to(values[0].dtype)


def batch_bucketize(
    features: Tensor,
    indices: Tensor,
    limits: Tensor,
    lengths: Tensor,
) -> Tensor:
    """For some columns the number of the first of their limits that is not less."""
    parts = torch.split(limits, lengths.tolist())
    columns = [features[:, i].contiguous() for i in indices.tolist()]
    found = [torch.bucketize(c, p) for c, p in zip(columns, parts)]
    none = features.new_zeros(len(features), 0)
    return torch.stack(found, 1).int() if found else none.int()


def piecewise_linear(
    x: Tensor,
    bounds: Tensor,
    slopes: Tensor,
    intercepts: Tensor,
) -> Tensor:
    """Each column through a function of its own, linear between bounds."""
    count = x.shape[1]
    bounds = bounds.reshape(count, -1)
    slopes, intercepts = slopes.reshape(count, -1), intercepts.reshape(count, -1)
    columns = torch.minimum(x.T.contiguous(), bounds[:, -1:])
    columns = torch.maximum(columns, bounds[:, :1])
    at = (torch.searchsorted(bounds, columns) - 1).clamp(0, slopes.shape[1] - 1)
    return (slopes.gather(1, at) * columns + intercepts.gather(1, at)).T


def scatter_along(data: Tensor, indices: Tensor, updates: Tensor, axis: int) -> Tensor:
    """Data with elements along an axis replaced, by the last of several."""
    outer, inner = math.prod(data.shape[:axis]), math.prod(data.shape[axis + 1 :])
    rows, columns = (
        math.prod(indices.shape[:axis]),
        math.prod(indices.shape[axis + 1 :]),
    )
    shape = (rows, indices.shape[axis], columns)
    at, order = (
        indices.reshape(shape).long(),
        torch.arange(shape[1], device=data.device),
    )
    cube = data.reshape(outer, data.shape[axis], inner).clone()
    last = torch.full_like(cube[:rows, :, :columns], -1, dtype=torch.long)
    last = last.scatter_reduce(1, at, order[:, None].expand(shape), "amax")
    if shape[1]:
        new = updates.reshape(shape).gather(1, last.clamp(min=0))
        old = cube[:rows, :, :columns].clone()
        cube[:rows, :, :columns] = torch.where(last >= 0, new, old)
    return cube.reshape(data.shape)


def partition(
    keys: Tensor,
    more: list[Tensor],
    count: int,
    pack: bool,
) -> tuple[Tensor, ...]:
    """Keys and rows of each part: those whose key leaves its number over."""
    shard = (keys % count).flatten()
    first = (keys // count if pack else keys).flatten()
    columns = [first, *(x.reshape(keys.numel(), *x.shape[keys.dim() :]) for x in more)]
    return tuple(column[shard == k] for k in range(count) for column in columns)


def number_range(start: Tensor, stop: Tensor, step: Tensor) -> Tensor:
    """start, start + step, ... before stop; of whole numbers as Caffe2 counts them."""
    if start.is_floating_point():
        count = int(((stop - start) / step).ceil())
    else:
        way, by = int(stop) - int(start), int(step)
        whole = abs(way) // abs(by) * (1 if (way < 0) == (by < 0) else -1)
        count = whole + (whole * by < way)
    places = torch.arange(max(count, 0), dtype=start.dtype, device=start.device)
    return places * step + start
