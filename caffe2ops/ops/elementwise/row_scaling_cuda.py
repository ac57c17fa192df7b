"""The scaling of rows and columns on CUDA arrays."""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.reduce.sums_cuda import PRODUCT, sum_over

_FLOATS = ("float32", "float64")
LINEAR = Elementwise("x * w + b", "x w b", dtypes=_FLOATS, name="linear")
DIVIDE = Elementwise(
    "const double root = sqrt(double(scale)); y = x * T(root == 0. ? 1. : 1. / root);",
    "x scale", "y", dtypes=_FLOATS, name="square_root_divide",
)  # fmt: skip


def linear_gradient(dy: Any, x: Any, w: Any, axes: tuple[int, ...], dx: Any, dw: Any, db: Any) -> None:
    """dX = dY w, dw and db = the sums of X dY and dY over the axes along which w was repeated; dX may be dY."""
    import cupy

    sum_over(PRODUCT(dy, x, out=cupy.empty(x.shape, x.dtype)), axes, dw)
    sum_over(dy, axes, db)
    PRODUCT(dy, w, out=dx)
