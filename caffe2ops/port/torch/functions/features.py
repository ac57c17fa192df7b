"""Features as sequences, distributions, sets and trains of numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from caffe2ops.port.torch.functions.segments import (
    segment_ids,
    segment_starts,
    segment_sum,
)
from caffe2ops.port.torch.functions.shapes import top_k


def greedy_symbols(
    scores: Tensor,
    lengths: Tensor | None,
    merge: bool,
) -> tuple[Tensor, Tensor]:
    """The best symbols of sequences [T, N, C] without blanks (0) and, with `merge`,
    without repeats: how many each has, and all of them."""
    steps, count, _ = scores.shape
    best = scores.argmax(2).T if scores.numel() else scores.new_zeros(count, steps)
    best = best.int()
    kept = best != 0
    if lengths is not None:
        kept = kept & (torch.arange(steps, device=scores.device) < lengths[:, None])
    if merge:
        before = torch.nn.functional.pad(best, (1, 0))[:, :-1]
        kept = kept & (best != before)
    return kept.sum(1, dtype=torch.int32), best[kept]


def position_waves(
    positions: Tensor,
    size: int,
    alpha: float,
    amplitude: float,
) -> Tensor:
    """Sines and cosines of positions [M, K], whose first column alone counts."""
    first = positions[:, :1].float().log()
    last = first - torch.tensor(alpha).log() * ((size - 1) / max(size, 1))
    k = torch.arange(size, dtype=torch.float32, device=positions.device)
    step = (last - first) / (size - 1) if size > 1 else torch.zeros_like(first)
    up, down = first + k * step, last - k.flip(0) * step
    if size > 1:
        up = torch.where(k == size - 1, last, up)
        down = torch.where(k == 0, first, down)
    angles = torch.where(last.abs() < first.abs(), down, up).exp()
    waves = amplitude * (angles + torch.pi / 2 * (k % 2)).sin()
    return waves[:, None].expand(*positions.shape, size)


def bucket_one_hot(data: Tensor, lengths: Tensor, boundaries: Tensor) -> Tensor:
    """For each column of a matrix 1 for the bucket in which an element is."""
    ids, count = segment_ids(lengths), lengths.numel()
    columns = data.T[ids]
    below = segment_sum((boundaries[:, None] < columns).long(), ids, count)
    above = segment_sum((boundaries[:, None] > columns).long(), ids, count)
    buckets = (below + lengths[:, None] - above) // 2 + segment_starts(lengths)[:, None]
    buckets = buckets + torch.arange(count, device=data.device)[:, None]
    width = boundaries.numel() + count
    return data.new_zeros(data.shape[0], width).scatter(1, buckets.T, 1)


def percentiles(values: Tensor, points: Tensor, lengths: Tensor) -> Tensor:
    """The percentile of each value in the distribution (value, percentile) of its column,
    linear between points."""
    found = []
    for x, part in zip(values.T, torch.split(points, lengths.tolist())):
        at, percentile = part.T.contiguous()
        high = torch.searchsorted(at, x.contiguous()).clamp(max=len(at) - 1)
        low = (high - 1).clamp(min=0)
        width = at[high] - at[low]
        slope = (percentile[high] - percentile[low]) / torch.where(width > 0, width, 1)
        between = torch.where(width > 0, slope, 0) * (x - at[low]) + percentile[low]
        inside = torch.where(at[high] == x, percentile[high], between)
        found.append(torch.where(x < at[0], 0, torch.where(x > at[-1], 1, inside)))
    return torch.stack(found, 1) if found else torch.zeros_like(values)


def merged(owners: list[Tensor], parts: list[Tensor]) -> Tensor:
    """What groups have for their examples (`owners`), example by example."""
    return torch.cat(parts)[torch.cat(owners).argsort(stable=True)]


def tensor_train(
    x: Tensor,
    bias: Tensor,
    cores: Tensor,
    sizes: list[tuple[int, int, int]],
) -> Tensor:
    """Rows times a product of cores, the last core first; sizes: rows and columns of
    each, and its output."""
    y, at = x, 0
    for rows, columns, out in sizes:
        core = cores.flatten()[at : at + rows * columns].reshape(rows, columns)
        y = (y.reshape(-1, rows) @ core).reshape(-1, out).T
        at += rows * columns
    shape = (x.shape[0], bias.numel())
    return y.reshape(shape).T.reshape(shape) + bias.flatten()


def top_k_pool(
    x: Tensor,
    lengths: Tensor,
    most: int,
    axis: int,
    each: Tensor | None = None,
    by_place: bool = False,
    spread: bool = False,
) -> tuple[Tensor, Tensor]:
    """The greatest along an axis of each of a batch of sequences, and their places; 0 and
    -1 where there are less. `each`: how many of each; `spread`: at their places."""
    front = [-1] + [1] * (x.dim() - 1)
    ends, size = lengths.long().reshape(front), x.shape[axis]
    along = [1] * axis + [-1] + [1] * (x.dim() - 1 - axis)
    if axis != 1:  # steps that count are ranked whole
        steps = torch.arange(x.shape[1], device=x.device)
        there = steps.reshape(1, -1, *[1] * (x.dim() - 2)) < ends
        ends = torch.where(there, size, 0)
    inside = torch.arange(size, device=x.device).reshape(along) < ends
    ranked = torch.where(inside, x, float("-inf"))
    values, at = top_k(ranked, most, axis)
    limits = ends if each is None else torch.minimum(ends, each.long().reshape(front))
    kept = torch.arange(most, device=x.device).reshape(along) < limits
    at = torch.where(kept, at, size)
    values = torch.where(kept, values, 0)
    if by_place:
        at, order = at.sort(dim=axis)
        values = values.gather(axis, order)
    if spread:  # what is nowhere goes behind the last element, and is cut off
        shape = [n + (i == axis) for i, n in enumerate(x.shape)]
        values = x.new_zeros(shape).scatter(axis, at, values).narrow(axis, 0, size)
    return values, torch.where(at < size, at, -1).int()
