"""DotProduct: row by row products of two tensors."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Operator
from caffe2ops.ops.shape.axes import wants_same

_BACK = Elementwise(
    "dX = Y * dZ; dY = X * dZ;", "X Y dZ", "dX dY", dtypes=("float32", "float64"), name="dot_product_back"
)


class _Rows(Operator):
    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(2 * inputs[0].size, moved.bytes_read, moved.bytes_written)


def as_rows(x: np.ndarray) -> np.ndarray:
    """A tensor as a matrix of its rows along dim 0; a number is one row."""
    return x.reshape(x.shape[0] if x.ndim else 1, prod(x.shape[1:]))


def spread_rows(x: Any, y: Any, dz: Any) -> Any:
    """dZ, a number for each row, as it broadcasts with X. Raises ValueError where X, Y and dZ do not fit."""
    wants_same("X", x.shape, "Y", y.shape)
    if len(dz) != (x.shape[0] if x.ndim else 1):
        raise ValueError(f"dZ: has {len(dz)} elements, X has {x.shape[0] if x.ndim else 1} rows")
    return dz.reshape(len(dz), *(1,) * (x.ndim - 1)) if x.ndim else dz.reshape(())


class DotProduct(_Rows):
    """Z[i] = the sum of X[i] * Y[i] over all other dims; a number counts as one row.

    Raises ValueError where the shapes differ. Caffe2: operators/distance_op.
    """

    contract = "X: float, Y: X -> Z: X[?]"
    docs = {"X": "[N, ...]", "Y": "a tensor like X", "Z": "[N]"}
    gradient = "DotProductGradient(X, Y, dZ) -> dX, dY"

    def infer(self, x: TensorSpec, y: TensorSpec) -> TensorSpec:
        wants_same("X", x.shape, "Y", y.shape)
        return TensorSpec(x.shape[:1] or (1,), x.dtype)

    def run_cpu(self, x: np.ndarray, y: np.ndarray) -> Any:
        wants_same("X", x.shape, "Y", y.shape)
        z = self.out(0, x.shape[:1] or (1,), x.dtype)
        return np.einsum("nd,nd->n", as_rows(x), as_rows(y), out=z)

    def run_cuda(self, x: Any, y: Any) -> Any:
        from caffe2ops.ops.reduce.sums_cuda import PRODUCT, sum_of

        wants_same("X", x.shape, "Y", y.shape)
        return sum_of(PRODUCT, x, y, out=self.out(0, x.shape[:1] or (1,), x.dtype))


class DotProductGradient(_Rows):
    """The gradients of DotProduct: dX[i] = Y[i] dZ[i] and dY[i] = X[i] dZ[i]."""

    contract = "X: float, Y: X, dZ: X[N] -> dX: X, dY: X"
    docs = {"X": "input of DotProduct", "Y": "the other input", "dZ": "gradient of Z"}

    def run_cuda(self, x: Any, y: Any, dz: Any) -> Any:
        outs = self.out(0, x.shape, x.dtype), self.out(1, x.shape, x.dtype)
        return _BACK(x, y, spread_rows(x, y, dz), out=outs)

    def run_cpu(self, x: np.ndarray, y: np.ndarray, dz: np.ndarray) -> Any:
        rows = spread_rows(x, y, dz)
        return np.multiply(y, rows, out=self.out(0, x.shape, x.dtype)), np.multiply(
            x, rows, out=self.out(1, x.shape, x.dtype)
        )
