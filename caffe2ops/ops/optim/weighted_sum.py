"""The sum of tensors, each times a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Array, Operator

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class WeightedSum(Operator):
    """Y = w_0 X_0 + w_1 X_1 + ...

    Inputs X_0, w_0, X_1, w_1, ...: tensors with equally many elements, weights of one element. Caffe2:
    operators/utility_ops.
    """

    contract = "*weight_0?: float -> output: float[?]"
    docs = {"weight_0": "tensors and their weights, in turns", "output": "the sum, shaped as the first tensor"}
    inplace = ((0, 0),)
    arity = "inputs >= 2 and inputs % 2 == 0"
    grad_on_w: bool = Arg(False, doc="whether the weights get a gradient too")

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        return TensorSpec(inputs[0].shape, inputs[0].dtype)

    def run_cpu(self, *inputs: Array) -> Array:
        xs, ws = pairs(inputs)
        total = np.multiply(xs[0], ws[0], out=self.out(0, xs[0].shape, xs[0].dtype))
        for x, w in zip(xs[1:], ws[1:]):
            total += x.reshape(total.shape) * w
        return total

    run_cuda = run_cpu

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        count = len(g.def_.input)
        step = 1 if g.def_.args.get("grad_on_w") else 2
        inputs = [g.GO(0), *(g.I(i) for i in range(count))]
        order = [*range(0, count, 2), *(range(1, count, 2) if step == 1 else ())]
        return [g.op("WeightedSumGradient", inputs, [g.GI(i) for i in order])]


class WeightedSumGradient(Operator):
    """The gradients of WeightedSum: dX_i = w_i dY, and with grad_on_w dw_i, the sum of X_i dY, after them.

    Inputs dY, X_0, w_0, X_1, w_1, ... Caffe2: operators/utility_ops.
    """

    contract = "dY: float, *X: dY -> *dX: dY[?]"
    docs = {
        "dY": "gradient of the output",
        "X": "tensors and their weights, in turns",
        "dX": "gradients of tensors, then of weights",
    }
    arity = "inputs % 2 == 1"
    grad_on_w: bool = Arg(False, doc="whether the weights get a gradient too")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        wanted = (self.n_inputs - 1) // (1 if self.grad_on_w else 2)
        if self.n_outputs != wanted:
            raise ValueError(f"outputs: there are {self.n_outputs} for {self.n_inputs} inputs, wants {wanted}")

    def infer(self, *inputs: TensorSpec) -> tuple[TensorSpec, ...]:
        dy, *inputs = inputs  # type: ignore[assignment]
        half = len(inputs) // 2
        return (
            *(TensorSpec(x.shape, dy.dtype) for x in inputs[::2]),
            *(TensorSpec((1,), dy.dtype) for _ in range(half)),
        )

    def run_cpu(self, dy: Array, *inputs: Array) -> tuple[Array, ...]:
        xs, ws = pairs(inputs)
        if xs[0].size != dy.size:
            raise ValueError(f"dY: has {dy.size} elements, X has {xs[0].size}")
        grads = [
            np.multiply(dy.reshape(x.shape), w, out=self.out(i, x.shape, dy.dtype))
            for i, (x, w) in enumerate(zip(xs, ws))
        ]
        if self.grad_on_w:
            grads += [(x.reshape(-1) @ dy.reshape(-1)).reshape(1) for x in xs]
        return tuple(grads)

    run_cuda = run_cpu


def pairs(inputs: tuple[Array, ...]) -> tuple[tuple[Array, ...], list[Array]]:
    """Tensors and weights of alternating inputs. Raises ValueError where sizes don't fit."""
    xs, ws = inputs[::2], inputs[1::2]
    for i, (x, w) in enumerate(zip(xs, ws)):
        if w.size != 1:
            raise ValueError(f"weight {i}: has {w.size} elements, wants 1")
        if x.size != xs[0].size:
            raise ValueError(f"tensor {i}: has {x.size} elements, the first has {xs[0].size}")
    return xs, [w.reshape(-1)[0] for w in ws]
