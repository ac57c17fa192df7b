"""SumElements, SumElementsInt, SumSqrElements and AveragedLoss: one number of a whole tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Reduction
from caffe2ops.infer import Cost
from caffe2ops.operator import FORBIDDEN, Arg, Operator

_DTYPES = ("float32", "float64")
_SUM = Reduction(combine="a + b", identity="A(0)", dtypes=_DTYPES, name="sum_elements")
_SUM_INT = Reduction(
    map="unsigned(x)", combine="a + b", identity="0u", accumulator="uint32", dtypes=("int32",), name="sum_elements_int"
)
_MEAN = Reduction(
    combine="a + b", identity="A(0)", finish="n ? a / A(n) : A(0)", dtypes=_DTYPES, name="mean_of_elements"
)
_SUM_SQUARES = Reduction(map="A(x) * A(x)", combine="a + b", identity="A(0)", dtypes=_DTYPES, name="sum_of_squares")
_MEAN_SQUARE = Reduction(
    map="A(x) * A(x)",
    combine="a + b",
    identity="A(0)",
    finish="n ? a / A(n) : A(0)",
    dtypes=_DTYPES,
    name="mean_of_squares",
)


class OfElements(Operator):
    """Base: a sum of all elements, or their mean; 0 for an empty tensor."""

    average: Any = False

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(inputs[0].size, moved.bytes_read, moved.bytes_written)


class ElementsSum(OfElements):
    """Base of the sums and means of the elements themselves."""

    def run_cpu(self, x: np.ndarray) -> Any:
        return _filled(
            self.out(0, (), x.dtype), np.add.reduce(x, axis=None, dtype=x.dtype), x.size if self.average else 0
        )

    def run_cuda(self, x: Any) -> Any:
        return (_MEAN if self.average else _SUM)(x, self.out(0, (), x.dtype))


class ElementsGradient(OfElements):
    """Base of the gradients: the number that comes in, or its share, for each element; same code on both devices."""

    def run_cpu(self, x: Any, dy: Any) -> Any:
        if dy.size != 1:
            raise ValueError(f"{self.parsed.inputs[1].name}: has {dy.size} elements, wants 1")
        dx = self.out(0, x.shape, x.dtype)
        dx[...] = dy.reshape(())
        if self.average and x.size:
            dx /= x.size
        return dx

    run_cuda = run_cpu


def _filled(y: np.ndarray, total: Any, count: int) -> np.ndarray:
    """y holding the total, divided by count unless that is 0."""
    y[...] = total / count if count else total
    return y


class SumElements(ElementsSum):
    """The sum of all elements, with `average` their mean; 0 for an empty tensor. Caffe2: operators/reduction_ops."""

    contract = "X: float -> sum: X[]"
    docs = {"X": "any tensor", "sum": "a number"}
    gradient = "SumElementsGradient(X, dsum) -> dX"
    average: bool = Arg(False, doc="whether to divide by the number of elements")


class SumElementsGradient(ElementsGradient):
    """The gradient of SumElements: dsum for each element, divided by their number with `average`."""

    contract = "X: float, dsum: X -> dX: X"
    docs = {"X": "input of SumElements", "dsum": "gradient of sum, one number", "dX": "gradient of X"}
    average: bool = Arg(False, doc="whether to divide by the number of elements")


class SumElementsInt(OfElements):
    """The sum of all elements of an int32 tensor, modulo 2^32. Caffe2: operators/reduction_ops."""

    contract = "X: int32 -> sum: int32[]"
    docs = {"X": "any tensor", "sum": "a number"}
    gradient = FORBIDDEN

    def run_cpu(self, x: np.ndarray) -> Any:
        return _filled(self.out(0, (), x.dtype), np.add.reduce(x, axis=None, dtype=x.dtype), 0)

    def run_cuda(self, x: Any) -> Any:
        return _SUM_INT(x, self.out(0, (), x.dtype))


class SumSqrElements(OfElements):
    """The sum of the squares of all elements, with `average` their mean; 0 for an empty tensor.

    Caffe2: operators/reduction_ops.
    """

    contract = "X: float -> sum: X[]"
    docs = {"X": "any tensor", "sum": "a number"}
    average: bool = Arg(False, doc="whether to divide by the number of elements")

    def run_cpu(self, x: np.ndarray) -> Any:
        vector = x.reshape(-1)
        return _filled(self.out(0, (), x.dtype), np.dot(vector, vector), x.size if self.average else 0)

    def run_cuda(self, x: Any) -> Any:
        return (_MEAN_SQUARE if self.average else _SUM_SQUARES)(x, self.out(0, (), x.dtype))


class AveragedLoss(ElementsSum):
    """The mean of all elements; 0 for an empty tensor. Caffe2: operators/loss_op."""

    contract = "input: float -> output: input[]"
    docs = {"input": "any tensor", "output": "a number"}
    gradient = "AveragedLossGradient(input, doutput) -> dinput"
    average = True


class AveragedLossGradient(ElementsGradient):
    """The gradient of AveragedLoss: doutput divided by the number of elements, for each of them."""

    contract = "input: float, doutput: input -> dinput: input"
    docs = {
        "input": "input of AveragedLoss",
        "doutput": "gradient of output, one number",
        "dinput": "gradient of input",
    }
    average = True
