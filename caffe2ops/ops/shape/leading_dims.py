"""PrependDim and MergeDim, the first dim split in two and the first two joined; NumpyTile."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.shape.axes import Shape, known, show
from caffe2ops.ops.shape.reshape import OneShape


class PrependDim(OneShape):
    """The first dim split in two, of which the first is `dim_size`. Caffe2: operators/prepend_dim_op."""

    contract = "data: any -> reshaped: data[?]"
    docs = {"data": "a tensor of at least one dimension", "reshaped": "[dim_size, rest, ...]"}
    gradient = "MergeDim(dreshaped) -> ddata"
    inplace = ((0, 0),)
    copy_arguments = False
    dim_size: int = Arg(ge=1, doc="the new first dim; divides the old one")

    def shape(self, x: Shape) -> Shape:
        if not x:
            raise ValueError("data: has no dimensions, wants at least 1")
        if known(x[0]) and x[0] % self.dim_size:
            raise ValueError(f"dim_size = {self.dim_size} does not divide the first dim of data, {show(x)}")
        return (self.dim_size, x[0] // self.dim_size, *x[1:])


class MergeDim(OneShape):
    """The first two dims joined. Caffe2: operators/prepend_dim_op."""

    contract = "data: any -> reshaped: data[?]"
    docs = {"data": "a tensor of at least two dimensions", "reshaped": "the same data"}
    inplace = ((0, 0),)

    def shape(self, x: Shape) -> Shape:
        if len(x) < 2:
            raise ValueError(f"data: shape is {show(x)}, wants at least 2 dimensions")
        return (x[0] * x[1], *x[2:])


class NumpyTile(Operator):
    """The data repeated along each dim as often as repeats says.

    Raises ValueError for a negative one, or another number of them than data has dims. Caffe2:
    operators/numpy_tile_op.
    """

    contract = "data: any, repeats: int64[R] -> tiled_data: data[?]"
    docs = {"data": "any tensor", "repeats": "a number for each dim", "tiled_data": "the data, repeated"}

    def infer(self, data: TensorSpec, repeats: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN,) * data.ndim, data.dtype)

    def run_cpu(self, data: np.ndarray, repeats: np.ndarray) -> Any:
        if len(repeats) != data.ndim:
            raise ValueError(f"repeats: has {len(repeats)} elements, data has {data.ndim} dimensions")
        counts = repeats.tolist()
        if min(counts, default=0) < 0:
            raise ValueError(f"repeats: has {min(counts)}, wants 0 or more")
        return np.tile(data, counts)

    run_cuda = run_cpu
