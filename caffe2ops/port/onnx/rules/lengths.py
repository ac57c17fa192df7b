"""Lengths of segments in other forms: ids, ranges, offsets, weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import ONE, ZERO, Ragged, count_up, starts_of, summed, total, wide
from caffe2ops.port.values import Value


@rule("LengthsToSegmentIds")
def segment_ids(g: Builder, op: Any, lengths: Value) -> Value:
    return g.cast(Ragged(g, lengths).segments, np.int32)


@rule("LengthsRangeFill")
def places(g: Builder, op: Any, lengths: Value) -> Value:
    return g.cast(Ragged(g, lengths).places, np.int32)


@rule("LengthsToRanges")
def ranges(g: Builder, op: Any, lengths: Value) -> Value:
    starts = g.cast(starts_of(g, lengths), np.int32)
    return g.Concat(g.unsqueeze(starts, 1), g.unsqueeze(lengths, 1), axis=1)


@rule("LengthsToOffsets")
def offsets(g: Builder, op: Any, lengths: Value) -> Value:
    starts = starts_of(g, lengths)
    return g.Concat(starts, g.reshape(total(g, lengths), [1]), axis=0) if op.include_last_offset else starts


@rule("LengthsToWeights")
def weights(g: Builder, op: Any, lengths: Value) -> Value:
    each = g.Pow(g.cast(g.Max(wide(g, lengths), ONE), np.float64), -op.power)
    return g.cast(g.Gather(each, Ragged(g, lengths).segments), np.float32)


@rule("LengthsToShape")
def equal_lengths(g: Builder, op: Any, lengths: Value) -> Value:
    return g.Concat(g.cast(g.dims(lengths), np.int32), g.slice(lengths, 0, 0, 1), axis=0)


@rule("SegmentIdsToLengths", "SegmentIdsToRanges")
def ids_to_lengths(g: Builder, op: Any, ids: Value, data: Value | None = None) -> Value:
    ids = wide(g, ids)
    last = g.Add(g.reduce("ReduceMax", g.vector(ids, -1), [0]), ONE)
    n = last if data is None else g.dim(data, 0)
    lengths = summed(g, g.Expand(ONE, g.dims(ids)), ids, n)
    if op.type == "SegmentIdsToLengths":
        return g.cast(lengths, np.int32)
    begun = g.Less(count_up(g, n), last)
    starts = g.Where(begun, starts_of(g, lengths), ZERO)
    return g.cast(g.Concat(g.unsqueeze(starts, 1), g.unsqueeze(lengths, 1), axis=1), np.int32)


@rule("LengthsSplit")
def lengths_split(g: Builder, op: Any, lengths: Value, n: Value | None = None) -> Value:
    parts = g.constant(np.int64(op.n_split)) if n is None else g.reshape(wide(g, n), [])
    column = g.unsqueeze(wide(g, lengths), 1)
    more = g.Less(count_up(g, parts), g.Mod(column, parts))  # the larger ones first
    return g.cast(g.flat(g.Add(g.Div(column, parts), g.cast(more, np.int64))), np.int32)
