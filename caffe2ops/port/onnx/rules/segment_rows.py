"""Rows of segments in other places: gathered, padded, packed into batches and unpacked."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import (
    ONE,
    ZERO,
    Ragged,
    count_up,
    longest,
    row_dims,
    starts_of,
    summed,
    total,
    wide,
)
from caffe2ops.port.values import NotPortable, Value


@rule("LengthsTile")
def lengths_tile(g: Builder, op: Any, data: Value, lengths: Value) -> Value:
    return g.Gather(data, Ragged(g, lengths).segments, axis=0)


@rule("LengthsGather")
def lengths_gather(g: Builder, op: Any, items: Value, lengths: Value, indices: Value) -> Value:
    lengths, wanted = wide(g, lengths), g.flat(indices)
    taken = Ragged(g, g.Gather(lengths, wanted))
    first = g.Gather(g.Gather(starts_of(g, lengths), wanted), taken.segments)
    return g.Gather(items, g.Add(first, taken.places), axis=0)


@rule("SparseLengthsSumSparseLookup")
def sparse_lookup(
    g: Builder, op: Any, indices: Value, lengths: Value, mapping: Value, weights: Value | None = None
) -> tuple[Value, ...]:
    """Indices of a table of which rows were left out, -1 in the mapping."""
    row = g.Gather(mapping, indices)
    left = g.Not(g.Equal(row, -1))
    counts = summed(g, wide(g, left), Ragged(g, lengths, g.dim(indices, 0)).segments, g.dim(lengths, 0))
    found = g.cast(g.Compress(row, left, axis=0), indices.dtype), g.cast(counts, np.int32)
    return found if weights is None else (*found, g.Compress(weights, left, axis=0))


@rule("GatherRanges")
def gather_ranges(g: Builder, op: Any, data: Value, ranges: Value) -> tuple[Value, Value]:
    starts, lengths = (g.flat(g.slice(wide(g, ranges), 2, i, i + 1)) for i in (0, 1))
    taken = Ragged(g, lengths)
    rows = g.Add(taken.places, g.Gather(starts, taken.segments))
    counts = g.reduce("ReduceSum", g.slice(wide(g, ranges), 2, 1, 2), [1, 2])
    return g.Gather(data, rows), g.cast(counts, np.int32)


@rule("GatherRangesToDense")
def ranges_to_dense(g: Builder, op: Any, data: Value, ranges: Value, key: Value | None = None) -> tuple[Value, ...]:
    ranges, found = wide(g, ranges), []
    for j, length in enumerate(op.lengths):
        start, count = (g.reshape(g.slice(g.slice(ranges, 1, j, j + 1), 2, i, i + 1), [-1, 1]) for i in (0, 1))
        right = g.Equal(count, np.int64(length))
        at = g.Add(g.Where(right, start, ZERO), np.arange(length))
        at = g.Min(at, g.Sub(g.dim(data, 0), ONE))  # rows that do not count read somewhere
        if key is not None:
            _, order = g.TopK(g.Gather(key, at), [length], out=2, axis=1, largest=0)
            at = g.GatherElements(at, order, axis=1)
        found.append(g.Where(right, g.Gather(data, at), 0))
    return tuple(found)


def packed(g: Builder, rows: Value, ragged: Ragged, width: Value, filling: Any, cut: bool) -> Value:
    """Rows as [N, width, ...], each segment filled up; `cut`: segments may be longer than that."""
    slots = g.Add(g.Mul(ragged.segments, width), ragged.places)
    if cut:
        kept = g.Less(ragged.places, width)
        rows, slots = g.Compress(rows, kept, axis=0), g.Compress(slots, kept, axis=0)
    n, one = g.dims(ragged.lengths), g.reshape(width, [1])
    flat = g.full(g.vector(g.Mul(n, one), *row_dims(g, rows)), filling, rows.dtype)
    made = g.ScatterND(flat, g.unsqueeze(slots, 1), rows)
    return g.reshape(made, n, one, *row_dims(g, rows))


@rule("PackSegments")
def pack_segments(g: Builder, op: Any, lengths: Value, tensor: Value) -> tuple[Value, ...]:
    ragged = Ragged(g, lengths, g.dim(tensor, 0))
    cut = op.max_length >= 0
    width = g.constant(np.int64(op.max_length)) if cut else longest(g, ragged.lengths)
    filling = -np.inf if op.pad_minf and tensor.dtype.kind == "f" else 0
    made = packed(g, tensor, ragged, width, filling, cut)
    if op.n_outputs == 1:
        return (made,)
    return made, g.Less(count_up(g, width), g.unsqueeze(ragged.lengths, 1))


@rule("UnpackSegments")
def unpack_segments(g: Builder, op: Any, lengths: Value, tensor: Value) -> Value:
    width = g.dim(tensor, 1)
    lengths = wide(g, lengths)
    ragged = Ragged(g, g.Min(lengths, width) if op.max_length >= 0 else lengths)
    slots = g.Add(g.Mul(ragged.segments, width), ragged.places)
    rows = g.reshape(tensor, -1, *([g.dims(tensor, slice(2, None))] if tensor.rank > 2 else []))
    return g.Gather(rows, slots, axis=0)


@rule("LengthsPad")
def lengths_pad(g: Builder, op: Any, data: Value, lengths: Value) -> Value:
    ragged = Ragged(g, lengths, g.dim(data, 0))
    filling = data.dtype.type(op.padding_value)
    made = packed(g, data, ragged, g.constant(np.int64(op.target_length)), filling, False)
    return g.reshape(made, -1, *row_dims(g, data))


@rule("PackRNNSequence")
def pack_sequence(g: Builder, op: Any, values: Value, lengths: Value) -> Value:
    ragged = Ragged(g, lengths, g.dim(values, 0))
    made = packed(g, values, ragged, longest(g, ragged.lengths), 0, False)
    return g.transpose(made, [1, 0, *range(2, made.rank)])


@rule("UnpackRNNSequence")
def unpack_sequence(g: Builder, op: Any, values: Value, lengths: Value) -> Value:
    ragged = Ragged(g, lengths)
    slots = g.Add(g.Mul(ragged.places, g.dim(values, 1)), ragged.segments)
    rows = g.reshape(values, -1, *([g.dims(values, slice(2, None))] if values.rank > 2 else []))
    return g.Gather(rows, slots, axis=0)


@rule("ReversePackedSegs")
def reverse_packed(g: Builder, op: Any, data: Value, lengths: Value) -> Value:
    return g.ReverseSequence(data, wide(g, lengths), batch_axis=1, time_axis=0)


def _lengths_of(g: Builder, data: Value, lengths: Value | None) -> Value:
    return g.dims(data, [0]) if lengths is None else wide(g, lengths)


@rule("AddPadding")
def add_padding(
    g: Builder, op: Any, data: Value, lengths: Value | None = None, start: Value | None = None, end: Value | None = None
) -> tuple[Value, Value]:
    before, behind = op.widths
    ragged = Ragged(g, _lengths_of(g, data, lengths), g.dim(data, 0))
    longer = g.Add(ragged.lengths, np.int64(before + behind))
    starts = starts_of(g, longer)
    rows = g.Add(g.Add(g.Gather(starts, ragged.segments), ragged.places), np.int64(before))
    behind_data = row_dims(g, data)
    made = g.ScatterND(g.full(g.vector(g.reshape(total(g, longer), [1]), *behind_data), 0, data.dtype),
                       g.unsqueeze(rows, 1), data)  # fmt: skip
    for width, first, row in (
        (before, starts, start),
        (behind, g.Sub(g.Add(starts, longer), np.int64(behind)), end or start),
    ):
        if row is not None and width:
            at = g.flat(g.Add(g.unsqueeze(first, 1), np.arange(width)))
            one = g.reshape(row, 1, *behind_data)
            made = g.ScatterND(made, g.unsqueeze(at, 1), g.Expand(one, g.vector(g.dims(at), *behind_data)))
    return made, g.cast(longer, np.int32)


@rule("RemovePadding")
def remove_padding(g: Builder, op: Any, data: Value, lengths: Value | None = None) -> tuple[Value, Value]:
    before, behind = op.widths
    given = _lengths_of(g, data, lengths)
    shorter = Ragged(g, g.Sub(given, np.int64(before + behind)))
    rows = g.Add(g.Add(g.Gather(starts_of(g, given), shorter.segments), shorter.places), np.int64(before))
    return g.Gather(data, rows, axis=0), g.cast(shorter.lengths, np.int32)


@rule("PadEmptySamples")
def pad_empty(g: Builder, op: Any, lengths: Value, *features: Value) -> list[Value]:
    """A row of zeros for each segment without rows: all rows move on by the empty segments before them."""
    longer = g.Max(wide(g, lengths), ONE)
    ragged = Ragged(g, lengths)
    rows = g.unsqueeze(g.Add(g.Gather(starts_of(g, longer), ragged.segments), ragged.places), 1)
    n = g.reshape(total(g, longer), [1])
    padded = [g.ScatterND(g.full(g.vector(n, *row_dims(g, x)), 0, x.dtype), rows, x) for x in features]
    return [g.cast(longer, lengths.dtype), *padded]


@rule("GatherPadding")
def gather_padding(g: Builder, op: Any, data: Value, lengths: Value) -> tuple[Value, ...]:
    before, behind = op.widths
    given = wide(g, lengths)
    starts = starts_of(g, given)
    found = []
    for width, first in ((before, starts), (behind, g.Sub(g.Add(starts, given), np.int64(behind)))):
        at = g.flat(g.Add(g.unsqueeze(first, 1), np.arange(width)))
        found.append(g.reduce("ReduceSum", g.Gather(data, at, axis=0), [0]))
    return tuple(found) if op.n_outputs == 2 else (g.Add(*found),)


@rule("LengthsTopK")
def lengths_top_k(g: Builder, op: Any, data: Value, lengths: Value) -> tuple[Value, Value]:
    if data.dtype.kind != "f":
        raise NotPortable(f"of {data.dtype}")
    ragged = Ragged(g, lengths, g.dim(data, 0))
    width = g.Max(longest(g, ragged.lengths), np.int64(op.k))
    rows = packed(g, data, ragged, width, -np.inf, False)
    values, indices = g.TopK(rows, [op.k], out=2, axis=1)
    there = g.Less(np.arange(op.k), g.unsqueeze(ragged.lengths, 1))
    return g.Where(there, values, 0), g.cast(g.Where(there, indices, -1), np.int32)


@rule("VariableLengthSequencePadding")
def sequence_padding(g: Builder, op: Any, data: Value, lengths: Value) -> Value:
    there = g.Less(g.unsqueeze(count_up(g, g.dim(data, 0)), 1), wide(g, lengths))
    return g.Where(g.unsqueeze(there, 2), data, 0)


@rule("SequenceMask")
def sequence_mask(g: Builder, op: Any, x: Value, lengths: Value | None = None) -> Value:
    axis = op.axis % x.rank
    first = 0 if op.batch is None else op.batch % x.rank + 1
    repeat = x.rank if op.repeat_from_axis is None else op.repeat_from_axis % x.rank
    sizes = [_product(g, x, a, b) for a, b in ((0, first), (first, axis), (axis, repeat), (repeat, x.rank))]
    row, column = g.unsqueeze(count_up(g, g.reshape(sizes[1], [])), 1), count_up(g, g.reshape(sizes[2], []))
    if op.mode in ("sequence", "window"):
        if lengths is None:
            raise NotPortable("wants sequence_lengths")
        of_row = g.unsqueeze(g.Slice(wide(g, lengths), [0], sizes[1]), 1)
        far = g.Greater(g.Abs(g.Sub(column, of_row)), np.int64(op.radius))
        masked = g.GreaterOrEqual(column, of_row) if op.mode == "sequence" else far
    else:
        node = {"upper": "Greater", "lower": "Less", "upperdiag": "GreaterOrEqual", "lowerdiag": "LessOrEqual"}
        masked = g.op(node[op.mode], column, row)
    filled = g.Where(g.unsqueeze(masked, 2), 0.0 if op.grad else op.fill_val, g.reshape(x, *sizes))
    return g.reshape(filled, g.dims(x))


def _product(g: Builder, x: Value, start: int, end: int) -> Value:
    """The product of some dims as a vector of one."""
    return (
        g.constant(np.ones(1, np.int64))
        if start == end
        else g.reduce("ReduceProd", g.dims(x, range(start, end)), [0], keepdims=True)
    )
