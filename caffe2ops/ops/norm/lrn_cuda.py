"""LRN and its gradient on CUDA arrays: a thread for each element sums over the channels around it."""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise

_FLOATS = ("float32", "float64")
_AROUND = (
    "const long long c = i / step % channels, low = c < before ? 0 : c - before; "
    "const long long high = c - before + size < channels ? c - before + size : channels; "
    "T a = 0; for (long long j = low; j < high; ++j) {{ const T x = {table}[i + (j - c) * step]; a += {term}; }} "
)
_SIZES = "step channels before size"
_SCALE = Elementwise(
    _AROUND.format(table="X", term="x * x") + "scale = T(bias) + T(alpha / size) * a;",
    outputs="scale", tables="X", int_scalars=_SIZES, scalars="alpha bias", dtypes=_FLOATS, name="lrn_scale",
)  # fmt: skip
_APPLY = Elementwise("x * pow(scale, T(-beta))", "x scale", scalars="beta", dtypes=_FLOATS, name="lrn")
_RATIO = Elementwise("dy * y / scale", "dy y scale", "ratio", dtypes=_FLOATS, name="lrn_ratio")
_BACK = Elementwise(
    _AROUND.format(table="ratio", term="x")
    + "dx = dy * pow(scale, T(-beta)) + T(-2 * alpha * beta / size) * X * a;",
    "X dy scale", "dx", tables="ratio", int_scalars=_SIZES, scalars="alpha beta", dtypes=_FLOATS, name="lrn_back",
)  # fmt: skip


def _sizes(op: Any, X: Any) -> dict[str, int]:
    _, channels, _ = op.split("X", X.shape)
    return {"step": 1 if op.channels_last else op.planes(X).shape[2], "channels": channels, "size": op.size}


def _scale(op: Any, X: Any, out: Any) -> Any:
    return _SCALE(out=out, X=X, before=(op.size - 1) // 2, alpha=op.alpha, bias=op.bias, **_sizes(op, X))


def forward(op: Any, X: Any, Y: Any, scale: Any) -> Any:
    """Y and the scale, which is written."""
    return _APPLY(X, _scale(op, X, scale), out=Y, beta=op.beta)


def backward(op: Any, X: Any, Y: Any, dY: Any, dX: Any) -> Any:
    """The gradient of X; the scale is computed anew."""
    import cupy

    scale = _scale(op, X, cupy.empty(X.shape, X.dtype))
    ratio = _RATIO(dY, Y, scale, out=cupy.empty(X.shape, X.dtype))
    before = op.size - 1 - (op.size - 1) // 2
    return _BACK(X, dY, scale, out=dX, ratio=ratio, before=before, alpha=op.alpha, beta=op.beta, **_sizes(op, X))
