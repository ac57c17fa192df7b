"""RemoveDataBlocks: rows left out of a tensor."""

from __future__ import annotations

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Operator
from caffe2ops.ops.index.rows import checked_indices


class RemoveDataBlocks(Operator):
    """The rows of a tensor without those at `indices`, which may repeat.

    Raises IndexError for a row that is not there. Caffe2: operators/remove_data_blocks_op.
    """

    contract = "data: any[N, ...], indices: any[K] -> shrunk_data: data[?]"
    docs = {
        "data": "[N, ...]",
        "indices": "rows to leave out, int32 or int64; of any dtype where there are none",
        "shrunk_data": "the other rows",
    }
    gradient = FORBIDDEN

    def infer(self, data: TensorSpec, indices: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN, *data.shape[1:]), data.dtype)

    def run_cpu(self, data: np.ndarray, indices: np.ndarray) -> np.ndarray:
        kept = np.ones(len(data), np.bool_)
        if indices.size:
            if indices.dtype not in (np.int32, np.int64):
                raise TypeError(f"indices: dtype is {indices.dtype}, wants int32 or int64")
            kept[checked_indices(indices, len(data), "indices", "data")] = False
        return data[kept]
