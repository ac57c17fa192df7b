"""Normalisation: of channels, groups, rows and neighbourhoods; and softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.image import on_channels_first
from caffe2ops.port.onnx.rules.shape import to_first
from caffe2ops.port.values import Value


@rule("Softmax")
def softmax(g: Builder, op: Any, x: Value) -> Value:
    axis = op.axis % x.rank
    if axis == x.rank - 1:
        return g.Softmax(x, axis=-1)
    return g.reshape(g.Softmax(g.matrix(x, axis), axis=-1), g.dims(x))


@rule("SpatialBN")
def spatial_bn(g: Builder, op: Any, X: Value, scale: Value, bias: Value, mean: Value, var: Value, *sums: Value) -> Any:
    scale, bias, mean, var = (g.flat(v) for v in (scale, bias, mean, var))
    if op.is_test:
        return on_channels_first(
            g, op, X, lambda x: g.BatchNormalization(x, scale, bias, mean, var, epsilon=op.epsilon)
        )
    return _trained(g, op, X, scale, bias, mean, var, *(g.flat(s) for s in sums))


def _trained(
    g: Builder, op: Any, X: Value, scale: Value, bias: Value, running_mean: Value, running_var: Value, *sums: Value
) -> tuple[Value, ...]:
    """By the statistics of the batch; the running ones move towards these."""
    channels = X.rank - 1 if op.channels_last else 1
    axes = [i for i in range(X.rank) if i != channels]
    count = g.Div(g.length(X), g.dim(X, channels))
    if sums and op.num_batches > 1:
        n = g.cast(g.Mul(count, np.int64(op.num_batches)), X.dtype)
        mean = g.Div(sums[0], n)
        variance = g.Sub(g.Div(sums[1], n), g.Mul(mean, mean))
    else:
        n = g.cast(count, X.dtype)
        mean = g.reduce("ReduceMean", X, axes)
        spread = g.Sub(X, g.reduce("ReduceMean", X, axes, keepdims=True))
        variance = g.reduce("ReduceMean", g.Mul(spread, spread), axes)
    one = np.ones((), X.dtype)
    unbiased = g.Mul(variance, g.Div(n, g.Sub(n, one)))
    rstd = g.Reciprocal(g.Sqrt(g.Add(variance, op.epsilon)))
    factor = g.Mul(scale, rstd)
    offset = g.Sub(bias, g.Mul(factor, mean))
    if not op.channels_last:
        factor, offset = (g.unsqueeze(v, *range(1, X.rank - 1)) for v in (factor, offset))
    moved = []
    for old, new in ((running_mean, mean), (running_var, unbiased)):
        step = g.Mul(new, 1 - op.momentum)
        other = old.size is not None and new.size is not None and old.size != new.size  # counts as zeros
        moved.append(step if other else g.Add(g.Mul(old, op.momentum), step))
    return g.Add(g.Mul(X, factor), offset), *moved, mean, rstd


@rule("LRN")
def local_response(g: Builder, op: Any, X: Value) -> Any:
    if not g.is_wanted(op, 1) and op.size % 2 and X.rank == 4:
        made = on_channels_first(g, op, X, lambda x: g.LRN(x, size=op.size, alpha=op.alpha, beta=op.beta, bias=op.bias))
        return made, None
    axis = X.rank - 1 if op.channels_last else 1
    before = (op.size - 1) // 2
    pads = [0] * 2 * X.rank
    pads[axis], pads[X.rank + axis] = before, op.size - 1 - before
    squares = g.Pad(g.Mul(X, X), pads)
    around, channels = None, g.dims(X, [axis])
    for shift in range(op.size):
        part = g.slice(squares, axis, shift, g.Add(channels, np.int64(shift)))
        around = part if around is None else g.Add(around, part)
    scale = g.Add(g.Mul(around, op.alpha / op.size), op.bias)
    return g.Mul(X, g.Pow(scale, -op.beta)), scale


@rule("GroupNorm", "InstanceNorm")
def group_norm(g: Builder, op: Any, X: Value, gamma: Value, beta: Value) -> tuple[Value | None, ...]:
    x = to_first(g, X) if op.channels_last else X
    if op.type == "InstanceNorm" and not g.is_wanted(op, 1) and not g.is_wanted(op, 2) and x.rank > 2:
        gamma, beta = g.flat(gamma), g.flat(beta)
        made = on_channels_first(g, op, X, lambda v: g.InstanceNormalization(v, gamma, beta, epsilon=op.epsilon))
        return made, None, None
    channels = x.static(1, "X")
    groups = op.groups(channels)
    spatial = [d for d in x.shape[2:] if isinstance(d, int)]
    size = channels // groups * int(np.prod(spatial)) if len(spatial) == x.rank - 2 else -1
    parts = g.reshape(x, g.dims(x, [0]), groups, size)
    mean, rstd, xhat = moments(g, parts, 2, op.epsilon)
    behind = range(1, x.rank - 1)
    whole = g.reshape(xhat, g.dims(x))
    scaled = g.Add(g.Mul(whole, g.unsqueeze(g.flat(gamma), *behind)), g.unsqueeze(g.flat(beta), *behind))
    if op.channels_last:
        scaled = g.transpose(scaled, [0, *range(2, x.rank), 1])
    return scaled, *(g.Squeeze(v, [2]) for v in (mean, rstd))


def moments(g: Builder, x: Value, axis: int, epsilon: float) -> tuple[Value, Value, Value]:
    """Mean and 1 / sqrt(variance + epsilon) along the last axis, which is kept, and x normalised."""
    mean = g.reduce("ReduceMean", x, [axis], keepdims=True)
    spread = g.Sub(x, mean)
    variance = g.reduce("ReduceMean", g.Mul(spread, spread), [axis], keepdims=True)
    rstd = g.Reciprocal(g.Sqrt(g.Add(variance, np.asarray(epsilon, x.dtype))))
    return mean, rstd, g.Mul(spread, rstd)


@rule("LayerNorm", "C10LayerNorm_DontUseThisOpYet")
def layer_norm(
    g: Builder, op: Any, X: Value, gamma: Value | None = None, beta: Value | None = None
) -> tuple[Value, ...]:
    axis = op.axis % X.rank
    x = g.matrix(X, axis) if axis else g.reshape(X, 1, -1)
    mean, rstd, y = moments(g, x, 1, op.epsilon)
    if op.elementwise_affine and gamma is not None and beta is not None:
        y = g.Add(g.Mul(y, g.flat(gamma)), g.flat(beta))
    leading = [g.dims(X, slice(0, axis))] if axis else []
    stddev = g.Reciprocal(rstd)
    return g.reshape(y, g.dims(X)), *(g.reshape(v, *leading, 1) for v in (mean, stddev))


@rule("RMSNorm")
def rms_norm(g: Builder, op: Any, X: Value, gamma: Value, beta: Value) -> tuple[Value, ...]:
    axis = op.axis % X.rank
    x = g.matrix(X, axis) if axis else g.reshape(X, 1, -1)
    square = g.reduce("ReduceMean", g.Mul(x, x), [1], keepdims=True)
    rrms = g.Reciprocal(g.Sqrt(g.Add(square, op.eps)))
    y = g.Add(g.Mul(g.Mul(x, rrms), g.flat(gamma)), g.flat(beta))
    return g.reshape(y, g.dims(X)), g.reshape(rrms, g.dims(X, slice(0, axis)) if axis else [])


@rule("Normalize")
def normalize(g: Builder, op: Any, X: Value) -> Value:
    return g.Div(X, g.Max(g.reduce("ReduceL2", X, [op.axis % X.rank], keepdims=True), 1e-12))


@rule("NormalizeL1")
def normalize_l1(g: Builder, op: Any, X: Value) -> Value:
    norm = g.reduce("ReduceL1", X, [op.axis % X.rank], keepdims=True)
    return g.Div(X, g.Where(g.Equal(norm, 0.0), 1.0, norm))


@rule("LpNorm")
def lp_norm(g: Builder, op: Any, X: Value) -> Value:
    total = g.reduce("ReduceL1" if op.p == 1 else "ReduceSumSquare", g.flat(X), [0], keepdims=True)
    return g.Div(total, g.cast(g.Max(g.length(X), 1), X.dtype)) if op.average else total


@rule("BatchMoments")
def batch_moments(g: Builder, op: Any, X: Value) -> tuple[Value, Value]:
    axes = [i for i in range(X.rank) if i != (X.rank - 1 if op.order == "NHWC" else 1)]
    return g.reduce("ReduceMean", X, axes), g.reduce("ReduceMean", g.Mul(X, X), axes)


@rule("ChannelStats")
def channel_stats(g: Builder, op: Any, X: Value) -> tuple[Value, Value]:
    axes = [i for i in range(X.rank) if i != (X.rank - 1 if op.channels_last else 1)]
    return g.reduce("ReduceSum", X, axes), g.reduce("ReduceSumSquare", X, axes)


@rule("Moments")
def tensor_moments(g: Builder, op: Any, X: Value) -> tuple[Value, Value]:
    axes = sorted({a % X.rank for a in op.axes}) if op.axes else list(range(X.rank))
    mean = g.reduce("ReduceMean", X, axes, keepdims=True)
    spread = g.Sub(X, mean)
    variance = g.reduce("ReduceMean", g.Mul(spread, spread), axes, keepdims=op.keepdims)
    return (mean if op.keepdims else g.Squeeze(mean, axes) if axes else mean), variance


@rule("ChannelBackpropStats")
def channel_backprop_stats(g: Builder, op: Any, X: Value, mean: Value, inv_std: Value, dY: Value) -> tuple[Value, ...]:
    axes = [0, *range(2, X.rank)]
    mean, inv_std = (g.unsqueeze(v, *range(1, X.rank - 1)) for v in (mean, inv_std))
    normalised = g.Mul(g.Sub(X, mean), inv_std)
    return g.reduce("ReduceSum", g.Mul(normalised, dY), axes), g.reduce("ReduceSum", dY, axes)
