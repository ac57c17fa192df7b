"""ReduceFront and ReduceBack with Sum, Mean and Max: folding the first or the last dims, with their gradients: one
row each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Operator, row
from caffe2ops.ops.shape.axes import Shape, show, size


class FrontBack(Operator):
    """Base: X as a matrix whose columns (front) or rows (back) are folded; `lengths` says how far each one counts."""

    front: ClassVar[bool] = True
    num_reduce_dim: int = Arg(1, ge=0, doc="how many dims are folded")
    num_reduce_dims: int = Arg(1, doc="the name in Caffe2's documentation; neither Caffe2 nor caffe2ops reads it")

    def cut(self, x: Shape) -> int:
        """Before which dim X is cut. Raises ValueError where it has less."""
        if self.num_reduce_dim > len(x):
            raise ValueError(f"num_reduce_dim = {self.num_reduce_dim}, X has only {len(x)} dimensions")
        return self.num_reduce_dim if self.front else len(x) - self.num_reduce_dim

    def _y_shape(self, x: Shape) -> Shape:
        return x[self.cut(x) :] if self.front else x[: self.cut(x)]

    def folded_dims(self, x: Shape) -> Shape:
        """The dims of X that are folded."""
        return x[: self.cut(x)] if self.front else x[self.cut(x) :]

    def _matrix(self, x: np.ndarray) -> np.ndarray:
        """X as [folded, kept], a view."""
        cut = self.cut(x.shape)
        matrix = x.reshape(size(x.shape[:cut]), size(x.shape[cut:]))
        return matrix if self.front else matrix.T

    def _counted(self, lengths: np.ndarray | None, n: int, kept: int) -> np.ndarray | None:
        """Which elements of [folded, kept] count, None for all."""
        if lengths is None:
            return None
        self.wants_lengths(lengths.size, kept)
        return np.arange(n)[:, None] < self.checked_lengths(lengths, n).reshape(-1)

    @staticmethod
    def wants_lengths(count: int, kept: int) -> None:
        if count != kept:
            raise ValueError(f"lengths: has {count} elements, wants {kept}, one an output")

    @staticmethod
    def checked_lengths(lengths: np.ndarray, n: int) -> np.ndarray:
        bad = np.flatnonzero((lengths < 0) | (lengths > n))
        if bad.size:
            raise ValueError(f"lengths: element {bad[0]} is {lengths.flat[bad[0]]}, wants 0 to {n}, what X has there")
        return lengths

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(max(s.size for s in (*inputs[:2], *outputs)), moved.bytes_read, moved.bytes_written)


class Fold(FrontBack):
    """Base of the six: `fold(matrix, counted)` folds axis 0."""

    fold: ClassVar[Callable[..., Any]]
    kind: ClassVar[str] = ""

    def infer(self, x: TensorSpec, lengths: TensorSpec | None = None) -> TensorSpec:
        return TensorSpec(self._y_shape(x.shape), x.dtype)

    def run_cpu(self, x: np.ndarray, lengths: np.ndarray | None = None) -> Any:
        matrix = self._matrix(x)
        y = self.out(0, self._y_shape(x.shape), x.dtype)
        y[...] = type(self).fold(matrix, self._counted(lengths, *matrix.shape)).reshape(y.shape)
        return y

    def run_cuda(self, x: Any, lengths: Any = None) -> Any:
        from caffe2ops.ops.reduce import front_back_cuda

        return front_back_cuda.fold(self, self.kind, x, lengths, self.out(0, self._y_shape(x.shape), x.dtype))


class Unfold(FrontBack):
    """Base of the gradients of sums and means: dY, divided by how many were folded where it was a mean."""

    mean: ClassVar[bool] = False

    def infer(self, dy: TensorSpec, x: TensorSpec, lengths: TensorSpec | None = None) -> TensorSpec:
        return TensorSpec(None, dy.dtype) if _is_shape(x) else TensorSpec(x.shape, dy.dtype)

    def _dy(self, dy: np.ndarray, shape: Shape, name: str = "dY") -> np.ndarray:
        if dy.size != size(self._y_shape(shape)):
            raise ValueError(f"{name}: shape is {show(dy.shape)}, wants {show(self._y_shape(shape))}")
        return dy.reshape(-1)

    @staticmethod
    def _x_shape(x: Any) -> Shape:
        shape = tuple(x.tolist()) if _is_shape(x) else x.shape
        if min(shape, default=0) < 0:
            raise ValueError(f"X: is the shape {show(shape)}, wants dims >= 0")
        return shape

    def run_cuda(self, dy: Any, x: Any, lengths: Any = None) -> Any:
        from caffe2ops.ops.reduce import front_back_cuda

        shape = self._x_shape(x)
        self._dy(dy, shape)
        dx = self.out(0, shape, dy.dtype)
        return front_back_cuda.unfold(self, "Mean" if self.mean else "Sum", dy, lengths, dx)

    def run_cpu(self, dy: np.ndarray, x: np.ndarray, lengths: np.ndarray | None = None) -> Any:
        shape = self._x_shape(x)
        dx = self.out(0, shape, dy.dtype)
        row = self._dy(dy, shape)
        matrix = self._matrix(dx)
        counted = self._counted(lengths, *matrix.shape)
        if self.mean:
            n = np.maximum(len(matrix) if lengths is None else lengths.reshape(-1), 1)
            row = row / np.asarray(n).astype(dy.dtype)
        matrix[...] = row if counted is None else np.where(counted, row, 0)
        return dx


class UnfoldMax(Unfold):
    """Base of the gradients of maxima: dY where X equals Y."""

    def infer(self, dy: TensorSpec, x: TensorSpec, y: TensorSpec, lengths: TensorSpec | None = None) -> TensorSpec:
        return x

    def run_cpu(self, dy: np.ndarray, x: np.ndarray, y: np.ndarray, lengths: np.ndarray | None = None) -> Any:
        dx = self.out(0, x.shape, x.dtype)
        matrix, row = self._matrix(dx), self._dy(dy, x.shape)
        hit = self._matrix(x) == self._dy(y, x.shape, "Y")
        counted = self._counted(lengths, *matrix.shape)
        matrix[...] = np.where(hit if counted is None else hit & counted, row, 0)
        return dx

    def run_cuda(self, dy: Any, x: Any, y: Any, lengths: Any = None) -> Any:
        from caffe2ops.ops.reduce import front_back_cuda

        self._dy(dy, x.shape)
        self._dy(y, x.shape, "Y")
        return front_back_cuda.unfold(self, "Max", dy, lengths, self.out(0, x.shape, x.dtype), x, y)


def _is_shape(x: Any) -> bool:
    """Whether the second input of a gradient is the shape of X rather than X."""
    return x.dtype == np.int64 and x.ndim == 1


def _sum(x: np.ndarray, counted: np.ndarray | None) -> Any:
    return np.add.reduce(x if counted is None else np.where(counted, x, 0), axis=0, dtype=x.dtype)


def _mean(x: np.ndarray, counted: np.ndarray | None) -> Any:
    n = len(x) if counted is None else np.count_nonzero(counted, axis=0)
    return _sum(x, counted) / np.maximum(n, 1).astype(x.dtype)


def _max(x: np.ndarray, counted: np.ndarray | None) -> Any:
    if not len(x):
        return np.zeros(x.shape[1], x.dtype)
    if counted is None:
        return np.maximum.reduce(x, axis=0)
    return np.where(counted.any(axis=0), np.maximum.reduce(np.where(counted, x, -np.inf), axis=0), 0)


def front_back(kind: str, what: str, dtype: str, fold: Callable[..., Any], base: type[Unfold], extra: str = "") -> None:
    """Declares ReduceFront<kind> and ReduceBack<kind>, and their gradients."""
    for side, dims in (("Front", "first"), ("Back", "last")):
        name = f"Reduce{side}{kind}"
        doc = f"The {what} over the {dims} dims of X, 0 where nothing counts."
        lengths = "how many of the folded elements count, for each output"
        row(
            name,
            f"{doc} Caffe2: operators/reduce_front_back_{kind.lower()}_ops.",
            Fold,
            2,
            contract=f"X: {dtype}, lengths?: int32 -> Y: X[?]",
            fold=staticmethod(fold),
            kind=kind,
            front=side == "Front",
            gradient=f"{name}Gradient(dY, X{extra and ', Y'}, lengths?) -> dX",
            docs={"X": "any tensor", "lengths": lengths, "Y": "without the folded dims"},
        )
        row(
            f"{name}Gradient",
            f"The gradient of {name}.",
            base,
            2,
            front=side == "Front",
            mean=kind == "Mean",
            contract=f"dY: {dtype}, X: {'dY' if extra else 'any'}{extra}, lengths?: int32 -> dX: dY[?]",
            docs={
                "dY": "gradient of Y",
                "X": f"input of {name}" + (", or its shape as int64[rank]" if not extra else ""),
                "Y": "its output",
                "lengths": lengths,
            },
        )


front_back("Sum", "sum", "number", _sum, Unfold)
front_back("Mean", "mean", "float", _mean, Unfold)
front_back("Max", "greatest value", "float", _max, UnfoldMax, extra=", Y: dY")
