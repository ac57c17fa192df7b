"""SparseLengthsSumSparseLookup: indices of a table of which rows were left out, as indices of what is left."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, Operator
from caffe2ops.ops.index.rows import checked_indices, offsets_of
from caffe2ops.ops.segment.lengths_reduce import checked_lengths


class SparseLengthsSumSparseLookup(Operator):
    """Maps each index to its row in a table without pruned rows, and leaves out those that were pruned (-1 there).

    Raises ValueError where lengths do not add up to the number of indices, IndexError for an index that the mapping
    does not have. Caffe2: operators/lengths_reducer_fused_nbit_rowwise_ops.
    """

    contract = (
        "INDICES: integer[K], LENGTHS: int32[N], COMPRESSED_INDICES_MAPPING: int32[R], WEIGHTS?: float32[K] "
        "-> output_indices: INDICES[?], output_lengths: LENGTHS[N], output_weights?: float32[?]"
    )
    docs = {
        "INDICES": "rows of the whole table, one segment after the other",
        "LENGTHS": "how many indices each segment has; they add up to K",
        "COMPRESSED_INDICES_MAPPING": "for each row of the whole table its place in the smaller one, -1 for none",
        "WEIGHTS": "a weight for each index",
        "output_indices": "rows of the smaller table",
        "output_lengths": "how many indices each segment has left",
        "output_weights": "the weights of the indices that are left",
    }
    gradient = NO_GRADIENT

    def infer(self, INDICES: TensorSpec, LENGTHS: TensorSpec, *rest: TensorSpec) -> tuple[TensorSpec, ...]:
        self._counts(len(rest) > 1)
        return TensorSpec((UNKNOWN,), INDICES.dtype), LENGTHS, TensorSpec((UNKNOWN,), np.float32)

    def _counts(self, weighted: bool) -> None:
        if weighted and self.n_outputs < 3:
            raise ValueError("output_weights: is missing, wants a third output where there are WEIGHTS")

    def run_cpu(
        self, indices: np.ndarray, lengths: np.ndarray, mapping: np.ndarray, weights: np.ndarray | None = None
    ) -> Any:
        self._counts(weights is not None)
        checked_lengths(lengths, len(indices), "INDICES")
        mapped = mapping[checked_indices(indices, len(mapping), of="COMPRESSED_INDICES_MAPPING")]
        left = mapped != -1
        ends = offsets_of(left)[offsets_of(lengths)]
        found = mapped[left].astype(indices.dtype, copy=False), np.diff(ends).astype(np.int32)
        return found if weights is None else (*found, weights[left])
