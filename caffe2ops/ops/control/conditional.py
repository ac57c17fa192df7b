"""Choosing between two tensors, row by row."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import NO_GRADIENT, Operator


class Conditional(Operator):
    """Row i of DataT where Condition[i] holds, else of DataF. Caffe2: operators/conditional_op."""

    contract = "Condition: bool[N], DataT: any[N, ...], DataF: DataT[N, ...] -> DataO: DataT[N, ...]"
    docs = {
        "Condition": "which to take",
        "DataT": "rows for True",
        "DataF": "rows for False",
        "DataO": "the rows taken",
    }
    gradient = NO_GRADIENT

    def run_cpu(self, condition: np.ndarray, yes: np.ndarray, no: np.ndarray) -> np.ndarray:
        return np.where(condition.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)
