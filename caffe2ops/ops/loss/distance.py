"""SquaredL2Distance with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Operator
from caffe2ops.ops.linalg.dot_product import as_rows, spread_rows
from caffe2ops.ops.shape.axes import wants_same

_FLOATS = ("float32", "float64")
_HALF_SQUARE = Elementwise("(X - Y) * (X - Y) * T(0.5)", "X Y", "Z", dtypes=_FLOATS, name="half_squared_difference")
_BACK = Elementwise("dX = (X - Y) * dZ; dY = -dX;", "X Y dZ", "dX dY", dtypes=_FLOATS, name="squared_l2_back")


class SquaredL2Distance(Operator):
    """Z[i] = half the sum of (X[i] - Y[i])^2 over all other dims; a number counts as one row.

    Raises ValueError where the shapes differ. Caffe2: operators/distance_op.
    """

    contract = "X: float, Y: X -> Z: X[?]"
    docs = {"X": "[N, ...]", "Y": "a tensor like X", "Z": "[N]"}
    gradient = "SquaredL2DistanceGradient(X, Y, dZ) -> dX, dY"

    def infer(self, x: TensorSpec, y: TensorSpec) -> TensorSpec:
        wants_same("X", x.shape, "Y", y.shape)
        return TensorSpec(x.shape[:1] or (1,), x.dtype)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(3 * inputs[0].size, moved.bytes_read, moved.bytes_written)

    def run_cpu(self, x: np.ndarray, y: np.ndarray) -> Any:
        wants_same("X", x.shape, "Y", y.shape)
        difference = as_rows(np.asarray(x - y))
        z = np.einsum("nd,nd->n", difference, difference, out=self.out(0, x.shape[:1] or (1,), x.dtype))
        return np.multiply(z, 0.5, out=z)

    def run_cuda(self, x: Any, y: Any) -> Any:
        from caffe2ops.ops.reduce.sums_cuda import sum_of

        wants_same("X", x.shape, "Y", y.shape)
        return sum_of(_HALF_SQUARE, x, y, out=self.out(0, x.shape[:1] or (1,), x.dtype))


class SquaredL2DistanceGradient(Operator):
    """The gradients of SquaredL2Distance: dX[i] = (X[i] - Y[i]) dZ[i] and dY = -dX."""

    contract = "X: float, Y: X, dZ: X[N] -> dX: X, dY: X"
    docs = {"X": "input of SquaredL2Distance", "Y": "the other input", "dZ": "gradient of Z"}

    def run_cpu(self, x: np.ndarray, y: np.ndarray, dz: np.ndarray) -> Any:
        rows = spread_rows(x, y, dz)
        dx = np.subtract(x, y, out=self.out(0, x.shape, x.dtype))
        np.multiply(dx, rows, out=dx)
        return dx, np.negative(dx, out=self.out(1, x.shape, x.dtype))

    def run_cuda(self, x: Any, y: Any, dz: Any) -> Any:
        outs = self.out(0, x.shape, x.dtype), self.out(1, x.shape, x.dtype)
        return _BACK(x, y, spread_rows(x, y, dz), out=outs)
