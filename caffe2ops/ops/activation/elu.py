"""Activations that are exponential left of 0, and Gelu."""

from __future__ import annotations

import math

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.activation.relu import one
from caffe2ops.ops.elementwise.rows import extreme, select, unary


def _elu(X, alpha, out):
    low = extreme(np.minimum, X, 0)
    np.expm1(low, out=low)
    low *= alpha
    extreme(np.maximum, X, 0, out)
    out += low


def _elu_gradient(Y, dY, alpha, out):
    np.multiply(dY, select(Y < 0, Y + alpha, one(Y)), out=out)


def _selu_gradient(Y, dY, alpha, scale, out):
    np.multiply(dY, select(Y > 0, scale, Y + alpha * scale), out=out)


def _selu(X, alpha, scale, out):
    _elu(X, alpha, out)
    out *= scale


def _gelu(X, fast_gelu, out):
    np.multiply(X, _cdf(X, fast_gelu), out=out)


def _cdf(X, fast_gelu):
    """The normal distribution function, or its approximation by tanh."""
    if fast_gelu:
        inner = np.square(X)
        inner *= 0.044715
        inner += 1
        inner *= X
        inner *= math.sqrt(2 / math.pi)
        np.tanh(inner, out=inner)
        inner += 1
        inner *= 0.5
        return inner
    from scipy.special import ndtr

    return ndtr(X)


def _gelu_gradient(dY, X, fast_gelu, out):
    cdf = _cdf(X, fast_gelu)
    squared = np.square(X)
    if fast_gelu:  # X times the derivative of the approximation
        slope = (1 - cdf) * cdf
        slope *= 2 * math.sqrt(2 / math.pi)
        slope *= squared * (3 * 0.044715) + 1
    else:
        slope = np.exp(squared * -0.5)
        slope *= math.sqrt(0.5 / math.pi)
    slope *= X
    slope += cdf
    np.multiply(dY, slope, out=out)


unary(
    "Elu",
    "Y = X where X >= 0, else alpha * (exp(X) - 1). Caffe2: operators/elu_op.",
    cpu=_elu,
    cuda="X < T(0) ? T(alpha) * expm1(X) : X",
    gradient="EluGradient(Y, dY) -> dX",
    gradient_cpu=_elu_gradient,
    gradient_cuda="Y < T(0) ? dY * (Y + T(alpha)) : dY",
    gradient_inplace=((1, 0),),
    args={"alpha": ("float", Arg(1.0, doc="minus the limit at -inf"))},
    flops=4,
)

unary(
    "Selu",
    "Y = scale * X where X > 0, else scale * alpha * (exp(X) - 1). Caffe2: operators/selu_op.",
    cpu=_selu,
    cuda="X > T(0) ? T(scale) * X : T(scale) * T(alpha) * expm1(X)",
    gradient="SeluGradient(Y, dY) -> dX",
    gradient_cpu=_selu_gradient,
    gradient_cuda="Y > T(0) ? dY * T(scale) : dY * (Y + T(alpha) * T(scale))",
    gradient_inplace=((1, 0),),
    args={
        "alpha": ("float", Arg(1.6732632423543772, doc="minus the limit at -inf, before scaling")),
        "scale": ("float", Arg(1.0507009873554805, doc="slope right of 0")),
    },
    flops=5,
)

unary(
    "Gelu",
    """Y = X * P(Z <= X) for a standard normal Z.

    With fast_gelu the probability is (1 + tanh(sqrt(2 / pi) * (X + 0.044715 X^3))) / 2. Caffe2: operators/gelu_op.
    """,
    cpu=_gelu,
    cuda="""
    Y = fast_gelu ? X * T(0.5) * (T(1) + tanh(T(0.7978845608028654) * X * (T(1) + T(0.044715) * X * X)))
                  : X * T(0.5) * erfc(X * T(-0.7071067811865476));
    """,
    gradient="GeluGradient(dY, X) -> dX",
    gradient_cpu=_gelu_gradient,
    gradient_cuda="""
    const T tail = fast_gelu ? tanh(T(0.7978845608028654) * X * (T(1) + T(0.044715) * X * X))
                             : erf(X * T(0.7071067811865476));
    const T density = fast_gelu ? T(0.3989422804014327) * (T(1) - tail * tail) * (T(1) + T(0.134145) * X * X)
                                : T(0.3989422804014327) * exp(T(-0.5) * X * X);
    dX = dY * (T(0.5) * (T(1) + tail) + X * density);
    """,
    inplace=(),
    args={"fast_gelu": ("bool", Arg(False, doc="use the approximation by tanh"))},
    flops=8,
)
