"""SparseNormalize and Float16SparseNormalize: rows of parameters scaled to a norm."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.optim.rows import F, Optimizer, matrix, rounds


class Normalizing(Optimizer):
    """Base: the rows that `indices` names are scaled in place."""

    docs = {
        "param": "parameters",
        "indices": "rows of param that are scaled",
        "grad": "not read; Caffe2 has it for old nets",
        "output_param": "param",
    }
    inplace = inplace_enforced = ((0, 0),)
    use_max_norm: bool = Arg(True, doc="whether rows of a lesser norm stay as they are")
    norm: float = Arg(1.0, doc="the L2 norm that rows get, or must not exceed")

    def run_cpu(self, param: np.ndarray, indices: np.ndarray, grad: np.ndarray | None = None) -> np.ndarray:
        table, norm = matrix(param), F(self.norm)
        for index, _ in rounds(checked_indices(indices.reshape(-1), len(param), "indices", "param")):
            rows = table[index].astype(np.promote_types(param.dtype, np.float32), copy=False)
            found = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
            scale = norm / (found + F(1e-12))
            if self.use_max_norm:
                scale[found <= norm] = 1
            table[index] *= scale.astype(param.dtype)
        return param


class SparseNormalize(Normalizing):
    """Scales rows of param, in place, to the L2 norm `norm`, or with use_max_norm those whose norm is greater.

    Raises IndexError for an index that is no row. Caffe2: operators/sparse_normalize_op.
    """

    contract = "param: float[R, ...], indices: integer, grad?: any -> output_param: param"


class Float16SparseNormalize(Normalizing):
    """SparseNormalize of float16 rows: the norm is taken in float32, the rows are scaled in float16.

    Raises IndexError for an index that is no row. Caffe2: operators/sparse_normalize_op.
    """

    contract = "param: float16[R, ...], indices: integer, grad?: any -> output_param: param"
