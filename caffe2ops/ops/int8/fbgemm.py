"""Quantisation as FBGEMM, the library under Caffe2's engine DNNLOWP, does it, and what its operators share.

Inputs are quantised tensors or floats, which are quantised by their own range. The output's scale is an argument, or
follows from the range of the answer that floats would give. Products are added up exactly and scaled as float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.int8.arithmetic import LEAST, MOST, F, quantised
from caffe2ops.qtensor import QTensor

SMALLEST_SCALE = F(6.1e-5)
FOLLOWED_BY = {"Sigmoid": 6.0, "Tanh": 3.0}  # the greatest input that such an operator tells apart
ENGINE, BY_ROW = "DNNLOWP", "DNNLOWP_ROWWISE"
SHORT_SUMS = "DNNLOWP_ACC16"  # in Caffe2 sums of 16 bits, which may be cut; here they are exact


class Scale(NamedTuple):
    """Real value = scale * (element - zero point)."""

    scale: np.float32
    zero_point: int

    def quantise(self, x: np.ndarray, least: int = LEAST) -> np.ndarray:
        """The elements nearest to x, as int64 from `least` to `least` + 255."""
        steps = x.astype(np.float64) * float(F(1) / self.scale) + self.zero_point
        return np.rint(steps.astype(F)).clip(least, least + MOST).astype(np.int64)

    def tensor(self, elements: np.ndarray) -> QTensor:
        return QTensor(elements.astype(np.uint8), float(self.scale), self.zero_point)


def chosen(low: Any, high: Any, symmetric: bool = False, power_of_two: bool = False, most: int = MOST) -> Scale:
    """The scale for values from low to high and 0, elements up to `most`; `symmetric`: zero point in the middle."""
    half = most // 2
    low, high = F(min(low, 0)), F(max(high, 0))
    symmetric = symmetric and low < 0 < high
    if symmetric:
        step = max(low / F(-half - 1), high / F(half))
        low, high = F(-half - 1) * step, F(half) * step
    scale = F((float(high) - float(low)) / most)
    if scale == 0 or not np.isfinite(F(1) / scale):
        scale = F(0.1)
    if power_of_two:
        scale = F(2.0 ** np.ceil(np.log2(float(scale))))
    if scale < SMALLEST_SCALE:  # the range grows as the scale does
        low, high = (end * (SMALLEST_SCALE / scale) for end in (low, high))
        scale = SMALLEST_SCALE
    below, above = -float(low) / float(scale), float(high) / float(scale)
    zero = below if below < most + above else most - above
    zero_point = half + 1 if symmetric else int(np.rint(np.clip(zero, LEAST, most)))
    return Scale(scale, zero_point)


def rescaled(sums: np.ndarray, by: Any, to: Scale, relu: bool = False) -> QTensor:
    """The quantised tensor of sums * by, in units of `to`; with `relu` values below 0 become 0."""
    elements = np.rint(sums.astype(F) * F(by)) + to.zero_point
    return to.tensor(elements.clip(to.zero_point if relu else LEAST, MOST))


class Scaled(Operator):
    """Base of what chooses scales."""

    force_scale_power_of_two: bool = Arg(False, doc="chosen scales are powers of 2")


class ScaledWeights(Scaled):
    """Base of what chooses scales for weights."""

    preserve_weight_sparsity: bool = Arg(False, doc="chosen zero points of weights are in the middle")

    def weight_scale(self, w: np.ndarray) -> Scale:
        """The scale that weights ask for."""
        ends = w.min(initial=0), w.max(initial=0)
        return chosen(*ends, self.preserve_weight_sparsity, self.force_scale_power_of_two)


class Dnnlowp(Scaled):
    """Base of the operators of engine DNNLOWP."""

    Y_scale: float = Arg(0.0, ge=0, doc="scale of the output; if not given, it follows from the range of the answer")
    Y_zero_point: int = Arg(0, ge=LEAST, le=MOST, doc="the element that stands for 0 in the output")
    followed_by: str = Arg("", choices=("", "Relu", "Sigmoid", "Tanh"), doc="what alone reads the output")
    preserve_activation_sparsity: bool = Arg(False, doc="chosen zero points are in the middle: 128")

    def choose(self, low: Any, high: Any) -> Scale:
        """The scale for activations of this range."""
        return chosen(low, high, self.preserve_activation_sparsity, self.force_scale_power_of_two)

    def scale_of(self, x: np.ndarray) -> Scale:
        """The scale that a tensor of floats asks for."""
        return self.choose(x.min(), x.max()) if x.size else self.choose(0, 0)

    def given_scale(self, relu: bool = False) -> Scale | None:
        """The scale that the arguments give the output; None where they give none."""
        if self.followed_by in FOLLOWED_BY:
            return Scale(F(FOLLOWED_BY[self.followed_by]) / F(127), 128)
        if not self.Y_scale:
            return None
        given = Scale(F(self.Y_scale), self.Y_zero_point)
        return self.choose(0, given.scale * F(MOST - given.zero_point)) if relu or self.followed_by == "Relu" else given

    def activation(self, name: str, x: Any) -> QTensor:
        """An input as a quantised tensor. Raises TypeError where it is neither that nor float32."""
        if not isinstance(x, np.ndarray):
            return quantised(name, x)
        scale = self.scale_of(floats(name, x))
        return scale.tensor(scale.quantise(x))


def floats(name: str, x: Any) -> np.ndarray:
    """The real values of an input. Raises TypeError where it is neither a quantised tensor nor float32."""
    if isinstance(x, QTensor):
        return x.dequantize()
    if not isinstance(x, np.ndarray) or x.dtype != np.float32:
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"{name}: holds {kind}, wants a quantised tensor or float32")
    return x


class Output(Dnnlowp):
    """Base of operators whose output has a scale of its own, and may be floats; `relu`: values below 0 become 0."""

    relu: ClassVar[bool] = False
    dequantize_output: bool = Arg(False, doc="the output is float32")

    def scale_for(self, real: Callable[[], np.ndarray]) -> Scale:
        """The output's scale: that of the arguments, or what the floats `real()` ask for."""
        given = self.given_scale(self.relu)
        if given is not None:
            return given
        y = real()
        return self.scale_of(np.maximum(y, 0) if self.relu or self.followed_by == "Relu" else y)

    def made(self, y: QTensor) -> Any:
        return y.dequantize() if self.dequantize_output else y


class QuantisedOutput(Output):
    """Base of those that give no floats."""

    dequantize_output: bool = Arg(False, choices=(False,), doc="not supported: the output is quantised")


def engine(type_name: str, base: type[Operator], name: str = ENGINE, **members: Any) -> None:
    """Declares `base` as the operator that runs a type with an engine."""
    members = {"__module__": base.__module__, "__doc__": base.__doc__, **members}
    type(f"{type_name}_{name}", (base,), members, engine=name, type_name=type_name)
