"""Images: convolution, pooling, padding, resizing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caffe2ops.ops.conv.geometry import CAFFE_LEGACY_POOLING, SAME, VALID, Window
from caffe2ops.ops.conv.stylizer import NOISE_BLOB
from caffe2ops.ops.fill.mt19937 import generator_of
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.shape import to_first, to_last
from caffe2ops.port.values import NotPortable, Value


def on_channels_first(g: Builder, op: Any, x: Value, apply: Callable[[Value], Value]) -> Value:
    """What `apply` makes of images [N, C, spatial...], in the order that the operator has."""
    return to_last(g, apply(to_first(g, x))) if op.channels_last else apply(x)


def windows(op: Any, x: Value) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Kernel, strides, dilations, and padding at the heads and tails, of x [N, C, spatial...]."""
    spatial = x.shape[2:]
    rank = len(spatial)
    kernel = op.spelled("kernels", rank, 0)
    if op.legacy_pad in (SAME, CAFFE_LEGACY_POOLING):
        numbers = tuple(x.static(i + 2, "X") for i in range(rank))
        found: tuple[Window, ...] = op.windows(numbers)
        heads, tails = [w.head for w in found], [w.tail for w in found]
    else:
        pads = [0] * 2 * rank if op.legacy_pad == VALID else op.explicit_pads(rank)
        heads, tails = pads[:rank], pads[rank:]
    return kernel, op.spelled("strides", rank, 1), op.spelled("dilations", rank, 1), heads, tails


def padded(g: Builder, x: Value, heads: list[int], tails: list[int], value: float = 0.0) -> Value:
    """Images with padding around, negative padding taking elements off."""
    if not any((*heads, *tails)):
        return x
    return g.Pad(x, [0, 0, *heads, 0, 0, *tails], np.asarray(value, x.dtype))


@rule("Conv", "Conv1D", "Conv2D", "Conv3D")
def conv(g: Builder, op: Any, X: Value, filter: Value, bias: Value | None = None) -> Value:
    if op.channels_last:
        filter = to_first(g, filter)
    return on_channels_first(g, op, X, lambda x: convolution(g, op, x, filter, bias))


def convolution(g: Builder, op: Any, x: Value, filter: Value, bias: Value | None = None) -> Value:
    """Conv of images and filters whose channels stand first."""
    x, attributes = convolved(g, op, x, filter)
    return g.Conv(x, filter, bias, **attributes)


def convolved(g: Builder, op: Any, x: Value, filter: Value) -> tuple[Value, dict[str, Any]]:
    """Images as a convolution takes them, and its attributes."""
    if op.global_pooling:
        rank = x.rank - 2
        kernel, strides, dilations, heads, tails = ([n] * rank for n in (0, 1, 1, 0, 0))
        kernel = [filter.static(i + 2, "the filter") for i in range(rank)]
    else:
        kernel, strides, dilations, heads, tails = windows(op, x)
    if min((*heads, *tails)) < 0:
        x, heads, tails = padded(g, x, heads, tails), [0] * len(heads), [0] * len(tails)
    return x, {
        "kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": [*heads, *tails], "group": op.group
    }  # fmt: skip


@rule("ConvRelu")
def conv_relu(g: Builder, op: Any, X: Value, filter: Value, bias: Value | None = None) -> Value:
    return g.Relu(conv(g, op, X, filter, bias))


@rule("ConvTranspose")
def conv_transpose(g: Builder, op: Any, X: Value, filter: Value, bias: Value | None = None) -> Value:
    if op.channels_last:
        filter = to_first(g, filter)
    return on_channels_first(g, op, X, lambda x: transposed_convolution(g, op, x, filter, bias))


def transposed_convolution(g: Builder, op: Any, x: Value, filter: Value, bias: Value | None = None) -> Value:
    """ConvTranspose of images and filters whose channels stand first.

    ONNX lets no adjustment reach the stride; where one does, it is padding of the tail taken off, else added behind.
    """
    pads = [0] * 4 if op.legacy_pad in (VALID, SAME) else op.explicit_pads(2)
    strides, adjs = op.spelled("strides", 2, 1), op.spelled("adjs", 2, 0)
    heads, tails = pads[:2], [p - a for p, a in zip(pads[2:], adjs)]
    extra = [max(0, -t) for t in tails]
    inside = [e if e < s else 0 for e, s in zip(extra, strides)]
    made = g.ConvTranspose(
        x, filter, None if any(map(int.__ne__, extra, inside)) else bias, kernel_shape=op.spelled("kernels", 2, 0),
        strides=strides, pads=[*heads, *(max(0, t) for t in tails)], output_padding=inside, group=op.group,
    )  # fmt: skip
    if extra != inside:  # the bias comes behind the padding
        made = padded(g, made, [0, 0], [e - i for e, i in zip(extra, inside)])
        made = made if bias is None else g.Add(made, g.unsqueeze(bias, 1, 2))
    return made


@rule("MaxPool", "MaxPool1D", "MaxPool2D", "MaxPool3D")
def max_pool(g: Builder, op: Any, X: Value) -> Value:
    return on_channels_first(g, op, X, lambda x: greatest(g, op, x))


def greatest(g: Builder, op: Any, x: Value) -> Value:
    if op.global_pooling:
        return g.GlobalMaxPool(x) if x.rank > 2 else x
    kernel, strides, _, heads, tails = windows(op, x)
    if min((*heads, *tails)) < 0:
        x, heads, tails = (
            padded(g, x, [min(h, 0) for h in heads], [min(t, 0) for t in tails]),
            *([max(p, 0) for p in pads] for pads in (heads, tails)),
        )
    if any(p >= k for p, k in zip((*heads, *tails), kernel * 2)):  # more than ONNX takes
        x = padded(g, x, heads, tails, -np.inf)
        heads = tails = [0] * len(heads)
    return g.MaxPool(x, kernel_shape=kernel, strides=strides, pads=[*heads, *tails])


@rule("AveragePool", "AveragePool1D", "AveragePool2D", "AveragePool3D")
def average_pool(g: Builder, op: Any, X: Value) -> Value:
    return on_channels_first(g, op, X, lambda x: average(g, op, x))


def average(g: Builder, op: Any, x: Value) -> Value:
    if op.global_pooling:
        return g.GlobalAveragePool(x) if x.rank > 2 else x
    kernel, strides, _, heads, tails = windows(op, x)
    if any(p >= k or p < 0 for p, k in zip((*heads, *tails), kernel * 2)):
        total = g.AveragePool(padded(g, x, heads, tails), kernel_shape=kernel, strides=strides)
        if _counts_padding(op) or max((*heads, *tails)) <= 0:
            return total
        ones = g.Expand(np.ones((), x.dtype), g.dims(x))
        return g.Div(total, g.AveragePool(padded(g, ones, heads, tails), kernel_shape=kernel, strides=strides))
    include = int(_counts_padding(op) and any((*heads, *tails)))
    return g.AveragePool(x, kernel_shape=kernel, strides=strides, pads=[*heads, *tails], count_include_pad=include)


def _counts_padding(op: Any) -> bool:
    return bool(getattr(op, "count_include_pad", True))  # those of 8 bits have no such argument, and count it


@rule("LpPool")
def lp_pool(g: Builder, op: Any, X: Value) -> Value:
    def pool(x: Value) -> Value:
        if op.global_pooling:
            powers = g.reduce("ReduceSum", g.Pow(g.Abs(x), op.p), range(2, x.rank), keepdims=True)
            return g.Pow(powers, 1 / op.p)
        kernel, strides, _, heads, tails = windows(op, x)
        mean = g.AveragePool(padded(g, g.Pow(g.Abs(x), op.p), heads, tails), kernel_shape=kernel, strides=strides)
        return g.Pow(g.Mul(mean, float(np.prod(kernel))), 1 / op.p)

    return on_channels_first(g, op, X, pool)


@rule("PadImage")
def pad_image(g: Builder, op: Any, X: Value) -> Value:
    def pad(x: Value) -> Value:
        pads = op.explicit_pads(2)
        heads, tails = pads[:2], pads[2:]
        if min(pads) < 0 and op.mode != "constant":  # what is taken off is taken off first
            x = g.Pad(x, [0, 0, *(min(p, 0) for p in heads), 0, 0, *(min(p, 0) for p in tails)])
            heads, tails = [max(p, 0) for p in heads], [max(p, 0) for p in tails]
        if op.mode == "constant":
            return padded(g, x, heads, tails, op.value)
        return g.Pad(x, [0, 0, *heads, 0, 0, *tails], mode=op.mode) if any((*heads, *tails)) else x

    return on_channels_first(g, op, X, pad)


@rule("ResizeNearest")
def resize_nearest(g: Builder, op: Any, X: Value, scales: Value | None = None) -> Value:
    for axis, scale in zip(op.axes, op.scales(None if scales is None else scales.constant("scales"))):
        X = nearest(g, X, axis, scale)
    return X


def nearest(g: Builder, X: Value, axis: int, scale: Any, size: int | None = None) -> Value:
    """X of another size along an axis: place y takes element int(y / scale), computed in float32.

    A whole factor repeats elements, which needs no size; any other one wants that of X as a number.
    """
    if size is None and float(scale) == 1.0:
        return X
    if size is None and float(scale).is_integer():
        factors = [1.0] * X.rank
        factors[axis] = float(scale)
        made: Value = g.Resize(
            X, None, np.asarray(factors, np.float32), mode="nearest", nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )  # fmt: skip
        return made
    length = X.static(axis, "X")
    count = int(np.float32(length) * scale) if size is None else size
    source = np.minimum((np.arange(count, dtype=np.float32) / scale).astype(np.int64), length - 1)
    found: Value = g.Gather(X, source, axis=axis)
    return found


@rule("UpsampleBilinear")
def upsample_bilinear(g: Builder, op: Any, X: Value, scales: Value | None = None) -> Value:
    given = None if scales is None else scales.constant("scales")
    sizes = [X.static(axis, "X") for axis in op.axes]
    out = [int(np.float32(size) * scale) for size, scale in zip(sizes, op.scales(given))]
    return g.Resize(
        X, None, None, g.vector(g.dims(X, [0, 1]), *out), mode="linear", coordinate_transformation_mode="align_corners"
    )  # fmt: skip


@rule("Im2Col")
def im2col(g: Builder, op: Any, X: Value) -> Value:
    x = to_first(g, X) if op.channels_last else X
    made = patches(g, op, x)
    if not op.channels_last:
        return made
    channels, taps = x.static(1), made.static(1) // x.static(1)
    last = to_last(g, made)  # [N, positions..., C, taps] -> [N, positions..., taps, C]
    split = g.reshape(last, g.dims(last, slice(0, last.rank - 1)), channels, taps)
    order = [*range(last.rank - 1), last.rank, last.rank - 1]
    return g.reshape(g.transpose(split, order), g.dims(last))


def patches(g: Builder, op: Any, x: Value) -> Value:
    """The patch under each place of a window as a column, [N, C * taps, positions...]: by filters that pick a tap."""
    kernel, strides, dilations, heads, tails = windows(op, x)
    channels, taps = x.static(1, "X"), int(np.prod(kernel))
    eye = np.zeros((channels * taps, 1, taps), x.dtype)  # one filter for each tap of each channel
    eye[np.arange(channels * taps), 0, np.tile(np.arange(taps), channels)] = 1
    return g.Conv(
        x, eye.reshape(-1, 1, *kernel), kernel_shape=kernel, strides=strides, dilations=dilations,
        pads=[*heads, *tails], group=channels,
    )  # fmt: skip


@rule("LC", "LC1D", "LC2D", "LC3D")
def locally_connected(g: Builder, op: Any, X: Value, filter: Value, bias: Value | None = None) -> Value:
    """The patch under each place as a column, times the filters of the place."""
    if op.global_pooling:
        raise NotPortable("global_pooling")
    x = to_first(g, X) if op.channels_last else X
    rank = x.rank - 2
    dims = list(filter.shape)
    if op.channels_last:  # [places..., M, kernel..., C]
        filter = g.transpose(filter, [*range(rank + 1), len(dims) - 1, *range(rank + 1, len(dims) - 1)])
    taps = patches(g, op, x)  # [N, C * taps, places...]
    places = [filter.static(i, "the filter") for i in range(rank)]
    count, M = int(np.prod(places)), filter.static(rank, "the filter")
    columns = g.transpose(g.reshape(taps, g.dims(taps, [0]), taps.static(1), count), [2, 1, 0])
    made = g.MatMul(g.reshape(filter, count, M, -1), columns)  # [places, M, N]
    if bias is not None:
        made = g.Add(made, g.reshape(bias, count, M, 1))
    y = g.reshape(g.transpose(made, [2, 1, 0]), -1, M, *places)
    return to_last(g, y) if op.channels_last else y


@rule("Col2Im")
def col2im(g: Builder, op: Any, columns: Value, X: Value) -> Value:
    if op.channels_last:
        raise NotPortable("order NHWC")
    kernel, strides, dilations, heads, tails = windows(op, X)
    flat = g.reshape(columns, g.dims(columns, [0, 1]), -1)
    return g.Col2Im(flat, g.dims(X, [2, 3]), list(kernel), strides=strides, dilations=dilations, pads=[*heads, *tails])


@rule("MaxPoolWithIndex")
def max_pool_with_index(g: Builder, op: Any, X: Value) -> tuple[Value, Value]:
    if op.global_pooling or X.dtype == np.float16:
        raise NotPortable("with global_pooling, or of float16")
    kernel, strides, _, heads, tails = windows(op, X)
    if any(p >= k or p < 0 for p, k in zip((*heads, *tails), kernel * 2)):
        raise NotPortable("padding that reaches the kernel")
    y, at = g.MaxPool(X, out=2, kernel_shape=kernel, strides=strides, pads=[*heads, *tails])
    plane = g.reduce("ReduceProd", g.dims(X, [2, 3]), [0])
    return y, g.cast(g.flat(g.Mod(at, plane)), np.int32)


@rule("ResizeNearest3D")
def resize_nearest_3d(g: Builder, op: Any, X: Value) -> Value:
    for axis, scale in zip((2, 3, 4), (op.temporal_scale, op.height_scale, op.width_scale)):
        X = nearest(g, X, axis, np.float32(scale))
    return X


@rule("PackedInt8BGRANHWCToNCHWCStylizerPreprocess")
def stylizer_preprocess(g: Builder, op: Any, X: Value, mean: Value) -> Value:
    colours = g.transpose(g.slice(g.cast(X, np.float32), 3, 0, 3), [0, 3, 1, 2])
    plain = g.Sub(colours, g.reshape(mean, [3, 1, 1]))
    if not op.noise_std:
        return plain
    g.note(f"{op.type} adds noise that Caffe2 draws once for a workspace; that, or what is drawn now, is in the model")
    noise = g.walker.drawn(NOISE_BLOB, op.noise_size, lambda size: generator_of(op).normal(size, 0.0, op.noise_std))
    H, W = (g.dims(X, [i]) for i in (1, 2))
    count = g.Mul(g.reshape(g.Mul(H, W), []), np.int64(3))
    at = g.Mod(g.Range(np.int64(0), count, np.int64(1)), np.int64(op.noise_size))
    return g.Add(plain, g.transpose(g.reshape(g.Gather(noise, at), H, W, 3), [2, 0, 1]))


@rule("BRGNCHWCToPackedInt8BGRAStylizerDeprocess")
def stylizer_deprocess(g: Builder, op: Any, X: Value, mean: Value) -> Value:
    levels = g.Add(X, g.reshape(mean, [3, 1, 1]))
    levels = g.Clip(g.Where(g.IsNaN(levels), 0.0, levels), np.float32(0), np.float32(255))
    colours = g.cast(g.Floor(g.transpose(levels, [0, 2, 3, 1])), np.uint8)
    alpha = g.Expand(np.uint8(255), g.vector(g.dims(colours, slice(0, 3)), 1))
    return g.Concat(colours, alpha, axis=3)
