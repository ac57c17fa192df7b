"""RowwiseMax and ColwiseMax with their gradients: the greatest of each row or column of a batch of matrices."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from caffe2ops.cuda import Elementwise, Reduction
from caffe2ops.operator import Operator, row
from caffe2ops.ops.shape.axes import show

_FLOATS = ("float32", "float64")
_GREATEST = Reduction(
    combine="a > b || a != a ? a : b", identity="-A(1) / A(0)", dtypes=_FLOATS, name="greatest_of_line"
)
_BACK = Elementwise("dY * T(X == Y)", "X Y dY", "dX", dtypes=_FLOATS, name="greatest_of_line_back")
X_DOC = "a batch of matrices; none of their dims may be 0"


class OfMatrices(Operator):
    """Base: the axis of [B, M, N] that is reduced."""

    over: ClassVar[int]

    def _y(self, x: Any) -> Any:
        if 0 in x.shape[1:]:
            raise ValueError(f"X: shape is {show(x.shape)}, wants matrices with elements")
        return self.out(0, x.shape[:-1] if self.over == 2 else (x.shape[0], x.shape[2]), x.dtype)

    def run_cpu(self, x: np.ndarray) -> Any:
        return np.max(x, axis=self.over, out=self._y(x))

    def run_cuda(self, x: Any) -> Any:
        return _GREATEST(x, self._y(x), axes=(self.over,))


class OfMatricesGradient(Operator):
    """Base of the gradients: dY goes to every element that is as great as the greatest."""

    over: ClassVar[int]

    def run_cpu(self, x: np.ndarray, y: np.ndarray, dy: np.ndarray) -> Any:
        y, dy = (np.expand_dims(of, self.over) for of in (y, dy))
        return np.multiply(dy, x == y, out=self.out(0, x.shape, x.dtype))

    def run_cuda(self, x: Any, y: Any, dy: Any) -> Any:
        shape = (*x.shape[: self.over], 1, *x.shape[self.over + 1 :])
        return _BACK(x, y.reshape(shape), dy.reshape(shape), out=self.out(0, x.shape, x.dtype))


for _name, _what, _over, _kept in (("RowwiseMax", "row", 2, "M"), ("ColwiseMax", "column", 1, "N")):
    row(
        _name,
        f"Y = the greatest of each {_what} of each matrix. Caffe2: operators/reduction_ops.",
        OfMatrices,
        contract=f"X: float[B, M, N] -> Y: X[B, {_kept}]",
        docs={"X": X_DOC, "Y": "the greatest elements"},
        gradient=f"{_name}Gradient(X, Y, dY) -> dX",
        over=_over,
    )
    row(
        f"{_name}Gradient",
        f"The gradient of {_name}: dY for each element that equals Y, 0 for the others.",
        OfMatricesGradient,
        contract=f"X: float[B, M, N], Y: X[B, {_kept}], dY: X[B, {_kept}] -> dX: X[B, M, N]",
        docs={"X": X_DOC, "Y": f"output of {_name}", "dY": "its gradient", "dX": "gradient of X"},
        over=_over,
    )
