"""TopKPool, the batch form of LengthsTopK."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import count_up, longest, wide
from caffe2ops.port.values import Value

BEHIND = np.iinfo(np.int64).max  # sorts behind every place


@rule("TopKPool")
def top_k_pool(g: Builder, op: Any, data: Value, lengths: Value, row_k: Value | None = None) -> tuple[Value, Value]:
    axis = op.ranked_axis(data.rank)

    def along(x: Value, at: int) -> Value:
        """A vector along one of the dims."""
        return g.unsqueeze(x, *(i for i in range(data.rank) if i != at))

    n = g.dim(data, axis)
    counts = along(wide(g, lengths), 0)
    if axis != 1:  # steps that count are ranked whole
        counts = g.Where(g.Less(along(count_up(g, g.dim(data, 1)), 1), counts), n, np.int64(0))
    k = g.constant(np.int64(op.checked_k())) if row_k is None else longest(g, wide(g, row_k))
    ranked = g.Where(g.Less(along(count_up(g, n), axis), counts), data, -np.inf)
    room = g.reshape(g.Max(g.Sub(k, n), np.int64(0)), [1])
    pads = g.vector([0] * (data.rank + axis), room, [0] * (data.rank - 1 - axis))
    values, at = g.TopK(g.Pad(ranked, pads, np.asarray(-np.inf, data.dtype)), g.reshape(k, [1]), out=2, axis=axis)
    most = counts if row_k is None else g.Min(counts, along(wide(g, row_k), 0))
    there = g.Less(along(count_up(g, k), axis), most)
    values, at = g.Where(there, values, 0), g.Where(there, at, np.int64(BEHIND))
    if op.order == "position":
        at, order = g.TopK(at, g.reshape(k, [1]), out=2, axis=axis, largest=0)
        values = g.GatherElements(values, order, axis=axis)
    nowhere = g.Equal(at, np.int64(BEHIND))
    if op.mode == "mask":  # what is nowhere goes behind the last element, and is cut off
        ones = np.eye(data.rank, dtype=np.int64)[axis]
        empty = g.full(g.Add(g.dims(data), ones), 0, data.dtype)
        spread = g.ScatterElements(empty, g.Where(nowhere, n, at), values, axis=axis)
        values = g.slice(spread, axis, 0, -1)
    return values, g.cast(g.Where(nowhere, np.int64(-1), at), np.int32)
