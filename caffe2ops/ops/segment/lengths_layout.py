"""Lengths, segment ids, ranges and offsets turned into each other, and rows repeated or taken by lengths."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.index.rows import checked_indices, offsets_of
from caffe2ops.ops.segment.lengths_reduce import checked_lengths

CHECK = partial(checked_lengths, total=None, name="lengths")


class LengthsToSegmentIds(Operator):
    """The number of its segment for each element: lengths [2, 0, 3] give [0, 0, 2, 2, 2].

    Caffe2: operators/utility_ops.
    """

    contract = "lengths: int32[N] -> segment_ids: int32[?]"
    docs = {"lengths": "of the segments, 0 or more", "segment_ids": "one for each element"}
    gradient = FORBIDDEN

    def infer(self, lengths: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN,), np.int32)

    def run_cpu(self, lengths: np.ndarray) -> Any:
        return np.repeat(np.arange(len(lengths), dtype=np.int32), checked_lengths(lengths, None, name="lengths"))

    def run_cuda(self, lengths: Any) -> Any:
        from caffe2ops.ops.segment import lengths_cuda

        return lengths_cuda.segment_ids(lengths, None, CHECK)[0].astype(np.int32)


class LengthsToRanges(Operator):
    """Offset and length of each segment. Caffe2: operators/utility_ops."""

    contract = "lengths: int32[N] -> ranges: int32[N, 2]"
    docs = {"lengths": "of the segments, 0 or more", "ranges": "a pair (offset, length) for each"}

    def run_cpu(self, lengths: np.ndarray) -> Any:
        ranges = self.out(0, (len(lengths), 2), np.int32)
        ranges[:, 0] = offsets_of(checked_lengths(lengths, None, name="lengths"))[:-1]
        ranges[:, 1] = lengths
        return ranges

    def run_cuda(self, lengths: Any) -> Any:
        from caffe2ops.ops.segment import lengths_layout_cuda

        ranges = self.out(0, (len(lengths), 2), np.int32)
        ranges[:, 0] = lengths_layout_cuda.offsets(lengths, CHECK)[:-1]
        ranges[:, 1] = lengths
        return ranges


class LengthsToOffsets(Operator):
    """Where each segment begins, and with `include_last_offset` where the last ends. Caffe2: operators/utility_ops."""

    contract = "lengths: int32[N] -> offsets: int32[?]"
    docs = {"lengths": "of the segments, 0 or more", "offsets": "one for each, and maybe the end"}
    include_last_offset: bool = Arg(False, doc="whether the end of the last segment comes at the end")

    def infer(self, lengths: TensorSpec) -> TensorSpec:
        return TensorSpec((lengths.shape[0] + int(self.include_last_offset),), np.int32)

    def run_cpu(self, lengths: np.ndarray) -> Any:
        offsets = offsets_of(checked_lengths(lengths, None, name="lengths"), np.int32)
        return offsets if self.include_last_offset else offsets[:-1]

    def run_cuda(self, lengths: Any) -> Any:
        from caffe2ops.ops.segment import lengths_layout_cuda

        offsets = lengths_layout_cuda.offsets(lengths, CHECK).astype(np.int32)
        return offsets if self.include_last_offset else offsets[:-1]


class LengthsToWeights(Operator):
    """For each element length^-power of its segment: weights that average it (power 1) or scale it (1/2).

    Caffe2: operators/utility_ops.
    """

    contract = "lengths: integer[N] -> weights: float32[?]"
    docs = {"lengths": "of the segments, 0 or more", "weights": "one for each element"}
    power: float = Arg(0.5, doc="the power of the length")

    def infer(self, lengths: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN,), np.float32)

    def run_cpu(self, lengths: np.ndarray) -> Any:
        checked_lengths(lengths, None, name="lengths")
        return np.repeat((np.maximum(lengths, 1).astype(np.float64) ** -self.power).astype(np.float32), lengths)

    def run_cuda(self, lengths: Any) -> Any:
        from caffe2ops.ops.segment import lengths_layout_cuda

        return lengths_layout_cuda.weights(lengths, self.power, CHECK)


class LengthsToShape(Operator):
    """[N, length] of N segments of equal length. Raises ValueError where lengths differ or there are none.

    Caffe2: operators/utility_ops.
    """

    contract = "X: int32[N] -> Y: int32[2]"
    docs = {"X": "equal lengths", "Y": "the shape of the data"}
    gradient = FORBIDDEN

    def run_cpu(self, x: np.ndarray) -> Any:
        if not x.size or (x != x[0]).any():
            raise ValueError(f"X: {'is empty' if not x.size else f'has {x.min()} and {x.max()}'}, wants equal lengths")
        y = self.out(0, (2,), np.int32)
        y[0], y[1] = len(x), x[0]
        return y

    run_cuda = run_cpu


class OfSegmentIds(Operator):
    """Base: sorted segment ids, and maybe a tensor whose first dim is the number of segments."""

    def _lengths(self, ids: np.ndarray, data: Any) -> np.ndarray:
        bad = np.flatnonzero(np.diff(ids) < 0)
        if bad.size:
            raise ValueError(f"segment_ids: {ids[bad[0]]} stands before {ids[bad[0] + 1]}, wants them sorted")
        if ids.size and ids[0] < 0:
            raise ValueError(f"segment_ids: the first is {ids[0]}, wants 0 or more")
        count = int(ids[-1]) + 1 if ids.size else 0
        if data is not None:
            if count > data.shape[0]:
                raise ValueError(f"segment_ids: the last is {count - 1}, data has {data.shape[0]} rows")
            count = data.shape[0]
        return np.bincount(ids, minlength=count).astype(np.int32)

    def _starts_cuda(self, ids: Any, data: Any) -> Any:
        from caffe2ops.ops.segment import lengths_layout_cuda

        count = None if data is None else data.shape[0]
        return lengths_layout_cuda.starts_of_ids(ids, count, lambda host: self._lengths(host, data))

    @staticmethod
    def _count(data: TensorSpec | None) -> Any:
        return UNKNOWN if data is None or not data.has_rank else data.shape[0]


class SegmentIdsToLengths(OfSegmentIds):
    """How many elements each segment has, given sorted segment ids; `data` gives the number of segments, else the
    last id does.

    Raises ValueError for ids that are not sorted, negative, or beyond data. Caffe2: operators/utility_ops.
    """

    contract = "segment_ids: integer[K], data?: any -> lengths: int32[?]"
    docs = {"segment_ids": "ascending", "data": "has a row for each segment", "lengths": "of the segments"}
    gradient = FORBIDDEN

    def infer(self, ids: TensorSpec, data: TensorSpec | None = None) -> TensorSpec:
        return TensorSpec((self._count(data),), np.int32)

    def run_cpu(self, ids: np.ndarray, data: Any = None) -> Any:
        return self._lengths(ids, data)

    def run_cuda(self, ids: Any, data: Any = None) -> Any:
        starts = self._starts_cuda(ids, data)
        return (starts[1:] - starts[:-1]).astype(np.int32)


class SegmentIdsToRanges(OfSegmentIds):
    """Offset and length of each segment, given sorted segment ids; otherwise as SegmentIdsToLengths.

    Segments after the last id are (0, 0). Caffe2: operators/utility_ops.
    """

    contract = "segment_ids: integer[K], data?: any -> lengths: int32[?]"
    docs = {
        "segment_ids": "ascending",
        "data": "has a row for each segment",
        "lengths": "a pair (offset, length) for each",
    }
    gradient = FORBIDDEN

    def infer(self, ids: TensorSpec, data: TensorSpec | None = None) -> TensorSpec:
        return TensorSpec((self._count(data), 2), np.int32)

    def run_cpu(self, ids: np.ndarray, data: Any = None) -> Any:
        lengths = self._lengths(ids, data)
        ranges = self.out(0, (len(lengths), 2), np.int32)
        ranges[:, 0] = offsets_of(lengths)[:-1]
        ranges[:, 1] = lengths
        ranges[int(ids[-1]) + 1 if ids.size else 0 :, 0] = 0
        return ranges

    def run_cuda(self, ids: Any, data: Any = None) -> Any:
        starts = self._starts_cuda(ids, data)
        ranges = self.out(0, (starts.size - 1, 2), np.int32)
        ranges[:, 0] = starts[:-1] * (starts[:-1] < ids.size)  # behind the last id all is 0
        ranges[:, 1] = starts[1:] - starts[:-1]
        return ranges


class LengthsTile(Operator):
    """Row i of DATA LENGTHS[i] times. Raises ValueError for negative lengths. Caffe2: operators/lengths_tile_op."""

    contract = "DATA: any, LENGTHS: int32[N] -> OUTPUT: DATA[?]"
    docs = {"DATA": "[N, ...]", "LENGTHS": "how often each row", "OUTPUT": "the rows repeated"}
    gradient = "LengthsSum(dOUTPUT, LENGTHS) -> dDATA"

    def infer(self, data: TensorSpec, lengths: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN, *data.shape[1:]), data.dtype)

    @staticmethod
    def _wants_rows(data: Any, lengths: Any) -> None:
        if not data.ndim or len(data) != len(lengths):
            raise ValueError(
                f"LENGTHS: has {len(lengths)} elements, DATA has {data.shape[0] if data.ndim else 'no'} rows"
            )

    def run_cpu(self, data: np.ndarray, lengths: np.ndarray) -> Any:
        self._wants_rows(data, lengths)
        return np.repeat(data, checked_lengths(lengths, None), axis=0)

    def run_cuda(self, data: Any, lengths: Any) -> Any:
        from caffe2ops.ops.segment import lengths_cuda

        self._wants_rows(data, lengths)
        ids, _ = lengths_cuda.segment_ids(lengths, None, lambda host: checked_lengths(host, None))
        return data.take(ids, axis=0)


class LengthsGather(Operator):
    """The segments of ITEMS that INDICES names, one after the other.

    Raises IndexError for one that is none. Caffe2: operators/utility_ops.
    """

    contract = "ITEMS: any, LENGTHS: int32[N], INDICES: integer -> OUTPUT: ITEMS[?]"
    docs = {"ITEMS": "rows", "LENGTHS": "of the segments", "INDICES": "of the wanted segments", "OUTPUT": "their rows"}
    gradient = FORBIDDEN

    def infer(self, items: TensorSpec, lengths: TensorSpec, indices: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN, *items.shape[1:]), items.dtype)

    def run_cpu(self, items: np.ndarray, lengths: np.ndarray, indices: np.ndarray) -> Any:
        starts = offsets_of(checked_lengths(lengths, len(items), "ITEMS"))[:-1]
        wanted = checked_indices(indices, len(lengths), of="LENGTHS").reshape(-1)
        taken = lengths[wanted]
        rows = np.arange(taken.sum(dtype=np.int64)) + np.repeat(starts[wanted] - offsets_of(taken)[:-1], taken)
        return items[rows]

    def run_cuda(self, items: Any, lengths: Any, indices: Any) -> Any:
        from caffe2ops.ops.segment import lengths_layout_cuda

        count = len(items)
        return lengths_layout_cuda.gather(items, lengths, indices, lambda host: checked_lengths(host, count, "ITEMS"))
