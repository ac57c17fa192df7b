"""EnsureDense: a tensor whose gradient is made dense."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe2ops.gradient_rules import GradientSlice
from caffe2ops.ops.elementwise.copy import Copy

if TYPE_CHECKING:
    from caffe2ops.defs import OperatorDef
    from caffe2ops.gradient_rules import GradientMaker


class EnsureDense(Copy):
    """output = input; a sparse gradient of output becomes a dense one of input. Caffe2: operators/utility_ops."""

    contract = "input: any -> output: input"
    gradient = None  # type: ignore[assignment]  # see make_gradient
    inplace = ((0, 0),)

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        if isinstance(g.output_gradients[0], GradientSlice):
            return [g.op("SparseToDense", (g.GO_indices(0), g.GO_values(0), g.I(0)), (g.GI(0),))]
        g.set_dense(0, g.GO(0))
        return []
