"""Folding dims: sums, means, extremes, and where these stand."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import Value


@rule("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2")
def over_axes(g: Builder, op: Any, x: Value) -> Value:
    axes = op._axes(x.rank)
    return g.reduce(op.type, x, axes, op.keepdims)


@rule("ReduceFrontSum", "ReduceFrontMean", "ReduceFrontMax", "ReduceBackSum", "ReduceBackMean", "ReduceBackMax")
def front_back(g: Builder, op: Any, x: Value, lengths: Value | None = None) -> Value:
    kind, count = "Reduce" + op.type[-4:].lstrip("tk"), op.num_reduce_dim
    axes = list(range(count) if op.front else range(x.rank - count, x.rank))
    if lengths is None:
        return g.reduce(kind, x, axes) if axes else x
    kept = [i for i in range(x.rank) if i not in axes]
    folded = g.reshape(g.transpose(x, [*kept, *axes]), g.dims(x, kept) if kept else [], -1)
    axis = len(kept)
    lengths = g.reshape(lengths, g.dims(x, kept) if kept else [], 1)
    counted = g.Less(g.cast(g.Range(np.int64(0), g.dim(folded, axis), np.int64(1)), np.int32), lengths)
    if kind == "ReduceMax":
        most = g.reduce(kind, g.Where(counted, folded, -np.inf), [axis])
        return g.Where(g.Greater(g.Squeeze(lengths, [axis]), 0), most, 0)
    total = g.reduce("ReduceSum", g.Where(counted, folded, 0), [axis])
    if kind == "ReduceSum":
        return total
    return g.Div(total, g.cast(g.Max(g.Squeeze(lengths, [axis]), 1), x.dtype))


@rule("AveragedLoss", "SumElements", "SumSqrElements", "SumElementsInt")
def elements(g: Builder, op: Any, x: Value) -> Value:
    x = g.flat(x)
    if op.type == "SumElementsInt":  # modulo 2^32
        return g.cast(g.reduce("ReduceSum", g.cast(x, np.int64), [0]), np.int32)
    total = g.reduce("ReduceSumSquare" if op.type == "SumSqrElements" else "ReduceSum", x, [0])
    if op.type == "AveragedLoss" or op.average:
        return g.Div(total, g.cast(g.Max(g.length(x), 1), x.dtype))
    return total


@rule("ReduceFrontWeightedSum")
def weighted_front(g: Builder, op: Any, x: Value, scalars: Value) -> Value:
    n = op.num_reduce_dim
    return g.reduce("ReduceSum", g.Mul(x, g.reshape(scalars, g.dims(x, slice(0, n)), [1] * (x.rank - n))), range(n))


@rule("RowwiseMax", "ColwiseMax")
def extremes(g: Builder, op: Any, x: Value) -> Value:
    return g.reduce("ReduceMax", x, [2 if op.type == "RowwiseMax" else 1])


@rule("ReduceTailSum")
def tail_sum(g: Builder, op: Any, x: Value) -> Value:
    return g.reduce("ReduceSum", x, range(1, x.rank)) if x.rank > 1 else x


@rule("SumReduceLike")
def sum_like(g: Builder, op: Any, A: Value, B: Value) -> Value:
    placed = op.placed(tuple(A.static(i) for i in range(A.rank)), tuple(B.static(i) for i in range(B.rank)))
    lead = A.rank - len(placed)
    axes = [i for i in range(A.rank) if i < lead or (placed[i - lead] == 1 and A.shape[i] != 1)]
    return g.reshape(g.reduce("ReduceSum", A, axes) if axes else A, g.dims(B))


@rule("ArgMax", "ArgMin")
def arg_extreme(g: Builder, op: Any, x: Value) -> Value:
    return g.op(op.type, x, axis=op.axis % x.rank, keepdims=int(op.keepdims))


@rule("TopK")
def top_k(g: Builder, op: Any, x: Value, k: Value | None = None) -> tuple[Value | None, ...]:
    """Where there are less than k values, 0 and the index -1 stand for others. The input counts without argument."""
    axis, k = op.axis % x.rank, k if op.k is None else None
    wanted, there = g.value([op.k]) if k is None else g.reshape(k, [1]), g.dims(x, [axis])
    count = g.Min(wanted, there)
    values, indices = g.TopK(x, count, out=2, axis=axis)
    flat = _flat(g, x, indices, axis) if g.is_wanted(op, 2) else None
    size = x.shape[axis]
    if k is None and isinstance(size, int) and size >= op.k:
        return values, indices, flat if flat is None else g.flat(flat)
    front, behind = np.zeros(x.rank + axis, np.int64), np.zeros(x.rank - 1 - axis, np.int64)
    pads = g.vector(front.tolist(), g.Sub(wanted, count), behind.tolist())
    values, indices = g.Pad(values, pads), g.Pad(indices, pads, np.int64(-1))
    return values, indices, flat if flat is None else g.flat(g.Pad(flat, pads, np.int64(-1)))


def _flat(g: Builder, x: Value, indices: Value, axis: int) -> Value:
    """Where in x as a vector the elements stand that indices along an axis name."""
    step = g.constant(np.int64(1))
    found = None
    for i in reversed(range(x.rank)):
        n = g.dim(x, i)
        if i == axis:
            at = indices
        else:
            shape = [1] * x.rank
            shape[i] = -1
            at = g.reshape(g.Range(np.int64(0), n, np.int64(1)), shape)
        part = g.Mul(at, step)
        found = part if found is None else g.Add(found, part)
        step = g.Mul(step, n)
    assert found is not None
    return found


@rule("Histogram")
def histogram(g: Builder, op: Any, *inputs: Value) -> Value:
    edges = np.asarray(op.bin_edges, inputs[0].dtype)
    x = g.Concat(*(g.flat(v) for v in inputs), axis=0) if len(inputs) > 1 else g.flat(inputs[0])
    column = g.unsqueeze(x, 1)
    inside = g.And(g.GreaterOrEqual(column, edges[:-1]), g.Less(column, edges[1:]))
    return g.reduce("ReduceSum", g.cast(inside, np.int64), [0])
