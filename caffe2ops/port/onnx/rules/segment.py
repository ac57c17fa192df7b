"""Segments of rows, told by lengths or by ids: what is ragged in Caffe2 is scattered and gathered here."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.values import NotPortable, Value

ZERO, ONE = np.int64(0), np.int64(1)


def count_up(g: Builder, n: Value) -> Value:
    """0 .. n - 1, int64."""
    return g.Range(ZERO, n, ONE)


def wide(g: Builder, x: Value) -> Value:
    return g.cast(x, np.int64)


def starts_of(g: Builder, lengths: Value) -> Value:
    """Where each segment begins."""
    return g.CumSum(lengths, np.int64(0), exclusive=1)


def total(g: Builder, lengths: Value) -> Value:
    return g.reduce("ReduceSum", lengths, [0])


def longest(g: Builder, lengths: Value) -> Value:
    """The greatest length, 0 where there is none."""
    return g.reduce("ReduceMax", g.vector(lengths, 0), [0])


class Ragged:
    """Rows cut into segments by int64 lengths: the segment of each row, and its place in there."""

    def __init__(self, g: Builder, lengths: Value, count: Value | None = None):
        self.g, self.lengths = g, wide(g, lengths)
        self.count = total(g, self.lengths) if count is None else count
        ends = g.CumSum(self.lengths, np.int64(0))
        marks = g.full(g.reshape(g.Add(self.count, ONE), [1]), 0, np.int64)
        ones = g.Expand(ONE, g.dims(self.lengths))
        passed = g.CumSum(g.ScatterElements(marks, ends, ones, axis=0, reduction="add"), np.int64(0))
        self.segments: Value = g.slice(passed, 0, 0, -1)  # how many segments end at or before each row

    @property
    def places(self) -> Value:
        g = self.g
        made: Value = g.Sub(count_up(g, self.count), g.Gather(starts_of(g, self.lengths), self.segments))
        return made


def summed(g: Builder, rows: Value, segments: Value, n: Value) -> Value:
    """The rows of each segment added up: n rows."""
    empty = g.full(g.vector(g.reshape(n, [1]), *_behind(g, rows)), 0, rows.dtype)
    return g.ScatterND(empty, g.unsqueeze(segments, 1), rows, reduction="add")


def _behind(g: Builder, x: Value) -> list[Value]:
    """The dims behind the first, as a vector, none where there is only one dim."""
    return [g.dims(x, slice(1, None))] if x.rank > 1 else []


def per_row(g: Builder, x: Value, like: Value) -> Value:
    """A number for each row, to be multiplied with rows."""
    return g.unsqueeze(x, *range(1, like.rank))


def averaged(g: Builder, sums: Value, counts: Value) -> Value:
    """Sums over the number of rows, 1 for none."""
    return g.Div(sums, per_row(g, g.cast(g.Max(counts, ONE), sums.dtype), sums))


# --- reductions ---


@rule("LengthsSum", "LengthsMean", "LengthsMax", "LengthsWeightedSum")
@rule("SparseLengthsSum", "SparseLengthsMean", "SparseLengthsWeightedSum", "SparseLengthsPositionalWeightedSum")
def lengths_reduce(g: Builder, op: Any, data: Value, *rest: Value) -> Value:
    *between, lengths = rest
    if op.type.startswith("Sparse"):
        data = g.Gather(data, between.pop(), axis=0)
    return folded(g, op.type, data, lengths, between[0] if between else None)


def folded(g: Builder, kind: str, rows: Value, lengths: Value, weights: Value | None = None) -> Value:
    """Segments of rows folded to a row each; `kind` says how, by words in it."""
    rows = g.cast(rows, np.float32) if rows.dtype == np.float16 else rows
    ragged = Ragged(g, lengths, g.dim(rows, 0))
    n = g.dim(lengths, 0)
    if weights is not None:
        if "Positional" in kind:
            weights = g.Gather(weights, ragged.places)
        rows = g.Mul(rows, per_row(g, g.cast(weights, rows.dtype), rows))
    if "Max" in kind:
        lowest = g.full(g.vector(g.reshape(n, [1]), *_behind(g, rows)), -np.inf, rows.dtype)
        most = g.ScatterND(lowest, g.unsqueeze(ragged.segments, 1), rows, reduction="max")
        return g.Where(per_row(g, g.Greater(ragged.lengths, 0), rows), most, 0)
    made = summed(g, rows, ragged.segments, n)
    return averaged(g, made, ragged.lengths) if "Mean" in kind else made


@rule("SortedSegmentSum", "SortedSegmentMean", "SortedSegmentWeightedSum")
@rule("SparseSortedSegmentSum", "SparseSortedSegmentMean", "SparseSortedSegmentWeightedSum")
@rule("UnsortedSegmentSum", "UnsortedSegmentMean", "UnsortedSegmentWeightedSum")
@rule("SparseUnsortedSegmentSum", "SparseUnsortedSegmentMean", "SparseUnsortedSegmentWeightedSum")
@rule("SortedSegmentRangeSum", "SortedSegmentRangeMean", "SortedSegmentRangeMax")
@rule("SortedSegmentRangeLogSumExp", "SortedSegmentRangeLogMeanExp")
def by_ids(g: Builder, op: Any, data: Value, *rest: Value) -> Value:
    *between, ids = rest
    ids = wide(g, ids)
    if op.type.startswith("Sparse"):
        data = g.Gather(data, between.pop(), axis=0)
    if between:
        data = g.Mul(data, per_row(g, between[0], data))
    given = getattr(op, "num_segments", -1)
    n = g.constant(np.int64(given)) if given >= 0 else g.Add(g.reduce("ReduceMax", g.vector(ids, -1), [0]), ONE)
    if op.type.endswith("Max"):
        return _greatest(g, data, ids, n)
    greatest = None
    if "Log" in op.type:
        greatest = g.Max(_greatest(g, data, ids, n), np.finfo(data.dtype).min)
        data = g.Exp(g.Sub(data, g.Gather(greatest, ids)))
    made = summed(g, data, ids, n)
    if "Mean" in op.type:
        made = averaged(g, made, summed(g, g.Expand(ONE, g.dims(ids)), ids, n))
    return made if greatest is None else g.Add(g.Log(made), greatest)


def _greatest(g: Builder, rows: Value, ids: Value, n: Value) -> Value:
    lowest = g.full(g.vector(g.reshape(n, [1]), *_behind(g, rows)), -np.inf, rows.dtype)
    made: Value = g.ScatterND(lowest, g.unsqueeze(ids, 1), rows, reduction="max")
    return made


# --- lengths in other forms ---


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


# --- rows in other places ---


@rule("LengthsTile")
def lengths_tile(g: Builder, op: Any, data: Value, lengths: Value) -> Value:
    return g.Gather(data, Ragged(g, lengths).segments, axis=0)


@rule("LengthsGather")
def lengths_gather(g: Builder, op: Any, items: Value, lengths: Value, indices: Value) -> Value:
    lengths, wanted = wide(g, lengths), g.flat(indices)
    taken = Ragged(g, g.Gather(lengths, wanted))
    first = g.Gather(g.Gather(starts_of(g, lengths), wanted), taken.segments)
    return g.Gather(items, g.Add(first, taken.places), axis=0)


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
    flat = g.full(g.vector(g.Mul(n, one), *_behind(g, rows)), filling, rows.dtype)
    made = g.ScatterND(flat, g.unsqueeze(slots, 1), rows)
    return g.reshape(made, n, one, *_behind(g, rows))


@rule("PackSegments")
def pack_segments(g: Builder, op: Any, lengths: Value, tensor: Value) -> tuple[Value, ...]:
    ragged = Ragged(g, lengths, g.dim(tensor, 0))
    cut = op.max_length >= 0
    width = g.constant(np.int64(op.max_length)) if cut else longest(g, ragged.lengths)
    filling = -np.inf if op.pad_minf and tensor.dtype.kind == "f" else 0
    made = packed(g, tensor, ragged, width, filling, cut)
    if not op.return_presence_mask:
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
    return g.reshape(made, -1, *_behind(g, data))


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
    behind_data = _behind(g, data)
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
