"""Sums, products and functions of quantised tensors, element by element, as Caffe2's engine DNNLOWP computes them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from caffe2ops.operator import Arg, row
from caffe2ops.ops.int8.arithmetic import MOST, F, quantised
from caffe2ops.ops.int8.fbgemm import Dnnlowp, Output, Scale, ScaledWeights, chosen, engine, floats, rescaled
from caffe2ops.ops.shape.axes import wants_same
from caffe2ops.qtensor import QTensor

MOST_16 = (1 << 16) - 1


class Summation(Output):
    """Base of sums. Two quantised tensors are added as float32, others in a scale of 16 bits that all fit in."""

    inplace = ((0, 0), (1, 0))

    def run_cpu(self, *inputs: Any) -> Any:
        for i, x in enumerate(inputs):
            wants_same("input 0", inputs[0].shape, f"input {i}", floats(f"input {i}", x).shape)
        to = self.scale_for(lambda: np.add.reduce([floats("input", x) for x in inputs]))
        if len(inputs) == 2 and all(isinstance(x, QTensor) for x in inputs):
            total = sum((_fused(x.data, x.scale, -F(x.zero_point) * F(x.scale)) for x in inputs), F(0))
            elements = np.rint(_fused(total, F(1) / to.scale, to.zero_point))
            return self.made(to.tensor(elements.clip(to.zero_point if self.relu else 0, MOST)))
        own = [Scale(F(x.scale), x.zero_point) if isinstance(x, QTensor) else self.scale_of(x) for x in inputs]
        ends = [[s.scale * F(end - s.zero_point) for end in (0, MOST)] for s in own]
        options = self.preserve_activation_sparsity, self.force_scale_power_of_two
        between = chosen(np.min(ends), np.max(ends), *options, most=MOST_16)
        whole = np.add.reduce([_between(x, between) for x in inputs])
        return self.made(rescaled(whole if not self.relu else np.maximum(whole, 0), between.scale / to.scale, to))


def _fused(x: Any, by: Any, plus: Any) -> Any:
    """x * by + plus, rounded to float32 once."""
    return (x.astype(np.float64) * float(by) + float(plus)).astype(F)


def _between(x: Any, scale: Scale) -> np.ndarray:
    """Elements of an input in a scale of 16 bits, less its zero point."""
    if isinstance(x, QTensor):
        steps = np.rint((x.data.astype(np.int64) - x.zero_point).astype(F) * (F(x.scale) / scale.scale))
        steps = steps + scale.zero_point
    else:
        steps = np.rint(F(scale.zero_point) + x / scale.scale)
    return steps.clip(0, MOST_16).astype(np.int64) - scale.zero_point


class Product(Output):
    """C = A B, element by element; A and B are quantised, or float32. Caffe2:
    quantization/server/elementwise_mul_dnnlowp_op."""

    inplace = ((0, 0), (1, 0))

    def run_cpu(self, a: Any, b: Any) -> Any:
        wants_same("A", a.shape, "B", b.shape)
        of_a, of_b = self.activation("A", a), self.activation("B", b)
        to = self.scale_for(lambda: floats("A", a) * floats("B", b))
        raw = _centred(of_a) * _centred(of_b)
        return self.made(rescaled(raw, F(of_a.scale) * F(of_b.scale) / to.scale, to))


class Linear(Output, ScaledWeights):
    """Y = X a + b, where a and b have an element for each place of X from `axis` on. Caffe2:
    quantization/server/elementwise_linear_dnnlowp_op."""

    axis: int = Arg(1, doc="a and b lie along the dims from this one on")

    def run_cpu(self, X: Any, a: np.ndarray, b: np.ndarray) -> Any:
        x = self.activation("X", X)
        rows = x.data.reshape(*x.shape[: self.axis], -1)
        if not (rows.shape[-1] == len(a) == len(b)):
            raise ValueError(f"a: has {len(a)} elements, b {len(b)}, X {rows.shape[-1]} from axis {self.axis} on")
        factors = self.weight_scale(a)
        unit = F(x.scale) * factors.scale
        raw = _centred(QTensor(rows, x.scale, x.zero_point)) * (factors.quantise(a) - factors.zero_point)
        raw += np.rint(b / unit).astype(np.int64)
        to = self.scale_for(lambda: floats("X", X).reshape(rows.shape) * a + b)
        return self.made(rescaled(raw.reshape(x.shape), unit / to.scale, to))


def _centred(x: QTensor) -> np.ndarray:
    return x.data.astype(np.int64) - x.zero_point


class Rectified(Dnnlowp):
    """Y = max(X, 0); scale and zero point stay. Caffe2: quantization/server/relu_dnnlowp_op."""

    inplace = ((0, 0),)

    def run_cpu(self, X: Any) -> QTensor:
        x = self.activation("X", X)
        return QTensor(np.maximum(x.data, np.uint8(x.zero_point)), x.scale, x.zero_point)


class Tanh(Dnnlowp):
    """Y = tanh(X) of bytes whose scale must be 3/127 and zero point 128, which `followed_by` gives them.

    Y has scale 1/127 and zero point 128; the scale of X is not looked at. Caffe2: quantization/server/tanh_dnnlowp_op.
    """

    output: ClassVar[Scale] = Scale(F(1 / 127), 128)
    first: ClassVar[int] = 0  # what is taken off the table's elements

    def run_cpu(self, X: Any) -> QTensor:
        return self.output.tensor(TANH[quantised("X", X).data] - self.first)


class Sigmoid(Tanh):
    """Y = 1 / (1 + exp(-X)) of bytes whose scale must be 6/127 and zero point 128, which `followed_by` gives them.

    Y has scale 1/254 and zero point 0; the scale of X is not looked at. Caffe2:
    quantization/server/sigmoid_dnnlowp_op.
    """

    output = Scale(F(0.5 / 127), 0)
    first = 1


def _tanh_table() -> np.ndarray:
    """Y for each byte: the mean of tanh at both ends of a step, and 1 from the end of the scale on."""
    at = np.arange(128)
    ends = np.tanh((at[:, None] + [-0.5, 0.5]) * float(F(3 / 127)))
    right = np.rint(ends.sum(axis=1) / 2 * 127).astype(np.int64)
    right[-1] = 127
    return np.concatenate([[-127], -right[:0:-1], right]) + 128


TANH = _tanh_table()
PAIR: dict[str, Any] = {
    "contract": "A: blob, B: blob -> C: blob",
    "docs": dict.fromkeys("AB", "quantised or float32") | {"C": "like A"},
}
MANY: dict[str, Any] = {
    "contract": "*inputs: blob -> Y: blob",
    "docs": {"inputs": "quantised tensors of one shape, or float32", "Y": "their sum"},
}
ONE: dict[str, Any] = {
    "contract": "X: blob -> Y: blob",
    "docs": {"X": "a quantised tensor", "Y": "a tensor of its shape"},
}
LINEAR: dict[str, Any] = {
    "contract": "X: blob, a: float32[D], b: float32[D] -> Y: blob",
    "docs": {"X": "quantised or float32", "a": "factors", "b": "what is added", "Y": "quantised"},
}
for _prefix in ("", "Int8"):
    engine(f"{_prefix}Add", Summation, **PAIR)
    engine(f"{_prefix}Sum", Summation, **MANY)
    engine(f"{_prefix}SumRelu", Summation, **MANY, relu=True)
    engine(f"{_prefix}Relu", Rectified, **ONE)
    engine(f"{_prefix}Sigmoid", Sigmoid, **ONE)
engine("Mul", Product, **PAIR)
engine("Tanh", Tanh, **ONE)
engine("ElementwiseLinear", Linear, **LINEAR)
row("Int8Tanh", str(Tanh.__doc__), Tanh, **ONE)
row("Int8Mul", str(Product.__doc__), Product, **PAIR)
row("Int8ElementwiseLinear", str(Linear.__doc__), Linear, **LINEAR)
