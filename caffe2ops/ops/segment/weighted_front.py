"""ReduceFrontWeightedSum and its gradient: all rows folded to one, each with a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.shape.axes import Shape, show, size

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class OfWeightedRows(Operator):
    """Base: the first dims of DATA as rows, a scalar for each."""

    num_reduce_dim: int = Arg(1, ge=1, doc="how many dims of DATA are folded")
    grad_on_weights: bool = Arg(False, doc="not heeded, as in Caffe2: there is no gradient of SCALARS")

    def rest(self, shape: Shape, scalars: np.ndarray) -> Shape:
        """The dims that stay. Raises ValueError where there are not so many dims, or not a scalar for each row."""
        n = self.num_reduce_dim
        if len(shape) < n:
            raise ValueError(f"num_reduce_dim = {n}, DATA has only {len(shape)} dimensions")
        if scalars.ndim != n or scalars.size != size(shape[:n]):
            raise ValueError(
                f"SCALARS: shape is {show(scalars.shape)}, wants {show(shape[:n])}, one for each row of DATA"
            )
        return shape[n:]


class ReduceFrontWeightedSum(OfWeightedRows):
    """The sum of the rows of DATA, each multiplied with its scalar.

    Raises ValueError where SCALARS has not one for each row. Caffe2: operators/segment_reduction_op.
    """

    contract = "DATA: float, SCALARS: DATA -> OUTPUT: DATA[?]"
    docs = {
        "DATA": "rows",
        "SCALARS": "a weight for each row, with as many dims as are folded",
        "OUTPUT": "DATA without the folded dims",
    }

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        dims = f"_{g.O(0)}_dims"
        inputs = (g.I(1), g.GO(0), dims)
        return [g.op("Shape", (g.I(0),), (dims,)), g.op("ReduceFrontWeightedSumGradient", inputs, (g.GI(0),))]

    def infer(self, DATA: TensorSpec, SCALARS: TensorSpec) -> TensorSpec:
        return TensorSpec(DATA.shape[self.num_reduce_dim :], DATA.dtype)

    def run_cpu(self, DATA: np.ndarray, SCALARS: np.ndarray) -> Any:
        out = self.out(0, self.rest(DATA.shape, SCALARS), DATA.dtype)
        np.matmul(SCALARS.reshape(1, -1), DATA.reshape(SCALARS.size, out.size), out=out.reshape(1, -1))
        return out

    run_cuda = run_cpu


class ReduceFrontWeightedSumGradient(OfWeightedRows):
    """The gradient of ReduceFrontWeightedSum by DATA: dOUTPUT times the scalar of each row.

    Raises ValueError where SCALARS, dOUTPUT and the shape do not fit. Caffe2: operators/segment_reduction_op.
    """

    contract = "SCALARS: float, dOUTPUT: SCALARS, dims: int64[R] -> dDATA: SCALARS[?]"
    docs = {"SCALARS": "the weights", "dOUTPUT": "gradient of the sum", "dims": "the shape of DATA"}
    input_devices = {"dims": "any"}

    def run_cpu(self, SCALARS: np.ndarray, dOUTPUT: np.ndarray, dims: np.ndarray) -> Any:
        shape = tuple(dims.tolist())
        if min(shape, default=0) < 0 or self.rest(shape, SCALARS) != dOUTPUT.shape:
            raise ValueError(f"dOUTPUT: shape is {show(dOUTPUT.shape)}, dims = {show(shape)} want another")
        out = self.out(0, shape, dOUTPUT.dtype)
        np.multiply(SCALARS.reshape(SCALARS.shape + (1,) * dOUTPUT.ndim), dOUTPUT, out=out)
        return out

    run_cuda = run_cpu
