"""The order of scores from the greatest on, equal ones as Caffe2's binaries order them.

Caffe2 sorts with std::sort and std::partial_sort, which leave open how equal elements come. Its binaries are built with
libstdc++: introsort with the median of three, and a heap. Both permute alike every time, so their answer is followed
here, and only where scores are equal; on others any sort agrees. Other builds of Caffe2 (libc++ of phones) and other
frameworks order them otherwise; `equal_by_index` is for comparisons with those.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

FEW = 16  # a part of so many elements is left to the insertion sort at the end, which is stable

_by_index: ContextVar[bool] = ContextVar("_by_index", default=False)


@contextmanager
def equal_by_index() -> Iterator[None]:
    """Within it equal scores come in the order of their indices."""
    token = _by_index.set(True)
    try:
        yield
    finally:
        _by_index.reset(token)


def without(rows: np.ndarray, at: int) -> np.ndarray:
    """The rows but one. The first takes its place, as in Caffe2, which shows where scores are equal."""
    if _by_index.get():
        return np.delete(rows, at)
    rest = rows[1:].copy()
    if at:
        rest[at - 1] = rows[0]
    return rest


def by_score(scores: np.ndarray, most: int = 0) -> np.ndarray:
    """Indices from the greatest score on; `most` at most (all if <= 0)."""
    keys = -scores
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    whole = most <= 0 or most >= len(keys)
    equal = np.flatnonzero(ranked[1:] == ranked[:-1])
    if not equal.size or np.isnan(ranked[-1]) or _by_index.get():
        return order if whole else order[:most]
    if whole:
        tied = np.zeros(len(keys), bool)
        tied[order[equal]] = tied[order[equal + 1]] = True
        return _sorted(keys, tied)
    return order[:most] if equal[0] >= most else _partially_sorted(keys, most)


def _sorted(keys: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """std::sort of 0, 1, ... by key; `tied` where another has the same."""
    order = np.arange(len(keys))
    parts = [(0, len(keys), 2 * (len(keys).bit_length() - 1))]
    while parts:
        first, last, depth = parts.pop()
        if last - first <= FEW or np.count_nonzero(tied[order[first:last]]) < 2:
            continue
        if depth == 0:
            order[first:last] = order[first:last][_partially_sorted(keys[order[first:last]], last - first)]
            continue
        cut = first + _partition(keys, order[first:last])
        parts += [(first, cut, depth - 1), (cut, last, depth - 1)]
    return order[np.argsort(keys[order], kind="stable")]


def _partition(keys: np.ndarray, order: np.ndarray) -> int:
    """Moves what comes before the median of three to the front, in place; the first place of the others.

    The two scans of the algorithm swap the i-th element from the left that does not come before the pivot with the i-th
    from the right that does not come after it, until they meet.
    """
    a, b, c = 1, len(order) // 2, len(order) - 1
    ka, kb, kc = keys[order[[a, b, c]]]
    if ka < kb:
        median = b if kb < kc else c if ka < kc else a
    else:
        median = a if ka < kc else c if kb < kc else b
    order[[0, median]] = order[[median, 0]]
    found, pivot = keys[order[1:]], keys[order[0]]
    left = np.flatnonzero(found >= pivot) + 1
    right = np.flatnonzero(found <= pivot)[::-1] + 1
    both = min(len(left), len(right))
    swaps = int(np.count_nonzero(left[:both] < right[:both]))
    order[left[:swaps]], order[right[:swaps]] = order[right[:swaps]], order[left[:swaps]]
    return min([*left[swaps : swaps + 1].tolist(), *right[swaps - 1 : swaps].tolist()])


def _partially_sorted(keys: np.ndarray, most: int) -> np.ndarray:
    """std::partial_sort of 0, 1, ... by key: the first `most`, by a heap that holds the best so far, worst on top."""
    numbers: list[float] = keys.tolist()
    heap = list(range(most))
    for parent in range((most - 2) // 2, -1, -1):
        _sift(heap, numbers, parent, most, heap[parent])
    better = np.flatnonzero(keys[most:] < keys[heap[0]]) + most
    for index in better.tolist():
        if numbers[index] < numbers[heap[0]]:
            _sift(heap, numbers, 0, most, index)
    for last in range(most - 1, 0, -1):
        value, heap[last] = heap[last], heap[0]
        _sift(heap, numbers, 0, last, value)
    return np.array(heap, np.int64)


def _sift(heap: list[int], keys: list[float], hole: int, size: int, value: int) -> None:
    """Lets a hole sink to the bottom of a heap of `size`, the greater child rising, then lets `value` rise from it."""
    top, child = hole, 2 * hole + 2
    while child < size:
        if keys[heap[child]] < keys[heap[child - 1]]:
            child -= 1
        heap[hole] = heap[child]
        hole, child = child, 2 * child + 2
    if child == size:
        heap[hole] = heap[child - 1]
        hole = child - 1
    key = keys[value]
    while hole > top and keys[heap[(hole - 1) // 2]] < key:
        heap[hole] = heap[(hole - 1) // 2]
        hole = (hole - 1) // 2
    heap[hole] = value
