"""Sparse rows and cells put into dense tensors, and taken out again: SparseToDense, SparseToDenseMask,
BatchSparseToDense.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.index.rows import add_rows, checked_indices
from caffe2ops.ops.segment.lengths_reduce import as_matrix, checked_lengths
from caffe2ops.ops.shape.axes import Shape, differ, show, size


class SparseToDense(Operator):
    """output[indices[k]] = the sum of values[k] over all k with that index; other rows are 0.

    The greatest index says how many rows there are, or the first dim of data_to_infer_dim. Raises IndexError for an
    index that is no row. Caffe2: operators/sparse_to_dense_op.
    """

    contract = "indices: integer[K], values: number[K, ...], data_to_infer_dim?: any -> output: values[?]"
    docs = {
        "indices": "rows of the output",
        "values": "a row for each index",
        "data_to_infer_dim": "has as many rows as the output shall have",
        "output": "the rows where they belong",
    }
    gradient = "Gather(doutput, indices) -> dvalues"

    @staticmethod
    def _count(like: Shape | None) -> Any:
        if like == ():
            raise ValueError("data_to_infer_dim: has no dimensions, wants at least 1")
        return UNKNOWN if like is None else like[0]

    def infer(self, indices: TensorSpec, values: TensorSpec, like: TensorSpec | None = None) -> TensorSpec:
        return TensorSpec((self._count(None if like is None else like.shape), *values.shape[1:]), values.dtype)

    def run_cpu(self, indices: np.ndarray, values: np.ndarray, like: np.ndarray | None = None) -> Any:
        most = int(indices.max()) + 1 if indices.size else 0
        count = most if like is None else self._count(like.shape)
        rows = checked_indices(indices, max(count, 0), "indices", "output")
        out = self.out(0, (count, *values.shape[1:]), values.dtype)
        out[...] = 0
        if out.size:
            add_rows(as_matrix(out), rows, as_matrix(values))
        return out

    def run_cuda(self, indices: Any, values: Any, like: Any = None) -> Any:
        from caffe2ops.ops.segment import segment_ids_cuda

        most = int(indices.max()) + 1 if indices.size else 0
        count = most if like is None else self._count(like.shape)
        if indices.size and (most > count or int(indices.min()) < 0):
            checked_indices(indices.get(), max(count, 0), "indices", "output")
        out = self.out(0, (count, *values.shape[1:]), values.dtype)
        return segment_ids_cuda.add_rows(values, indices, out)


class Masked(Operator):
    """Base: the ids in `mask`, each of which has its place in a row of the output."""

    mask: list[int] = Arg(doc="the wanted ids, each once, in the order of the output")

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """The wanted ids, ascending, and the place of each."""
        mask = np.array(self.mask, np.int64)
        if not mask.size:
            raise ValueError("mask: is empty, wants ids")
        if mask.min() < 0:
            raise ValueError(f"mask: has {mask.min()}, wants 0 or more")
        order = np.argsort(mask, kind="stable")
        ids = mask[order]
        twice = np.flatnonzero(ids[1:] == ids[:-1])
        if twice.size:
            raise ValueError(f"mask: has {ids[twice[0]]} twice")
        return ids, order

    def _cells(self, indices: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Which elements of `indices` (in these rows) count, and the cell of each in the output seen as [count * M]:
        of those for one cell the last counts.
        """
        ids, order = self._places()
        at = np.minimum(np.searchsorted(ids, indices), len(ids) - 1)
        found = np.flatnonzero(ids[at] == indices)
        last = np.full(count * len(ids), -1, np.int64)
        last[rows[found] * len(ids) + order[at[found]]] = found
        cells = np.flatnonzero(last >= 0)
        return last[cells], cells


def _rows_of(indices: np.ndarray, lengths: np.ndarray | None) -> tuple[np.ndarray, int]:
    """The row of each index, and how many rows there are."""
    if lengths is None:
        return np.zeros(len(indices), np.int64), 1
    return np.repeat(np.arange(len(lengths)), checked_lengths(lengths, len(indices), "indices", name="lengths")), len(
        lengths
    )


class SparseToDenseMask(Masked):
    """For each row the values of the wanted ids, and default_value where the row has no such id; others are dropped.

    Without lengths there is one row, and the output no dim for it. Of an id that a row has several times the last
    value counts. Rows with a negative id are counted over all runs: ValueError at `max_skipped_indices` of them.
    Raises ValueError where lengths don't add up (Caffe2 drops the rest or reads beyond) and for `return_presence_mask`
    without a second output. Caffe2: operators/sparse_to_dense_mask_op.
    """

    contract = (
        "indices: integer[K], values: any[K, ...], default_value: values[...], lengths?: int32[N] "
        "-> output: values[?], presence_mask?: bool[?]"
    )
    docs = {
        "indices": "ids",
        "values": "a value for each",
        "default_value": "what stands for ids that are not there",
        "lengths": "how many ids each row has",
        "output": "[N, M, ...] or, without lengths, [M, ...] for M wanted ids",
        "presence_mask": "[N, M] or [M]: which of them were there",
    }
    gradient = "SparseToDenseMaskGradient(indices, doutput, lengths?) -> dvalues"
    return_presence_mask: bool = Arg(False, doc="whether there must be a second output; it is written in any case")
    max_skipped_indices: int = Arg(50, doc="how many rows with negative ids are too many")
    _skipped: int = 0

    def _shapes(self, default: Shape, lengths: Shape | None) -> tuple[Shape, Shape]:
        cells: Shape = (*(lengths or ()), len(self.mask))
        return (*cells, *default), cells

    def infer(
        self, indices: TensorSpec, values: TensorSpec, default: TensorSpec, lengths: TensorSpec | None = None
    ) -> tuple[TensorSpec, ...]:
        output, cells = self._shapes(default.shape, None if lengths is None else lengths.shape)
        return TensorSpec(output, values.dtype), TensorSpec(cells, np.bool_)

    def run_cpu(
        self, indices: np.ndarray, values: np.ndarray, default: np.ndarray, lengths: np.ndarray | None = None
    ) -> Any:
        self._check_outputs()
        rows, count = _rows_of(indices, lengths)
        taken, cells = self._cells(indices, rows, count)
        wrong = (indices < 0) | (indices == np.iinfo(indices.dtype).max)
        self._count_skipped(len(np.unique(rows[wrong])), count)
        shape, cells_shape = self._shapes(default.shape, None if lengths is None else lengths.shape)
        out = self.out(0, shape, values.dtype)
        out[...] = default
        if out.size:
            out.reshape(count * len(self.mask), *default.shape)[cells] = values[taken]
        if self.n_outputs == 1:
            return out
        present = self.out(1, cells_shape, np.bool_)
        present[...] = False
        present.reshape(-1)[cells] = True
        return out, present

    def run_cuda(self, indices: Any, values: Any, default: Any, lengths: Any = None) -> Any:
        from caffe2ops.ops.index import sparse_to_dense_cuda as cuda
        from caffe2ops.ops.segment.segment_ids_cuda import read

        self._check_outputs()
        cells, offsets, bad = cuda.wanted_cells(*self._places(), indices, lengths)
        shape, cells_shape = self._shapes(default.shape, None if lengths is None else lengths.shape)
        out = np.empty(shape, object) if values.dtype.hasobject else self.out(0, shape, values.dtype)
        present = cuda.wanted(values, cells, default, out, size(cells_shape)).reshape(cells_shape)
        wrong, skipped = read(bad, cuda.count_skipped(indices, offsets))
        if wrong:
            _rows_of(indices, lengths.get())
        self._count_skipped(skipped, 1 if lengths is None else len(lengths))
        if self.n_outputs == 1:
            return out
        mask = self.out(1, cells_shape, np.bool_)
        mask[...] = present
        return out, mask

    def _check_outputs(self) -> None:
        if self.return_presence_mask and self.n_outputs == 1:
            raise ValueError("return_presence_mask = 1, but outputs: 1")

    def _count_skipped(self, skipped: int, count: int) -> None:
        self._skipped += skipped
        if count and self._skipped >= self.max_skipped_indices:
            raise ValueError(
                f"indices: {self._skipped} rows had negative ids, max_skipped_indices = {self.max_skipped_indices}"
            )


class SparseToDenseMaskGradient(Masked):
    """The gradient of SparseToDenseMask by values: 0 for those that did not come into the output."""

    contract = "indices: integer[K], doutput: any, lengths?: int32[N] -> dvalues: doutput[?]"
    docs = {"indices": "ids", "doutput": "gradient of output", "lengths": "as forward", "dvalues": "gradient of values"}

    def _block(self, dy: Shape, lengths: Shape | None) -> Shape:
        front: Shape = (*(lengths or ()), len(self.mask))
        if len(dy) < len(front) or any(map(differ, dy, front)):
            raise ValueError(f"doutput: shape is {show(dy)}, wants to begin with {show(front)}")
        return dy[len(front) :]

    def infer(self, indices: TensorSpec, dy: TensorSpec, lengths: TensorSpec | None = None) -> TensorSpec:
        block = self._block(dy.shape, None if lengths is None else lengths.shape)
        return TensorSpec((*indices.shape, *block), dy.dtype)

    def run_cpu(self, indices: np.ndarray, dy: np.ndarray, lengths: np.ndarray | None = None) -> Any:
        block = self._block(dy.shape, None if lengths is None else lengths.shape)
        rows, count = _rows_of(indices, lengths)
        taken, cells = self._cells(indices, rows, count)
        dx = self.out(0, (len(indices), *block), dy.dtype)
        dx[...] = 0
        dx[taken] = dy.reshape(count * len(self.mask), *block)[cells]
        return dx

    def run_cuda(self, indices: Any, dy: Any, lengths: Any = None) -> Any:
        from caffe2ops.ops.index import sparse_to_dense_cuda as cuda

        block = self._block(dy.shape, None if lengths is None else lengths.shape)
        cells, offsets, bad = cuda.wanted_cells(*self._places(), indices, lengths)
        dx = self.out(0, (len(indices), *block), dy.dtype)
        cuda.take_back(dy, cells, (offsets.size - 1) * len(self.mask), dx)
        if int(bad[0]):
            _rows_of(indices, lengths.get())
        return dx


def _cells(lengths: np.ndarray, indices: np.ndarray, width: int) -> np.ndarray:
    """Where the cells (row, index) stand in a matrix of this width."""
    checked_lengths(lengths, len(indices), "indices", name="lengths")
    columns = checked_indices(indices, width, "indices", "a row").astype(np.int64, copy=False)
    return np.repeat(np.arange(len(lengths)) * width, lengths) + columns


class BatchSparseToDense(Operator):
    """A matrix whose row r has the values of its stretch of `values` at their indices, and default_value elsewhere.

    Of an index that a row has several times the last value counts. The width is `dense_last_dim`, or that of
    output_shape_inference. Raises ValueError where lengths don't add up, IndexError for an index outside the row
    (Caffe2 writes before it). Caffe2: operators/batch_sparse_to_dense_op.
    """

    contract = (
        "lengths: integer[N], indices: integer[K], values: float[K], output_shape_inference?: any[?, D] "
        "-> dense: values[?]"
    )
    docs = {
        "lengths": "how many values each row has",
        "indices": "the column of each value",
        "values": "the values, row by row",
        "output_shape_inference": "a matrix of the wanted width",
        "dense": "the matrix, [N, D]",
    }
    gradient = "BatchDenseToSparse(lengths, indices, ddense) -> dvalues"
    dense_last_dim: int = Arg(-1, doc="the width of the matrix, wanted without output_shape_inference")
    default_value: float = Arg(0.0, doc="what stands where there is no value")

    def _width(self, like: Shape | None) -> Any:
        if like is None and self.dense_last_dim < 1:
            raise ValueError(f"dense_last_dim = {self.dense_last_dim}, wants 1 or more")
        if like is not None and self.dense_last_dim >= 1 and differ(self.dense_last_dim, like[1]):
            raise ValueError(f"dense_last_dim = {self.dense_last_dim}, output_shape_inference has {like[1]} columns")
        return self.dense_last_dim if like is None else like[1]

    def infer(
        self, lengths: TensorSpec, indices: TensorSpec, values: TensorSpec, like: TensorSpec | None = None
    ) -> TensorSpec:
        return TensorSpec((*lengths.shape, self._width(None if like is None else like.shape)), values.dtype)

    def run_cpu(
        self, lengths: np.ndarray, indices: np.ndarray, values: np.ndarray, like: np.ndarray | None = None
    ) -> Any:
        width = self._width(None if like is None else like.shape)
        cells = _cells(lengths, indices, width)
        dense = self.out(0, (len(lengths), width), values.dtype)
        dense[...] = self.default_value
        dense.reshape(-1)[cells] = values
        return dense

    def run_cuda(self, lengths: Any, indices: Any, values: Any, like: Any = None) -> Any:
        from caffe2ops.ops.index import sparse_to_dense_cuda as cuda

        width = self._width(None if like is None else like.shape)
        cells, bad = cuda.cells_of_rows(lengths, indices, width)
        dense = cuda.dense(values, cells, self.default_value, self.out(0, (len(lengths), width), values.dtype))
        if int(bad[0]):
            _cells(lengths.get(), indices.get(), width)
        return dense


class BatchDenseToSparse(Operator):
    """The elements of a matrix at the given columns of each row, one after the other.

    Raises ValueError where lengths don't add up, IndexError for an index outside the row (Caffe2 reads before it).
    Caffe2: operators/batch_sparse_to_dense_op.
    """

    contract = "lengths: integer[N], indices: integer[K], dense: float[N, D] -> values: dense[K]"
    docs = {
        "lengths": "how many columns of each row are wanted",
        "indices": "the columns",
        "dense": "the matrix",
        "values": "the elements, row by row",
    }
    gradient = "BatchSparseToDense(lengths, indices, dvalues, dense) -> ddense"

    def run_cpu(self, lengths: np.ndarray, indices: np.ndarray, dense: np.ndarray) -> Any:
        cells = _cells(lengths, indices, dense.shape[1])
        values = self.out(0, cells.shape, dense.dtype)
        values[...] = dense.reshape(-1)[cells]
        return values

    def run_cuda(self, lengths: Any, indices: Any, dense: Any) -> Any:
        from caffe2ops.ops.index import sparse_to_dense_cuda as cuda

        cells, bad = cuda.cells_of_rows(lengths, indices, dense.shape[1])
        values = cuda.sparse(dense, cells, self.out(0, indices.shape, dense.dtype))
        if int(bad[0]):
            _cells(lengths.get(), indices.get(), dense.shape[1])
        return values
