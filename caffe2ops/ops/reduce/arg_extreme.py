"""ArgMax and ArgMin: where the extremes along an axis are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator, row
from caffe2ops.ops.shape.axes import Shape, canonical_axis, size


def _kernel(name: str, better: str) -> Elementwise:
    """A thread owns an output; a NaN is better than nothing, so that it stays where it stands first."""
    return Elementwise(
        "const T* line = X + i / inner * n * inner + i % inner; long long best = 0; T found = n ? line[0] : T(0); "
        f"for (long long j = 1; j < n; ++j) {{ const T x = line[j * inner]; if (x {better} found) {{ found = x; "
        "best = j; } } at = best;",
        outputs="at:int64",
        tables="X",
        int_scalars="n inner",
        dtypes=("float32", "float64", "int32", "int64"),
        name=name,
    )


class ArgExtreme(Operator):
    """Base: `find(x, axis)`; `worst` is what a NaN counts as, unless it stands first."""

    find: ClassVar[Callable[..., Any]]
    worst: ClassVar[float] = 0.0
    kernel: ClassVar[Elementwise]
    axis: int = Arg(-1, doc="along which axis")
    keepdims: bool = Arg(True, doc="whether the axis stays as a dim of size 1")

    def _shape(self, x: Shape, axis: int) -> Shape:
        return (*x[:axis], *(1,) * self.keepdims, *x[axis + 1 :])

    def infer(self, x: TensorSpec) -> TensorSpec:
        return TensorSpec(self._shape(x.shape, canonical_axis(self.axis, x.ndim)), "int64")

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(inputs[0].size, moved.bytes_read, moved.bytes_written)

    def run_cpu(self, x: np.ndarray) -> Any:
        axis = canonical_axis(self.axis, x.ndim)
        y = self.out(0, self._shape(x.shape, axis), np.int64)
        found = y.reshape((*x.shape[:axis], *x.shape[axis + 1 :]))
        if not x.shape[axis]:
            y[...] = 0
            return y
        type(self).find(x, axis=axis, out=found)
        if x.dtype.kind == "f":
            self._settle_nans(x, axis, found)
        return y

    def run_cuda(self, x: Any) -> Any:
        axis = canonical_axis(self.axis, x.ndim)
        y = self.out(0, self._shape(x.shape, axis), np.int64)
        return self.kernel(out=y, X=x, n=x.shape[axis], inner=size(x.shape[axis + 1 :]))

    def _settle_nans(self, x: np.ndarray, axis: int, found: np.ndarray) -> None:
        """NumPy stops at the first NaN; here one loses against everything, unless it stands first and stays."""
        picked = np.take_along_axis(x, np.expand_dims(found, axis), axis)
        if not np.isnan(picked).any():
            return
        patched = np.where(np.isnan(x), self.worst, x)
        first = np.isnan(x.take(0, axis))
        found[...] = np.where(first, 0, type(self).find(patched, axis=axis))


for _name, _what, _find, _worst, _better in (
    ("ArgMax", "greatest", np.argmax, -np.inf, ">"),
    ("ArgMin", "least", np.argmin, np.inf, "<"),
):
    row(
        _name,
        f"The index of the {_what} value along an axis, the first of equal ones. A NaN is passed over, unless it"
        " stands first: then it is taken. 0 where the axis is empty. Caffe2: operators/arg_ops.",
        ArgExtreme,
        find=staticmethod(_find),
        worst=_worst,
        kernel=_kernel(_name, _better),
        contract="X: number -> Indices: int64[?]",
        docs={"X": "a tensor of at least one dimension", "Indices": "without the axis, or with 1 in its place"},
        gradient=FORBIDDEN,
    )
