"""Unique and Bucketize: which values there are, and between which boundaries a value lies."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.shape.axes import known
from caffe2ops.registry import array_module


class Unique(Operator):
    """The different indices, ascending, and for each index where it stands among them. Caffe2: operators/unique_ops."""

    contract = "indices: integer[K] -> unique_indices: indices[?], remapping?: int32[K]"
    docs = {
        "indices": "a vector",
        "unique_indices": "its different elements, ascending",
        "remapping": "the place of each element among them",
    }
    gradient = FORBIDDEN

    def infer(self, indices: TensorSpec) -> tuple[TensorSpec, ...]:
        (size,) = indices.shape
        found = size if known(size) and size < 2 else UNKNOWN  # one element cannot stand twice
        return TensorSpec((found,), indices.dtype), TensorSpec((size,), np.int32)

    def run_cpu(self, indices: np.ndarray) -> Any:
        if self.n_outputs == 1:
            return np.unique(indices)
        found, places = np.unique(indices, return_inverse=True)
        remapping = self.out(1, indices.shape, np.int32)
        remapping[...] = places
        return found, remapping

    run_cuda = run_cpu


class Bucketize(Operator):
    """How many boundaries lie below each element: 0 up to the first boundary, their number beyond the last; 0 for NaN.

    Raises ValueError for boundaries that are not ascending. Caffe2: operators/bucketize_op.
    """

    contract = "data: float -> output: int32[?]"
    docs = {"data": "a tensor of at least one dimension", "output": "the buckets"}
    boundaries: list[float] = Arg((), doc="ascending; an element that equals one lies below it")

    def infer(self, data: TensorSpec) -> TensorSpec:
        return TensorSpec(data.shape, np.int32)

    def run_cpu(self, data: np.ndarray) -> Any:
        boundaries = np.array(self.boundaries, data.dtype)
        if (np.diff(boundaries) < 0).any():
            raise ValueError(f"boundaries = {self.boundaries}, wants them ascending")
        if not data.ndim:
            raise ValueError("data: has no dimensions, wants at least 1")
        out = self.out(0, data.shape, np.int32)
        out[...] = np.searchsorted(array_module(self.device).asarray(boundaries), data)
        out[np.isnan(data)] = 0
        return out

    run_cuda = run_cpu
