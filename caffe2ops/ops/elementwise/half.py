"""FloatToHalf and HalfToFloat, each the gradient of the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Arg, Operator

LARGEST = 65504.0  # of float16


class FloatToHalf(Operator):
    """Y = X in float16, rounded to the nearest; what is too large becomes infinite, or with `clip` +-65504.

    Caffe2: operators/half_float_ops.
    """

    contract = "X: float[...] -> Y: float16[...]"
    docs = {"X": "any tensor", "Y": "a tensor of the shape of X"}
    gradient = "HalfToFloat(dY) -> dX"
    clip: bool = Arg(False, doc="whether to keep values within the range of float16")

    def run_cpu(self, x: Any) -> Any:
        y = self.out(0, x.shape, np.float16)
        with np.errstate(over="ignore"):
            y[...] = x.clip(-LARGEST, LARGEST) if self.clip else x
        return y

    run_cuda = run_cpu


class HalfToFloat(Operator):
    """Y = X in float32. Caffe2: operators/half_float_ops."""

    contract = "X: float16[...] -> Y: float32[...]"
    docs = {"X": "any tensor of float16", "Y": "a tensor of the shape of X"}
    gradient = "FloatToHalf(dY) -> dX"
    clip: bool = Arg(False, doc="only FloatToHalf looks at it, whose gradient operators get its arguments")

    def run_cpu(self, x: Any) -> Any:
        y = self.out(0, x.shape, np.float32)
        y[...] = x
        return y

    run_cuda = run_cpu
