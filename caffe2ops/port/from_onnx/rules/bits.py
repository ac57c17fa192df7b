"""Bits of whole numbers."""

from __future__ import annotations

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node, onnx
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.values import INTEGER, shaped
from caffe2ops.port.values import NotPortable, Value


@rule("BitwiseNot")
def bits_turned(g: Builder, node: Node, x: Value) -> Value:
    (a,) = g.accepted(INTEGER, x)
    return g.cast(g.Sub(g.like(a, -1), a), x.dtype)


@rule("BitShift")
def shifted(g: Builder, node: Node, x: Value, by: Value) -> Value:
    """Times a power of 2, or over it and rounded down; of 64 bits in two steps, as 2 to the 63 is no int64.

    All bits are shifted out where `by` is below 0 or more than there are.
    """
    left, bits, found = node["direction"] == "LEFT", 8 * x.dtype.itemsize, g.cast(x, np.int64)
    count = g.cast(by, np.int64)
    inside = g.And(g.GE(count, g.like(count, 0)), g.LT(count, g.like(count, bits)))
    count = g.where(inside, count, g.like(count, bits))
    steps = [count]
    if bits == 64:
        half = g.Div(count, g.like(count, 2))
        steps = [half, g.Sub(count, half)]
    for step in steps:
        power = g.cast(shaped(g.aten("pow", g.constant(np.float64(2)), g.cast(step, np.float64)), step), np.int64)
        if left:
            found = g.Mul(found, power)
        else:
            found = g.Div(g.Sub(found, shaped(g.aten("remainder", found, power), found)), power)
    return g.cast(found, x.dtype)


@rule("BitCast")
def bits_read(g: Builder, node: Node, x: Value) -> Value:
    """Of whole numbers, which a cast leaves as they are, too."""
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(node["to"]))
    if "f" in (x.dtype.kind, dtype.kind) and x.dtype != dtype:
        raise NotPortable("reads the bits of floats, which no operator of Caffe2 does")
    if dtype.kind == "b":
        raise NotPortable("reads bits as bool")
    return g.cast(x, dtype)
