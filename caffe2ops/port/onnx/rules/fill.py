"""Tensors made of a shape: constants, ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import NotPortable, Value


def dims_of(g: Builder, op: Any, x: Value | None) -> Value:
    """The shape that a filler fills."""
    if x is None:
        return g.value(op.shape)
    front = g.cast(x, np.int64) if op.input_as_shape else g.dims(x)
    return g.vector(front, op.extra_shape) if op.extra_shape else front


@rule("ConstantFill", "Float16ConstantFill")
def constant_fill(g: Builder, op: Any, x: Value | None = None, value: Value | None = None) -> Value:
    if op.fills.hasobject:
        raise NotPortable("fills with strings")
    if value is not None:
        return g.Expand(g.reshape(value, []), dims_of(g, op, x))
    return g.full(dims_of(g, op, x), op._value if op.type == "ConstantFill" else op.value, op.fills)


@rule("DiagonalFill")
def diagonal_fill(g: Builder, op: Any, x: Value) -> Value:
    dims = dims_of(g, op, x)
    if dims.array is None:
        raise NotPortable("needs the shape as a constant")
    return g.constant(op.fill(np.empty(tuple(dims.array), op.fills)))


@rule("Range")
def range_(g: Builder, op: Any, *inputs: Value) -> Value:
    ends = [g.reshape(x, []) for x in inputs]
    zero, one = np.zeros((), inputs[0].dtype), np.ones((), inputs[0].dtype)
    start, stop, step = (g.value(x) for x in ([zero, *ends, one] if len(ends) == 1 else [*ends, one][:3]))
    way = g.Sub(stop, start)
    whole = g.Div(way, step)
    if inputs[0].dtype.kind == "f":
        count = g.cast(g.Ceil(whole), np.int64)
    else:  # counted up to the end, down to the last whole step
        count = g.cast(g.Add(whole, g.cast(g.Less(g.Mul(whole, step), way), inputs[0].dtype)), np.int64)
    numbers = g.Range(np.int64(0), g.Max(count, 0), np.int64(1))
    return g.Add(g.Mul(g.cast(numbers, inputs[0].dtype), step), start)


@rule("RangeFill")
def range_fill(g: Builder, op: Any, x: Value | None = None) -> Value:
    dims = dims_of(g, op, x)
    count = g.reduce("ReduceProd", dims, [0])
    return g.reshape(g.cast(g.Range(np.int64(0), count, np.int64(1)), np.float32), dims)
