"""Gradients and steps of optimizers, as far as a net that trains needs them: one step of training as a model.

What such a net keeps (weights, the number of the step) goes in with a default, and comes out changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.image import windows
from caffe2ops.port.onnx.rules.linalg import rows
from caffe2ops.port.values import NotPortable, Value

SMALLEST = 1e-20


@rule("ReluGradient")
def relu_gradient(g: Builder, op: Any, Y: Value, dY: Value) -> Value:
    return g.Where(g.Greater(Y, 0), dY, 0)


@rule("SigmoidGradient")
def sigmoid_gradient(g: Builder, op: Any, Y: Value, dY: Value) -> Value:
    return g.Mul(g.Mul(dY, Y), g.Sub(np.ones((), Y.dtype), Y))


@rule("TanhGradient")
def tanh_gradient(g: Builder, op: Any, Y: Value, dY: Value) -> Value:
    return g.Mul(dY, g.Sub(np.ones((), Y.dtype), g.Mul(Y, Y)))


@rule("SoftmaxGradient")
def softmax_gradient(g: Builder, op: Any, Y: Value, dY: Value) -> Value:
    axis = op.axis % Y.rank
    y, dy = (g.matrix(v, axis) for v in (Y, dY))
    along = g.reduce("ReduceSum", g.Mul(y, dy), [1], keepdims=True)
    return g.reshape(g.Mul(y, g.Sub(dy, along)), g.dims(Y))


@rule("AveragedLossGradient")
def averaged_loss_gradient(g: Builder, op: Any, x: Value, dY: Value) -> Value:
    each = g.Div(g.reshape(dY, []), g.cast(g.Max(g.length(x), 1), x.dtype))
    return g.Expand(each, g.dims(x))


@rule("LabelCrossEntropyGradient")
def label_cross_entropy_gradient(g: Builder, op: Any, X: Value, label: Value, dY: Value) -> Value:
    x = g.matrix(X) if X.rank > 1 else g.reshape(X, 1, -1)
    column = g.reshape(g.cast(label, np.int64), [-1, 1])
    slope = g.Neg(g.Div(g.unsqueeze(dY, 1), g.Max(g.GatherElements(x, column, axis=1), SMALLEST)))
    return g.reshape(g.ScatterElements(g.full(g.dims(x), 0, X.dtype), column, slope, axis=1), g.dims(X))


@rule("FCGradient", "FCTransposedGradient")
def fc_gradient(g: Builder, op: Any, X: Value, W: Value, dY: Value) -> tuple[Value, ...]:
    x, w = g.matrix(X, op.axis % X.rank), g.matrix(W, op.axis_w)
    dy = g.reshape(dY, -1, g.dims(w, [1 if op.transposed else 0]))
    dw = g.Gemm(x, dy, transA=1) if op.transposed else g.Gemm(dy, x, transA=1)
    db = g.reduce("ReduceSum", dy, [0])
    found = (g.reshape(dw, g.dims(W)), db)
    if op.n_outputs == 2:
        return found
    return *found, g.reshape(g.Gemm(dy, w, transB=int(op.transposed)), g.dims(X))


@rule("DotProductGradient")
def dot_product_gradient(g: Builder, op: Any, X: Value, Y: Value, dZ: Value) -> tuple[Value, Value]:
    dz = g.unsqueeze(dZ, 1)
    return tuple(g.reshape(g.Mul(rows(g, v), dz), g.dims(v)) for v in (Y, X))  # type: ignore[return-value]


@rule("ConvGradient", "Conv1DGradient", "Conv2DGradient", "Conv3DGradient")
def conv_gradient(g: Builder, op: Any, X: Value, filter: Value, dY: Value) -> tuple[Value | None, ...]:
    """The gradient of X is a transposed convolution, that of the filter a convolution of X by dY."""
    if op.channels_last or op.group != 1 or op.global_pooling:
        raise NotPortable("the gradient of a convolution in groups, of order NHWC, or with global_pooling")
    kernel, strides, dilations, heads, tails = windows(op, X)
    if min((*heads, *tails)) < 0:
        raise NotPortable("the gradient of a convolution with negative padding")
    spatial = range(2, X.rank)
    sizes = [X.static(i, "X") for i in spatial]
    places = [dY.static(i, "dY") for i in spatial]
    reach = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(places, strides, dilations, kernel)]
    left = [size + h + t - r for size, h, t, r in zip(sizes, heads, tails, reach)]  # what no window meets
    swapped = [1, 0, *spatial]
    # as if the images were channels, and dY the filter: strides and dilations change places
    dw = g.Conv(
        g.transpose(X, swapped), g.transpose(dY, swapped), kernel_shape=places, strides=dilations, dilations=strides,
        pads=[*heads, *(t - rest for t, rest in zip(tails, left))],
    )  # fmt: skip
    found: list[Value | None] = [g.transpose(dw, swapped)]
    if not op.no_bias:
        found.append(g.reduce("ReduceSum", dY, [0, *spatial]))
    if op.n_outputs > len(found):
        dx = g.ConvTranspose(dY, filter, kernel_shape=kernel, strides=strides, dilations=dilations)
        behind = [size + h - r for size, h, r in zip(sizes, heads, reach)]
        dx = g.Pad(dx, [0, 0, *(-h for h in heads), 0, 0, *behind])
        found.append(dx)
    return tuple(found)


@rule("MaxPoolGradient", "MaxPool1DGradient", "MaxPool2DGradient", "MaxPool3DGradient")
def max_pool_gradient(g: Builder, op: Any, X: Value, Y: Value, dY: Value) -> Value:
    """Every element that equals the greatest of its window gets the window's gradient: tap by tap."""
    if op.channels_last or op.global_pooling:
        raise NotPortable("the gradient of a pooling of order NHWC, or with global_pooling")
    kernel, strides, _, heads, _ = windows(op, X)
    spatial = range(2, X.rank)
    sizes, places = [X.static(i, "X") for i in spatial], [dY.static(i, "dY") for i in spatial]
    reach = [(n - 1) * s + k for n, s, k in zip(places, strides, kernel)]
    behind = [r - h - size for r, h, size in zip(reach, heads, sizes)]  # padding, or what no window meets
    x = g.Pad(X, [0, 0, *heads, 0, 0, *behind], np.asarray(-np.inf, X.dtype))
    total = None
    for tap in np.ndindex(*kernel):
        ends = [t + (n - 1) * s + 1 for t, n, s in zip(tap, places, strides)]
        met = g.Slice(x, [int(t) for t in tap], ends, list(spatial), strides)
        share = g.Where(g.Equal(met, Y), dY, 0)
        part = _spread(g, share, strides, [int(t) for t in tap], reach)
        total = part if total is None else g.Add(total, part)
    return g.Pad(total, [0, 0, *(-h for h in heads), 0, 0, *(-b for b in behind)])


def _spread(g: Builder, x: Value, strides: list[int], first: list[int], sizes: list[int]) -> Value:
    """x with its elements `strides` apart from `first` on, 0 between, in `sizes`."""
    for i, (stride, start, size) in enumerate(zip(strides, first, sizes)):
        axis = i + 2
        n = x.static(axis)
        if stride > 1:
            pads = [0] * 2 * (x.rank + 1)
            pads[x.rank + 1 + axis + 1] = stride - 1
            behind = [g.dims(x, slice(axis + 1, None))] if axis + 1 < x.rank else []
            x = g.reshape(g.Pad(g.unsqueeze(x, axis + 1), pads), g.dims(x, slice(0, axis)), n * stride, *behind)
        pads = [0] * 2 * x.rank
        pads[axis], pads[x.rank + axis] = start, size - start - n * stride
        x = g.Pad(x, pads)
    return x


# --- steps ---


@rule("Iter")
def iterate(g: Builder, op: Any, count: Value | None = None) -> Value:
    if count is None:
        raise NotPortable("counts in a blob that an init net has not made")
    return g.Add(count, 1)


@rule("WeightedSum")
def weighted_sum(g: Builder, op: Any, *inputs: Value) -> Value:
    total = None
    for x, w in zip(inputs[::2], inputs[1::2]):
        part = g.Mul(g.reshape(x, g.dims(inputs[0])), g.reshape(w, []))
        total = part if total is None else g.Add(total, part)
    assert total is not None
    return total


@rule("LearningRate")
def learning_rate(g: Builder, op: Any, count: Value) -> Value:
    t = g.cast(g.reshape(g.slice(g.flat(count), 0, 0, 1), []), np.float64)
    if op.policy == "fixed":
        factor = np.float64(1)
    elif op.policy == "step":
        factor = g.Pow(np.float64(op.gamma), g.Floor(g.Div(t, np.float64(op.stepsize))))
    elif op.policy == "exp":
        factor = g.Pow(np.float64(op.gamma), t)
    elif op.policy == "inv":
        factor = g.Pow(g.Add(g.Mul(t, np.float64(op.gamma)), np.float64(1)), np.float64(-op.power))
    else:
        raise NotPortable(f"policy = {op.policy!r}; fixed, step, exp and inv can be")
    rate: Value = g.cast(g.Mul(g.value(factor), np.float64(op.base_lr)), np.float32)
    return rate
