"""LengthsTopK compiled by numba: the reference's heap and a sorted insertion for small k, on as many threads as numba
has.

Imported when the engine NUMBA is asked for (extra `numba`). float16, which numba does not compile, goes the way of the
default engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange

from caffe2ops.ops.segment.lengths_top_k import LengthsTopK, LengthsTopKGradient, segment_starts

INSERTION_K = 48  # larger: the heap, except for short segments
INSERTION_LENGTH = 64
GLANCE = 32  # elements compared with the threshold together, in vector registers
PARTS = 16  # pieces of about equally many elements that threads take
PARALLEL_SIZE = 20_000  # fewer elements: the threads would cost more than the work
LONG = 8192  # segments longer than this on average: NumPy, which finds a threshold with vector instructions, is faster


@njit(cache=True, inline="always")
def _sift_up(values: Any, indices: Any, hole: int, value: Any, index: int) -> None:
    while hole > 0:
        parent = (hole - 1) >> 1
        if not (values[parent] > value or (values[parent] == value and indices[parent] < index)):
            break
        values[hole] = values[parent]
        indices[hole] = indices[parent]
        hole = parent
    values[hole] = value
    indices[hole] = index


@njit(cache=True, inline="always")
def _drop_top(values: Any, indices: Any, size: int) -> None:
    """Take the worst entry off a heap of `size`, in the order of comparisons of top_k_heap (which NaNs depend on)."""
    size -= 1
    if size == 0:
        return
    value = values[size]
    index = indices[size]
    hole = 0
    while 2 * hole + 2 < size:
        child = 2 * hole + 2
        if values[child] > values[child - 1] or (
            values[child] == values[child - 1] and indices[child] < indices[child - 1]
        ):
            child -= 1
        values[hole] = values[child]
        indices[hole] = indices[child]
        hole = child
    if 2 * hole + 2 == size:
        values[hole] = values[size - 1]
        indices[hole] = indices[size - 1]
        hole = size - 1
    _sift_up(values, indices, hole, value, index)


@njit(cache=True)
def _by_heap(data: Any, start: int, length: int, k: int, out: Any, at: Any, heap: Any, heap_at: Any) -> None:
    size = min(length, k)
    for j in range(size):
        _sift_up(heap, heap_at, j, data[start + j], j)
    j = size
    while j < length:
        end = min(j + GLANCE, length)
        if end - j == GLANCE:
            bar = heap[0]
            above = np.int32(0)
            for q in range(GLANCE):
                above += np.int32(data[start + j + q] > bar)
            if above == 0:
                j = end
                continue
        while j < end:
            value = data[start + j]
            if value > heap[0]:
                _sift_up(heap, heap_at, size, value, j)
                _drop_top(heap, heap_at, size + 1)
            j += 1
    for rank in range(size - 1, -1, -1):
        out[rank] = heap[0]
        at[rank] = heap_at[0]
        _drop_top(heap, heap_at, rank + 1)
    for rank in range(size, k):
        out[rank] = 0
        at[rank] = -1


@njit(cache=True)
def _by_insertion(data: Any, start: int, length: int, k: int, out: Any, at: Any) -> bool:
    """Keep the output itself sorted. False, with nothing decided, where a NaN is among the first k elements."""
    size = min(length, k)
    for j in range(size):
        value = data[start + j]
        if value != value:
            return False
        rank = j
        while rank > 0 and out[rank - 1] < value:
            out[rank] = out[rank - 1]
            at[rank] = at[rank - 1]
            rank -= 1
        out[rank] = value
        at[rank] = j
    for rank in range(size, k):
        out[rank] = 0
        at[rank] = -1
    if length <= k:
        return True
    bar = out[k - 1]
    j = k
    while j < length:
        end = min(j + GLANCE, length)
        if end - j == GLANCE:
            above = np.int32(0)
            for q in range(GLANCE):
                above += np.int32(data[start + j + q] > bar)
            if above == 0:
                j = end
                continue
        while j < end:
            value = data[start + j]
            if value > bar:
                rank = k - 1
                while rank > 0 and out[rank - 1] < value:
                    out[rank] = out[rank - 1]
                    at[rank] = at[rank - 1]
                    rank -= 1
                out[rank] = value
                at[rank] = j
                bar = out[k - 1]
            j += 1
    return True


@njit(cache=True, nogil=True)
def _top_k(data: Any, lengths: Any, starts: Any, k: int, out: Any, at: Any, first: int, last: int) -> None:
    longest = 0
    for s in range(first, last):
        longest = max(longest, lengths[s])
    room = min(k, longest) + 1
    heap = np.empty(room, data.dtype)
    heap_at = np.empty(room, np.int64)
    for s in range(first, last):
        start, length = starts[s], lengths[s]
        large = k > INSERTION_K and length > INSERTION_LENGTH
        if large or not _by_insertion(data, start, length, k, out[s], at[s]):
            _by_heap(data, start, length, k, out[s], at[s], heap, heap_at)


@njit(cache=True, parallel=True)
def _top_k_parallel(data: Any, lengths: Any, starts: Any, k: int, out: Any, at: Any, cuts: Any) -> None:
    for part in prange(cuts.size - 1):
        _top_k(data, lengths, starts, k, out, at, cuts[part], cuts[part + 1])


@njit(cache=True, nogil=True)
def _total(lengths: Any) -> int:
    """The sum of the lengths, -1 where one is negative."""
    total = 0
    for length in lengths:
        if length < 0:
            return -1
        total += length
    return total


@njit(cache=True, nogil=True)
def _scatter(lengths: Any, indices: Any, dvalues: Any, k: int, ddata: Any) -> int:
    """Returns the flat position of the first index outside its segment, -1 where there is none."""
    start = np.uintp(0)  # unsigned, so that no index is looked at twice for counting from the end
    row = np.uintp(0)
    for length in lengths:
        limit = np.uint32(length)
        for j in range(np.uintp(min(length, k))):
            index = np.uint32(indices[row + j])  # -1 is a huge one
            if index >= limit:
                return np.intp(row + j)
            ddata[start + np.uintp(index)] = dvalues[row + j]
        start += np.uintp(length)
        row += np.uintp(k)
    return -1


class LengthsTopKNumba(LengthsTopK, engine="NUMBA"):
    def run_cpu(self, data: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if data.dtype == np.float16 or data.size > LONG * lengths.size:
            return super().run_cpu(data, lengths)
        starts, total = segment_starts(lengths, data.shape[0])
        count = lengths.shape[0]
        values, indices = self.buffers(count, data.dtype)
        if total < PARALLEL_SIZE or get_num_threads() == 1:
            _top_k(data, lengths, starts, self.k, values, indices, 0, count)
        else:
            cuts = np.searchsorted(starts, np.arange(PARTS + 1) * total // PARTS)
            cuts[0], cuts[-1] = 0, count
            _top_k_parallel(data, lengths, starts, self.k, values, indices, cuts)
        return values, indices


class LengthsTopKGradientNumba(LengthsTopKGradient, engine="NUMBA"):
    def run_cpu(self, lengths: np.ndarray, indices: np.ndarray, dvalue: np.ndarray) -> np.ndarray:
        if dvalue.dtype == np.float16:
            return super().run_cpu(lengths, indices, dvalue)
        total = _total(lengths)
        if total < 0:
            segment_starts(lengths)  # says which
        ddata: np.ndarray = self.out(0, (total,), dvalue.dtype)
        ddata.view(np.uint8).fill(0)
        wrong = _scatter(lengths, indices.reshape(-1), dvalue.reshape(-1), self.k, ddata)
        if wrong >= 0:
            row, column = divmod(wrong, self.k)
            raise IndexError(
                f"TopKIndices: [{row}, {column}] is {indices[row, column]}, outside its segment of {lengths[row]}"
            )
        return ddata
