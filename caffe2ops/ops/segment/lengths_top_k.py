"""LengthsTopK: the largest elements of each segment. The algorithms stand in top_k_numpy and lengths_top_k_cuda."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, Cost, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.segment import top_k_numpy, top_k_scatter

NUMBA = {"NUMBA": "caffe2ops.ops.segment.lengths_top_k_numba"}


def segment_starts(lengths: np.ndarray, size: int | None = None) -> tuple[np.ndarray, int]:
    """Where segments start (int64 [N]), and their sum. Raises ValueError for a negative length or a sum not `size`."""
    ends = np.add.accumulate(lengths, dtype=np.int64)
    total = int(ends[-1]) if ends.shape[0] else 0
    if ends.shape[0] and np.minimum.reduce(lengths) < 0:
        first = int(np.flatnonzero(lengths < 0)[0])
        raise ValueError(f"LENGTHS: [{first}] is {lengths[first]}, wants 0 or more")
    if size is not None and total != size:
        raise ValueError(f"LENGTHS: sum is {total}, DATA has {size} elements")
    ends -= lengths
    return ends, total


class LengthsTopK(Operator):
    """The k largest elements of each segment of DATA, largest first, and where in the segment they stand.

    DATA is the concatenation of N segments of LENGTHS[0] ... LENGTHS[N-1] elements. Of equal elements the one with
    the lower index comes first (-0 equals +0). A segment of fewer than k elements is padded with the value 0 and the
    index -1. A NaN after the first k elements of its segment is never taken; with one among them the answer is the
    one that the reference's heap arrives at. float16 and float64 are extensions. See docs/lengths-topk.md. Caffe2:
    operators/lengths_top_k_op.

    Raises ValueError where a length is negative, where LENGTHS does not add up to the size of DATA, and where the
    outputs cannot be allocated.
    """

    contract = "DATA: floating[S], LENGTHS: int32[N] -> TopKValue: DATA[N, k], TopKIndices: int32[N, k]"
    docs = {
        "DATA": "the segments, one after the other",
        "LENGTHS": "number of elements of each segment; they add up to S",
        "TopKValue": "the largest elements in descending order, padded with 0",
        "TopKIndices": "their indices within the segment, padded with -1",
    }
    gradient = "LengthsTopKGradient(LENGTHS, TopKIndices, dTopKValue) -> dDATA"
    engines = NUMBA

    k: int = Arg(ge=1, doc="how many elements to take of each segment")

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        """About one comparison an element, and log2 k for each that enters."""
        comparisons = inputs[0].size + outputs[0].size * max(1, self.k.bit_length())
        return Cost(comparisons, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))

    def buffers(self, count: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        """The two outputs, to be filled. Raises ValueError where they are larger than memory."""
        try:
            return self.out(0, (count, self.k), dtype), self.out(1, (count, self.k), np.int32)
        except (MemoryError, ValueError):
            size = count * self.k * (dtype.itemsize + 4) / 2**30
            raise ValueError(f"k: is {self.k}, the outputs for {count} segments would take {size:.0f} GiB") from None

    def run_cpu(self, data: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        starts, _ = segment_starts(lengths, data.shape[0])
        values, indices = self.buffers(lengths.shape[0], data.dtype)
        top_k_numpy.lengths_top_k(data, lengths, starts, self.k, values, indices)
        return values, indices

    def run_cuda(self, data: Any, lengths: Any) -> Any:
        from caffe2ops.ops.segment import lengths_top_k_cuda

        return lengths_top_k_cuda.lengths_top_k(data, lengths, self.k)


class LengthsTopKGradient(Operator):
    """Gradient of LengthsTopK: each element of dTopKValue goes to where its value stood in DATA, the rest is 0.

    Only the first min(LENGTHS[i], k) columns of row i count, the others are padding. Caffe2:
    operators/lengths_top_k_op.

    Raises IndexError for an index outside its segment, ValueError for a negative length.
    """

    contract = "LENGTHS: int32[N], TopKIndices: int32[N, k], dTopKValue: floating[N, k] -> dDATA: dTopKValue[?]"
    docs = {
        "LENGTHS": "the lengths of the segments",
        "TopKIndices": "the second output of LengthsTopK",
        "dTopKValue": "gradient of its first output",
        "dDATA": "gradient of DATA, one dim of sum(LENGTHS)",
    }
    engines = NUMBA

    k: int = Arg(ge=1, doc="as given to LengthsTopK")

    def infer(self, lengths: TensorSpec, indices: TensorSpec, dvalue: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN,), dvalue.dtype)

    def run_cpu(self, lengths: np.ndarray, indices: np.ndarray, dvalue: np.ndarray) -> np.ndarray:
        starts, total = segment_starts(lengths)
        ddata: np.ndarray = self.out(0, (total,), dvalue.dtype)
        top_k_scatter.lengths_top_k_gradient(lengths, starts, indices, dvalue, ddata)
        return ddata

    def run_cuda(self, lengths: Any, indices: Any, dvalue: Any) -> Any:
        from caffe2ops.ops.segment import lengths_top_k_cuda

        return lengths_top_k_cuda.lengths_top_k_gradient(lengths, indices, dvalue)
