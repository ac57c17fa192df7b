"""What operators with an input X, a filter and a bias share, and what their gradients do."""

from __future__ import annotations

from typing import Any

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg
from caffe2ops.ops.conv.geometry import WindowArgs
from caffe2ops.ops.shape.axes import differ

GRADIENT_DOCS = {
    "X": "the images that went in",
    "filter": "the weights",
    "dY": "gradient of the output",
    "dfilter": "gradient of the weights",
    "dbias_or_dX": "gradient of the bias; with no_bias that of X",
    "dX": "gradient of X",
}


class Filtered(WindowArgs):
    """Base of convolutions of all kinds and their gradients."""

    no_bias: bool = Arg(False, doc="there is no bias; the gradient then has no dbias among its outputs")

    def outputs_of(self, X: Any, filter: Any) -> tuple[Any, ...]:
        """The shape of the output for these inputs. Raises ValueError where they do not fit."""
        raise NotImplementedError


class FilteredForward(Filtered):
    """Base of the operators."""

    @classmethod
    def make_gradient(cls, g: Any) -> list[Any]:
        if len(g.def_.input) == 3:
            return [g.op(f"{cls.type}Gradient", [g.I(0), g.I(1), g.GO(0)], [g.GI(1), g.GI(2), g.GI(0)])]
        return [g.op(f"{cls.type}Gradient", [g.I(0), g.I(1), g.GO(0)], [g.GI(1), g.GI(0)], no_bias=1)]


class FilteredGradient(Filtered):
    """Base of the gradients: of the filter, the bias (unless `no_bias`), and X where one more output is asked for."""

    docs = GRADIENT_DOCS

    def bias_of(self, filter: Any, outputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The shape of the bias, one number for each channel of the output."""
        return (outputs[-1 if self.channels_last else 1],)

    def infer(self, X: TensorSpec, filter: TensorSpec, dY: TensorSpec) -> tuple[TensorSpec, ...]:
        least, most = (1, 2) if self.no_bias else (2, 3)
        if not least <= self.n_outputs <= most:
            raise ValueError(f"{self.n_outputs} outputs with no_bias = {int(self.no_bias)}, wants {least} or {most}")
        shape = self.outputs_of(X, filter)
        if len(dY.shape) != len(shape) or any(map(differ, dY.shape, shape)):
            raise ValueError(f"dY: shape is {list(dY.shape)}, the output has {list(shape)}")
        bias = () if self.no_bias else (TensorSpec(self.bias_of(filter, shape), X.dtype),)
        return (TensorSpec(filter.shape, X.dtype), *bias, TensorSpec(X.shape, X.dtype))
