"""CopyRowsToTensor: one row put into a matrix at several places."""

from __future__ import annotations

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.gradient_rules import GradientMaker, GradientSlice
from caffe2ops.operator import Operator
from caffe2ops.ops.elementwise.copy import Copying
from caffe2ops.ops.index.rows import checked_indices


class CopyRowsToTensor(Operator):
    """Puts one row into a matrix, in place, at all of `indices`.

    Raises IndexError for a row that is not there. The gradient passes what comes in on to the matrix, the overwritten
    rows too, and nothing to the row. Caffe2: operators/copy_rows_to_tensor_op.
    """

    contract = (
        "input_tensor: floating|int32|int64[N, D], indices: int64[K], row: input_tensor -> output_tensor: input_tensor"
    )
    docs = {
        "input_tensor": "the matrix, updated in place",
        "indices": "where the row goes",
        "row": "[D], of the matrix's dtype",
        "output_tensor": "the matrix",
    }
    inplace = inplace_enforced = ((0, 0),)

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        if isinstance(g.output_gradients[0], GradientSlice):
            return [
                g.op("CopyRowsToTensorGradient", [g.GO_indices(0)], [g.GI_indices(0)]),
                g.op("CopyRowsToTensorGradient", [g.GO_values(0)], [g.GI_values(0)]),
            ]
        return [g.op("CopyRowsToTensorGradient", [g.GO(0)], [g.GI(0)])]

    def run_cpu(self, matrix: np.ndarray, indices: np.ndarray, row: np.ndarray) -> np.ndarray:
        if row.shape != matrix.shape[1:]:
            raise ValueError(
                f"row: shape is {list(row.shape)}, wants [{matrix.shape[1]}]: width of input tensor should match "
                f"lengths of row"
            )
        matrix[checked_indices(indices, len(matrix), "indices", "input_tensor")] = row
        return matrix


class CopyRowsToTensorGradient(Copying):
    """A copy of the gradient that comes in. Caffe2: operators/copy_rows_to_tensor_op; it copies one column only."""

    contract = "doutput_tensor: floating|int32|int64 -> dinput_tensor: doutput_tensor"
    docs = {"doutput_tensor": "the gradient, or its indices or values", "dinput_tensor": "a copy"}
    inplace = ((0, 0),)
