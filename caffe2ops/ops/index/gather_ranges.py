"""GatherRanges: stretches of a vector, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Operator
from caffe2ops.ops.index.rows import offsets_of


class GatherRanges(Operator):
    """The stretches (start, length) of DATA that each row of RANGES lists, and how much each row took.

    Raises IndexError for a stretch that is not within DATA (Caffe2 reads before it). Caffe2: operators/utility_ops.
    """

    contract = "DATA: any[S], RANGES: integer[N, R, 2] -> OUTPUT: DATA[?], LENGTHS: int32[N]"
    docs = {
        "DATA": "a vector",
        "RANGES": "N rows of R >= 1 pairs (start, length)",
        "OUTPUT": "the stretches one after the other",
        "LENGTHS": "how many elements each row took",
    }

    def infer(self, data: TensorSpec, ranges: TensorSpec) -> tuple[TensorSpec, ...]:
        return TensorSpec((UNKNOWN,), data.dtype), TensorSpec(ranges.shape[:1], np.int32)

    @staticmethod
    def _pairs(ranges: np.ndarray, count: int) -> np.ndarray:
        """All starts and all lengths. Raises IndexError for a stretch that is not within `count` elements."""
        if not ranges.shape[1]:
            raise ValueError("RANGES: has no ranges in a row, wants at least 1")
        pairs: np.ndarray = ranges.reshape(-1, 2).astype(np.int64).T
        starts, lengths = pairs
        bad = np.flatnonzero((starts < 0) | (lengths < 0) | (lengths > count - starts))
        if bad.size:
            where = f"{starts[bad[0]]} and {lengths[bad[0]]} from there"
            raise IndexError(f"RANGES: pair {bad[0]} is {where}, DATA has {count} elements")
        return pairs

    def run_cuda(self, data: Any, ranges: Any) -> Any:
        from caffe2ops.ops.index import ranges_cuda

        counts = self.out(1, (len(ranges),), np.int32)
        places: Any = ranges_cuda.places(ranges, len(data), counts) if ranges.shape[1] else None
        if places is None:
            self._pairs(ranges.get(), len(data))
        return data[places.get()] if data.dtype.hasobject else data.take(places), counts  # strings stay on the CPU

    def run_cpu(self, data: np.ndarray, ranges: np.ndarray) -> Any:
        starts, lengths = self._pairs(ranges, len(data))
        offsets = offsets_of(lengths)
        taken = data[np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)]
        counts = self.out(1, (len(ranges),), np.int32)
        return taken, np.add.reduce(lengths.reshape(ranges.shape[:2]), axis=1, out=counts, dtype=np.int32)
