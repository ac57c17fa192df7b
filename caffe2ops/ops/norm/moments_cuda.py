"""Normalisation by mean and variance on CUDA arrays: what LayerNorm, GroupNorm and InstanceNorm share.

Everything is seen as [N, G, c, P]: each of the N x G groups of c x P elements has a mean and a deviation, each of the
G x c channels a factor and a shift. For LayerNorm N is the number of rows, c the length of one, G = P = 1.
"""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.reduce.moments import MEAN, MEAN_SQUARE
from caffe2ops.ops.reduce.sums_cuda import sum_over

FLOATS = ("float32", "float64")
GROUP = (2, 3)
_CENTRED = Elementwise("x - mean", "x mean", "y", dtypes=FLOATS, name="less_mean")
_APPLY = Elementwise(
    "(x - mean) * rstd * gamma + beta", "x mean rstd gamma beta", "y", dtypes=FLOATS, name="normalised"
)
RSTD = Elementwise("T(1) / sqrt(variance + T(epsilon))", "variance", scalars="epsilon", dtypes=FLOATS, name="rstd")
STDDEV = Elementwise("sqrt(variance + T(epsilon))", "variance", scalars="epsilon", dtypes=FLOATS, name="stddev")
INVERSE = Elementwise("T(1) / x", "x", dtypes=FLOATS, name="inverse")
_PARTS = Elementwise(
    "const T xhat = (x - mean) * rstd; g = dy * gamma; gx = g * xhat; dyx = dy * xhat;",
    "dy x mean rstd gamma", "g gx dyx", dtypes=FLOATS, name="norm_back_parts",
)  # fmt: skip
_BACK = Elementwise(
    "(g - mean_g - (x - mean) * rstd * mean_gx) * rstd", "g x mean rstd mean_g mean_gx", "dx", dtypes=FLOATS,
    name="norm_back",
)  # fmt: skip


def _of_groups(x: Any) -> Any:
    import cupy

    return cupy.empty((*x.shape[:2], 1, 1), x.dtype)


def moments(x: Any) -> tuple[Any, Any]:
    """Mean and variance of each group, [N, G, 1, 1]."""
    import cupy

    mean = MEAN(x, _of_groups(x), axes=GROUP)
    centred = _CENTRED(x, mean, out=cupy.empty(x.shape, x.dtype))
    return mean, MEAN_SQUARE(centred, _of_groups(x), axes=GROUP)


def apply(x: Any, mean: Any, rstd: Any, gamma: Any, beta: Any, y: Any) -> Any:
    """y = (x - mean) * rstd * gamma + beta."""
    return _APPLY(x, mean, rstd, gamma, beta, out=y)


def backward(
    dy: Any, x: Any, mean: Any, rstd: Any, gamma: Any, dx: Any, dgamma: Any, dbeta: Any, *, centred: bool = True
) -> None:
    """Gradients of x and, where they are not None, of gamma and beta, [G, c]; not `centred`: x was only divided."""
    import cupy

    g, gx, dyx = (cupy.empty(x.shape, x.dtype) for _ in range(3))
    _PARTS(dy, x, mean, rstd, gamma, out=(g, gx, dyx))
    mean_g = MEAN(g, _of_groups(x), axes=GROUP) if centred else mean
    _BACK(g, x, mean, rstd, mean_g, MEAN(gx, _of_groups(x), axes=GROUP), out=dx)
    if dgamma is not None:
        sum_over(dyx, (0, 3), dgamma)
        sum_over(dy, (0, 3), dbeta)


def as_rows(x: Any, rows: tuple[int, int]) -> Any:
    """A tensor as rows of one group whose elements are its channels."""
    return x.reshape(rows[0], 1, rows[1], 1)


def parameter(x: Any, default: float, dtype: Any) -> Any:
    """Factors or shifts of the elements of a row, as they broadcast with rows; one number where there are none."""
    import cupy

    return cupy.full((1, 1, 1), default, dtype) if x is None else x.reshape(1, -1, 1)


def mean_square(x: Any) -> Any:
    """The mean of the squares of each group, [N, G, 1, 1]."""
    return MEAN_SQUARE(x, _of_groups(x), axes=GROUP)
