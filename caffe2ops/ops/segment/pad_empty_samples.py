"""PadEmptySamples: a row for each sample that has none."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Operator
from caffe2ops.ops.segment.lengths_reduce import checked_lengths


class PadEmptySamples(Operator):
    """Gives samples without a row one of zeros (of empty strings).

    features: any number of tensors [sum of lengths, ...]. Raises ValueError where lengths and rows do not agree.
    Caffe2: operators/sequence_ops.
    """

    contract = "lengths: int32[N], *features?: any -> out_lengths: int32[N], *out_features?: any[?]"
    docs = {
        "lengths": "rows of each sample",
        "features": "the rows of all samples, one after the other",
        "out_lengths": "the lengths, 1 in the place of 0",
        "out_features": "the rows with those of zeros among them, one output for each of the features",
    }

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.n_inputs != self.n_outputs:
            raise ValueError(f"out_features: {self.n_outputs} outputs for {self.n_inputs} inputs, wants as many")

    def infer(self, lengths: TensorSpec, *features: TensorSpec) -> tuple[TensorSpec, ...]:
        return lengths, *(TensorSpec((UNKNOWN, *spec.shape[1:]), spec.dtype) for spec in features)

    def run_cpu(self, lengths: np.ndarray, *features: np.ndarray) -> tuple[np.ndarray, ...]:
        out_lengths = np.maximum(
            checked_lengths(lengths, None, name="lengths"), 1, out=self.out(0, lengths.shape, lengths.dtype)
        )
        ends, total = np.cumsum(out_lengths, dtype=np.int64), int(lengths.sum(dtype=np.int64))
        padded = np.zeros(int(ends[-1]) if ends.size else 0, np.bool_)
        padded[ends[lengths == 0] - 1] = True
        return out_lengths, *(self._padded(i, rows, total, padded) for i, rows in enumerate(features))

    def _padded(self, i: int, rows: np.ndarray, total: int, padded: np.ndarray) -> np.ndarray:
        if not rows.ndim or len(rows) != total:
            raise ValueError(f"features {i}: shape is {list(rows.shape)}, lengths want {total} rows")
        out = self.out(i + 1, (len(padded), *rows.shape[1:]), rows.dtype)
        out[padded] = b"" if rows.dtype == object else 0
        out[~padded] = rows
        return out
