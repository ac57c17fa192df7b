"""Rows of parameters that are changed where they stand: after a step of an optimizer, or added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.optim import halved, one, single
from caffe2ops.port.onnx.rules.optim_sparse import in_turn
from caffe2ops.port.onnx.rules.segment import ONE, per_row, row_dims, summed, wide
from caffe2ops.port.values import Value


@rule("SparseNormalize", "Float16SparseNormalize")
def sparse_normalize(g: Builder, op: Any, param: Value, indices: Value, grad: Value | None = None) -> Value:
    def step(g: Builder, kept: Sequence[Value]) -> tuple[list[Value], list[Value]]:
        rows = g.cast(kept[0], np.float32) if param.dtype == np.float16 else kept[0]
        size = g.Sqrt(g.reduce("ReduceSum", g.Mul(rows, rows), range(1, param.rank), keepdims=True))
        scale = g.Div(np.asarray(single(op.norm), rows.dtype), g.Add(size, single(1e-12)))
        if op.use_max_norm:
            scale = g.Where(g.LessOrEqual(size, single(op.norm)), 1.0, scale)
        if param.dtype == np.float16:
            return [g.cast(g.Mul(g.cast(rows, np.float64), halved(g, scale)), np.float16)], []
        return [g.Mul(rows, scale)], []

    return in_turn(g, step, [param], indices, [])[0]


@rule("SparseLpRegularizer")
def sparse_regularizer(g: Builder, op: Any, param: Value, indices: Value, grad: Value | None = None) -> Value:
    strength = np.float32(op.reg_lambda)

    def step(g: Builder, kept: Sequence[Value]) -> tuple[list[Value], list[Value]]:
        (rows,) = kept
        if op.p == 2:
            return [g.Mul(rows, float(np.float32(1) - strength))], []
        return [g.Shrink(rows, lambd=float(strength), bias=float(strength))], []

    return in_turn(g, step, [param], indices, [])[0]


@rule("EnsureClipped")
def ensure_clipped(g: Builder, op: Any, param: Value, indices: Value | None = None, grad: Value | None = None) -> Value:
    limits = [np.asarray(single(x), param.dtype) for x in (op.min, op.max)]
    if indices is None:
        return g.Min(g.Max(param, limits[0]), limits[1])
    rows = g.flat(wide(g, indices))
    clipped = g.Min(g.Max(g.Gather(param, rows), limits[0]), limits[1])
    return g.ScatterND(param, g.unsqueeze(rows, 1), clipped)


@rule("RowWiseCounter")
def row_wise_counter(
    g: Builder, op: Any, before: Value, counter: Value, indices: Value, iteration: Value
) -> tuple[Value, Value]:
    if op.counter_halflife <= 0:
        return before, counter
    now = one(g, iteration)

    def step(g: Builder, kept: Sequence[Value]) -> tuple[list[Value], list[Value]]:
        last, count = kept
        steps = g.cast(g.Max(g.Sub(now, last), 0), np.float64)
        share = g.Pow(np.float64(2), g.Div(steps, -float(op.counter_halflife)))
        return [g.Max(last, now), g.Add(g.Mul(count, share), 1.0)], []

    made = in_turn(g, step, [g.flat(before), g.flat(counter)], indices, [])
    return g.reshape(made[0], g.dims(before)), g.reshape(made[1], g.dims(counter))


@rule("ScatterWeightedSum")
def scatter_weighted_sum(g: Builder, op: Any, data: Value, weight: Value, indices: Value, *more: Value) -> Value:
    rows = g.flat(wide(g, indices))
    made = data
    if weight.array is None or (weight.array != 1).any():  # as often as a row is named
        counts = summed(g, g.Expand(ONE, g.dims(rows)), rows, g.dim(data, 0))
        factor = g.Pow(g.cast(one(g, weight), np.float64), g.cast(counts, np.float64))
        made = g.Mul(data, per_row(g, g.cast(factor, data.dtype), data))
    for x, w in zip(more[::2], more[1::2]):
        part = g.reshape(x, g.dims(rows), *row_dims(g, data))
        if w.array is None or (w.array != 1).any():
            part = g.Mul(part, g.cast(one(g, w), data.dtype))
        made = g.ScatterND(made, g.unsqueeze(rows, 1), part, reduction="add")
    return made
