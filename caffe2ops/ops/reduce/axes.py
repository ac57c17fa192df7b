"""ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceL1, ReduceL2 over any axes, with their gradients: one row each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from caffe2ops.cuda import Reduction
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Operator, row
from caffe2ops.ops.reduce.sums import squares_over, sum_over
from caffe2ops.ops.shape.axes import Shape, canonical_axis, show, size

SMALLEST_NORM = 1e-12  # a smaller L2 norm counts as 0


class OverAxes(Operator):
    """Base: which axes, and whether they stay as dims of size 1."""

    axes: list[int] = Arg((), doc="the axes to fold; all by default")
    keepdims: bool = Arg(True, doc="whether the axes stay as dims of size 1")

    def _axes(self, ndim: int) -> tuple[int, ...]:
        given = {canonical_axis(axis, ndim, "axes") for axis in self.axes}
        return tuple(sorted(given)) if self.axes else tuple(range(ndim))

    def _shape(self, x: Shape, keep: bool) -> Shape:
        axes = self._axes(len(x))
        return tuple(1 if i in axes else dim for i, dim in enumerate(x) if keep or i not in axes)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(max(inputs[0].size, outputs[0].size), moved.bytes_read, moved.bytes_written)


class Reduce(OverAxes):
    """Base of the reductions: `fold(x, axes)` with the axes kept as dims of size 1; `kernel` folds neighbouring axes
    on CUDA.
    """

    fold: ClassVar[Callable[..., Any]]
    kernel: ClassVar[Reduction]

    def infer(self, x: TensorSpec) -> TensorSpec:
        return TensorSpec(self._shape(x.shape, self.keepdims), x.dtype)

    def run_cpu(self, x: np.ndarray) -> Any:
        y = self.out(0, self._shape(x.shape, self.keepdims), x.dtype)
        axes = self._axes(x.ndim)
        type(self).fold(x, axes, y.reshape(self._shape(x.shape, True)))
        return y


class ReduceGradient(OverAxes):
    """Base of the gradients: `back(dy, x, y, count)` with dy and y broadcast along the folded axes."""

    back: ClassVar[Callable[..., Any]]

    def infer(self, dy: TensorSpec, x: TensorSpec, y: TensorSpec) -> TensorSpec:
        return x

    def run_cpu(self, dy: np.ndarray, x: np.ndarray, y: np.ndarray) -> Any:
        shape = self._shape(x.shape, self.keepdims)
        for name, given in (("dY", dy), ("Y", y)):
            if given.size != size(shape):
                raise ValueError(
                    f"{name}: shape is {show(given.shape)}, wants {show(shape)}: X is {show(x.shape)}, axes {self.axes}"
                )
        kept = self._shape(x.shape, True)
        dx = self.out(0, x.shape, x.dtype)
        dx[...] = type(self).back(dy.reshape(kept), x, y.reshape(kept), x.size // max(y.size, 1))
        return dx

    run_cuda = run_cpu


def _run_cuda(self: Reduce, x: Any) -> Any:
    axes = list(self._axes(x.ndim))
    y = self.out(0, self._shape(x.shape, self.keepdims), x.dtype)
    if axes and axes != list(range(axes[0], axes[-1] + 1)):
        import cupy

        rest = [axis for axis in range(x.ndim) if axis not in axes]
        x = cupy.ascontiguousarray(x.transpose(*rest, *axes))
        axes = list(range(len(rest), x.ndim))
    return self.kernel(x, y, axes=axes)


def reduction(
    name: str,
    doc: str,
    dtype: str,
    fold: Callable[..., Any],
    back: Callable[..., Any],
    *,
    cuda: dict[str, Any] | None = None,
    names: tuple[str, str] = ("X", "Y"),
) -> None:
    """Declares a reduction and its gradient.

    `fold(x, axes, out)`; `back(dy, x, y, count)`; `cuda`: parts of a Reduction.
    """
    x, y = names
    kernel = {} if cuda is None else {"kernel": Reduction(**cuda, name=name), "run_cuda": _run_cuda}
    row(
        name,
        f"{doc} Caffe2: operators/reduce_ops.",
        Reduce,
        2,
        contract=f"{x}: {dtype} -> {y}: {x}[?]",
        fold=staticmethod(fold),
        gradient=f"{name}Gradient(d{y}, {x}, {y}) -> d{x}",
        docs={x: "any tensor", y: "without the axes, or with 1 in their place"},
        **kernel,
    )
    row(
        f"{name}Gradient",
        f"The gradient of {name}.",
        ReduceGradient,
        2,
        back=staticmethod(back),
        contract=f"dY: {dtype}, X: dY, Y: dY -> dX: X",
        docs={"X": f"input of {name}", "Y": "its output", "dY": "gradient of Y"},
    )


def _sum(x: np.ndarray, axes: tuple[int, ...], out: np.ndarray) -> None:
    out[...] = sum_over(x, axes)


def _mean(x: np.ndarray, axes: tuple[int, ...], out: np.ndarray) -> None:
    _sum(x, axes, out)
    np.divide(out, max(x.size // max(out.size, 1), 1), out=out)


def _extreme(reduce: Any, pick: str) -> Callable[..., None]:
    def fold(x: np.ndarray, axes: tuple[int, ...], out: np.ndarray) -> None:
        if x.size:
            reduce(x, axis=axes, keepdims=True, out=out)
        else:
            out[...] = getattr(np.iinfo(x.dtype) if x.dtype.kind == "i" else np.finfo(x.dtype), pick)

    return fold


def _l1(x: np.ndarray, axes: tuple[int, ...], out: np.ndarray) -> None:
    _sum(np.abs(x), axes, out)


def _l2(x: np.ndarray, axes: tuple[int, ...], out: np.ndarray) -> None:
    np.sqrt(squares_over(x, axes), out=out)


def _l2_back(dy: Any, x: Any, y: Any, n: int) -> Any:
    small = y < SMALLEST_NORM
    return x * (dy * ~small / (y + small)) + dy * small


def _pass_equal(dy: Any, x: Any, y: Any, n: int) -> Any:
    return dy * (x == y)


# C type -> (what every number replaces in a fold for the greatest value, what an empty fold gives), and for the least
LIMITS = {
    "float": (("-1.0f / 0.0f", "-3.402823466e+38f"), ("1.0f / 0.0f", "3.402823466e+38f")),
    "double": (("-1.0 / 0.0", "-1.7976931348623157e+308"), ("1.0 / 0.0", "1.7976931348623157e+308")),
    "int": (("-2147483647 - 1",) * 2, ("2147483647",) * 2),
    "long long": (("-9223372036854775807LL - 1",) * 2, ("9223372036854775807LL",) * 2),
}


def _extreme_kernel(better: str) -> dict[str, Any]:
    """Parts of a Reduction that keeps the better of two, and NaN."""
    lines = [
        f"__device__ __forceinline__ {name} {function}({name}) {{ return {value}; }}"
        for name, limits in LIMITS.items()
        for function, value in zip(("worst", "of_nothing"), limits[better == "<"])
    ]
    return dict(
        combine=f"a {better} b || a != a ? a : b",
        identity="worst(A(0))",
        finish="n ? a : of_nothing(A(0))",
        preamble="\n".join(lines),
        dtypes=("float32", "float64", "int32", "int64"),
    )


reduction(
    "ReduceSum",
    "The sum over the axes.",
    "number",
    _sum,
    lambda dy, x, y, n: dy,
    cuda=dict(combine="a + b", identity="A(0)", dtypes=("float32", "float64", "int32", "int64")),
)
reduction(
    "ReduceMean",
    "The mean over the axes; 0 where they are empty.",
    "float",
    _mean,
    lambda dy, x, y, n: dy / n,
    cuda=dict(combine="a + b", identity="A(0)", finish="n ? a / A(n) : A(0)", dtypes=("float32", "float64")),
)
reduction(
    "ReduceMax",
    "The greatest value over the axes, NaN where there is one; the lowest number of the dtype where they are empty."
    " The gradient goes to each element that equals it.",
    "number",
    _extreme(np.maximum.reduce, "min"),
    _pass_equal,
    cuda=_extreme_kernel(">"),
    names=("data", "reduced"),
)
reduction(
    "ReduceMin",
    "The least value over the axes, NaN where there is one; the greatest number of the dtype where they are empty."
    " The gradient goes to each element that equals it.",
    "number",
    _extreme(np.minimum.reduce, "max"),
    _pass_equal,
    cuda=_extreme_kernel("<"),
    names=("data", "reduced"),
)
reduction(
    "ReduceL1",
    "The sum of absolute values over the axes.",
    "float",
    _l1,
    lambda dy, x, y, n: dy * (x > 0) - dy * (x < 0),
    cuda=dict(map="A(x < T(0) ? -x : x)", combine="a + b", identity="A(0)", dtypes=("float32", "float64")),
)
reduction(
    "ReduceL2",
    "The square root of the sum of squares over the axes. Where that is 0, dY is passed on.",
    "float",
    _l2,
    _l2_back,
    cuda=dict(map="A(x) * A(x)", combine="a + b", identity="A(0)", finish="sqrt(a)", dtypes=("float32", "float64")),
)
