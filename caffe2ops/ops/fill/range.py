"""Fillers that count."""

from __future__ import annotations

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, Array, Operator
from caffe2ops.ops.fill.filler import Filler
from caffe2ops.registry import array_module


class RangeFill(Filler):
    """0, 1, 2, ... as float32, in the order of memory. Caffe2: operators/filler_op.

    input: any tensor, or with input_as_shape int64[rank].
    """

    contract = "input?: any -> output: float32[?]"
    docs = {"input": "gives the shape (see input_as_shape)", "output": "the numbers from 0"}

    def fill(self, out: Array, *more: Array) -> Array:
        return self.put(out, np.arange(out.size, dtype=np.int64).astype(np.float32))


class LengthsRangeFill(Operator):
    """For each length the numbers 0 .. length - 1, one run after the other: [2, 0, 3] gives [0, 1, 0, 1, 2].

    lengths: int32[N] -> int32[sum(lengths)]. ValueError for a negative length, where Caffe2 reads out of bounds.
    Caffe2: operators/filler_op.
    """

    contract = "lengths: int32[N] -> range_sequence: int32[?]"
    docs = {"lengths": "how far to count, each", "range_sequence": "the runs, one after the other"}
    gradient = NO_GRADIENT

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN,), np.int32)

    def run_cpu(self, lengths: np.ndarray) -> np.ndarray:
        if lengths.size and lengths.min() < 0:
            raise ValueError(f"lengths: {lengths.min()} at {lengths.argmin()} is negative")
        ends = np.cumsum(lengths, dtype=np.int64)
        total = int(ends[-1]) if ends.size else 0
        out = self.out(0, (total,), np.int32)
        out[...] = np.arange(total) - np.repeat(ends - lengths, lengths)
        return out

    def run_cuda(self, lengths: Array) -> Array:
        cupy = array_module(self.device)
        if lengths.size and int(lengths.min()) < 0:
            raise ValueError(f"lengths: {int(lengths.min())} at {int(lengths.argmin())} is negative")
        ends = cupy.cumsum(lengths, dtype=np.int64)
        at = cupy.arange(int(ends[-1]) if ends.size else 0)
        out = self.out(0, at.shape, np.int32)
        out[...] = at - (ends - lengths)[cupy.searchsorted(ends, at, side="right")]
        return out
