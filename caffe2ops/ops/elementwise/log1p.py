"""Log1p: the logarithm of one more."""

from __future__ import annotations

import numpy as np

from caffe2ops.ops.elementwise.rows import unary


def _log1p_gradient(input, doutput, out):
    np.divide(doutput, input + 1, out=out)


unary(
    "Log1p",
    "The natural logarithm of 1 + input, exact near 0; NaN for input < -1. Caffe2: operators/log1p_op.",
    ports=("input", "output"),
    cpu=np.log1p,
    cuda="log1p(input)",
    gradient="Log1pGradient(input, doutput) -> dinput",
    gradient_cpu=_log1p_gradient,
    gradient_cuda="doutput / (input + T(1))",
    inplace=(),
    flops=10,
)
