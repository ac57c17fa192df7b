"""Normalize, NormalizeL1 and LpNorm on CUDA arrays."""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise, Reduction
from caffe2ops.ops.reduce.sums_cuda import PRODUCT, sum_over

_FLOATS = ("float32", "float64")
_NORMS = {
    1: Reduction(map="x < T(0) ? -x : x", combine="a + b", identity="A(0)", dtypes=_FLOATS, name="norm_l1"),
    2: Reduction(map="x * x", combine="a + b", identity="A(0)", dtypes=_FLOATS, name="squared_norm"),
}
_NORM = "const T root = sqrt(squares), norm = root > T(1e-12) || root != root ? root : T(1e-12); "
_OVER_L2 = Elementwise(f"{_NORM}Y = X / norm;", "X squares", dtypes=_FLOATS, name="normalize")
_OVER_L1 = Elementwise("X / (norm == T(0) ? T(1) : norm)", "X norm", dtypes=_FLOATS, name="normalize_l1")
_BACK = Elementwise(
    f"{_NORM}dX = (dY - X / norm * (along / norm)) / norm;", "X dY squares along", "dX", dtypes=_FLOATS,
    name="normalize_back",
)  # fmt: skip
_SCALED = Elementwise("x / T(n)", "x", scalars="n", dtypes=_FLOATS, name="scaled_norm")
_SLOPES = {
    1: Elementwise("(X > T(0) ? dZ : X < T(0) ? -dZ : X * dZ) / T(n)", "X dZ", "dX", scalars="n", dtypes=_FLOATS,
                   name="norm_l1_back"),
    2: Elementwise("X * (dZ * T(2) / T(n))", "X dZ", "dX", scalars="n", dtypes=_FLOATS, name="squared_norm_back"),
}  # fmt: skip


def _along(x: Any, axis: int, p: int) -> Any:
    import cupy

    kept = [1 if i == axis else n for i, n in enumerate(x.shape)]
    return _NORMS[p](x, cupy.empty(kept, x.dtype), axes=(axis,))


def normalize(X: Any, axis: int, p: int, Y: Any) -> Any:
    """X over its L1 or L2 norms along an axis."""
    return (_OVER_L1 if p == 1 else _OVER_L2)(X, _along(X, axis, p), out=Y)


def gradient(X: Any, dY: Any, axis: int, dX: Any) -> Any:
    """The gradient of normalize for p = 2."""
    import cupy

    squares = _along(X, axis, 2)
    products = PRODUCT(X, dY, out=cupy.empty(X.shape, X.dtype))
    along = sum_over(products, (axis,), cupy.empty(squares.shape, X.dtype))
    return _BACK(X, dY, squares, along, out=dX)


def whole_norm(X: Any, p: int, divisor: float, Z: Any) -> Any:
    """The sum of absolute values or squares of all elements, divided."""
    return _SCALED(_NORMS[p](X, Z), out=Z, n=divisor)


def whole_gradient(X: Any, dZ: Any, p: int, divisor: float, dX: Any) -> Any:
    """The gradient of whole_norm."""
    return _SLOPES[p](X, dZ.reshape(()), out=dX, n=divisor)
