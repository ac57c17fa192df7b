"""TopK: the k largest values along an axis, with its gradient."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, Cost, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.segment.top_k_numpy import lengths_top_k
from caffe2ops.ops.shape.axes import Shape, canonical_axis, known, show, size

FEW, LONG = 16, 128  # greatest k, and least elements of a row, for which repeated maxima are fastest


class TopK(Operator):
    """The k largest values along an axis, largest first, of equals the first, with where they stood.

    A row shorter than k is padded with 0 and index -1. k is an argument, or else an input of one element. Raises
    ValueError for k < 1. A NaN among a row's first k elements is ranked as LengthsTopK does (Caffe2 builds its heap
    otherwise here); a later one is never taken. Caffe2: operators/top_k.
    """

    contract = "X: number, k?: int64 -> Values: X[?], Indices: int64[?], Flattened_indices?: int64[?]"
    docs = {
        "X": "a tensor of at least one dimension",
        "k": "looked at where the argument is missing",
        "Values": "X with k in place of the axis",
        "Indices": "where along the axis each value stood",
        "Flattened_indices": "where in X as a vector each value stood, a vector itself",
    }
    gradient = "TopKGradient(dValues, Indices, X) -> dX"
    k: int = Arg(None, ge=1, doc="how many values to take; wanted unless it is an input")
    axis: int = Arg(-1, doc="along which axis")

    def _count(self, k: np.ndarray | None) -> int:
        if self.k is not None or k is None:
            count = self.k
        elif k.size != 1:
            raise ValueError(f"k: has {k.size} elements, wants 1")
        else:
            count = int(k.reshape(-1)[0])
        if count is None or count < 1:
            raise ValueError(f"k: is {'missing' if count is None else count}, wants 1 or more, as argument or input")
        return count

    def _shape(self, x: Shape, k: Any) -> Shape:
        axis = canonical_axis(self.axis, len(x))
        return (*x[:axis], k, *x[axis + 1 :])

    def infer(self, x: TensorSpec, k: TensorSpec | None = None) -> tuple[TensorSpec, ...]:
        shape = self._shape(x.shape, UNKNOWN if self.k is None and k is not None else self._count(None))
        return TensorSpec(shape, x.dtype), TensorSpec(shape, np.int64), TensorSpec((size(shape),), np.int64)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved, k = super().cost(inputs, outputs), outputs[0].shape[canonical_axis(self.axis, inputs[0].ndim)]
        return Cost(
            inputs[0].size * max(k.bit_length(), 1) if known(k) else None, moved.bytes_read, moved.bytes_written
        )

    def run_cpu(self, x: np.ndarray, k: np.ndarray | None = None) -> Any:
        count, axis = self._count(k), canonical_axis(self.axis, x.ndim)
        n, shape = x.shape[axis], self._shape(x.shape, count)
        rows = np.ascontiguousarray(np.moveaxis(x, axis, -1)).reshape(prod(shape) // count, n)
        values, local = _top_k_of_rows(rows, count)
        inner = prod(x.shape[axis + 1 :])
        found = [(values, x.dtype), (local, np.int64)]
        if self.n_outputs == 3:
            found.append((np.where(local < 0, -1, self._flat(local, n, inner)), np.int64))
        outputs = []
        for i, (matrix, dtype) in enumerate(found):
            y = self.out(i, shape if i < 2 else (prod(shape),), dtype)
            outer = prod(shape[:axis])
            y.reshape(outer, count, inner)[...] = matrix.reshape(outer, inner, count).swapaxes(1, 2)
            outputs.append(y)
        return outputs

    def run_cuda(self, x: Any, k: Any = None) -> Any:
        from caffe2ops.ops.index import top_k_cuda

        count, axis = self._count(k), canonical_axis(self.axis, x.ndim)
        shape = self._shape(x.shape, count)
        outs = [(shape, x.dtype), (shape, np.int64), ((prod(shape),), np.int64)]
        outputs = tuple(self.out(i, *out) for i, out in enumerate(outs))
        top_k_cuda.top_k(x, count, axis, outputs)
        return outputs[: self.n_outputs]

    @staticmethod
    def _flat(local: np.ndarray, n: int, inner: int) -> np.ndarray:
        row = np.arange(len(local))[:, None]
        return (row // inner * n + local) * inner + row % inner


def _top_k_of_rows(rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and indices [N, k] of the k largest of each row, padded with 0 and -1."""
    n = rows.shape[1]
    if rows.dtype.kind == "f":
        if k <= FEW and n >= LONG and rows.itemsize >= 4:
            found = _by_maxima(rows, k)
            if found is not None:
                return found
        values, local = np.empty((len(rows), k), rows.dtype), np.empty((len(rows), k), np.int32)
        starts = np.arange(0, rows.size, n) if n else np.zeros(len(rows), np.int64)
        lengths_top_k(rows.reshape(-1), np.full(len(rows), n, np.int32), starts, k, values, local)
        return values, local
    values, local = np.zeros((len(rows), k), rows.dtype), np.full((len(rows), k), -1, np.int64)
    kept = min(n, k)
    local[:, :kept] = np.argsort(~rows, axis=1, kind="stable")[:, :kept]  # ~x falls as x rises, and never overflows
    values[:, :kept] = np.take_along_axis(rows, local[:, :kept], axis=1)
    return values, local


def _by_maxima(rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The same, one greatest after the other, which is fastest for few of long rows; None where one is not finite: NaN
    has an order of its own, and -inf stands for what has been taken."""
    rest, every = rows.copy(), np.arange(len(rows))
    values, local = np.empty((len(rows), k), rows.dtype), np.empty((len(rows), k), np.int32)
    for i in range(k):
        local[:, i] = at = rest.argmax(axis=1)
        values[:, i] = rest[every, at]
        rest[every, at] = -np.inf
    return (values, local) if np.isfinite(values).all() else None


class TopKGradient(Operator):
    """The gradient of TopK: each of dValues where its value stood, 0 elsewhere; indices -1 are padding.

    Raises IndexError for an index out of range.
    """

    contract = "dValues: number, Indices: int64, X: dValues -> dX: X"
    docs = {"dValues": "gradient of Values", "Indices": "output of TopK", "X": "its input", "dX": "gradient of X"}
    k: int = Arg(None, doc="as in TopK; follows from the shapes")
    axis: int = Arg(-1, doc="along which axis")

    def _checked_axis(self, dvalues: Any, indices: Any, x: Any) -> int:
        """The axis. Raises ValueError where shapes do not fit."""
        axis = canonical_axis(self.axis, x.ndim)
        rest = (*x.shape[:axis], *x.shape[axis + 1 :])
        if indices.shape != dvalues.shape or (*dvalues.shape[:axis], *dvalues.shape[axis + 1 :]) != rest:
            raise ValueError(
                f"dValues: shape is {show(dvalues.shape)}, Indices: {show(indices.shape)}, "
                f"want X's, {show(x.shape)}, but for axis {axis}"
            )
        return axis

    @staticmethod
    def _check_indices(indices: np.ndarray, n: int, axis: int) -> None:
        bad = np.flatnonzero((indices < -1) | (indices >= n))
        if bad.size:
            raise IndexError(
                f"Indices: element {bad[0]} is {indices.flat[bad[0]]}, X has {n} elements along axis {axis}"
            )

    def run_cuda(self, dvalues: Any, indices: Any, x: Any) -> Any:
        from caffe2ops.ops.index import top_k_cuda

        axis = self._checked_axis(dvalues, indices, x)
        dx = self.out(0, x.shape, x.dtype)
        if top_k_cuda.gradient(dvalues, indices, axis, dx):
            self._check_indices(indices.get(), x.shape[axis], axis)
        return dx

    def run_cpu(self, dvalues: np.ndarray, indices: np.ndarray, x: np.ndarray) -> Any:
        axis = self._checked_axis(dvalues, indices, x)
        n = x.shape[axis]
        self._check_indices(indices, n, axis)
        dx = self.out(0, x.shape, x.dtype)
        dx[...] = 0
        if n:
            spare = np.zeros((*x.shape[:axis], n + 1, *x.shape[axis + 1 :]), x.dtype) if (indices < 0).any() else dx
            np.put_along_axis(spare, indices, dvalues, axis)
            if spare is not dx:
                dx[...] = spare[(slice(None),) * axis + (slice(n),)]
        return dx
