"""Transpose: the dims in another order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Array, Operator
from caffe2ops.ops.shape.axes import Shape

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class Transpose(Operator):
    """The dims in another order: dim i of Y is dim axes[i] of X; without `axes` in reverse order.

    Raises ValueError where `axes` is no permutation of X's dims. Any dtype (Caffe2: float32, float64, int32, int64).
    Caffe2: operators/transpose_op.
    """

    contract = "X: any -> Y: X[?]"
    docs = {"X": "any tensor", "Y": "the same data with the dims in another order"}
    axes: list[int] = Arg((), doc="for each dim of Y which dim of X it is")

    def _order(self, ndim: int) -> list[int]:
        if not self.axes:
            return list(range(ndim))[::-1]
        if sorted(self.axes) != list(range(ndim)):
            raise ValueError(f"axes = {self.axes}, wants a permutation of 0 to {ndim - 1}: X has {ndim} dimensions")
        return self.axes

    def infer(self, x: TensorSpec) -> TensorSpec:
        shape: Shape = x.shape
        return TensorSpec(tuple(shape[a] for a in self._order(len(shape))), x.dtype)

    def run_cpu(self, x: Array) -> Array:
        turned = x.transpose(self._order(x.ndim))
        y = self.out(0, turned.shape, x.dtype)
        y[...] = turned
        return y

    run_cuda = run_cpu

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        axes: Any = list(g.def_.args.get("axes", ()))  # type: ignore[arg-type]
        args = {"axes": [axes.index(i) for i in range(len(axes))]} if axes else {}
        return [g.op("Transpose", (g.GO(0),), (g.GI(0),), **args)]
