"""Relu and its kin."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.elementwise.rows import extreme, masked, select, unary


def leaky(X, slope, out):
    """X where positive, slope * X elsewhere, for any slope, infinite X and out being X."""
    low = extreme(np.minimum, X, 0)
    low *= slope
    extreme(np.maximum, X, 0, out)
    out += low


def gently_leaky(X, slope, out):
    """The same where all slopes are in (0, 1]."""
    np.maximum(X, X * slope, out=out)


def one(X):
    """1 in the dtype of X."""
    return np.ones((), X.dtype)


def _leaky_relu_gradient(Y, dY, alpha, out):
    np.multiply(dY, select(Y >= 0, one(Y), alpha), out=out)


def _relu_n_gradient(Y, dY, n, out):
    masked(dY, (Y > 0) & (n > Y), out)


unary(
    "Relu",
    "Y = max(X, 0), element by element. NaN stays NaN. Caffe2: operators/relu_op.",
    dtype="floating",
    cpu=np.maximum,
    operands=(0.0,),
    cuda="X > T(0) ? X : (X != X ? X : T(0))",
    gradient="ReluGradient(Y, dY) -> dX",
    gradient_cpu=lambda Y, dY, out: masked(dY, Y > 0, out),
    gradient_cuda="Y > T(0) ? dY : T(0)",
    gradient_inplace=((1, 0),),
)

unary(
    "LeakyRelu",
    "Y = X where X >= 0, else alpha * X. Caffe2: operators/leaky_relu_op.",
    cpu=lambda X, alpha, out: (gently_leaky if 0 < alpha <= 1 else leaky)(X, alpha, out),
    cuda="X >= T(0) ? X : T(alpha) * X",
    gradient="LeakyReluGradient(Y, dY) -> dX",
    gradient_cpu=_leaky_relu_gradient,
    gradient_cuda="Y >= T(0) ? dY : T(alpha) * dY",
    gradient_inplace=((1, 0),),
    args={"alpha": ("float", Arg(0.01, doc="slope left of 0"))},
    flops=2,
)

unary(
    "ReluN",
    "Y = min(max(X, 0), n). NaN stays NaN. Caffe2: operators/relu_n_op.",
    cpu=lambda X, n, out: extreme(np.minimum, extreme(np.maximum, X, 0, out), n, out),
    cuda="X > T(n) ? T(n) : X < T(0) ? T(0) : X",
    gradient="ReluNGradient(Y, dY) -> dX",
    gradient_cpu=_relu_n_gradient,
    gradient_cuda="Y > T(0) && Y < T(n) ? dY : T(0)",
    gradient_inplace=((1, 0),),
    args={"n": ("float", Arg(6.0, gt=0, doc="the largest value that passes"))},
    flops=2,
)

unary(
    "ThresholdedRelu",
    """Y = X where X > alpha, else 0; NaN becomes 0.

    With a negative alpha Caffe2's CPU gradient has the wrong sign where Y is negative; here it is that of Y = X.
    Caffe2: operators/thresholded_relu_op.
    """,
    cpu=lambda X, alpha, out: masked(X, alpha < X, out),
    cuda="X > T(alpha) ? X : T(0)",
    gradient="ThresholdedReluGradient(Y, dY) -> dX",
    gradient_cpu=lambda Y, dY, alpha, out: masked(dY, (Y > 0) | (Y < 0), out),
    gradient_cuda="Y > T(0) || Y < T(0) ? dY : T(0)",
    gradient_inplace=((1, 0),),
    args={"alpha": ("float", Arg(1.0, doc="what X must exceed to pass"))},
)
