"""Lists of ids per row: MergeIdLists and DenseVectorToIdList."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, Operator
from caffe2ops.ops.segment.lengths_reduce import checked_lengths


class MergeIdLists(Operator):
    """For each row the ids that any of its lists has, once each and ascending.

    Raises ValueError where lengths don't add up or are of another number. Caffe2: operators/merge_id_lists_op.
    """

    contract = (
        "lengths_0: int32[N], values_0: integer[K], *more?: any[?] "
        "-> merged_lengths: int32[N], merged_values: values_0[?]"
    )
    arity = "inputs % 2 == 0"
    docs = {
        "lengths_0": "how many ids the first list has in each row",
        "values_0": "its ids, row by row",
        "more": "lengths and ids of further lists",
        "merged_lengths": "how many ids each row has",
        "merged_values": "the ids, row by row",
    }
    gradient = NO_GRADIENT

    def infer(self, lengths: TensorSpec, values: TensorSpec, *more: TensorSpec) -> tuple[TensorSpec, ...]:
        return lengths, TensorSpec((UNKNOWN,), values.dtype)

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        count = len(inputs[0])
        self._check_kinds(*inputs)
        self._check_lengths(*inputs)
        rows = np.concatenate([np.repeat(np.arange(count), lengths) for lengths in inputs[::2]])
        values = np.concatenate(inputs[1::2])
        order = np.lexsort((values, rows))
        rows, values = rows[order], values[order]
        new = np.ones(len(rows), bool)
        new[1:] = (rows[1:] != rows[:-1]) | (values[1:] != values[:-1])
        merged = self.out(0, (count,), np.int32)
        merged[...] = np.bincount(rows[new], minlength=count)
        return merged, values[new]

    def run_cuda(self, *inputs: Any) -> Any:
        from caffe2ops.ops.index import id_list_cuda

        self._check_kinds(*inputs)
        merged = self.out(0, (len(inputs[0]),), np.int32)
        values = id_list_cuda.merge(inputs[::2], inputs[1::2], merged)
        if values is None:
            self._check_lengths(*(each.get() for each in inputs))
        return merged, values

    @staticmethod
    def _check_kinds(*inputs: Any) -> None:
        count, dtype = len(inputs[0]), inputs[1].dtype
        for i, (lengths, values) in enumerate(zip(inputs[::2], inputs[1::2])):
            if lengths.dtype != np.int32 or values.dtype != dtype:
                raise TypeError(
                    f"list {i}: lengths and values are {lengths.dtype} and {values.dtype}, wants int32 and {dtype}"
                )
            if len(lengths) != count:
                raise ValueError(f"lengths_{i}: has {len(lengths)} elements, lengths_0 has {count}")

    @staticmethod
    def _check_lengths(*inputs: np.ndarray) -> None:
        for i, (lengths, values) in enumerate(zip(inputs[::2], inputs[1::2])):
            checked_lengths(lengths, len(values), f"values_{i}", name=f"lengths_{i}")


class DenseVectorToIdList(Operator):
    """For each row the numbers of the columns whose value is at least 0.5, at most -1.5 or NaN.

    Caffe2: operators/dense_vector_to_id_list_op.
    """

    contract = "values: float[N, D] -> out_lengths: int32[N], out_values: int32[?]"
    docs = {"values": "a matrix of ones and zeros", "out_lengths": "how many ids each row has", "out_values": "the ids"}
    gradient = NO_GRADIENT

    def infer(self, values: TensorSpec) -> tuple[TensorSpec, ...]:
        return TensorSpec(values.shape[:1], np.int32), TensorSpec((UNKNOWN,), np.int32)

    def run_cpu(self, values: np.ndarray) -> Any:
        there = ~(np.abs(values + values.dtype.type(0.5)) < 1)
        lengths = self.out(0, values.shape[:1], np.int32)
        return np.sum(there, axis=1, dtype=np.int32, out=lengths), np.nonzero(there)[1].astype(np.int32)

    run_cuda = run_cpu
