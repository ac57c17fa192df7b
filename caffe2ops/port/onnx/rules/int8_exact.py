"""Quantised tensors of 8 bits, computed in whole numbers as Caffe2 computes them, bit by bit (QNNPACK's arithmetic).

Sums of products come from ConvInteger and MatMulInteger. They are scaled in float64, which holds every product of a sum
and a scale of 24 bits, and rounded twice, as Caffe2 does.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.ops.int8.activation import BYTES
from caffe2ops.ops.int8.add import LIMIT, SMALLEST
from caffe2ops.ops.int8.arithmetic import LEAST, MOST, F, parts, ratio
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.image import average, convolution, convolved, greatest, transposed_convolution
from caffe2ops.port.onnx.rules.int8 import like
from caffe2ops.port.onnx.rules.shape import to_first, to_last
from caffe2ops.port.values import NotPortable, Value
from caffe2ops.qtensor import QTensor

D = np.float64
SUMS = 1 << 29  # sums below this times scales of 24 bits are whole numbers that float64 holds
FLOATS = 1 << 24  # sums below this float32 holds
WINDOW = 1 << 13  # elements whose mean times their number, in float32, is nearer to their sum than to other numbers
NIBBLE = 16


def scale_of(x: Value) -> Any:
    return x.quantisation()[0]


def zero_of(x: Value) -> int:
    return x.quantisation()[1]


def centred(g: Builder, x: Value, dtype: Any) -> Value:
    """The elements less the zero point."""
    zero, x = zero_of(x), g.cast(x, dtype)
    return g.Sub(x, dtype(zero)) if zero else x


def cut_off(g: Builder, op: Any, y: Value, relu: bool = False) -> Value:
    """The output whose elements are whole numbers y, cut off at the ends; with `relu` at the zero point below."""
    number = y.dtype.type
    elements = g.Clip(y, number(op.Y_zero_point if relu else LEAST), number(MOST))
    return g.quantised(g.cast(elements, np.uint8), op.Y_scale, op.Y_zero_point)


def rounded(g: Builder, op: Any, y: Value, relu: bool = False) -> Value:
    """The output of float64 numbers in its scale, to the nearest, halves away from 0; with `relu` at least 0."""
    zero = D(op.Y_zero_point)
    if relu or not zero:  # numbers below 0 are cut off
        return cut_off(g, op, g.Floor(g.Add(y, zero + D(0.5))), relu)
    return cut_off(g, op, g.Add(g.Mul(g.Sign(y), g.Floor(g.Add(g.Abs(y), D(0.5)))), zero))


def greatest_sum(x: Value, w: Value, products: int) -> int:
    """The greatest that a sum of so many products of elements of x and w, less the zero points, can be."""
    return products * prod(max(zero, MOST - zero) for zero in (zero_of(x), zero_of(w)))


def finished(g: Builder, op: Any, sums: Value, x: Value, w: Value, bias: Value | None, products: int) -> Value:
    """The output of sums of products [N, M, ...]: with the bias, times the mantissa of the scale, rounded, times its
    power of two, rounded."""
    scale = scale_of(x) * scale_of(w) / F(op.Y_scale)
    mantissa, exponent = parts(ratio(scale, 2.0**-32, 1.0, "scale of X * scale of the weights / Y_scale"))
    offsets = np.zeros(1, D) if bias is None else bias.constant("the bias").astype(D)
    if greatest_sum(x, w, products) + np.abs(offsets).max(initial=0) >= SUMS:
        raise NotPortable(f"sums of {products} products may reach {SUMS:,}, which is too much here (exact_int8)")
    unit = D(mantissa / 2**24)
    offsets = (offsets * unit + 0.5).reshape(-1, *[1] * (sums.rank - 2))
    product = g.Floor(g.Add(g.Mul(g.cast(sums, D), unit), offsets))
    return rounded(g, op, g.Mul(product, D(2.0 ** (exponent + 1))), getattr(op, "relu", False))


@rule("Int8Conv", "Int8ConvRelu", exact=True)
def conv(g: Builder, op: Any, X: Value, filter: Value, bias: Value | None = None) -> Value:
    """By a float32 Conv where that is exact, as for depthwise filters, which runtimes are quicker at."""
    w = to_first(g, filter)
    products = prod(w.static(i, "the filter") for i in range(1, w.rank))
    if greatest_sum(X, filter, products) < FLOATS:
        sums = convolution(g, op, *(to_first(g, centred(g, v, F)) for v in (X, filter)))
    else:
        x, attributes = convolved(g, op, to_first(g, X), w)
        sums = g.ConvInteger(x, w, np.uint8(zero_of(X)), np.uint8(zero_of(filter)), **attributes)
    y = finished(g, op, sums, X, filter, bias, products)
    return g.quantised(to_last(g, y), *y.quantisation())


@rule("Int8FC", exact=True)
def fc(g: Builder, op: Any, X: Value, W: Value, b: Value, qparam: Value | None = None) -> Value:
    x, w = g.matrix(X), g.transpose(g.matrix(W), [1, 0])
    sums = g.MatMulInteger(x, w, np.uint8(zero_of(X)), np.uint8(zero_of(W)))
    return finished(g, op, sums, X, W, b, w.static(0, "W"))


@rule("Int8ConvTranspose", exact=True)
def conv_transpose(g: Builder, op: Any, X: Value, filter: Value, bias: Value | None = None) -> Value:
    """By a float32 ConvTranspose, which is exact where few products meet; else by one for each half of the weights."""
    x, w = to_first(g, centred(g, X, F)), to_first(g, centred(g, filter, F))
    products = x.static(1, "X") * prod(w.static(i, "the filter") for i in range(2, w.rank))
    if greatest_sum(X, filter, products) < FLOATS:
        sums = transposed_convolution(g, op, x, w)
    elif products * MOST * NIBBLE < FLOATS:
        high = g.Floor(g.Mul(w, F(1 / NIBBLE)))
        low = g.Sub(w, g.Mul(high, F(NIBBLE)))
        parts_ = [g.cast(transposed_convolution(g, op, x, half), D) for half in (high, low)]
        sums = g.Add(g.Mul(parts_[0], D(NIBBLE)), parts_[1])
    else:
        raise NotPortable(f"sums of {products} products are too much for float32 (exact_int8)")
    y = finished(g, op, sums, X, filter, bias, products)
    return g.quantised(to_last(g, y), *y.quantisation())


@rule("Int8Add", "Int8AddRelu", "Int8Sum", "Int8SumRelu", exact=True)
def add(g: Builder, op: Any, *inputs: Value) -> Value:
    if len(inputs) != 2:
        raise NotPortable(f"{len(inputs)} inputs, Caffe2 itself adds two")
    scales = [
        ratio(scale_of(x) / F(op.Y_scale), SMALLEST, LIMIT, f"scale of {name} / Y_scale")
        for name, x in zip("AB", inputs)
    ]
    unit = D(2.0 ** (21 - parts(max(scales))[1]))  # scales of 22 bits
    terms = [g.Mul(centred(g, x, D), np.rint(scale * F(unit)).astype(D) / unit) for x, scale in zip(inputs, scales)]
    return rounded(g, op, g.Add(*terms), op.relu)


@rule("Int8AveragePool", "Int8AveragePoolRelu", exact=True)
def average_pool(g: Builder, op: Any, X: Value) -> Value:
    x = to_first(g, centred(g, X, F))
    area = prod(w.kernel for w in op.windows(tuple(x.static(i, "X") for i in range(2, x.rank))))
    if area > WINDOW:
        raise NotPortable(f"windows of {area} elements, wants {WINDOW} at most (exact_int8)")
    sums = g.cast(g.Round(g.Mul(average(g, op, x), F(area))), D)
    by = ratio(scale_of(X) / (F(op.Y_scale) * F(area)), 2.0**-32, 2.0**8, "scale of X / (Y_scale * window)")
    y = rounded(g, op, g.Mul(sums, D(by)), op.relu)
    return g.quantised(to_last(g, y), *y.quantisation())


@rule("Int8MaxPool", "Int8MaxPoolRelu", exact=True)
def max_pool(g: Builder, op: Any, X: Value) -> Value:
    y = to_last(g, g.cast(greatest(g, op, to_first(g, g.cast(X, F))), np.uint8))
    return like(g, op, X, g.Clip(y, np.uint8(zero_of(X))) if op.relu else y)


@rule("Int8LeakyRelu", "Int8Sigmoid", exact=True)
def table(g: Builder, op: Any, X: Value) -> Value:
    """What each of the 256 bytes becomes, looked up."""
    made = op.run_cpu(QTensor(BYTES.astype(np.uint8), *X.quantisation()))
    return g.quantised(g.Gather(made.data, g.cast(X, np.int32)), made.scale, made.zero_point)


@rule("Int8Softmax", exact=True)
def softmax(g: Builder, op: Any, X: Value) -> Value:
    op.wants_scale(1 / 256, 0)
    x = g.cast(g.matrix(X), np.int32)
    powers = g.Gather(
        op.powers(scale_of(X), x.static(1, "X")), g.Add(g.Sub(x, g.reduce("ReduceMax", x, [1], True)), np.int32(MOST))
    )
    total = g.reduce("ReduceSum", powers, [1], True)
    found = g.Min(g.Div(g.Add(g.Mul(powers, np.int64(256)), g.Div(total, np.int64(2))), total), np.int64(MOST))
    return g.quantised(g.cast(g.reshape(found, g.dims(X)), np.uint8), 1 / 256, 0)


@rule("Int8Quantize", exact=True)
def quantize(g: Builder, op: Any, x: Value, qparam: Value | None = None) -> Value:
    return cut_off(g, op, g.Add(g.Round(g.Mul(x, F(1) / F(op.Y_scale))), F(op.Y_zero_point)))
