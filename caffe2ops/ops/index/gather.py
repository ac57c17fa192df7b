"""Gather and BatchGather: slices of a tensor by index, with their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.index.rows import add_rows, checked_indices
from caffe2ops.ops.shape.axes import Shape, canonical_axis, differ, show, size

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class Indexed(Operator):
    """Base: DATA seen as [outer, n, inner] around an axis, and INDICES for all outer ones or, with match_outer, for
    each.
    """

    axis: int = Arg(0, doc="the axis that INDICES counts along")
    match_outer: bool = Arg(
        False, doc="whether INDICES starts with DATA's dims before the axis, and each has its own indices"
    )

    def _axis(self, data: Shape, indices: Shape) -> int:
        axis = canonical_axis(self.axis, len(data))
        if self.match_outer:
            if axis < 1:
                raise ValueError(f"axis = {self.axis} with match_outer = 1, wants 1 or more")
            if len(indices) < axis or any(map(differ, indices[:axis], data[:axis])):
                raise ValueError(
                    f"INDICES: shape is {show(indices)}, wants to start as DATA, {show(data)}, does before axis {axis}"
                )
        return axis

    def _y_shape(self, data: Shape, indices: Shape) -> Shape:
        axis = self._axis(data, indices)
        return (*data[:axis], *(indices[axis:] if self.match_outer else indices), *data[axis + 1 :])

    def _rows(self, data: Shape, indices: np.ndarray) -> np.ndarray:
        """The indices of rows in DATA seen as [outer * n, inner], as [outer, k]; checked."""
        axis = self._axis(data, indices.shape)
        outer, n = size(data[:axis]), data[axis]
        found = checked_indices(indices, n, wrap=True)
        if not outer:
            return np.empty((0, 0), np.int64)
        if outer == 1:
            return found.reshape(1, -1)
        found = found.astype(np.int64).reshape(outer, -1) if self.match_outer else found.astype(np.int64).reshape(1, -1)
        return found + np.arange(0, outer * n, n)[:, None] if n else np.empty((outer, 0), np.int64)


class Gatherer(Indexed):
    def infer(self, data: TensorSpec, indices: TensorSpec) -> TensorSpec:
        return TensorSpec(self._y_shape(data.shape, indices.shape), data.dtype)

    def run_cpu(self, data: np.ndarray, indices: np.ndarray) -> Any:
        rows = self._rows(data.shape, indices)
        y = self.out(0, self._y_shape(data.shape, indices.shape), data.dtype)
        inner = size(data.shape[canonical_axis(self.axis, data.ndim) + 1 :])
        if y.size:
            np.take(data.reshape(-1, inner), rows.reshape(-1), axis=0, out=y.reshape(-1, inner), mode="clip")
        return y

    def run_cuda(self, data: Any, indices: Any) -> Any:
        from caffe2ops.ops.index import rows_cuda

        y = self.out(0, self._y_shape(data.shape, indices.shape), data.dtype)
        return rows_cuda.take(data, indices, self._axis(data.shape, indices.shape), self.match_outer, y)


class Gather(Gatherer):
    """Slices of DATA along an axis, one for each of INDICES; the dims of INDICES take the place of the axis.

    A negative index counts from the end. Raises IndexError for one out of range. Along axis 0 the gradient is sparse.
    Caffe2: operators/gather_op.
    """

    contract = "DATA: any, INDICES: integer -> OUTPUT: DATA[?]"
    docs = {"DATA": "a tensor of at least one dimension", "INDICES": "any shape", "OUTPUT": "the slices"}
    dense_gradient: bool = Arg(False, doc="whether the gradient along axis 0 is dense")

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        if g.def_.args.get("axis", 0):
            return [g.op("BatchGatherGradient", (g.I(0), g.I(1), g.GO(0)), (g.GI(0),))]
        if g.def_.args.get("dense_gradient", 0):
            return [g.op("SparseToDense", (g.I(1), g.GO(0), g.I(0)), (g.GI(0),))]
        g.set_sparse(0, g.I(1), g.GO(0))
        return []


class BatchGather(Gatherer):
    """Gather along axis 1: the same INDICES for each row of DATA. Caffe2: operators/batch_gather_ops."""

    contract = Gather.contract
    docs = Gather.docs
    gradient = "BatchGatherGradient(DATA, INDICES, dOUTPUT) -> dDATA"
    axis: int = Arg(1, doc="the axis that INDICES counts along")


class BatchGatherGradient(Indexed):
    """The gradient of BatchGather, and of Gather along other axes than 0: each slice of dOUTPUT added where it was
    taken from.
    """

    contract = "DATA: float, INDICES: integer, dOUTPUT: DATA -> dDATA: DATA"
    docs = {
        "DATA": "input of BatchGather",
        "INDICES": "its indices",
        "dOUTPUT": "gradient of OUTPUT",
        "dDATA": "gradient of DATA",
    }
    axis: int = Arg(1, doc="the axis that INDICES counts along")

    def _check(self, data: Any, indices: Any, dy: Any) -> None:
        wanted = self._y_shape(data.shape, indices.shape)
        if dy.shape != wanted:
            raise ValueError(f"dOUTPUT: shape is {show(dy.shape)}, wants {show(wanted)}")

    def run_cuda(self, data: Any, indices: Any, dy: Any) -> Any:
        from caffe2ops.ops.index import rows_cuda

        self._check(data, indices, dy)
        dx = self.out(0, data.shape, data.dtype)
        return rows_cuda.add_slices(dy, indices, self._axis(data.shape, indices.shape), self.match_outer, dx)

    def run_cpu(self, data: np.ndarray, indices: np.ndarray, dy: np.ndarray) -> Any:
        self._check(data, indices, dy)
        rows = self._rows(data.shape, indices)
        dx = self.out(0, data.shape, data.dtype)
        dx[...] = 0
        inner = size(data.shape[canonical_axis(self.axis, data.ndim) + 1 :])
        if dy.size:
            add_rows(dx.reshape(-1, inner), rows.reshape(-1), dy.reshape(-1, inner))
        return dx
