"""Quantised tensors of 8 bits: floats between QuantizeLinear and DequantizeLinear.

They are within one step of Caffe2's whole numbers. Operators that only move elements keep them as bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.image import average, convolution, greatest, nearest, transposed_convolution
from caffe2ops.port.onnx.rules.shape import cut, shuffled, to_first, to_last
from caffe2ops.port.values import NotPortable, Value


def made(g: Builder, op: Any, x: Value) -> Value:
    """Floats as the quantised output that the operator says."""
    return g.quantize(x, op.Y_scale, op.Y_zero_point)


def like(g: Builder, op: Any, x: Value, y: Value) -> Value:
    """Elements of x in other places: as quantised as x is, which the arguments must say too."""
    scale, zero = x.quantisation()
    op.wants_scale(scale, zero)
    return g.quantised(y, scale, zero)


@rule("Int8Quantize")
def quantize(g: Builder, op: Any, x: Value, qparam: Value | None = None) -> Value:
    return made(g, op, x)


@rule("Int8Dequantize")
def dequantize(g: Builder, op: Any, x: Value) -> Value:
    return g.dequantize(x)


def bias_of(g: Builder, bias: Value | None, x: Value, w: Value) -> Value | None:
    """The bias as floats: its whole numbers are added to products, whatever scale it says."""
    if bias is None:
        return None
    made: Value = g.DequantizeLinear(bias, x.quantisation()[0] * w.quantisation()[0], np.int32(0))
    return made


@rule("Int8Conv", "Int8ConvRelu")
def conv(g: Builder, op: Any, X: Value, filter: Value, bias: Value | None = None) -> Value:
    x, w = to_first(g, g.dequantize(X)), to_first(g, g.dequantize(filter))
    y = convolution(g, op, x, w, bias_of(g, bias, X, filter))
    return made(g, op, to_last(g, g.Relu(y) if op.relu else y))


@rule("Int8ConvTranspose")
def conv_transpose(g: Builder, op: Any, X: Value, filter: Value, bias: Value | None = None) -> Value:
    x, w = to_first(g, g.dequantize(X)), to_first(g, g.dequantize(filter))
    return made(g, op, to_last(g, transposed_convolution(g, op, x, w, bias_of(g, bias, X, filter))))


@rule("Int8FC")
def fc(g: Builder, op: Any, X: Value, W: Value, b: Value, qparam: Value | None = None) -> Value:
    x, w = (g.matrix(g.dequantize(v)) for v in (X, W))
    return made(g, op, g.Gemm(x, w, bias_of(g, b, X, W), transB=1))


@rule("Int8Add", "Int8AddRelu", "Int8Sum", "Int8SumRelu")
def add(g: Builder, op: Any, *inputs: Value) -> Value:
    if len(inputs) != 2:
        raise NotPortable(f"{len(inputs)} inputs, Caffe2 itself adds two")
    y = g.Add(*(g.dequantize(v) for v in inputs))
    return made(g, op, g.Relu(y) if op.type.endswith("Relu") else y)


@rule("Int8AveragePool", "Int8AveragePoolRelu")
def average_pool(g: Builder, op: Any, X: Value) -> Value:
    y = to_last(g, average(g, op, to_first(g, g.dequantize(X))))
    return made(g, op, g.Relu(y) if op.type.endswith("Relu") else y)


@rule("Int8MaxPool", "Int8MaxPoolRelu")
def max_pool(g: Builder, op: Any, X: Value) -> Value:
    y = to_last(g, greatest(g, op, to_first(g, g.dequantize(X))))
    return made(g, op, g.Relu(y) if op.type.endswith("Relu") else y)


@rule("Int8Relu")
def relu(g: Builder, op: Any, X: Value) -> Value:
    return like(g, op, X, g.Clip(X, np.uint8(X.quantisation()[1])))


@rule("Int8LeakyRelu")
def leaky_relu(g: Builder, op: Any, X: Value) -> Value:
    return made(g, op, g.LeakyRelu(g.dequantize(X), alpha=op.alpha))


@rule("Int8Sigmoid")
def sigmoid(g: Builder, op: Any, X: Value) -> Value:
    return g.quantize(g.Sigmoid(g.dequantize(X)), 1 / 256, 0)


@rule("Int8Softmax")
def softmax(g: Builder, op: Any, X: Value) -> Value:
    x = g.dequantize(X)
    return g.quantize(g.reshape(g.Softmax(g.matrix(x), axis=-1), g.dims(x)), 1 / 256, 0)


@rule("Int8ChannelShuffle")
def channel_shuffle(g: Builder, op: Any, X: Value) -> Value:
    return like(g, op, X, shuffled(g, X, op.group, X.rank - 1))


@rule("Int8Concat")
def concat(g: Builder, op: Any, *inputs: Value) -> tuple[Value, Value | None]:
    axis = op.axis % (inputs[0].rank + op.add_axis)
    if len({x.quantised for x in inputs}) > 1:
        raise NotPortable("inputs of different scales")
    parts = [g.unsqueeze(x, axis) for x in inputs] if op.add_axis else inputs
    sizes = g.cast(g.vector(*(g.dims(x, [axis]) for x in parts)), np.int32) if g.is_wanted(op, 1) else None
    return like(g, op, inputs[0], g.Concat(*parts, axis=axis)), sizes


@rule("Int8Flatten")
def flatten(g: Builder, op: Any, X: Value) -> Value:
    return like(g, op, X, g.Flatten(X, axis=op.axis))


@rule("Int8Reshape")
def reshape(g: Builder, op: Any, X: Value, shape: Value | None = None) -> tuple[Value, Value]:
    return like(g, op, X, g.Reshape(X, list(op.shape) if shape is None else g.cast(shape, np.int64))), g.dims(X)


@rule("Int8Transpose")
def transpose(g: Builder, op: Any, X: Value) -> Value:
    return like(g, op, X, g.Transpose(X, perm=list(op.axes or range(X.rank)[::-1])))


@rule("Int8Slice")
def slice_(g: Builder, op: Any, X: Value, starts: Value | None = None, ends: Value | None = None) -> Value:
    if starts is not None and ends is not None:
        first, last = ([int(v) for v in x.constant("the box")] for x in (starts, ends))
    elif op.starts:
        first, last = op.starts, op.ends
    else:
        first, last = [0] * X.rank, [-1] * X.rank
        first[op.dim], last[op.dim] = op.start_idx, op.end_idx
    y = cut(g, X, first, last)
    return like(g, op, X, g.Identity(y) if y is X else y)


@rule("Int8ResizeNearest")
def resize_nearest(g: Builder, op: Any, X: Value) -> Value:
    y = X
    for axis, given in ((1, op.height_scale), (2, op.width_scale)):
        if op.output_size:
            size = op.output_size[axis - 1]
            y = nearest(g, y, axis, np.float32(size) / np.float32(y.static(axis, "X")), size)
        else:
            y = nearest(g, y, axis, np.float32(given))
    return like(g, op, X, g.Identity(y) if y is X else y)
