"""Functions in pieces on CUDA arrays."""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise

# A function for each column, or (`binary`) one for the last column; of two the first is 1 less the other.
_TRANSFORM = Elementwise(
    "const long long column = i % width, j = binary ? 0 : column; "
    "const T *b = bounds + j * (n + 1), v = x[binary ? i - column + width - 1 : i]; "
    "const T inside = v < b[0] ? b[0] : v > b[n] ? b[n] : v; long long at = 0; "
    "for (long long right = n + 1; at < right;) { const long long m = (at + right) / 2; "
    "if (b[m] < inside) at = m + 1; else right = m; } "
    "at = at < 1 ? 0 : at > n ? n - 1 : at - 1; "
    "y = slopes[j * n + at] * inside + intercepts[j * n + at]; if (binary && column < width - 1) y = T(1) - y;",
    outputs="y", tables="x bounds slopes intercepts", int_scalars="width n binary", dtypes=("float32", "float64"),
    name="piecewise_linear",
)  # fmt: skip


def transform(x: Any, pieces: list[Any], binary: bool, out: Any) -> Any:
    """x [N, M] or [N] through the functions of bounds, slopes and intercepts, [M, n + 1] or [M, n], or one."""
    import cupy

    bounds, slopes, intercepts = map(cupy.asarray, pieces)
    width = x.shape[1] if x.ndim == 2 else 1
    named = {"bounds": bounds, "slopes": slopes, "intercepts": intercepts}
    return _TRANSFORM(out=out, x=x, width=width, n=slopes.shape[1], binary=binary, **named)
