"""Losses and what nets that are trained report; nets that answer have some of them left over."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import Value

SMALLEST = 1e-20


def _rows(g: Builder, x: Value) -> Value:
    return g.matrix(x) if x.rank > 1 else g.reshape(x, 1, -1)


@rule("LabelCrossEntropy")
def label_cross_entropy(g: Builder, op: Any, x: Value, label: Value) -> Value:
    picked = g.GatherElements(_rows(g, x), g.reshape(label, [-1, 1]), axis=1)
    return g.Neg(g.Log(g.Max(g.Squeeze(picked, [1]), SMALLEST)))


@rule("CrossEntropy")
def cross_entropy(g: Builder, op: Any, x: Value, label: Value) -> Value:
    return g.Neg(g.reduce("ReduceSum", g.Mul(_rows(g, label), g.Log(g.Max(_rows(g, x), SMALLEST))), [1]))


@rule("MakeTwoClass")
def two_class(g: Builder, op: Any, x: Value) -> Value:
    x = g.unsqueeze(x, x.rank)
    return g.Concat(g.Sub(np.ones((), x.dtype), x), x, axis=-1)


@rule("Accuracy")
def accuracy(g: Builder, op: Any, x: Value, label: Value) -> Value:
    k = min(op.top_k, x.static(1, "predictions"))
    _, best = g.TopK(x, [k], out=2, axis=1)
    hit = g.cast(g.Equal(best, g.cast(g.unsqueeze(label, 1), np.int64)), np.float32)
    return g.reduce("ReduceMean", g.reduce("ReduceMax", hit, [1]), [0])


@rule("SigmoidCrossEntropyWithLogits", "WeightedSigmoidCrossEntropyWithLogits")
def sigmoid_cross_entropy(g: Builder, op: Any, x: Value, t: Value, weights: Value | None = None) -> Value:
    one = np.ones((), x.dtype)
    if op.form == "log_D_trick":
        loss = g.Mul(g.Sub(g.Add(t, t), one), _softplus(g, g.Neg(x)))
    elif op.form == "unjoined_lr_loss":
        loss = g.Sub(g.Mul(g.Sub(one, t), _softplus(g, x)), g.Mul(x, t))
    else:
        loss = g.Sub(_softplus(g, x), g.Mul(x, t))
    if weights is not None:
        loss = g.Mul(loss, weights)
    return g.reduce("ReduceMean", loss, [x.rank - 1]) if x.rank else loss


def _softplus(g: Builder, x: Value) -> Value:
    """log(1 + exp(x)), exact for large x too."""
    return g.Add(g.Max(x, 0.0), g.Log(g.Add(g.Exp(g.Neg(g.Abs(x))), 1.0)))


@rule("SpatialSoftmaxWithLoss")
def spatial_softmax_with_loss(
    g: Builder, op: Any, x: Value, labels: Value, weights: Value | None = None
) -> tuple[Value, Value]:
    softmax = g.Softmax(x, axis=1)
    counts = g.GreaterOrEqual(labels, 0)
    weight = g.cast(counts, x.dtype)
    if weights is not None:
        weight = g.Mul(weight, g.reshape(weights, g.dims(labels)))
    wanted = g.unsqueeze(g.cast(g.Where(counts, labels, 0), np.int64), 1)
    found = g.Squeeze(g.GatherElements(softmax, wanted, axis=1), [1])
    loss = g.reduce("ReduceSum", g.flat(g.Mul(g.Neg(g.Log(g.Max(found, SMALLEST))), weight)), [0])
    total = g.reduce("ReduceSum", g.flat(weight), [0])
    none = g.Equal(total, 0.0)
    return softmax, g.Where(none, 0.0, g.Div(loss, g.Where(none, 1.0, total)))


@rule("SoftmaxWithLoss")
def softmax_with_loss(g: Builder, op: Any, x: Value, labels: Value, weight: Value | None = None) -> tuple[Value, Value]:
    axis = op.axis % x.rank
    rows = g.matrix(x, axis)
    softmax = g.reshape(g.Softmax(rows, axis=-1), g.dims(x))
    log = g.LogSoftmax(rows, axis=-1)
    if op.label_prob:
        each = g.Neg(g.reduce("ReduceSum", g.Mul(log, g.matrix(labels, axis)), [1]))
    else:
        each = g.Neg(g.Squeeze(g.GatherElements(log, g.reshape(g.cast(labels, np.int64), [-1, 1]), axis=1), [1]))
    if weight is not None:
        each = g.Mul(each, g.flat(weight))
    total = g.reduce("ReduceSum", each, [0])
    if weight is not None and not op.average_by_batch_size:
        divisor = g.reduce("ReduceSum", g.flat(weight), [0])
    else:
        divisor = g.cast(g.dim(rows, 0), x.dtype)
    none = g.Equal(divisor, 0.0)
    return softmax, g.Where(none, 0.0, g.Mul(g.Div(total, g.Where(none, 1.0, divisor)), op.scale))
