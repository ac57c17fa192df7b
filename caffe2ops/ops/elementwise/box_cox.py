"""BatchBoxCox."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.operator import NOT_YET, Arg, Operator
from caffe2ops.ops.shape.axes import show

SMALLEST = 1e-6  # sums below it count as it
_BOX_COX = Elementwise(
    "T base = data + lambda2; base = base < T(smallest) ? T(smallest) : base; "
    "output = lambda1 == T(0) ? log(base) : (pow(base, lambda1) - T(1)) / lambda1;",
    "data lambda1 lambda2", "output", scalars="smallest", dtypes=("float32", "float64"), name="box_cox",
)  # fmt: skip


class BatchBoxCox(Operator):
    """The Box-Cox transform of each column: log(x + lambda2) where lambda1 is 0, else ((x + lambda2)^lambda1 - 1) /
    lambda1; sums x + lambda2 below 1e-6 count as that.

    Raises ValueError where the lambdas have not as many elements as a row. Caffe2: operators/batch_box_cox_op.
    """

    contract = "data: float[N, ...], lambda1: data, lambda2: data -> output: data[N, ...]"
    docs = {
        "data": "N rows",
        "lambda1": "the power of each column",
        "lambda2": "what is added to each column",
        "output": "the transformed rows",
    }
    inplace = ((0, 0),)
    gradient = NOT_YET
    min_block_size: int = Arg(256, doc="how Caffe2 cuts the rows into blocks; the answer does not depend on it")

    def _checked(self, data: Any, lambda1: Any, lambda2: Any) -> tuple[Any, ...]:
        """Rows of data, and the lambdas as vectors."""
        rows = data.reshape(len(data), -1)
        for name, given in (("lambda1", lambda1), ("lambda2", lambda2)):
            if given.size != rows.shape[1]:
                raise ValueError(f"{name}: has {given.size} elements, a row of data {show(rows.shape[1:])}")
        return rows, lambda1.reshape(-1), lambda2.reshape(-1)

    def run_cpu(self, data: np.ndarray, lambda1: np.ndarray, lambda2: np.ndarray) -> Any:
        out = self.out(0, data.shape, data.dtype)
        if not data.size:
            return out
        rows, power, shift = self._checked(data, lambda1, lambda2)
        result = out.reshape(rows.shape)
        base = np.maximum(rows + shift, data.dtype.type(SMALLEST))
        none = power == 0
        result[:, none] = np.log(base[:, none])
        result[:, ~none] = (base[:, ~none] ** power[~none] - 1) / power[~none]
        return out

    def run_cuda(self, data: Any, lambda1: Any, lambda2: Any) -> Any:
        out = self.out(0, data.shape, data.dtype)
        if data.size:
            rows, *lambdas = self._checked(data, lambda1, lambda2)
            _BOX_COX(rows, *lambdas, out=out.reshape(rows.shape), smallest=SMALLEST)
        return out
