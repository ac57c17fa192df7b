"""VariableLengthSequencePadding: zeros behind the end of each sequence."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Operator


class VariableLengthSequencePadding(Operator):
    """Sets the steps of each sequence from its length on to 0.

    Raises ValueError for a negative length. Caffe2: operators/variable_length_sequence_padding (which works in place
    only).
    """

    contract = "data: float[T, B, M], seq_lengths: int32[L] -> padded: data[T, B, M]"
    docs = {
        "data": "T steps of B sequences",
        "seq_lengths": "length of each sequence; those above T change nothing",
        "padded": "data, 0 from the length on",
    }
    inplace = [(0, 0)]

    def run_cpu(self, data: np.ndarray, seq_lengths: np.ndarray) -> np.ndarray:
        steps, batch, _ = data.shape
        if len(seq_lengths) != batch:
            raise ValueError(f"seq_lengths: has {len(seq_lengths)} elements, data has {batch} sequences")
        if batch and seq_lengths.min() < 0:
            raise ValueError(f"seq_lengths: {seq_lengths.min()}, wants none below 0")
        padded = self.out(0, data.shape, data.dtype)
        if padded is not data:
            padded[...] = data
        padded[np.arange(steps)[:, None] >= seq_lengths] = 0
        return padded
