"""PackRNNSequence and UnpackRNNSequence: sequences side by side, step by step."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Operator
from caffe2ops.ops.segment.lengths_reduce import checked_lengths
from caffe2ops.ops.segment.pack import put_rows, slots_of


def _slots(lengths: np.ndarray) -> np.ndarray:
    """For each row of the sequences where it stands among the rows of [longest, N]."""
    return slots_of(lengths, 0) * len(lengths) + np.repeat(np.arange(len(lengths)), lengths)


class PackRNNSequence(Operator):
    """output[t, n] = step t of sequence n, 0 beyond its end; there are as many steps as the longest sequence has.

    Raises ValueError where lengths don't add up or are negative (Caffe2 reads beyond). Caffe2:
    operators/pack_rnn_sequence_op.
    """

    contract = "values: number[K, D, ...], lengths: int32[N] -> output: values[?]"
    docs = {"values": "sequences, one after the other", "lengths": "of the sequences", "output": "[longest, N, D, ...]"}
    gradient = "UnpackRNNSequence(doutput, lengths) -> dvalues"

    def infer(self, values: TensorSpec, lengths: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN, *lengths.shape, *values.shape[1:]), values.dtype)

    def run_cpu(self, values: np.ndarray, lengths: np.ndarray) -> Any:
        checked_lengths(lengths, len(values), "values", name="lengths")
        longest = int(lengths.max(initial=0))
        out = self.out(0, (longest, len(lengths), *values.shape[1:]), values.dtype)
        out[...] = 0
        put_rows(out.reshape(longest * len(lengths), *values.shape[1:]), _slots(lengths), values)
        return out

    def run_cuda(self, values: Any, lengths: Any) -> Any:
        from caffe2ops.ops.segment import pack_rnn_sequence_cuda

        check = partial(checked_lengths, total=len(values), of="values", name="lengths")
        return pack_rnn_sequence_cuda.pack(
            values,
            lengths,
            lambda longest: self.out(0, (longest, len(lengths), *values.shape[1:]), values.dtype),
            check,
        )


class UnpackRNNSequence(Operator):
    """The steps of each sequence of a packed tensor, one sequence after the other.

    Raises ValueError for lengths that are negative or more than there are steps (Caffe2 reads beyond). Caffe2:
    operators/pack_rnn_sequence_op.
    """

    contract = "values: number[T, N, D, ...], lengths: int32[N] -> output: values[?]"
    docs = {"values": "steps, sequences, elements", "lengths": "of the sequences", "output": "the sequences"}
    gradient = "PackRNNSequence(doutput, lengths) -> dvalues"

    def infer(self, values: TensorSpec, lengths: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN, *values.shape[2:]), values.dtype)

    def run_cpu(self, values: np.ndarray, lengths: np.ndarray) -> Any:
        self._check(lengths, len(values))
        rows = values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])
        return rows[_slots(lengths)]

    @staticmethod
    def _check(lengths: np.ndarray, steps: int) -> None:
        checked_lengths(lengths, None, name="lengths")
        if lengths.size and lengths.max() > steps:
            raise ValueError(f"lengths: has {lengths.max()}, values has {steps} steps")

    def run_cuda(self, values: Any, lengths: Any) -> Any:
        from caffe2ops.ops.segment import pack_rnn_sequence_cuda

        return pack_rnn_sequence_cuda.unpack(values, lengths, partial(self._check, steps=len(values)))
