"""Numbers of 8 bits, by the arithmetic that defines them in ONNX: Caffe2's Int8 tensors carry their scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node, onnx
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.image import window
from caffe2ops.port.from_onnx.rules.linalg import product
from caffe2ops.port.from_onnx.values import known
from caffe2ops.port.values import NotPortable, Value


def along(g: Builder, x: Value, number: Value, axis: int, block: int) -> Value:
    """A scale or zero point of a tensor, a slice or a block, as it is broadcast with x."""
    if not number.has_rank or number.rank == 0 or number.shape == (1,):
        return g.reshape(number, [1] * x.rank) if x.rank else g.reshape(number, [1])
    axis %= x.rank
    if block and number.rank == x.rank:
        places = np.repeat(np.arange(number.static(axis)), block)[: x.static(axis)].astype(np.int64)
        return g.one("Gather", number, places, axis=axis)
    return g.reshape(number, [number.static(0) if i == axis else 1 for i in range(x.rank)])


def rounded(g: Builder, x: Value, zero: Value | None, dtype: Any) -> Value:
    """x rounded to whole numbers, zero added, cut off at the ends of the dtype."""
    dtype = known(dtype)
    if dtype.itemsize > 2:
        raise NotPortable(f"quantises to {dtype}")
    whole = g.aten("round", x)
    whole.shape = x.shape
    if zero is not None:
        whole = g.Add(whole, g.cast(zero, x.dtype))
    limits = np.iinfo(dtype)
    cut = g.Clip(g.cast(whole, np.float32), min=float(limits.min), max=float(limits.max))
    return g.cast(cut, dtype)


@rule("QuantizeLinear")
def quantize(g: Builder, node: Node, x: Value, scale: Value, zero: Value | None = None) -> Value:
    code = node["output_dtype"]
    dtype = zero.dtype if zero is not None else onnx.helper.tensor_dtype_to_np_dtype(code) if code else np.uint8
    axis, block = 1 if node["axis"] is None else node["axis"], node["block_size"] or 0
    values = g.cast(x, np.float32)
    steps = g.Div(values, g.cast(along(g, x, scale, axis, block), np.float32))
    found = rounded(g, steps, None if zero is None else along(g, x, zero, axis, block), dtype)
    return found if x.rank else g.squeeze(found, 0)


@rule("DequantizeLinear")
def dequantize(g: Builder, node: Node, x: Value, scale: Value, zero: Value | None = None) -> Value:
    axis, block = 1 if node["axis"] is None else node["axis"], node["block_size"] or 0
    values = g.cast(x, np.float32)
    if zero is not None:
        values = g.Sub(values, g.cast(along(g, x, zero, axis, block), np.float32))
    return g.cast(g.Mul(values, g.cast(along(g, x, scale, axis, block), np.float32)), scale.dtype)


def centred(g: Builder, x: Value, zero: Value | None, axis: int) -> Value:
    """x less its zero point, as whole float64 numbers, whose products and sums are exact."""
    values = g.cast(x, np.float64)
    return values if zero is None else g.Sub(values, g.cast(along(g, x, zero, axis, 0), np.float64))


@rule("MatMulInteger")
def matmul_integer(
    g: Builder, node: Node, a: Value, b: Value, a_zero: Value | None = None, b_zero: Value | None = None
) -> Value:
    return g.cast(product(g, centred(g, a, a_zero, -2), centred(g, b, b_zero, -1)), np.int32)


@rule("QLinearMatMul")
def matmul(g: Builder, node: Node, a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value, b_zero: Value,
           y_scale: Value, y_zero: Value) -> Value:  # fmt: skip
    found = product(g, centred(g, a, a_zero, -2), centred(g, b, b_zero, -1))
    scales = [g.cast(along(g, x, s, axis, 0), np.float64) for x, s, axis in ((a, a_scale, -2), (b, b_scale, -1))]
    real = g.Mul(g.Mul(found, scales[0]), scales[1])
    steps = g.Div(real, g.cast(along(g, found, y_scale, -2, 0), np.float64))
    return rounded(g, steps, along(g, found, y_zero, -2, 0), y_zero.dtype)


def _convolved(g: Builder, node: Node, x: Value, w: Value, x_zero: Value | None, w_zero: Value | None) -> Value:
    kernel = list(node["kernel_shape"] or (w.static(i) for i in range(2, w.rank)))
    images, filters = centred(g, x, x_zero, 1), centred(g, w, w_zero, 0)
    return g.Conv(images, filters, **window(node, x, kernel), group=node["group"])


@rule("ConvInteger")
def convolution_integer(
    g: Builder, node: Node, x: Value, w: Value, x_zero: Value | None = None, w_zero: Value | None = None
) -> Value:
    return g.cast(_convolved(g, node, x, w, x_zero, w_zero), np.int32)


@rule("QLinearConv")
def convolution(
    g: Builder, node: Node, x: Value, x_scale: Value, x_zero: Value, w: Value, w_scale: Value, w_zero: Value,
    y_scale: Value, y_zero: Value, bias: Value | None = None,
) -> Value:  # fmt: skip
    found = _convolved(g, node, x, w, x_zero, w_zero)
    if bias is not None:
        found = g.Add(found, g.cast(g.reshape(bias, [1, -1] + [1] * (x.rank - 2)), np.float64))
    scale = g.Mul(g.cast(g.reshape(x_scale, [1]), np.float64), g.cast(g.reshape(w_scale, [-1]), np.float64))
    over = g.Div(scale, g.cast(g.reshape(y_scale, [1]), np.float64))
    steps = g.Mul(found, g.reshape(over, [1, -1] + [1] * (x.rank - 2)))
    return rounded(g, steps, along(g, found, y_zero, 1, 0), y_zero.dtype)
