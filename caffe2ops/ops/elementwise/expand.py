"""Expand with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Operator
from caffe2ops.ops.shape.axes import show


class Expand(Operator):
    """Y = X repeated along its dims of 1, and along new dims in front, up to `shape`.

    Where `shape` says 1 or less, or has fewer dims than X, X's own dims stay. Raises ValueError where a dim is neither
    1 nor that of `shape`. Caffe2: operators/expand_op.
    """

    contract = "X: number, shape: int64[R] -> Y: X[?]"
    docs = {"X": "any tensor", "shape": "dims to reach, aligned at the end", "Y": "X, repeated"}
    gradient = "ExpandGradient(dY, X) -> dX"

    def run_cpu(self, x: Any, shape: np.ndarray) -> Any:
        wanted = np.maximum(shape, 1)
        dims = np.ones((2, max(x.ndim, wanted.size)), np.int64)
        dims[0, dims.shape[1] - x.ndim :] = x.shape
        dims[1, dims.shape[1] - wanted.size :] = wanted
        if ((dims[0] != dims[1]) & (dims != 1).all(axis=0)).any():
            raise ValueError(f"shape: is {shape.tolist()}, X has {show(x.shape)}: dims must be the same, or 1 in one")
        y = self.out(0, tuple(np.where(dims[0] == 1, dims[1], dims[0]).tolist()), x.dtype)
        y[...] = x
        return y

    def run_cuda(self, x: Any, shape: Any) -> Any:
        return self.run_cpu(x, shape.get())


class ExpandGradient(Operator):
    """The gradient of Expand: dY added up over the dims along which X was repeated."""

    contract = "dY: number, X: dY -> dX: X[?]"
    docs = {"dY": "gradient of Y", "X": "input of Expand", "dX": "gradient of X"}

    def infer(self, dy: TensorSpec, x: TensorSpec) -> TensorSpec:
        return x

    def _repeated(self, dy: Any, x: Any) -> tuple[int, ...]:
        """The axes of dY along which X was repeated."""
        front = dy.ndim - x.ndim
        if front < 0 or any(d not in (1, dim) for d, dim in zip(x.shape, dy.shape[front:])):
            raise ValueError(f"dY: shape is {show(dy.shape)}, wants X's, {show(x.shape)}, expanded")
        once = [i for i, (d, dim) in enumerate(zip(x.shape, dy.shape[front:]), front) if d != dim]
        return (*range(front), *once)

    def run_cpu(self, dy: np.ndarray, x: np.ndarray) -> Any:
        total = dy.sum(axis=self._repeated(dy, x), dtype=dy.dtype)
        dx = self.out(0, x.shape, x.dtype)
        dx[...] = total.reshape(x.shape)
        return dx

    def run_cuda(self, dy: Any, x: Any) -> Any:
        from caffe2ops.ops.reduce.sums_cuda import sum_over

        return sum_over(dy, self._repeated(dy, x), self.out(0, x.shape, x.dtype))
