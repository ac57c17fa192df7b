"""ConcatBatchMatMulBatchGatherOp: chosen dot products between several features of each example."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import Cost
from caffe2ops.operator import Operator


class ConcatBatchMatMulBatchGatherOp(Operator):
    """Takes the n inputs of an example as rows of a matrix M, and from the n x n elements of M M' those at `indices`.

    The same as Concat with `add_axis`, BatchMatMul with itself, Flatten and BatchGather. Raises IndexError for an index
    outside of the n x n elements. Caffe2: operators/cc_bmm_bg_op (which reads out of bounds there).
    """

    contract = "indices: int32[K], *inputs?: float[B, ...] -> output: inputs[B, K]"
    docs = {
        "indices": "i n + j for the dot product of inputs i and j",
        "inputs": "one or more features of each example, all of one shape",
        "output": "the dot products",
    }

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        n = len(inputs) - 1
        size = inputs[1].size if n else 0
        return Cost(2 * n * n * size, sum(s.nbytes for s in inputs), outputs[0].nbytes)

    def run_cpu(self, indices: np.ndarray, *inputs: np.ndarray) -> np.ndarray:
        if not inputs:
            raise ValueError("inputs: there are none, wants one or more")
        n, batch = len(inputs), len(inputs[0])
        if indices.size and not 0 <= indices.min() <= indices.max() < n * n:
            raise IndexError(f"indices: {indices.min()} to {indices.max()}, wants 0 to {n * n - 1} for {n} inputs")
        joined = np.stack([x.reshape(batch, -1 if batch else 0) for x in inputs], axis=1)
        output = self.out(0, (batch, len(indices)), joined.dtype)
        products = joined @ joined.transpose(0, 2, 1)
        return np.take(products.reshape(batch, n * n), indices, axis=1, out=output)
