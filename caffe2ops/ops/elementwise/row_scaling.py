"""Operators that scale rows or columns of a matrix: RowMul, ReduceTailSum, SquareRootDivide, ElementwiseLinear."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.gradient_rules import GradientMaker
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.shape.axes import canonical_axis, differ, flat2d, show, size


def _column(name: str, factors: Any, rows: Any) -> Any:
    """One number a row, in a shape that broadcasts against the rows."""
    if not rows.ndim or factors.size != rows.shape[0]:
        raise ValueError(f"{name}: has {factors.size} elements, wants one for each row of shape {show(rows.shape)}")
    return factors.reshape(-1, *(1,) * (rows.ndim - 1))


class RowMul(Operator):
    """output[i] = mat[i] w[i]: each row times a number. Caffe2: operators/rowmul_op."""

    contract = "mat: float[N, ...], w: mat -> output: mat[N, ...]"
    docs = {"mat": "rows of any shape", "w": "a number for each row", "output": "rows, scaled"}

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        product = f"{g.GI(1)}before_aggregate"
        return [
            g.op("RowMul", [g.GO(0), g.I(1)], [g.GI(0)]),
            g.op("Mul", [g.GO(0), g.I(0)], [product]),
            g.op("ReduceTailSum", [product], [g.GI(1)]),
        ]

    def run_cpu(self, mat: np.ndarray, w: np.ndarray) -> Any:
        return np.multiply(mat, _column("w", w, mat), out=self.out(0, mat.shape, mat.dtype))

    def run_cuda(self, mat: Any, w: Any) -> Any:
        from caffe2ops.ops.reduce.sums_cuda import PRODUCT

        return PRODUCT(mat, _column("w", w, mat), out=self.out(0, mat.shape, mat.dtype))


class ReduceTailSum(Operator):
    """output[i] = the sum of mat[i] over all dims but the first. Caffe2: operators/rowmul_op."""

    contract = "mat: float[N, ...] -> output: mat[N]"
    docs = {"mat": "rows of any shape", "output": "the sum of each"}

    def run_cpu(self, mat: np.ndarray) -> Any:
        rows = mat.reshape(len(mat), prod(mat.shape[1:]))
        return rows.sum(axis=1, dtype=mat.dtype, out=self.out(0, (len(mat),), mat.dtype))

    def run_cuda(self, mat: Any) -> Any:
        from caffe2ops.ops.reduce.sums_cuda import sum_rows

        return sum_rows(mat, self.out(0, (len(mat),), mat.dtype))


class SquareRootDivide(Operator):
    """Y[i] = X[i] / sqrt(scale[i]): each row divided by a root; by 1 where scale is 0.

    Raises ValueError for a negative scale. Caffe2: operators/square_root_divide_op.
    """

    contract = "X: float[N, ...], scale: number -> Y: X[N, ...]"
    docs = {"X": "rows of any shape", "scale": "a number for each row", "Y": "rows, divided"}
    gradient = "SquareRootDivide(dY, scale) -> dX"
    inplace = ((0, 0),)

    def run_cpu(self, x: np.ndarray, scale: np.ndarray) -> Any:
        _refuse_negative(scale)
        root = np.sqrt(_column("scale", scale, x), dtype=np.float64)
        root[root == 0] = 1
        return np.multiply(x, np.reciprocal(root).astype(x.dtype), out=self.out(0, x.shape, x.dtype))

    def run_cuda(self, x: Any, scale: Any) -> Any:
        from caffe2ops.ops.elementwise.row_scaling_cuda import DIVIDE

        column = _column("scale", scale, x)
        if not bool((scale >= 0).all()):  # before anything is written, as that may be x
            _refuse_negative(scale.get())
        return DIVIDE(x, column, out=self.out(0, x.shape, x.dtype))


def _refuse_negative(scale: np.ndarray) -> None:
    if scale.size and not scale.min() >= 0:
        raise ValueError(f"scale: holds {scale.min()}, wants 0 or more")


class ElementwiseLinear(Operator):
    """Y = X w + b, where w and b are repeated for each row that X has when cut before `axis`.

    Raises ValueError where w and b have not as many elements as X behind `axis`. Caffe2:
    operators/elementwise_linear_op.
    """

    contract = "X: float[...], w: X[D], b: X[D] -> Y: X[...]"
    docs = {"X": "any tensor", "w": "a factor for each column", "b": "what is added to it", "Y": "a tensor like X"}
    gradient = "ElementwiseLinearGradient(dY, X, w) -> dX, dw, db"
    axis: int = Arg(1, doc="the first dim of a row")

    def infer(self, x: TensorSpec, w: TensorSpec, _b: TensorSpec) -> TensorSpec:
        _, width = flat2d(x.shape, self.axis)
        if differ(width, size(w.shape)):
            raise ValueError(f"w: has {size(w.shape)} elements, X {width} in a row")
        return TensorSpec(x.shape, x.dtype)

    def run_cpu(self, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> Any:
        rows = _rows(x, w, self.axis)
        y = self.out(0, x.shape, x.dtype)
        flat = y.reshape(rows.shape)
        np.multiply(rows, w, out=flat)
        flat += b
        return y

    def run_cuda(self, x: Any, w: Any, b: Any) -> Any:
        from caffe2ops.ops.elementwise.row_scaling_cuda import LINEAR

        rows, y = _rows(x, w, self.axis), self.out(0, x.shape, x.dtype)
        LINEAR(rows, w, b, out=y.reshape(rows.shape))
        return y


class ElementwiseLinearGradient(Operator):
    """The gradients of ElementwiseLinear: dX = dY w; dw and db are the sums of X dY and dY over all rows."""

    contract = "dY: float[...], X: dY[...], w: dY[D] -> dX: dY[...], dw: dY[D], db: dY[D]"
    docs = {"dY": "gradient of Y", "X": "input of ElementwiseLinear", "w": "its factors"}
    axis: int = Arg(1, doc="the first dim of a row")

    def run_cpu(self, dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> Any:
        rows, out = _rows(x, w, self.axis), _rows(dy, w, self.axis)
        dx = self.out(0, x.shape, x.dtype)
        np.multiply(out, w, out=dx.reshape(rows.shape))
        dw = np.einsum("nd,nd->d", rows, out, out=self.out(1, w.shape, w.dtype))
        return dx, dw, out.sum(axis=0, out=self.out(2, w.shape, w.dtype))

    def run_cuda(self, dy: Any, x: Any, w: Any) -> Any:
        from caffe2ops.ops.elementwise.row_scaling_cuda import linear_gradient

        rows, out = _rows(x, w, self.axis), _rows(dy, w, self.axis)
        outs = tuple(self.out(i, like.shape, w.dtype) for i, like in enumerate((x, w, w)))
        linear_gradient(out, rows, w, (0,), outs[0].reshape(rows.shape), *outs[1:])
        return outs


def _rows(x: Any, w: Any, axis: int) -> Any:
    at = canonical_axis(axis, x.ndim)
    rows = x.reshape(prod(x.shape[:at]), prod(x.shape[at:]))
    if rows.shape[1] != w.size:
        raise ValueError(f"w: has {w.size} elements, X {rows.shape[1]} in a row")
    return rows
