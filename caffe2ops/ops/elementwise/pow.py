"""Pow, with the exponent as argument or as second input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise as Kernel
from caffe2ops.errors import GradientError, SchemaError
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Step
from caffe2ops.ops.elementwise.broadcast import Broadcasting
from caffe2ops.ops.elementwise.rows import call

EXACT = {1.0: np.positive, 2.0: np.square, -1.0: np.reciprocal}  # as pow answers, but faster
BY_NUMBER = Kernel("pow(X, T(exponent))", "X", scalars="exponent", dtypes=("float32", "float64"), name="Pow")
BY_TENSOR = Kernel("pow(X, exponent)", "X exponent", dtypes=("float32", "float64"), name="Pow")


class Pow(Broadcasting):
    """Y = X to the power of the exponent, element by element.

    The exponent is the argument, or a second input: of X's shape, or with broadcast=1 a part of X's dims as for Add.
    Caffe2: operators/pow_op.
    """

    contract = "X: float, exponent?: X -> Y: X"
    docs = {"X": "any tensor", "exponent": "exponents instead of the argument", "Y": "a tensor like X"}
    inplace = ((0, 0), (1, 0))
    copy_arguments = False  # those of the gradient operators are all given by make_gradient
    exponent: float = Arg(0.0, doc="the exponent of all elements; not together with the input")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if (self.n_inputs == 2) == self.has_arg("exponent"):
            raise SchemaError("Pow: wants the exponent either as argument or as second input")
        if not self.broadcast and (self.axis != -1 or self.axis_str):
            raise SchemaError("Pow: axis and axis_str are given, they want broadcast = 1")

    def infer(self, X: TensorSpec, exponent: TensorSpec | None = None) -> TensorSpec:
        if exponent is not None and X.known and exponent.known:
            self.placed(X.shape, exponent.shape)
        return X

    def placed(self, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
        if not self.broadcast and a != b:
            raise ValueError(f"exponent: shape is {list(b)}, wants X's ({list(a)}), or broadcast = 1")
        return super().placed(a, b)

    def run_cpu(self, X: Any, exponent: Any = None) -> Any:
        out = self.out(0, X.shape, X.dtype)
        self.bind((X,) if exponent is None else (X, exponent), (out,))()
        return out

    def run_cuda(self, X: Any, exponent: Any = None) -> Any:
        out = self.out(0, X.shape, X.dtype)
        if exponent is None:
            return BY_NUMBER(X, out=out, exponent=self.exponent)
        return BY_TENSOR(X, exponent.reshape(self.placed(X.shape, exponent.shape)), out=out)

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        X, *rest = inputs
        if rest:
            return call(np.power, X, rest[0].reshape(self.placed(X.shape, rest[0].shape)), out=outputs[0])
        if self.exponent in EXACT:
            return call(EXACT[self.exponent], X, out=outputs[0])
        return call(np.power, X, np.asarray(self.exponent, X.dtype), out=outputs[0])

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(20 * outputs[0].size, moved.bytes_read, moved.bytes_written)

    @classmethod
    def make_gradient(cls, g):
        given = g.def_.args
        if g.O(0) in g.def_.input:
            raise GradientError(f"the gradient of Pow reads {g.O(0)!r}, which it overwrites: compute it out of place")
        if len(g.def_.input) == 1:
            exponent = float(np.float32(given.get("exponent", 0.0)))
            return [
                g.op("Pow", [g.I(0)], [g.GI(0)], exponent=float(np.float32(exponent - 1))),
                g.op("Mul", [g.GI(0), g.GO(0)], [g.GI(0)]),
                g.op("Scale", [g.GI(0)], [g.GI(0)], scale=exponent),
            ]
        legacy = bool(given.get("broadcast", 0))
        place = {
            "axis": given.get("axis", -1),
            "axis_str": given.get("axis_str", ""),
            "order": given.get("order", "NCHW"),
        }
        rule = {"broadcast": 1, **place} if legacy else {}
        dX, dE = g.GI(0), g.GI(1)
        part = f"{dE}_autogen_pre_red"
        ops = [
            g.op("ConstantFill", [g.I(1)], [dE], value=1.0),
            g.op("Sub", [g.I(1), dE], [dE]),
            g.op("Pow", [g.I(0), dE], [dX], **rule),
            g.op("Mul", [dX, g.GO(0)], [dX]),
            g.op("Mul", [dX, g.I(1)], [dX], **rule),
            g.op("Log", [g.I(0)], [part]),
            g.op("Mul", [part, g.O(0)], [part]),
            g.op("Mul", [part, g.GO(0)], [part if legacy else dE]),
        ]
        return ops + ([g.op("SumReduceLike", [part, g.I(1)], [dE], **place)] if legacy else [])
