"""Functions in pieces: PiecewiseLinearTransform, StumpFunc and StumpFuncIndex."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, NO_GRADIENT, Arg, Operator
from caffe2ops.ops.elementwise.rows import elementwise
from caffe2ops.ops.shape.axes import show


class PiecewiseLinearTransform(Operator):
    """Each column of predictions through a function of its own that is linear between bounds, constant beyond them.

    A column with bounds b0 <= ... <= bn has n slopes and n intercepts; x in (b[i], b[i+1]] becomes slopes[i] x +
    intercepts[i]. They come as arguments or as inputs, column by column. With `binary` there is one function, for a
    vector, one column, or the second of two, of which the first becomes 1 minus that. Raises ValueError for bounds
    that are not sorted and for numbers of them that do not fit. Caffe2: operators/piecewise_linear_transform_op.
    """

    contract = (
        "predictions: float[...], bounds?: predictions, slopes?: predictions, intercepts?: predictions "
        "-> transforms: predictions[...]"
    )
    docs = {
        "predictions": "[N, M], or [N], [N, 1], [N, 2] with binary",
        "bounds": "n + 1 for each function",
        "slopes": "n for each function",
        "intercepts": "n for each function",
        "transforms": "a tensor like predictions",
    }
    gradient = FORBIDDEN
    bounds: np.ndarray = Arg((), doc="n + 1 bounds for each function, where they are no input")
    slopes: np.ndarray = Arg((), doc="n slopes for each function")
    intercepts: np.ndarray = Arg((), doc="n intercepts for each function")
    binary: bool = Arg(False, doc="whether there are two classes and one function, for the second")

    def run_cpu(self, predictions: np.ndarray, *given: np.ndarray) -> Any:
        columns = self._columns(predictions)
        pieces = self._pieces(given, columns.shape[1], predictions.dtype)
        out = self.out(0, predictions.shape, predictions.dtype)
        result = self._columns(out)
        for j, (bounds, slopes, intercepts) in enumerate(zip(*pieces)):
            x = columns[:, j].clip(bounds[0], bounds[-1])
            at = np.clip(np.searchsorted(bounds, x, side="left") - 1, 0, slopes.size - 1)
            result[:, j] = slopes[at] * x + intercepts[at]
        if self.binary and predictions.ndim == 2 and predictions.shape[1] == 2:
            np.subtract(1, out[:, 1], out=out[:, 0])
        return out

    def run_cuda(self, predictions: Any, *given: Any) -> Any:
        from caffe2ops.ops.elementwise import piecewise_cuda

        pieces = self._pieces(given, self._columns(predictions).shape[1], predictions.dtype)
        out = self.out(0, predictions.shape, predictions.dtype)
        return piecewise_cuda.transform(predictions, pieces, self.binary, out)

    def _columns(self, x: Any) -> Any:
        """The columns that are transformed, as a view."""
        if not self.binary:
            if x.ndim != 2:
                raise ValueError(f"predictions: shape is {show(x.shape)}, wants [N, M]")
            return x
        if x.ndim not in (1, 2) or (x.ndim == 2 and x.shape[1] not in (1, 2)):
            raise ValueError(f"predictions: shape is {show(x.shape)}, wants [N], [N, 1] or [N, 2], as binary = 1")
        return x[:, None] if x.ndim == 1 else x[:, -1:]

    def _pieces(self, given: tuple[Any, ...], count: int, dtype: Any) -> list[Any]:
        """Bounds, slopes and intercepts as matrices, a row for each column."""
        names = ("bounds", "slopes", "intercepts")
        from_args = [np.asarray(getattr(self, name), dtype) for name in names]
        if any(x.size for x in from_args) == any(x is not None for x in given):
            raise ValueError("bounds, slopes, intercepts: want to be three arguments, or three inputs")
        values = from_args if any(x.size for x in from_args) else list(given)
        if len(values) != 3 or any(x is None for x in values):
            raise ValueError("bounds, slopes, intercepts: want to be all there")
        n = values[1].size // max(count, 1)
        for name, x, wanted in zip(names, values, (count * (n + 1), count * n, count * n)):
            if x.size != wanted or not n:
                raise ValueError(f"{name}: has {x.size} elements; {count} functions want n + 1 bounds, n slopes each")
        bounds, slopes, intercepts = (x.reshape(count, x.size // max(count, 1)) for x in values)
        if (np.diff(bounds, axis=1) < 0).any():
            raise ValueError("bounds: want to be sorted for each function")
        return [bounds, slopes, intercepts]


STUMP = {"threshold": ("float", Arg(0.0, doc="the greatest X that counts as low"))}
elementwise(
    "StumpFunc",
    "Y = low_value where X <= threshold, else high_value. Caffe2: operators/stump_func_op.",
    "X: float[...] -> Y: X[...]",
    cpu=lambda X, threshold, low, high, out: np.copyto(out, np.where(threshold >= X, low, high)),
    cuda="X <= T(threshold) ? T(low_value) : T(high_value)",
    gradient=NO_GRADIENT,
    args=STUMP
    | {
        "low_value": ("float", Arg(0.0, doc="Y for low X")),
        "high_value": ("float", Arg(0.0, doc="Y for the others, NaN too")),
    },
    docs={"X": "any tensor", "Y": "a tensor like X"},
)


class StumpFuncIndex(Operator):
    """Where X <= threshold, and where not: indices into the flat tensor, ascending. Caffe2: operators/stump_func_op."""

    contract = "X: float -> Index_Low: int64[?], Index_High: int64[?]"
    docs = {"X": "any tensor", "Index_Low": "where X is low", "Index_High": "where it is not"}
    gradient = NO_GRADIENT
    threshold: float = Arg(0.0, doc="the greatest X that counts as low")

    def infer(self, x: TensorSpec) -> tuple[TensorSpec, ...]:
        return (TensorSpec((UNKNOWN,), np.dtype(np.int64)),) * 2

    def run_cpu(self, x: Any) -> Any:
        low = x.reshape(-1) <= x.dtype.type(self.threshold)
        return np.flatnonzero(low), np.flatnonzero(~low)

    run_cuda = run_cpu
