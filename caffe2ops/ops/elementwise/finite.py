"""Operators that look for NaN and inf."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from caffe2ops.cuda import Reduction
from caffe2ops.operator import FORBIDDEN, Arg, Operator, Step
from caffe2ops.ops.elementwise.rows import select, unary

COUNT = Reduction(
    map="A(isfinite(x) ? 0 : 1)",
    combine="a + b",
    identity="A(0)",
    accumulator="int64",
    dtypes=("float32", "float64"),
    name="count_not_finite",
)


def _replace(X, value, out):
    np.copyto(out, select(np.isnan(X), value, X))


unary(
    "IsNaN",
    "1 where the tensor is NaN, else 0. Caffe2: operators/utility_ops.",
    ports=("tensor", "output"),
    to="uint8",
    cpu=lambda tensor, out: np.isnan(tensor, out=out.view(bool)),
    cuda="(T_output)(tensor != tensor)",
    inplace=(),
)
unary(
    "ReplaceNaN",
    "The input with NaN replaced by value. Caffe2: operators/replace_nan_op.",
    ports=("input", "output"),
    cpu=_replace,
    cuda="input != input ? T(value) : input",
    gradient=FORBIDDEN,
    args={"value": ("float", Arg(0.0, doc="what stands for NaN"))},
)


class _Finite(Operator):
    """Base: refuses a tensor with NaN or inf in it."""

    def look(self, name: str, x: Any) -> None:
        """Raises ValueError naming the first element that is not finite."""
        if self.device == "cuda":
            import cupy

            if not int(COUNT(x, cupy.empty((), "int64")).get()):
                return
            x = x.get()
        bad = np.flatnonzero(~np.isfinite(x.reshape(-1)))
        if bad.size:
            value, n = x.reshape(-1)[bad[0]], bad.size
            raise ValueError(
                f"{name} ({self.op_def.input[0]!r}): element {bad[0]} is {value}; {n} of {x.size} are not finite"
            )


class NanCheck(_Finite):
    """Passes a tensor on if all of it is finite, and raises ValueError otherwise.

    Only the first input is looked at; others are there to be named in the net. Caffe2: operators/utility_ops.
    """

    contract = "tensor: float, *others?: any -> output: tensor"
    docs = {"tensor": "what is checked", "others": "not looked at", "output": "an equal tensor"}
    gradient = "NanCheck(doutput) -> dtensor"
    inplace = ((0, 0),)

    def run_cpu(self, tensor: Any, *others: Any) -> Any:
        self.look("tensor", tensor)
        out = self.out(0, tensor.shape, tensor.dtype)
        if out is not tensor:
            out[...] = tensor
        return out

    run_cuda = run_cpu

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(self.run_cpu, *inputs)


class EnforceFinite(_Finite):
    """Raises ValueError where the input holds NaN or inf. Caffe2: operators/enforce_finite_op."""

    contract = "input: float ->"
    docs = {"input": "what is checked"}
    gradient = FORBIDDEN

    def run_cpu(self, x: Any) -> None:
        self.look("input", x)

    run_cuda = run_cpu
