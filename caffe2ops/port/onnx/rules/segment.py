"""Segments of rows, told by lengths or by ids: what is ragged in Caffe2 is scattered and gathered here."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import Value

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
    empty = g.full(g.vector(g.reshape(n, [1]), *row_dims(g, rows)), 0, rows.dtype)
    return g.ScatterND(empty, g.unsqueeze(segments, 1), rows, reduction="add")


def row_dims(g: Builder, x: Value) -> list[Value]:
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
        lowest = g.full(g.vector(g.reshape(n, [1]), *row_dims(g, rows)), -np.inf, rows.dtype)
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
    lowest = g.full(g.vector(g.reshape(n, [1]), *row_dims(g, rows)), -np.inf, rows.dtype)
    made: Value = g.ScatterND(lowest, g.unsqueeze(ids, 1), rows, reduction="max")
    return made
