"""Segments of rows, told by lengths."""

from __future__ import annotations

import torch
from torch import Tensor


def segment_starts(lengths: Tensor) -> Tensor:
    """Where each segment begins."""
    return lengths.long().cumsum(0) - lengths


def segment_ids(lengths: Tensor) -> Tensor:
    """The segment of each row: lengths [2, 0, 1] give [0, 0, 2]."""
    segments = torch.arange(lengths.numel(), device=lengths.device)
    return segments.repeat_interleave(lengths.long())


def segment_places(lengths: Tensor) -> Tensor:
    """The place of each row in its segment: lengths [2, 0, 1] give [0, 1, 0]."""
    ids = segment_ids(lengths)
    rows = torch.arange(ids.numel(), device=lengths.device)
    return rows - segment_starts(lengths)[ids]


def per_row(weights: Tensor, rows: Tensor) -> Tensor:
    """One number for each row, in a shape that multiplies rows."""
    return weights.to(rows.dtype).reshape(-1, *[1] * (rows.dim() - 1))


def segment_sum(rows: Tensor, ids: Tensor, n: int) -> Tensor:
    """The rows of each of n segments added up."""
    return rows.new_zeros(n, *rows.shape[1:]).index_add(0, ids.long(), rows)


def segment_mean(rows: Tensor, ids: Tensor, n: int) -> Tensor:
    """The mean of the rows of each of n segments, 0 where there are none."""
    counts = torch.bincount(ids.long(), minlength=n).clamp(min=1)
    total = segment_sum(rows, ids, n)
    return total / per_row(counts, total)


def segment_max(rows: Tensor, ids: Tensor, n: int, empty: float = 0.0) -> Tensor:
    """The greatest of the rows of each of n segments, `empty` where there are none."""
    lowest = rows.new_full((n, *rows.shape[1:]), float("-inf"))
    index = ids.long().reshape(-1, *[1] * (rows.dim() - 1)).expand_as(rows)
    greatest = lowest.scatter_reduce(0, index, rows, "amax")
    counts = torch.bincount(ids.long(), minlength=n)
    return torch.where(per_row(counts, greatest) > 0, greatest, empty)


def segment_log_sum_exp(rows: Tensor, ids: Tensor, n: int) -> Tensor:
    """The logarithm of the sum of the exponentials of each segment's rows."""
    greatest = segment_max(rows, ids, n).detach()
    return segment_sum((rows - greatest[ids.long()]).exp(), ids, n).log() + greatest


def segment_log_mean_exp(rows: Tensor, ids: Tensor, n: int) -> Tensor:
    """The logarithm of the mean of the exponentials of each segment's rows."""
    greatest = segment_max(rows, ids, n).detach()
    return segment_mean((rows - greatest[ids.long()]).exp(), ids, n).log() + greatest


def pack_segments(
    rows: Tensor,
    lengths: Tensor,
    width: int | None = None,
    filling: float = 0.0,
) -> Tensor:
    """Rows as [segments, width, ...], each segment cut or filled up to the width."""
    ids, places = segment_ids(lengths), segment_places(lengths)
    if width is None:
        width = int(lengths.max()) if lengths.numel() else 0
    kept = places < width
    shape = (lengths.numel(), width, *rows.shape[1:])
    packed = rows.new_full(shape, filling)
    return packed.index_put((ids[kept], places[kept]), rows[kept])


def lengths_top_k(data: Tensor, lengths: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k greatest of each segment, and their places; 0 and -1 where it is shorter."""
    width = max(int(lengths.max()) if lengths.numel() else 0, k)
    rows = pack_segments(data, lengths, width, float("-inf"))
    indices = rows.sort(dim=1, descending=True, stable=True)[1][:, :k]
    there = torch.arange(k, device=data.device) < lengths[:, None]
    values = torch.where(there, rows.gather(1, indices), 0)
    return values, torch.where(there, indices, -1).int()


def gather_ranges(data: Tensor, ranges: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of ranges [N, M, (start, length)], and how many each of N has."""
    starts, lengths = ranges.long().reshape(-1, 2).unbind(1)
    rows = starts[segment_ids(lengths)] + segment_places(lengths)
    return data[rows], ranges[:, :, 1].sum(1).int()


def lengths_gather(items: Tensor, lengths: Tensor, indices: Tensor) -> Tensor:
    """The rows of the segments that indices name."""
    wanted = indices.flatten().long()
    taken = lengths.long()[wanted]
    first = segment_starts(lengths)[wanted]
    return items[first[segment_ids(taken)] + segment_places(taken)]


def split_lengths(lengths: Tensor, n: int) -> Tensor:
    """Each length cut into n parts, the larger ones first."""
    column = lengths.long()[:, None]
    more = torch.arange(n, device=lengths.device) < column % n
    return (column // n + more).flatten().int()


def ids_to_lengths(ids: Tensor, n: int | None = None) -> Tensor:
    """How often each of n ids stands there (by default, up to the greatest)."""
    return torch.bincount(ids.long(), minlength=n or 0).int()


def reverse_packed(data: Tensor, lengths: Tensor) -> Tensor:
    """Sequences [time, batch, ...], each turned round within its length."""
    places = torch.arange(data.shape[0], device=data.device)[:, None]
    source = torch.where(places < lengths, lengths - 1 - places, places).long()
    columns = torch.arange(data.shape[1], device=data.device)
    return data[source, columns]


def add_padding(
    data: Tensor,
    lengths: Tensor,
    before: int,
    behind: int,
    start: Tensor | None = None,
    end: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Rows put before and behind each segment, 0 or as given."""
    longer = lengths + before + behind
    first = segment_starts(longer)
    rows = first[segment_ids(lengths)] + segment_places(lengths) + before
    padded = data.new_zeros(int(longer.sum()), *data.shape[1:])
    padded = padded.index_put((rows,), data)
    end = start if end is None else end
    last = first + longer - behind
    for row, at, width in ((start, first, before), (end, last, behind)):
        if row is not None:
            places = (at[:, None] + torch.arange(width, device=data.device)).flatten()
            row = row.reshape(1, *data.shape[1:]).expand(len(places), *data.shape[1:])
            padded = padded.index_put((places,), row)
    return padded, longer.int()


def remove_padding(
    data: Tensor,
    lengths: Tensor,
    before: int,
    behind: int,
) -> tuple[Tensor, Tensor]:
    """Each segment without its first and last rows."""
    shorter = lengths - before - behind
    first = segment_starts(lengths)[segment_ids(shorter)]
    return data[first + segment_places(shorter) + before], shorter.int()


def gather_padding(
    data: Tensor,
    lengths: Tensor,
    before: int,
    behind: int,
) -> tuple[Tensor, Tensor]:
    """The sums of the first and of the last rows of all segments."""
    first = segment_starts(lengths)
    heads = first[:, None] + torch.arange(before, device=data.device)
    tails = (first + lengths)[:, None] - 1 - torch.arange(behind, device=data.device)
    return data[heads.flatten()].sum(0), data[tails.flatten()].sum(0)


def ids_to_ranges(ids: Tensor, n: int | None = None) -> Tensor:
    """(start, length) of each of n segments, (0, 0) behind the last."""
    lengths = torch.bincount(ids.long(), minlength=n or 0)
    last = int(ids.max()) + 1 if ids.numel() else 0
    there = torch.arange(len(lengths), device=ids.device) < last
    starts = torch.where(there, segment_starts(lengths), 0)
    return torch.stack((starts, lengths), 1).int()


def ranges_to_dense(
    data: Tensor,
    ranges: Tensor,
    widths: list[int],
    key: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """For each range of [N, M, (start, length)] its rows, 0 if not of that length."""
    found = []
    for j, width in enumerate(widths):
        start, length = ranges[:, j, :1].long(), ranges[:, j, 1:]
        places = torch.arange(width, device=data.device)
        at = torch.where(length == width, start, 0) + places
        at = at.clamp(max=max(len(data) - 1, 0))
        if key is not None:
            at = at.gather(1, key[at].argsort(dim=1, stable=True))
        found.append(torch.where(length == width, data[at], 0))
    return tuple(found)
