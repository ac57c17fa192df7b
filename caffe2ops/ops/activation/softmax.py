"""Softmax, and Glu."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise as Kernel
from caffe2ops.cuda import Reduction
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Operator, Step
from caffe2ops.ops.activation.sigmoid import sigmoid
from caffe2ops.ops.elementwise.rows import BLOCK

FLOATS = ("float32", "float64")
LARGEST = Reduction(combine="a > b || a != a ? a : b", identity="-A(1) / A(0)", dtypes=FLOATS, name="row_max")
TOTAL = Reduction(combine="a + b", identity="A(0)", dtypes=FLOATS, name="row_sum")
EXP = Kernel("exp(X - largest)", "X largest", dtypes=FLOATS, name="softmax_exp")
OVER = Kernel("X / total", "X total", dtypes=FLOATS, name="softmax_over")
TIMES = Kernel("Y * dY", "Y dY", "P", dtypes=FLOATS, name="softmax_times")
BACK = Kernel("Y * (dY - total)", "Y dY total", "dX", dtypes=FLOATS, name="softmax_back")


class _Rows(Operator):
    """The tensor as a matrix: the dims before `axis` are the rows."""

    axis: int = Arg(1, doc="the first dim of those that one distribution spans; negative counts from the end")

    def matrix(self, shape: tuple[int, ...]) -> tuple[int, int]:
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(
                f"axis = {self.axis}, wants one of the {len(shape)} dims of a tensor of shape {list(shape)}"
            )
        axis = self.axis % len(shape)
        return prod(shape[:axis]), prod(shape[axis:])

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(5 * outputs[0].size, moved.bytes_read, moved.bytes_written)

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(self.run_cpu, *inputs)


def _blocks(*arrays: Any) -> Any:
    """The same rows of several matrices, in blocks that stay in the cache."""
    n, width = arrays[0].shape
    step = max(1, BLOCK // max(1, width))
    for at in range(0, n, step) if width else ():
        yield [array[at : at + step] for array in arrays]


class Softmax(_Rows):
    """Y = exp(X) over its sum, for each row of X seen as a matrix whose rows are the dims before axis.

    The largest element of a row is subtracted first, so nothing overflows; a row with NaN or inf becomes NaN.
    Caffe2: operators/softmax_op.
    """

    contract = "X: float[...] -> Y: X[...]"
    docs = {"X": "scores", "Y": "probabilities; those of a row sum to 1"}
    gradient = "SoftmaxGradient(Y, dY) -> dX"

    def run_cpu(self, X: Any) -> Any:
        out = self.out(0, X.shape, X.dtype)
        self.bind((X,), (out,))()
        return out

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        shape = self.matrix(inputs[0].shape)
        blocks = list(_blocks(inputs[0].reshape(shape), outputs[0].reshape(shape)))
        largest, total = (partial(f.reduce, axis=1, keepdims=True) for f in (np.maximum, np.add))

        def run() -> None:
            for x, y in blocks:
                np.subtract(x, largest(x), y)
                np.exp(y, y)
                np.divide(y, total(y), y)

        return run

    def run_cuda(self, X: Any) -> Any:
        import cupy

        out, shape = self.out(0, X.shape, X.dtype), self.matrix(X.shape)
        if X.size:
            y, row = out.reshape(shape), cupy.empty((shape[0], 1), X.dtype)
            EXP(X.reshape(shape), LARGEST(X.reshape(shape), row, axes=[1]), out=y)
            OVER(y, TOTAL(y, row, axes=[1]), out=y)
        return out


class SoftmaxGradient(_Rows):
    """The gradient of Softmax: dX = Y * (dY - the row's sum of Y * dY). Caffe2: operators/softmax_op."""

    contract = "Y: float[...], dY: Y[...] -> dX: Y[...]"
    docs = {"Y": "output of Softmax", "dY": "its gradient", "dX": "gradient of X"}

    def run_cpu(self, Y: Any, dY: Any) -> Any:
        out, shape = self.out(0, Y.shape, Y.dtype), self.matrix(Y.shape)
        for y, dy, dx in _blocks(Y.reshape(shape), dY.reshape(shape), out.reshape(shape)):
            np.subtract(dy, np.einsum("ij,ij->i", y, dy)[:, None], out=dx)
            dx *= y
        return out

    def run_cuda(self, Y: Any, dY: Any) -> Any:
        import cupy

        out, shape = self.out(0, Y.shape, Y.dtype), self.matrix(Y.shape)
        if Y.size:
            y, dy, dx = Y.reshape(shape), dY.reshape(shape), out.reshape(shape)
            total = TOTAL(TIMES(y, dy, out=dx), cupy.empty((shape[0], 1), Y.dtype), axes=[1])
            BACK(y, dy, total, out=dx)
        return out


class Glu(Operator):
    """Y = A * sigmoid(B), where A and B are the halves of X along dim. Caffe2: operators/glu_op."""

    contract = "X: float -> Y: X[?]"
    docs = {"X": "a tensor with an even number of entries along dim", "Y": "as X, half as long along dim"}
    dim: int = Arg(-1, doc="the dim that is halved; negative counts from the end")
    kernel = Kernel("A / (T(1) + exp(-B))", "A B", dtypes=FLOATS, name="Glu")

    def infer(self, X: TensorSpec) -> TensorSpec:
        axis = self._axis(X.shape)
        return TensorSpec((*X.shape[:axis], X.shape[axis] // 2, *X.shape[axis + 1 :]), X.dtype)

    def _axis(self, shape: tuple[Any, ...]) -> int:
        if not -len(shape) <= self.dim < len(shape):
            raise ValueError(f"dim = {self.dim}, wants one of the {len(shape)} dims of X")
        axis = self.dim % len(shape)
        if shape[axis] % 2 != 0:
            raise ValueError(f"X: has {shape[axis]} entries along dim {axis}, wants an even number")
        return axis

    def _halves(self, X: Any) -> tuple[Any, Any, Any]:
        axis = self._axis(X.shape)
        half = X.shape[axis] // 2
        first, second = ((slice(None),) * axis + (part,) for part in (slice(half), slice(half, None)))
        return X[first], X[second], self.out(0, (*X.shape[:axis], half, *X.shape[axis + 1 :]), X.dtype)

    def run_cpu(self, X: Any) -> Any:
        a, b, out = self._halves(X)
        sigmoid(b, out)
        out *= a
        return out

    def run_cuda(self, X: Any) -> Any:
        import cupy

        a, b, out = self._halves(X)
        return self.kernel(cupy.ascontiguousarray(a), cupy.ascontiguousarray(b), out=out)

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(self.run_cpu, *inputs)
