"""Mish with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.elementwise.rows import unary


def _tanh_softplus(X: Any) -> Any:
    """tanh(log(1 + exp(X))), without overflow."""
    return np.tanh(np.logaddexp(X, X.dtype.type(0)))


def _gradient(X: Any, Y: Any, dY: Any, out: Any) -> None:
    t = _tanh_softplus(X)
    sigmoid = 0.5 + 0.5 * np.tanh(0.5 * X)
    np.multiply(dY, t + X * (1 - t * t) * sigmoid, out=out)


SOFTPLUS = "(X > T(0) ? X + log1p(exp(-X)) : log1p(exp(X)))"
unary(
    "Mish",
    "Y = X tanh(log(1 + exp(X))), element by element; for large X it is X, where Caffe2 overflows. Caffe2: "
    "operators/mish_op.",
    cpu=lambda X, out: np.multiply(X, _tanh_softplus(X), out=out),
    cuda=f"X * tanh({SOFTPLUS})",
    gradient="MishGradient(X, Y, dY) -> dX",
    gradient_cpu=_gradient,
    gradient_cuda=f"dY * (tanh({SOFTPLUS}) + X * (T(1) - tanh({SOFTPLUS}) * tanh({SOFTPLUS})) * (T(0.5) + T(0.5) * "
    "tanh(T(0.5) * X)))",
    inplace=(),
    flops=5,
)
