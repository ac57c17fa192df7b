"""Scatter: single elements of a tensor replaced."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.shape.axes import canonical_axis, show, size


class Scatter(Operator):
    """DATA with elements replaced: OUTPUT[i, INDICES[i, j, k], k] = UPDATES[i, j, k], where j is the axis and i and k
    are all dims before and behind it.

    Of an index that stands there several times the last counts. Raises IndexError for an index out of range,
    ValueError where INDICES is larger than DATA before or behind the axis, or UPDATES has another number of elements.
    Caffe2: operators/utility_ops.
    """

    contract = "DATA: any, INDICES: integer, UPDATES: DATA -> OUTPUT: DATA"
    docs = {
        "DATA": "any tensor",
        "INDICES": "places along the axis; as many dims as DATA",
        "UPDATES": "an element for each index",
        "OUTPUT": "DATA with them",
    }
    gradient = FORBIDDEN
    inplace = ((0, 0),)
    axis: int = Arg(1, doc="the axis that INDICES counts along")

    def infer(self, data: TensorSpec, indices: TensorSpec, updates: TensorSpec) -> TensorSpec:
        return data

    def run_cpu(self, data: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> Any:
        axis = canonical_axis(self.axis, data.ndim)
        if indices.ndim <= axis:
            raise ValueError(f"INDICES: shape is {show(indices.shape)}, has no axis {axis}")
        if updates.size != indices.size:
            raise ValueError(f"UPDATES: has {updates.size} elements, INDICES {indices.size}")
        outer, inner = size(data.shape[:axis]), size(data.shape[axis + 1 :])
        i, j, k = size(indices.shape[:axis]), indices.shape[axis], size(indices.shape[axis + 1 :])
        if i > outer or k > inner:
            raise ValueError(f"INDICES: shape is {show(indices.shape)}, larger than DATA, {show(data.shape)}")
        places = checked_indices(indices, data.shape[axis], of=f"axis {axis} of DATA").reshape(i, j, k)
        out = self.out(0, data.shape, data.dtype)
        if out is not data:
            out[...] = data
        cube = out.reshape(outer, data.shape[axis], inner)
        cube[np.arange(i)[:, None, None], places, np.arange(k)] = updates.reshape(i, j, k)
        return out
