"""TopKPool: the k best of each row of a batch of padded sequences; a batch form of LengthsTopK, and caffe2ops' own."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.segment.top_k_numpy import lengths_top_k

GROUP = 1 << 18  # elements of the batch that are taken together
NOWHERE = np.iinfo(np.int32).max  # sorts behind every index


class _TopKPooling(Operator):
    extension = True

    axis: int = Arg(
        1, choices=(1, -1), doc="1: rank the steps of a sequence, per feature; -1: rank the last dim, per step"
    )
    mode: str = Arg(
        "gather",
        choices=("gather", "mask"),
        doc="gather: Y holds what was taken; mask: Y is DATA with all else set to 0",
    )

    def ranked_axis(self, ndim: int) -> int:
        """The axis counted from the front. Raises ValueError where DATA has none to rank."""
        if ndim < 2:
            raise ValueError(f"DATA: has {ndim} dims, wants [N, L, ...]")
        return self.axis % ndim

    def taken_shape(self, shape: tuple[Any, ...], k: Any) -> tuple[Any, ...]:
        """The shape of indices: DATA's with k in place of the ranked dim."""
        axis = self.ranked_axis(len(shape))
        return (*shape[:axis], k, *shape[axis + 1 :])


class TopKPool(_TopKPooling):
    """The k largest of the first LENGTHS[i] steps of each sequence of a batch, for every feature apart. An extension.

    With axis = -1 the last dim is ranked instead, at each of the first LENGTHS[i] steps; later steps give padding.
    Ranking (ties, -0, NaN) is that of LengthsTopK. K gives a k for each sequence, the largest of them the size of the
    output: of the max(K) best of a row the first K[i] remain. order = "position" puts what was taken into the order
    in which it stood. Padding is 0 in Y and -1 in indices. See docs/lengths-topk.md.

    Raises ValueError where LENGTHS leave 0 ... L, K is negative, neither k nor K is given, or DATA has fewer than 2
    dims.
    """

    contract = "DATA: floating, LENGTHS: int32[N], K?: int32[N] -> Y: DATA[?], indices: int32[?]"
    docs = {
        "DATA": "sequences [N, L, ...]",
        "LENGTHS": "how many steps of each sequence count",
        "K": "how many to take of each sequence; instead of the argument k",
        "Y": "gather: [N, k, ...] (axis = -1: [N, L, ..., k]); mask: DATA's shape",
        "indices": "[N, k, ...] (axis = -1: [N, L, ..., k]): positions along the ranked axis, padded with -1",
    }
    gradient = "TopKPoolGradient(DATA, indices, dY) -> dDATA"

    k: int = Arg(0, ge=0, doc="how many to take of each row; needed where there is no input K")
    order: str = Arg("value", choices=("value", "position"), doc="largest first, or as they stood")

    def infer(
        self, data: TensorSpec, lengths: TensorSpec, row_k: TensorSpec | None = None
    ) -> tuple[TensorSpec, TensorSpec]:
        taken = self.taken_shape(data.shape, self.checked_k() if row_k is None else UNKNOWN)
        return TensorSpec(data.shape if self.mode == "mask" else taken, data.dtype), TensorSpec(taken, np.int32)

    def checked_k(self) -> int:
        if self.k < 1:
            raise ValueError(f"k: is {self.k}, wants 1 or more where no input K is given")
        return self.k

    def run_cpu(self, data: np.ndarray, lengths: np.ndarray, row_k: np.ndarray | None = None) -> Any:
        axis = self.ranked_axis(data.ndim)
        kmax = self._check(data, lengths, row_k)
        indices = self.out(1, self.taken_shape(data.shape, kmax), np.int32)
        y = self.out(0, data.shape if self.mode == "mask" else indices.shape, data.dtype)
        for group in _groups(data):
            rows = _rows(data[group], axis)
            values, selected = _select(rows, self._row_lengths(lengths[group], data.shape, axis), kmax)
            if row_k is not None or self.order == "position":
                limits = None if row_k is None else np.repeat(row_k[group], rows.shape[0] // row_k[group].shape[0])
                values, selected = _reorder(rows, selected, limits, self.order == "position")
            _put(indices[group], selected, axis)
            _put(y[group], _spread(selected, values, rows.shape) if self.mode == "mask" else values, axis)
        return y, indices

    def run_cuda(self, data: Any, lengths: Any, row_k: Any = None) -> Any:
        from caffe2ops.ops.segment import top_k_pool_cuda

        return top_k_pool_cuda.top_k_pool(data, lengths, row_k, self.k, self.order, self.axis, self.mode)

    def _check(self, data: np.ndarray, lengths: np.ndarray, row_k: np.ndarray | None) -> int:
        """The number of columns of the outputs."""
        count, steps = data.shape[:2]
        kmax = self.checked_k() if row_k is None else int(row_k.max(initial=0))
        if lengths.shape[0] != count:
            raise ValueError(f"LENGTHS: has {lengths.shape[0]} elements, DATA has {count} sequences")
        wrong = np.flatnonzero((lengths < 0) | (lengths > steps))
        if wrong.size:
            raise ValueError(f"LENGTHS: [{wrong[0]}] is {lengths[wrong[0]]}, wants 0 to {steps}, the steps of DATA")
        if row_k is not None and (row_k < 0).any():
            raise ValueError(f"K: has {row_k.min()}, wants 0 or more")
        return kmax

    def _row_lengths(self, lengths: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
        """How many elements of each row (see `_rows`) are ranked."""
        if axis == 1:
            return np.repeat(lengths, prod(shape[2:]))
        steps = np.where(np.arange(shape[1]) < lengths[:, None], np.int32(shape[axis]), np.int32(0))
        return np.repeat(steps.reshape(-1), prod(shape[2:axis]))


class TopKPoolGradient(_TopKPooling):
    """Gradient of TopKPool: each element of dY goes to where its value was taken from, the rest is 0. An extension.

    With mode = "mask" dY has DATA's shape, and what stands at the taken positions remains. Raises IndexError for an
    index that is neither -1 nor within the ranked axis, ValueError for shapes that do not go together.
    """

    contract = "DATA: floating, indices: int32, dY: DATA -> dDATA: DATA"
    docs = {
        "DATA": "the first input of TopKPool, for its shape",
        "indices": "the second output of TopKPool",
        "dY": "gradient of its first output",
        "dDATA": "gradient of DATA",
    }

    k: int = Arg(0, ge=0, doc="as given to TopKPool")
    order: str = Arg("value", choices=("value", "position"), doc="as given to TopKPool")

    def infer(self, data: TensorSpec, indices: TensorSpec, dy: TensorSpec) -> TensorSpec:
        return data

    def run_cpu(self, data: np.ndarray, indices: np.ndarray, dy: np.ndarray) -> np.ndarray:
        axis = self.ranked_axis(data.ndim)
        if indices.ndim != data.ndim or indices.shape != self.taken_shape(data.shape, indices.shape[axis]):
            raise ValueError(f"indices: shape is {list(indices.shape)}, does not go with DATA {list(data.shape)}")
        wanted = data.shape if self.mode == "mask" else indices.shape
        if dy.shape != wanted:
            raise ValueError(f"dY: shape is {list(dy.shape)}, wants {list(wanted)}")
        if indices.size and (int(indices.min()) < -1 or int(indices.max()) >= data.shape[axis]):
            raise IndexError(f"indices: has {indices.min()} ... {indices.max()}, wants -1 to {data.shape[axis] - 1}")
        ddata: np.ndarray = self.out(0, data.shape, dy.dtype)
        for group in _groups(data):
            selected, values = _rows(indices[group], axis), _rows(dy[group], axis)
            shape = (selected.shape[0], data.shape[axis])
            if self.mode == "mask":
                values = np.take_along_axis(values, np.maximum(selected, 0), axis=1) if shape[1] else values[:, :0]
            _put(ddata[group], _spread(selected, values, shape), axis)
        return ddata

    def run_cuda(self, data: Any, indices: Any, dy: Any) -> Any:
        from caffe2ops.ops.segment import top_k_pool_cuda

        return top_k_pool_cuda.top_k_pool_gradient(indices, dy, data.shape, self.axis, self.mode)


def _groups(data: np.ndarray) -> Iterator[slice]:
    """Cut the batch so that the temporaries of a group stay small."""
    step = max(1, GROUP // max(1, prod(data.shape[1:])))
    return (slice(first, first + step) for first in range(0, data.shape[0], step))


def _rows(part: np.ndarray, axis: int) -> np.ndarray:
    """A matrix whose rows run along `axis`."""
    moved = np.ascontiguousarray(np.moveaxis(part, axis, -1))
    return moved.reshape(prod(moved.shape[:-1]), moved.shape[-1])


def _put(part: np.ndarray, rows: np.ndarray, axis: int) -> None:
    """The way back of `_rows`."""
    moved = np.moveaxis(part, axis, -1)
    moved[...] = rows.reshape(moved.shape)


def _select(rows: np.ndarray, lengths: np.ndarray, kmax: int) -> tuple[np.ndarray, np.ndarray]:
    count, width = rows.shape
    values, selected = np.empty((count, kmax), rows.dtype), np.empty((count, kmax), np.int32)
    if values.size:
        lengths_top_k(rows.reshape(-1), lengths, np.arange(count, dtype=np.int64) * width, kmax, values, selected)
    return values, selected


def _reorder(
    rows: np.ndarray, selected: np.ndarray, limits: np.ndarray | None, by_position: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Drop what exceeds a row's own k, sort by position if asked, and look the values up again."""
    drop = selected < 0
    if limits is not None:
        drop |= np.arange(selected.shape[1]) >= limits[:, None]
    selected = np.where(drop, NOWHERE, selected).astype(np.int32)
    if by_position:
        selected.sort(axis=1)
    drop = selected == NOWHERE
    if not rows.shape[1]:
        return np.zeros(selected.shape, rows.dtype), np.full_like(selected, -1)
    values = np.take_along_axis(rows, np.where(drop, 0, selected), axis=1)
    values[drop] = 0
    selected[drop] = -1
    return values, selected


def _spread(selected: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Zeros, with each value where it was taken from."""
    spread = np.zeros(shape, values.dtype)
    row, column = np.nonzero(selected >= 0)
    spread[row, selected[row, column]] = values[row, column]
    return spread
