"""The heap that decides which elements a segment keeps when NaNs are among its first k.

Caffe2 feeds each segment through `std::priority_queue` and drops the top whenever there are more than k entries. As
long as all compared values are numbers, what remains is the k largest and the layout of the heap does not matter. A NaN
compares false with everything: it can enter only while fewer than k entries are held, and from then on the answer hangs
on the order of the comparisons. Those segments are played through here, comparison by comparison, in the order in
which GNU's C++ library does them (`push_heap` sifts up; `pop_heap` walks a hole down to a leaf and sifts up from
there).
"""

from __future__ import annotations

import numpy as np

_STRETCH = 512  # elements looked at together for one that beats the top


def heap_top_k(segment: np.ndarray, k: int) -> np.ndarray:
    """Positions kept of one segment, best first: what the reference's heap answers, NaNs included."""
    heap: list[tuple[float, int]] = []
    for index, value in enumerate(segment[:k].tolist()):
        _push(heap, (value, index))
    for start in range(k, segment.shape[0], _STRETCH):
        stretch = segment[start : start + _STRETCH]
        if not (stretch > heap[0][0]).any():
            continue
        for index, value in enumerate(stretch.tolist(), start):
            if value > heap[0][0]:
                _push(heap, (value, index))
                _pop(heap)
    kept = [_pop(heap)[1] for _ in range(len(heap))]
    return np.array(kept[::-1], np.int64)


def _before(left: tuple[float, int], right: tuple[float, int]) -> bool:
    """The reference's comparator: `left` ranks better, so it sits lower in the heap; the worst is on top."""
    return left[0] > right[0] or (left[0] == right[0] and left[1] < right[1])


def _push(heap: list[tuple[float, int]], entry: tuple[float, int]) -> None:
    heap.append(entry)
    _sift_up(heap, len(heap) - 1, entry)


def _sift_up(heap: list[tuple[float, int]], hole: int, entry: tuple[float, int]) -> None:
    while hole > 0 and _before(heap[(hole - 1) // 2], entry):
        heap[hole] = heap[(hole - 1) // 2]
        hole = (hole - 1) // 2
    heap[hole] = entry


def _pop(heap: list[tuple[float, int]]) -> tuple[float, int]:
    top, entry = heap[0], heap.pop()
    size = len(heap)
    if size:
        hole = 0
        while 2 * hole + 2 < size:
            child = 2 * hole + 2
            if _before(heap[child], heap[child - 1]):
                child -= 1
            heap[hole] = heap[child]
            hole = child
        if 2 * hole + 2 == size:  # a last child without a sibling
            heap[hole] = heap[size - 1]
            hole = size - 1
        _sift_up(heap, hole, entry)
    return top
