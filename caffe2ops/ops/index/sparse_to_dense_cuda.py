"""Cells of dense tensors by sparse ids on CUDA arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.index.places_cuda import last_places, put, rows_of
from caffe2ops.ops.segment.lengths_cuda import offsets_of, running_sums


def wanted_cells(ids: np.ndarray, order: np.ndarray, indices: Any, lengths: Any) -> tuple[Any, Any, Any]:
    """The cell of each index in the output seen as [N * M], N * M or more where it has none; where rows begin; and a
    flag int32 [1]: lengths that are negative or do not add up.
    """
    import cupy

    if lengths is None:
        offsets, bad = cupy.arange(2) * indices.size, cupy.zeros(1, np.int32)
    else:
        offsets, bad = offsets_of(lengths, indices.size)
    known = cupy.asarray(ids)
    at = cupy.minimum(cupy.searchsorted(known, indices), len(ids) - 1)
    cells = rows_of(offsets, indices.size) * len(ids) + cupy.asarray(order)[at]
    return cupy.where(known[at] == indices, cells, (offsets.size - 1) * len(ids)), offsets, bad


def wanted(values: Any, cells: Any, default: Any, out: Any, limit: int) -> Any:
    """Writes to each of `limit` cells the last of its values, or the default; which had one."""
    import cupy

    taken = last_places(cells, cupy.arange(limit))
    put(values, taken, default, out)
    return taken >= 0


def count_skipped(indices: Any, offsets: Any) -> Any:
    """How many rows have a negative id or the greatest there is; on the device."""
    import cupy

    wrong = (indices < 0) | (indices == np.iinfo(indices.dtype).max)
    before, ends = running_sums(wrong.astype(np.int64)), cupy.minimum(offsets, indices.size)
    return (before[ends[1:]] > before[ends[:-1]]).sum()


def take_back(dy: Any, cells: Any, limit: int, dx: Any) -> Any:
    """Row k of dx is what dy [limit, ...] has in cell k, if no later row has that cell; else 0."""
    import cupy

    last = last_places(cells, cells) == cupy.arange(cells.size)
    return put(dy, cupy.where(last & (cells < limit), cells, -1), cupy.zeros(dx.shape[1:], dx.dtype), dx)


def cells_of_rows(lengths: Any, indices: Any, width: int) -> tuple[Any, Any]:
    """Where the cells (row, index) stand in a matrix of this width, and a flag int32 [1]: wrong lengths, or an index
    outside its row.
    """
    offsets, bad = offsets_of(lengths, indices.size)
    outside = ((indices < 0) | (indices >= width)).any()
    return rows_of(offsets, indices.size) * width + indices, bad | outside


def dense(values: Any, cells: Any, default: float, out: Any) -> Any:
    """The last of the values for each cell of a matrix, `default` where there is none."""
    import cupy

    taken = last_places(cells, cupy.arange(out.size))
    return put(values, taken, cupy.full(1, default, out.dtype), out)


def sparse(matrix: Any, cells: Any, out: Any) -> Any:
    """The elements of a matrix in these cells, 0 for a cell outside."""
    import cupy

    inside = cupy.where((cells >= 0) & (cells < matrix.size), cells, -1)
    return put(matrix, inside, cupy.zeros(1, out.dtype), out)
