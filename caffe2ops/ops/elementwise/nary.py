"""Sum, Mean, Max and Min of any number of tensors of one shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from caffe2ops.cuda import Elementwise as Kernel
from caffe2ops.infer import Cost
from caffe2ops.operator import Operator, Step
from caffe2ops.ops.elementwise.rows import call

NUMBERS = ("float32", "float64", "int32", "int64")
FLOATS = ("float32", "float64")
DOCS = {"X": "tensors of one shape", "Y": "a tensor like them", "C": "a tensor like them", "M": "a tensor like them"}


class Folding(Operator):
    """Base: the tensors are combined one after the other, from the left."""

    inplace = ((0, 0),)
    docs = DOCS
    fold: ClassVar[Callable[..., Any]]
    kernel: ClassVar[Kernel]

    def run_cpu(self, *X: Any) -> Any:
        out = self._buffer(X, np.empty)
        if len(X) == 1:
            out[...] = X[0]
        else:
            type(self).fold(X[0], X[1], out=out)
        for x in X[2:]:
            type(self).fold(out, x, out=out)
        return out

    def run_cuda(self, *X: Any) -> Any:
        import cupy

        out = self._buffer(X, cupy.empty)
        if len(X) == 1:
            out[...] = X[0]
        else:
            self.kernel(X[0], X[1], out=out)
        for x in X[2:]:
            self.kernel(out, x, out=out)
        return out

    def _buffer(self, X: Sequence[Any], empty: Any) -> Any:
        """The output's buffer, unless a tensor that is needed after the first step lies in it."""
        out = self.out(0, X[0].shape, X[0].dtype)
        return empty(out.shape, out.dtype) if any(x is out for x in X[2:]) else out

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step | None:
        if any(x is outputs[0] for x in inputs[2:]):
            return None
        return call(type(self).fold, *inputs, out=outputs[0]) if len(inputs) == 2 else partial(self.run_cpu, *inputs)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(len(inputs) * outputs[0].size, moved.bytes_read, moved.bytes_written)


class Sum(Folding):
    """The sum of the inputs, element by element.

    Its gradient needs no operator: dC is the gradient of every input. Caffe2: operators/utility_ops (SumOp).
    """

    contract = "*X: number[...] -> C: X[...]"
    fold = staticmethod(np.add)
    kernel = Kernel("A + B", "A B", dtypes=NUMBERS, name="Sum")

    @classmethod
    def make_gradient(cls, g):
        for i in range(len(g.def_.input)):
            g.set_dense(i, g.GO(0))
        return []


class SumInt(Folding):
    """An old name of Sum, without a gradient. Caffe2: operators/utility_ops."""

    contract = Sum.contract
    fold = staticmethod(np.add)
    kernel = Sum.kernel


class _Extreme(Folding):
    @classmethod
    def make_gradient(cls, g):
        n = range(len(g.def_.input))
        inputs = [g.O(0), g.GO(0), *(g.I(i) for i in n)]
        return [g.op(f"{cls.type}Gradient", inputs, [g.GI(i) for i in n])]


class Max(_Extreme):
    """The largest of the inputs, element by element; NaN wins. Caffe2: operators/minmax_ops."""

    contract = "*X: float[...] -> M: X[...]"
    fold = staticmethod(np.maximum)
    kernel = Kernel("A > B || A != A ? A : B", "A B", dtypes=FLOATS, name="Max")


class Min(_Extreme):
    """The smallest of the inputs, element by element; NaN wins. Caffe2: operators/minmax_ops."""

    contract = "*X: float[...] -> M: X[...]"
    fold = staticmethod(np.minimum)
    kernel = Kernel("A < B || A != A ? A : B", "A B", dtypes=FLOATS, name="Min")


class MaxGradient(Operator):
    """The gradient of Max: dM goes to every input that equals M. Caffe2: operators/minmax_gradient_ops."""

    contract = "M: float[...], dM: M[...], *X: M[...] -> *dX: M[...]"
    docs = {"M": "output of the forward operator", "dM": "its gradient", "X": "its inputs", "dX": "their gradients"}
    kernel: ClassVar[Kernel] = Kernel("dM * T(X == M)", "M dM X", "dX", dtypes=FLOATS, name="MaxGradient")

    def _outs(self, M: Any, X: Sequence[Any]) -> list[Any]:
        if len(X) < self.n_outputs:
            raise ValueError(f"dX: {self.n_outputs} outputs, wants at most one for each of the {len(X)} inputs X")
        return [self.out(i, M.shape, M.dtype) for i in range(self.n_outputs)]

    def run_cpu(self, M: Any, dM: Any, *X: Any) -> Any:
        outs = self._outs(M, X)
        for x, out in zip(X, outs):
            np.multiply(dM, x == M, out=out)
        return outs

    def run_cuda(self, M: Any, dM: Any, *X: Any) -> Any:
        outs = self._outs(M, X)
        for x, out in zip(X, outs):
            self.kernel(M, dM, x, out=out)
        return outs

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(self.run_cpu, *inputs)


class MinGradient(MaxGradient):
    """The gradient of Min: dM goes to every input that equals M. Caffe2: operators/minmax_gradient_ops."""

    contract = MaxGradient.contract


class Mean(Folding):
    """The mean of the inputs, element by element. Caffe2: operators/mean_op."""

    contract = "*X: float[...] -> M: X[...]"
    fold = staticmethod(np.add)
    kernel = Sum.kernel
    scaled: ClassVar[Kernel] = Kernel("X * T(scale)", "X", scalars="scale", dtypes=FLOATS, name="Mean")

    def run_cpu(self, *X: Any) -> Any:
        out = super().run_cpu(*X)
        out *= 1 / len(X)
        return out

    def run_cuda(self, *X: Any) -> Any:
        out = super().run_cuda(*X)
        return self.scaled(out, out=out, scale=1 / len(X))

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step | None:
        return partial(self.run_cpu, *inputs) if super().bind(inputs, outputs) else None

    @classmethod
    def make_gradient(cls, g):
        return [g.op("MeanGradient", [g.GO(0)], [g.GI(i) for i in range(len(g.def_.input))])]


class MeanGradient(Operator):
    """The gradient of Mean: dY over the number of inputs, once for each. Caffe2: operators/mean_op."""

    contract = "dY: float -> *dX: dY"
    docs = {"dY": "gradient of the mean", "dX": "gradients of the inputs"}
    inplace = ((0, 0),)

    def run_cpu(self, dY: Any) -> Any:
        outs = [self.out(i, dY.shape, dY.dtype) for i in range(self.n_outputs)]
        np.multiply(dY, np.asarray(1 / len(outs), dY.dtype), out=outs[0])
        for out in outs[1:]:
            out[...] = outs[0]
        return outs

    def run_cuda(self, dY: Any) -> Any:
        outs = [self.out(i, dY.shape, dY.dtype) for i in range(self.n_outputs)]
        Mean.scaled(dY, out=outs[0], scale=1 / len(outs))
        for out in outs[1:]:
            out[...] = outs[0]
        return outs

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(self.run_cpu, *inputs)
