"""Activation functions that are more than one node, or have arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import Value


@rule("Elu", "LeakyRelu", "ThresholdedRelu")
def with_alpha(g: Builder, op: Any, x: Value) -> Value:
    return g.op(op.type, x, alpha=op.alpha)


@rule("Selu")
def selu(g: Builder, op: Any, x: Value) -> Value:
    return g.Selu(x, alpha=op.alpha, gamma=op.scale)


@rule("HardSigmoid")
def hard_sigmoid(g: Builder, op: Any, x: Value) -> Value:
    return g.HardSigmoid(x, alpha=op.alpha, beta=op.beta)


@rule("ReluN")
def relu_n(g: Builder, op: Any, x: Value) -> Value:
    return g.Clip(x, np.zeros((), x.dtype), np.asarray(op.n, x.dtype))


@rule("Swish")
def swish(g: Builder, op: Any, x: Value) -> Value:
    return g.Mul(x, g.Sigmoid(x))


@rule("Mish")
def mish(g: Builder, op: Any, x: Value) -> Value:
    return g.Mul(x, g.Tanh(g.Softplus(x)))


@rule("Gelu")
def gelu(g: Builder, op: Any, x: Value) -> Value:
    if op.fast_gelu:
        inner = g.Mul(g.Add(x, g.Mul(g.Mul(g.Mul(x, x), x), 0.044715)), math.sqrt(2 / math.pi))
        return g.Mul(g.Mul(x, 0.5), g.Add(g.Tanh(inner), 1.0))
    return g.Mul(g.Mul(x, 0.5), g.Add(g.Erf(g.Mul(x, math.sqrt(0.5))), 1.0))


@rule("Glu")
def gated(g: Builder, op: Any, x: Value) -> Value:
    half = x.static(op.dim) // 2
    left, right = g.split(x, [half, half], op.dim % x.rank)
    return g.Mul(left, g.Sigmoid(right))


@rule("PRelu")
def prelu(g: Builder, op: Any, x: Value, slope: Value) -> Value:
    if slope.size == 1:
        return g.PRelu(x, g.reshape(slope, [1]))
    behind = 0 if op.order == "NHWC" else x.rank - 2
    return g.PRelu(x, g.unsqueeze(slope, *range(1, 1 + behind)))
