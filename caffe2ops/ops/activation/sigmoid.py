"""Sigmoid, Tanh and what is made of them."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.elementwise.rows import extreme, masked, unary


def sigmoid(X, out=None):
    """1 / (1 + exp(-X)), in a new array unless `out` is given; exp overflows to inf without harm."""
    out = np.negative(X, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def _sigmoid_gradient(Y, dY, out):
    slope = 1 - Y
    slope *= Y
    np.multiply(dY, slope, out=out)


def _tanh_gradient(Y, dY, out):
    slope = np.square(Y)
    np.subtract(1, slope, out=slope)
    np.multiply(dY, slope, out=out)


def _swish(X, out):
    np.negative(X, out=out)
    np.exp(out, out=out)
    out += 1
    np.divide(X, out, out=out)


def _swish_gradient(X, Y, dY, out):
    slope = np.empty_like(X)
    sigmoid(X, slope)
    slope *= 1 - Y
    slope += Y
    np.multiply(dY, slope, out=out)


def _hard_sigmoid(X, alpha, beta, out):
    np.multiply(X, alpha, out=out)
    out += beta
    extreme(np.minimum, extreme(np.maximum, out, 0, out), 1, out)


def _hard_sigmoid_gradient(Y, dY, alpha, beta, out):
    masked(dY * alpha, (Y > 0) & (Y < 1), out)


def _softplus(X, out):
    bend = np.abs(X)
    np.negative(bend, out=bend)
    np.exp(bend, out=bend)
    np.log1p(bend, out=bend)
    extreme(np.maximum, X, 0, out)
    out += bend


def _softplus_gradient(Y, dY, out):
    slope = np.negative(Y)
    np.expm1(slope, out=slope)
    np.negative(slope, out=slope)
    np.multiply(dY, slope, out=out)


def _softsign(X, out):
    wide = np.abs(X)
    wide += 1
    np.divide(X, wide, out=out)


def _softsign_gradient(X, dY, out):
    wide = np.abs(X)
    wide += 1
    np.square(wide, out=wide)
    np.divide(dY, wide, out=out)


unary(
    "Sigmoid",
    "Y = 1 / (1 + exp(-X)). Caffe2: operators/sigmoid_op.",
    cpu=sigmoid,
    cuda="T(1) / (T(1) + exp(-X))",
    gradient="SigmoidGradient(Y, dY) -> dX",
    gradient_cpu=_sigmoid_gradient,
    gradient_cuda="dY * Y * (T(1) - Y)",
    gradient_inplace=((1, 0),),
    flops=4,
)

unary(
    "Tanh",
    "The hyperbolic tangent. Caffe2: operators/tanh_op.",
    ports=("input", "output"),
    cpu=np.tanh,
    cuda="tanh(input)",
    gradient="TanhGradient(output, doutput) -> dinput",
    gradient_cpu=_tanh_gradient,
    gradient_cuda="doutput * (T(1) - output * output)",
    gradient_inplace=((1, 0),),
    flops=4,
)

unary(
    "Swish",
    "Y = X / (1 + exp(-X)). Caffe2: operators/swish_op.",
    cpu=_swish,
    cuda="X / (T(1) + exp(-X))",
    gradient="SwishGradient(X, Y, dY) -> dX",
    gradient_cpu=_swish_gradient,
    gradient_cuda="dY * (Y + (T(1) - Y) / (T(1) + exp(-X)))",
    gradient_inplace=((2, 0),),
    inplace=(),
    flops=5,
)

unary(
    "HardSigmoid",
    "Y = min(max(alpha * X + beta, 0), 1). Caffe2: operators/hard_sigmoid_op.",
    cpu=_hard_sigmoid,
    cuda="Y = T(alpha) * X + T(beta); Y = Y > T(1) ? T(1) : Y < T(0) ? T(0) : Y;",
    gradient="HardSigmoidGradient(Y, dY) -> dX",
    gradient_cpu=_hard_sigmoid_gradient,
    gradient_cuda="Y > T(0) && Y < T(1) ? dY * T(alpha) : T(0)",
    gradient_inplace=((1, 0),),
    args={
        "alpha": ("float", Arg(0.2, doc="slope between the bends")),
        "beta": ("float", Arg(0.5, doc="value at X = 0")),
    },
    flops=4,
)

unary(
    "Softplus",
    "Y = log(1 + exp(X)), without Caffe2's overflow to inf beyond X = 88. Caffe2: operators/softplus_op.",
    cpu=_softplus,
    cuda="(X > T(0) ? X : X != X ? X : T(0)) + log1p(exp(X > T(0) ? -X : X))",
    gradient="SoftplusGradient(Y, dY) -> dX",
    gradient_cpu=_softplus_gradient,
    gradient_cuda="dY * -expm1(-Y)",
    gradient_inplace=((1, 0),),
    flops=6,
)

unary(
    "Softsign",
    "Y = X / (1 + |X|). Caffe2: operators/softsign_op.",
    ports=("input", "output"),
    cpu=_softsign,
    cuda="input / (T(1) + fabs(input))",
    gradient="SoftsignGradient(input, doutput) -> dinput",
    gradient_cpu=_softsign_gradient,
    gradient_cuda="doutput / ((T(1) + fabs(input)) * (T(1) + fabs(input)))",
    gradient_inplace=((1, 0),),
    flops=3,
)
