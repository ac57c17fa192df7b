"""Rows of padding on CUDA arrays: put around segments, taken away, added up."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.index.places_cuda import rows_of
from caffe2ops.ops.index.rows_cuda import bits
from caffe2ops.ops.segment.lengths_cuda import SUM, offsets_of, on_host

Check = Callable[..., Any]

# Row r of the output stands in segment s, and s segments with their padding stand before it.
_ADD = Elementwise(
    "const long long r = i / width, c = i % width, s = ids[r], row = r - s * (before + behind) - before; "
    "const long long begin = offsets[s], end = s < n ? offsets[s + 1] : begin; "
    "y = row < begin ? head[c] : row < end && row < count ? data[row * width + c] : tail[c];",
    outputs="y", tables="data head tail offsets:int64 ids:int64", int_scalars="width before behind n count",
    dtypes=("uint8", "uint32", "uint64"), name="add_padding",
)  # fmt: skip


def add(data: Any, lengths: Any, widths: tuple[int, int], rows: tuple[Any, Any], out: Any, check: Check) -> Any:
    """Each segment with `widths` rows before and behind, which are the `rows`; `check(lengths)` is the CPU's."""
    import cupy

    offsets, bad = offsets_of(lengths, len(data))
    ids = rows_of(offsets + cupy.arange(offsets.size) * sum(widths), len(out))
    head, tail = (bits(row) for row in rows)
    _ADD(
        out=bits(out), data=bits(data), head=head, tail=tail, offsets=offsets, ids=ids, width=prod(data.shape[1:]),
        before=widths[0], behind=widths[1], n=lengths.size, count=len(data),
    )  # fmt: skip
    if int(bad[0]):
        on_host(check, lengths)
    return out


def remove(data: Any, lengths: Any, widths: tuple[int, int], check: Check) -> Any:
    """Each segment without `widths` rows at its ends; `check(lengths)` is the CPU's."""
    import cupy

    offsets, bad = offsets_of(lengths, len(data))
    if int((bad | (lengths < sum(widths)).any())[0]):
        on_host(check, lengths)
    left = len(data) - lengths.size * sum(widths)
    ids = rows_of(offsets - cupy.arange(offsets.size) * sum(widths), left)
    return data.take(cupy.arange(left) + ids * sum(widths) + widths[0], axis=0)


def gather(data: Any, lengths: Any, widths: tuple[int, int], outs: tuple[Any, ...], check: Check) -> tuple[Any, ...]:
    """The sum of the first and that of the last `widths` rows of all segments, or both in one output."""
    import cupy

    offsets, bad = offsets_of(lengths, len(data))
    bad = bad | (lengths < max(widths)).any()
    edges = [
        (starts[:, None] + cupy.arange(width)).reshape(-1)
        for starts, width in zip((offsets[:-1], offsets[1:] - widths[1]), widths, strict=True)
    ]
    for rows, out in zip(edges if len(outs) == 2 else (cupy.concatenate(edges),), outs, strict=True):
        SUM(data, cupy.arange(2) * rows.size, out.reshape(1, prod(out.shape)), bad, indices=rows)
    if int(bad[0]):
        on_host(check, lengths)
    return outs


def of_rows(data: Any, row: Any) -> Any:
    """A row like those of data: the given one, or zeros."""
    import cupy

    return cupy.zeros(data.shape[1:], data.dtype) if row is None else row


def all_rows(data: Any) -> Any:
    """The lengths where all rows are one segment."""
    import cupy

    return cupy.full(1, len(data), np.int32)
