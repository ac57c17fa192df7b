"""Normalisation, softmax, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.values import FLOAT, fixed
from caffe2ops.port.values import NotPortable, Value


def last(g: Builder, x: Value, axis: int, make: Any) -> Value:
    """What `make` makes of x with the axis last, and the axis put back."""
    return g.moved(make(g.moved(x, axis, -1)), -1, axis)


@rule("Softmax", "LogSoftmax", "Hardmax")
def softmax(g: Builder, node: Node, x: Value) -> Value:
    axis = node["axis"] % x.rank
    if node.opset >= 13 or axis == x.rank - 1:
        (a,) = g.accepted(FLOAT, x)
        return g.cast(last(g, a, axis, lambda v: _of_last(g, node, v)), x.dtype)
    flat = g.Flatten(*g.accepted(FLOAT, x), axis=axis)  # all dims from the axis on are one
    return g.cast(g.reshape(_of_last(g, node, flat), g.dims(x)), x.dtype)


def _of_last(g: Builder, node: Node, x: Value) -> Value:
    """Of the last dim."""
    axis = x.rank - 1
    if node.type == "Softmax":
        return g.Softmax(x, axis=axis)
    if node.type == "LogSoftmax":
        shifted = g.Sub(x, g.ReduceMax(x, axes=[axis], keepdims=1))
        return g.Sub(shifted, g.Log(g.ReduceSum(g.Exp(shifted), axes=[axis], keepdims=1)))
    width, places = x.static(-1), g.ArgMax(x, axis=axis, keepdims=1)  # 1 where the first maximum is
    return g.cast(g.EQ(places, g.constant(np.arange(width).reshape([1] * axis + [width]))), x.dtype)


@rule("BatchNormalization")
def batch_norm(g: Builder, node: Node, x: Value, scale: Value, bias: Value, mean: Value, var: Value) -> Any:
    if node["training_mode"]:
        return _trained(g, node, x, scale, bias, mean, var)
    if any(node.wants(i) for i in range(1, 5)):
        raise NotPortable("gives out statistics")
    (a, *rest) = g.accepted(FLOAT, x, scale, bias, mean, var)
    flat = a.rank < 3  # Caffe2's has an image behind the channels
    if flat:
        shape = a.shape
        a = g.unsqueeze(a, 2) if a.rank == 2 else g.unsqueeze(a, 1, 2)
    found = g.SpatialBN(a, *rest, is_test=1, epsilon=node["epsilon"])
    if flat:
        found = g.squeeze(found, *range(len(shape), 3))
    return g.cast(found, x.dtype)


def _trained(g: Builder, node: Node, x: Value, scale: Value, bias: Value, mean: Value, var: Value) -> Any:
    """With the batch's own mean and variance; the running ones move towards them."""
    axes = [i for i in range(x.rank) if i != 1]
    now, spread = g.op("Moments", x, out=2, axes=axes, keepdims=0)
    shape = [1, -1] + [1] * (x.rank - 2)
    wide = [g.reshape(v, shape) for v in (now, spread, scale, bias)]
    root = g.Sqrt(g.Add(wide[1], g.like(x, node["epsilon"])))
    found = g.Add(g.Mul(g.Div(g.Sub(x, wide[0]), root), wide[2]), wide[3])
    keep = node["momentum"]

    def moved(old: Value, new: Value) -> Value:
        return g.Add(g.Mul(old, g.like(old, keep)), g.Mul(new, g.like(new, 1 - keep)))

    return [found, *(moved(old, new) for old, new, i in ((mean, now, 1), (var, spread, 2)) if node.wants(i))]


@rule("InstanceNormalization")
def instance_norm(g: Builder, node: Node, x: Value, scale: Value, bias: Value) -> Value:
    if x.rank == 4 and x.dtype.kind == "f":
        return g.over(FLOAT, "InstanceNorm", x, scale, bias, epsilon=node["epsilon"])
    axes = list(range(2, x.rank))
    mean, var = g.op("Moments", x, out=2, axes=axes, keepdims=1)
    normal = g.Div(g.Sub(x, mean), g.Sqrt(g.Add(var, g.like(x, node["epsilon"]))))
    shape = [1, -1] + [1] * len(axes)
    return g.Add(g.Mul(normal, g.reshape(scale, shape)), g.reshape(bias, shape))


@rule("LayerNormalization")
def layer_norm(g: Builder, node: Node, x: Value, scale: Value, bias: Value | None = None) -> Any:
    axis = node["axis"] % x.rank
    if any(node.wants(i) for i in (1, 2)) or x.dtype != np.float32:
        raise NotPortable("gives out statistics, or isn't float32")  # its function says it
    dims = [x.static(i) for i in range(axis, x.rank)]
    if [*scale.shape] != dims or (bias is not None and [*bias.shape] != dims):
        raise NotPortable("scale and bias are broadcast")
    bias = g.full(dims, 0, x.dtype) if bias is None else bias
    return g.op("LayerNorm", x, scale, bias, out=3, axis=axis, epsilon=node["epsilon"], elementwise_affine=1)[0]


@rule("GroupNormalization")
def group_norm(g: Builder, node: Node, x: Value, scale: Value, bias: Value) -> Value:
    if scale.shape != (x.shape[1],) or x.dtype.kind != "f":  # before opset 21 one number a group
        raise NotPortable("has one scale a group")
    return g.over(FLOAT, "GroupNorm", x, scale, bias, group=node["num_groups"], epsilon=node["epsilon"])


@rule("LpNormalization")
def lp_normal(g: Builder, node: Node, x: Value) -> Value:
    """Caffe2's Normalize keeps rows of length 0 as they are, too, but bounds the length from below; by hand then."""
    axis, (a,) = node["axis"] % x.rank, g.accepted(FLOAT, x)
    if node["p"] == 1:
        norm = g.ReduceL1(a, axes=[axis], keepdims=1)
    else:
        norm = g.Sqrt(g.ReduceSum(g.Mul(a, a), axes=[axis], keepdims=1))
    some = g.where(g.EQ(norm, g.like(norm, 0)), g.like(norm, 1), norm)
    return g.cast(g.Div(a, some), x.dtype)


@rule("LRN")
def local_response(g: Builder, node: Node, x: Value) -> Value:
    size = node["size"]
    if size % 2 == 0:
        raise NotPortable(f"size = {size}, Caffe2's LRN wants an odd one")
    return g.over(FLOAT, "LRN", x, size=size, alpha=node["alpha"], beta=node["beta"], bias=node["bias"])


@rule("Dropout")
def dropout(g: Builder, node: Node, x: Value, ratio: Value | None = None, training: Value | None = None) -> Any:
    """In inference: everything passes."""
    if node.opset >= 12 and training is not None and bool(fixed(training, "training_mode")):
        share = 0.5 if ratio is None else float(fixed(ratio, "ratio"))
        if share:
            raise NotPortable("drops elements at random (training_mode)")
    if not node.wants(1):
        return [x]
    dtype = bool if node.opset >= 10 else x.dtype
    return [x, g.full(g.dims(x), 1, dtype)]
