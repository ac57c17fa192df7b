"""Quantised tensors, as bytes: whole numbers scaled and rounded as Caffe2's library for 8 bits (QNNPACK) does it."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.int8.activation import OUT_OF_256
from caffe2ops.ops.int8.add import LIMIT, SMALLEST
from caffe2ops.ops.int8.arithmetic import F, ratio
from caffe2ops.port.torch.rules import image, rule, shape
from caffe2ops.port.torch.values import Quantised, Steps, Tensor
from caffe2ops.port.torch.writer import Writer
from caffe2ops.port.values import NotPortable
from caffe2ops.qtensor import QTensor


def made(op: Any, text: str) -> Quantised:
    """The quantised output that the operator says."""
    return Quantised(text, Steps(float(F(op.Y_scale)), op.Y_zero_point))


def like(op: Any, x: Tensor, text: str) -> Quantised:
    """Bytes of x in other places: as quantised as x is, which the arguments must say too."""
    op.wants_scale(*x.quantised)
    return Quantised(text, x.quantised)


def least(op: Any) -> dict[str, int]:
    """The zero point as the least byte, where a Relu is behind the operator."""
    return {"least": op.Y_zero_point} if op.relu and op.Y_zero_point else {}


@rule("Int8Quantize")
def quantize(t: Writer, op: Any, x: Tensor, qparam: Tensor | None = None) -> Quantised:
    if qparam is not None:
        raise NotPortable("Qparam is for engine DNNLOWP")
    return made(op, t.call("quantise", x, op.Y_scale, op.Y_zero_point))


@rule("Int8Dequantize")
def dequantize(t: Writer, op: Any, x: Tensor) -> str:
    return t.call("dequantise", x, *x.quantised)


# --- products ---


def scaled(t: Writer, op: Any, sums: str, x: Tensor, w: Tensor, bias: Tensor | None) -> Quantised:
    """The output of sums of products, channels in axis 1."""
    scale = F(x.quantised.scale) * F(w.quantised.scale) / F(op.Y_scale)
    by = ratio(scale, 2.0**-32, 1.0, "scale of X * scale of the weights / Y_scale")
    given = {"scale": float(by), "zero": op.Y_zero_point, **least(op)}
    return made(op, t.call("requantised", t.let("sums", sums), "None" if bias is None else bias, **given))


def convolving(types: tuple[str, ...], convolved: Any) -> None:
    """Registers convolutions, whose sums of products a convolution of floats computes."""

    @rule(*types)
    def convolution(t: Writer, op: Any, X: Tensor, filter: Tensor, bias: Tensor | None = None) -> Quantised:
        x, w = (t.call("centred_images", v, v.quantised.zero) for v in (X, filter))
        return scaled(t, op, convolved(t, op, X, filter, x=x, w=w), X, filter, bias)


convolving(("Int8Conv", "Int8ConvRelu"), image.convolved)
convolving(("Int8ConvTranspose",), image.transposed)


@rule("Int8FC")
def fully_connected(t: Writer, op: Any, X: Tensor, W: Tensor, b: Tensor, qparam: Tensor | None = None) -> Quantised:
    rows, weights = (t.call("centred", shape.matrix(v), v.quantised.zero) for v in (X, W))
    return scaled(t, op, f"F.linear({rows}, {weights})", X, W, b)


@rule("Int8Add", "Int8AddRelu", "Int8Sum", "Int8SumRelu")
def add(t: Writer, op: Any, a: Tensor, b: Tensor) -> Quantised:
    scales = [ratio(F(x.quantised.scale) / F(op.Y_scale), SMALLEST, LIMIT, "scale of an input / Y_scale")
              for x in (a, b)]  # fmt: skip
    zeros = a.quantised.zero, b.quantised.zero
    given = {"scales": tuple(map(float, scales)), "zeros": zeros, "zero": op.Y_zero_point, **least(op)}
    return made(op, t.call("added_bytes", a, b, **given))


# --- windows ---


def windows(op: Any, X: Tensor) -> tuple[Any, Any, Any]:
    """Sizes, steps and padding as F.pad takes it, as source."""
    if op.global_pooling:
        rank = X.rank - 2
        sizes = ", ".join(X.dim(axis) for axis in range(1, X.rank - 1))
        return f"[{sizes}]", [1] * rank, [0] * 2 * rank
    kernel, strides, _, heads, tails = image.windows(op, X)
    return kernel, strides, [n for pair in reversed(list(zip(heads, tails))) for n in pair]


def change(op: Any, X: Tensor) -> dict[str, Any]:
    """Scales and zero points of the input and of the output."""
    scales, zeros = zip(X.quantised, made(op, "").steps)
    return {"scales": scales, "zeros": zeros}


@rule("Int8AveragePool", "Int8AveragePoolRelu")
def average_pool(t: Writer, op: Any, X: Tensor) -> Quantised:
    return made(op, t.call("average_bytes", X, *windows(op, X), **change(op, X), **least(op)))


@rule("Int8MaxPool", "Int8MaxPoolRelu")
def max_pool(t: Writer, op: Any, X: Tensor) -> Quantised:
    text = f"{t.call('windows_last', X, *windows(op, X))}.amax(-1)"
    return like(op, X, f"{text}.clamp(min={op.Y_zero_point})" if least(op) else text)


@rule("Int8RoIAlign")
def roi_align(t: Writer, op: Any, X: Tensor, rois: Tensor) -> Quantised:
    given = (op.pooled_h, op.pooled_w), op.spatial_scale, op.sampling_ratio
    return made(op, t.call("roi_align_bytes", X, rois, *given, **change(op, X)))


# --- functions of one byte ---


@rule("Int8Relu")
def relu(t: Writer, op: Any, X: Tensor) -> Quantised:
    return like(op, X, f"{X}.clamp(min={X.quantised.zero})")


@rule("Int8LeakyRelu", "Int8Sigmoid")
def by_table(t: Writer, op: Any, X: Tensor) -> Quantised:
    """What each of the 256 bytes becomes, looked up."""
    answer = op.run_cpu(QTensor(np.arange(256).astype(np.uint8), *X.quantised))
    table = t.constant(f"{op.op_def.output[0]}_of_byte", answer.data)
    return Quantised(f"{table}[{X}.long()]", Steps(answer.scale, answer.zero_point))


@rule("Int8Softmax")
def softmax(t: Writer, op: Any, X: Tensor) -> Quantised:
    op.wants_scale(*OUT_OF_256)
    return made(op, t.call("softmax_bytes", X, X.quantised.scale))


# --- bytes in other places ---


@rule("Int8ChannelShuffle")
def channel_shuffle(t: Writer, op: Any, X: Tensor) -> Quantised:
    return like(op, X, t.call("channel_shuffle", X, op.group, X.rank - 1))


@rule("Int8Concat")
def concat(t: Writer, op: Any, *inputs: Tensor) -> tuple[Quantised, str]:
    axis = op.axis % inputs[0].rank
    joined = [like(op, x, str(x)).text for x in inputs]
    sizes = ", ".join(f"{x}.shape[{axis}]" for x in inputs)
    return (
        made(op, f"torch.cat(({', '.join(joined)}{',' if len(joined) == 1 else ''}), {axis})"),
        f"torch.tensor([{sizes}], dtype=torch.int32)",
    )


@rule("Int8Flatten")
def flatten(t: Writer, op: Any, X: Tensor) -> Quantised:
    return like(op, X, shape.matrix(X, op.axis))


@rule("Int8Reshape")
def reshape(t: Writer, op: Any, X: Tensor, new: Tensor | None = None) -> tuple[Quantised, str]:
    text, old = shape.reshape(t, op, X, new)
    return like(op, X, text), old


@rule("Int8Transpose")
def transpose(t: Writer, op: Any, X: Tensor) -> Quantised:
    return like(op, X, shape.transpose(t, op, X))


@rule("Int8Slice")
def slice_(t: Writer, op: Any, X: Tensor, starts: Tensor | None = None, ends: Tensor | None = None) -> Quantised:
    if op.has_arg("dim"):
        cut = ", ".join([":"] * op.dim + [shape.between(op.start_idx, op.end_idx)])
        return like(op, X, f"{X}[{cut}]")
    return like(op, X, shape.slice_(t, op, X, starts, ends))


@rule("Int8ResizeNearest")
def resize_nearest(t: Writer, op: Any, X: Tensor) -> Quantised:
    if not op.output_size:
        return like(op, X, image.resized(t, X, {1: op.height_scale, 2: op.width_scale}))
    rows, columns = op.output_size
    part = t.let("part", t.call("resize_nearest_to", X, 1, rows))
    return like(op, X, t.call("resize_nearest_to", part, 2, columns))
