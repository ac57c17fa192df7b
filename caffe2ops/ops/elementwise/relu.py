"""Relu and its kin."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.elementwise.rows import unary

unary(
    "Relu",
    "Y = max(X, 0), element by element. NaN stays NaN. Caffe2: operators/relu_op.",
    cpu=lambda X, out: np.maximum(X, 0, out=out),
    cuda="X > T(0) ? X : (X != X ? X : T(0))",
    gradient="ReluGradient(Y, dY) -> dX",
    gradient_cpu=lambda Y, dY, out: np.multiply(dY, Y > 0, out=out),
    gradient_cuda="Y > T(0) ? dY : T(0)",
    gradient_inplace=((1, 0),),
)

unary(
    "LeakyRelu",
    "Y = X where X > 0, else alpha * X. Caffe2: operators/leaky_relu_op.",
    cpu=lambda X, out, alpha: np.multiply(X, np.where(X > 0, X.dtype.type(1), X.dtype.type(alpha)), out=out),
    cuda="X > T(0) ? X : T(alpha) * X",
    gradient="LeakyReluGradient(Y, dY) -> dX",
    gradient_cpu=lambda Y, dY, out, alpha: np.multiply(dY, np.where(Y > 0, Y.dtype.type(1), Y.dtype.type(alpha)), out=out),
    gradient_cuda="Y > T(0) ? dY : T(alpha) * dY",
    gradient_inplace=((1, 0),),
    args={"alpha": ("float", Arg(0.01, doc="slope left of 0"))},
)
