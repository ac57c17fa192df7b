"""OneHot, SegmentOneHot, BatchOneHot and BatchBucketOneHot: columns that say which value an element has."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, Operator
from caffe2ops.ops.index.rows import checked_indices, offsets_of
from caffe2ops.ops.segment.lengths_reduce import as_matrix, checked_lengths
from caffe2ops.ops.shape.axes import size


def _index_size(tensor: np.ndarray) -> int:
    if tensor.size != 1 or int(tensor.reshape(-1)[0]) < 0:
        raise ValueError(f"index_size_tensor: is {tensor.tolist()}, wants one number, 0 or more")
    return int(tensor.reshape(-1)[0])


class OneHot(Operator):
    """A row for each index: 1 in the column of the index, 0 in the others.

    Raises IndexError for an index that is no column (Caffe2 writes outside the row). Caffe2: operators/one_hot_ops.
    """

    contract = "indices: int64[N], index_size_tensor: int64 -> one_hots: float32[?]"
    docs = {"indices": "the columns", "index_size_tensor": "how many columns there are", "one_hots": "the rows"}
    gradient = NO_GRADIENT

    def infer(self, indices: TensorSpec, count: TensorSpec) -> TensorSpec:
        return TensorSpec((*indices.shape, UNKNOWN), np.float32)

    def run_cpu(self, indices: np.ndarray, count: np.ndarray) -> Any:
        width = _index_size(count)
        columns = checked_indices(indices, width, "indices", "index_size_tensor")
        out = self.out(0, (len(indices), width), np.float32)
        out[...] = 0
        out.reshape(-1)[np.arange(len(columns)) * width + columns] = 1
        return out

    def run_cuda(self, indices: Any, count: Any) -> Any:
        from caffe2ops.ops.index import one_hot_cuda

        width = _index_size(count)
        return one_hot_cuda.one_hot(indices, width, self.out(0, (len(indices), width), np.float32))


class SegmentOneHot(Operator):
    """A row for each segment: 1 in the columns that its indices name, 0 in the others.

    Raises ValueError where lengths don't add up (Caffe2 reads beyond), IndexError for an index that is no column
    (Caffe2 writes outside the row). Caffe2: operators/one_hot_ops.
    """

    contract = "lengths: int32[N], indices: int64[K], index_size_tensor: int64 -> one_hots: float32[?]"
    docs = {
        "lengths": "of the segments",
        "indices": "the columns, segment by segment",
        "index_size_tensor": "how many columns there are",
        "one_hots": "the rows",
    }
    gradient = NO_GRADIENT

    def infer(self, lengths: TensorSpec, indices: TensorSpec, count: TensorSpec) -> TensorSpec:
        return TensorSpec((*lengths.shape, UNKNOWN), np.float32)

    def run_cpu(self, lengths: np.ndarray, indices: np.ndarray, count: np.ndarray) -> Any:
        width = _index_size(count)
        columns = checked_indices(indices, width, "indices", "index_size_tensor")
        rows = np.repeat(np.arange(len(lengths)), checked_lengths(lengths, len(indices), "indices", name="lengths"))
        out = self.out(0, (len(lengths), width), np.float32)
        out[...] = 0
        out[rows, columns] = 1
        return out

    def run_cuda(self, lengths: Any, indices: Any, count: Any) -> Any:
        from caffe2ops.ops.index import one_hot_cuda

        width = _index_size(count)
        return one_hot_cuda.segment_one_hot(lengths, indices, width, self.out(0, (len(lengths), width), np.float32))


class BatchOneHot(Operator):
    """For each column d of data, whether it equals each of its values: lengths[d] of `values` belong to it.

    Raises ValueError where lengths don't add up. Caffe2: operators/one_hot_ops.
    """

    contract = "data: integer, lengths: int32[D], values: data -> output: data[?]"
    docs = {
        "data": "[N, ...], a matrix of D columns",
        "lengths": "how many values each column has",
        "values": "the values, column by column",
        "output": "[N, number of values]: 1 where they are equal",
    }
    gradient = NO_GRADIENT

    def infer(self, data: TensorSpec, lengths: TensorSpec, values: TensorSpec) -> TensorSpec:
        return TensorSpec((data.shape[0], size(values.shape)), data.dtype)

    def run_cpu(self, data: np.ndarray, lengths: np.ndarray, values: np.ndarray) -> Any:
        columns = _columns(data, lengths, values.size, "values")
        out = self.out(0, (len(data), values.size), data.dtype)
        return np.equal(columns, values.reshape(-1), out=out, casting="unsafe")

    def run_cuda(self, data: Any, lengths: Any, values: Any) -> Any:
        from caffe2ops.ops.index import one_hot_cuda

        columns = _width(data, lengths)
        out = self.out(0, (len(data), values.size), data.dtype)
        return one_hot_cuda.batch_one_hot(data, columns, lengths, values, out)


def _width(data: Any, lengths: Any) -> int:
    """How many columns data has. Raises ValueError where there are not as many lengths."""
    if not data.ndim:
        raise ValueError("data: has no dimensions, wants rows")
    width = int(as_matrix(data).shape[1])
    if width != len(lengths):
        raise ValueError(f"lengths: has {len(lengths)} elements, data has {width} columns")
    return width


def _columns(data: np.ndarray, lengths: np.ndarray, total: int, of: str) -> np.ndarray:
    """Column d of data as often as lengths[d] says."""
    _width(data, lengths)
    return np.repeat(as_matrix(data), checked_lengths(lengths, total, of, name="lengths"), axis=1)


class BatchBucketOneHot(Operator):
    """For each column of data, in which bucket between its boundaries an element lies: lengths[d] + 1 buckets.

    A boundary belongs to the bucket before it; among equal boundaries the bucket in the middle is taken, and NaN goes
    to the middle of all. Raises ValueError where lengths don't add up or are less than 1, and for boundaries that
    are not ascending (Caffe2 gives some bucket). Caffe2: operators/one_hot_ops.
    """

    contract = "data: float, lengths: int32[D], boundaries: data[B] -> output: data[?]"
    docs = {
        "data": "[N, ...], a matrix of D columns",
        "lengths": "how many boundaries each column has",
        "boundaries": "the boundaries, column by column, ascending",
        "output": "[N, B + D]: 1 for the bucket of the element",
    }

    def infer(self, data: TensorSpec, lengths: TensorSpec, boundaries: TensorSpec) -> TensorSpec:
        return TensorSpec((data.shape[0], boundaries.shape[0] + lengths.shape[0]), data.dtype)

    @staticmethod
    def _check(lengths: np.ndarray, boundaries: np.ndarray) -> None:
        if lengths.size and lengths.min() < 1:
            raise ValueError(f"lengths: has {lengths.min()}, wants 1 or more")
        checked_lengths(lengths, len(boundaries), "boundaries", name="lengths")
        falls = np.flatnonzero(np.diff(boundaries) < 0) + 1
        bad = falls[~np.isin(falls, offsets_of(lengths))]
        if bad.size:
            raise ValueError(f"boundaries: {boundaries[bad[0]]} comes after {boundaries[bad[0] - 1]}, wants ascending")

    def run_cuda(self, data: Any, lengths: Any, boundaries: Any) -> Any:
        from caffe2ops.ops.index import one_hot_cuda

        columns = _width(data, lengths)
        out = self.out(0, (len(data), len(boundaries) + len(lengths)), data.dtype)
        return one_hot_cuda.bucket_one_hot(data, columns, lengths, boundaries, out, self._check)

    def run_cpu(self, data: np.ndarray, lengths: np.ndarray, boundaries: np.ndarray) -> Any:
        self._check(lengths, boundaries)
        columns = _columns(data, lengths, len(boundaries), "boundaries")
        offsets = offsets_of(lengths)
        out = self.out(0, (len(data), len(boundaries) + len(lengths)), data.dtype)
        out[...] = 0
        if not lengths.size or not len(data):
            return out
        below = np.add.reduceat(boundaries < columns, offsets[:-1], axis=1, dtype=np.int64)
        upto = lengths - np.add.reduceat(boundaries > columns, offsets[:-1], axis=1, dtype=np.int64)
        buckets = (below + upto) // 2 + offsets[:-1] + np.arange(len(lengths))
        np.put_along_axis(out, buckets, 1, axis=1)
        return out
