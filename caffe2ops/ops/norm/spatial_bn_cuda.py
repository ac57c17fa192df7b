"""SpatialBN and its gradient on CUDA arrays. Images are seen as [N, C, P] or, channels last, [N, P, C]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.reduce.moments import moments_cuda
from caffe2ops.ops.reduce.sums_cuda import sum_over

_FLOATS = ("float32", "float64")
_TEST = Elementwise(
    "(x - mean) * (scale / sqrt(var + T(epsilon))) + bias", "x scale bias mean var", "y", scalars="epsilon",
    dtypes=_FLOATS, name="batch_norm_test",
)  # fmt: skip
_APPLY = Elementwise(
    "(x - mean) * (scale * rstd) + bias", "x scale bias mean rstd", "y", dtypes=_FLOATS, name="batch_norm"
)
_OF_SUMS = Elementwise(
    "mean = sums / T(count); variance = sumsq / T(count) - mean * mean;", "sums sumsq", "mean variance",
    int_scalars="count", dtypes=_FLOATS, name="moments_of_sums",
)  # fmt: skip
_UPDATE = Elementwise(
    "new_mean = old_mean * T(momentum) + T(1 - momentum) * mean; "
    "new_var = old_var * T(momentum) + T(1 - momentum) * (variance * T(count / (count - 1))); "
    "rstd = T(1) / sqrt(variance + T(epsilon));",
    "old_mean old_var mean variance", "new_mean new_var rstd", scalars="momentum epsilon count", dtypes=_FLOATS,
    name="running_moments",
)  # fmt: skip
_RSTD = Elementwise("T(1) / sqrt(var + T(epsilon))", "var", scalars="epsilon", dtypes=_FLOATS, name="batch_rstd")
_SLOPES = Elementwise("dy * (x - mean) * rstd", "x dy mean rstd", "y", dtypes=_FLOATS, name="batch_norm_slopes")
_OVER = Elementwise("x / T(n)", "x", int_scalars="n", dtypes=_FLOATS, name="over_batches")
_BACK_TEST = Elementwise("dy * (scale * rstd)", "dy scale rstd", "dx", dtypes=_FLOATS, name="batch_norm_test_back")
_BACK = Elementwise(
    "scale * rstd * (dy - (dbias + (x - mean) * rstd * dscale) / T(count))",
    "x dy scale mean rstd dscale dbias", "dx", int_scalars="count", dtypes=_FLOATS, name="batch_norm_back",
)  # fmt: skip


def _spread(op: Any, *parameters: Any) -> list[Any]:
    """Vectors [C] as they broadcast with planes."""
    return [p.reshape(-1) if op.channels_last else p.reshape(-1, 1) for p in parameters]


def _axes(op: Any) -> tuple[int, int]:
    return (0, 1) if op.channels_last else (0, 2)


def test(op: Any, X: Any, scale: Any, bias: Any, mean: Any, var: Any, Y: Any) -> Any:
    """Y by the given moments."""
    _TEST(op.planes(X), *_spread(op, scale, bias, mean, var), out=op.planes(Y), epsilon=op.epsilon)
    return Y


def train(op: Any, X: Any, scale: Any, bias: Any, old: Sequence[Any], sums: Sequence[Any], outputs: Any) -> None:
    """Y, the running moments and those of the batch; `old` are the running ones before, [C] or of another size."""
    import cupy

    Y, running_mean, running_var, mean, rstd = outputs
    olds = []
    for before, now in zip(old, (running_mean, running_var)):
        olds.append(before.reshape(-1) if before.size == now.size else cupy.zeros(now.shape, now.dtype))
    if not len(X):
        running_mean[...], running_var[...] = olds
        mean[...] = 0
        rstd[...] = 0
        return
    count, variance = op.num_batches * (X.size // mean.size), cupy.empty(mean.shape, mean.dtype)
    if op.num_batches > 1:
        _OF_SUMS(*(s.reshape(-1) for s in sums), out=(mean, variance), count=count)
    else:
        moments_cuda(op.planes(X), _axes(op), mean, variance)
    outs = (running_mean, running_var, rstd)
    _UPDATE(*olds, mean, variance, out=outs, momentum=op.momentum, epsilon=op.epsilon, count=count)
    _APPLY(op.planes(X), *_spread(op, scale, bias, mean, rstd), out=op.planes(Y))


def backward(
    op: Any, X: Any, scale: Any, dY: Any, mean: Any, saved: Any, sums: Sequence[Any], outputs: Sequence[Any]
) -> None:
    """Gradients of X, scale and bias; `sums` are those of the last two over all batches."""
    import cupy

    dX, dscale, dbias = outputs
    x, dy, dx = map(op.planes, (X, dY, dX))
    rstd = _RSTD(saved, out=cupy.empty(saved.shape, X.dtype), epsilon=op.epsilon) if op.is_test else saved
    if sums and len(X):
        for total, out in zip(sums, (dscale, dbias)):
            _OVER(total.reshape(out.shape), out=out, n=op.num_batches)
    else:
        slopes = _SLOPES(x, dy, *_spread(op, mean, rstd), out=cupy.empty(x.shape, X.dtype))
        sum_over(slopes, _axes(op), dscale)
        sum_over(dy, _axes(op), dbias)
    parts = _spread(op, scale, mean, rstd, dscale, dbias)
    if op.is_test:
        _BACK_TEST(dy, parts[0], parts[2], out=dx)
    else:
        _BACK(x, dy, *parts, out=dx, count=X.size // scale.size)
