"""LengthsTopK written down as plainly as possible, to compare kernels with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Entry = tuple[float, int]


def _above(a: Entry, b: Entry) -> bool:
    return a[0] > b[0] or (a[0] == b[0] and a[1] < b[1])


def _rise(heap: list[Entry], hole: int, entry: Entry) -> None:
    while hole > 0 and _above(heap[(hole - 1) // 2], entry):
        heap[hole] = heap[(hole - 1) // 2]
        hole = (hole - 1) // 2
    heap[hole] = entry


def _pop(heap: list[Entry]) -> Entry:
    """Take the top off, in the steps in which C++ libraries do it: with NaN the steps decide the answer."""
    top, entry = heap[0], heap.pop()
    n, hole, child = len(heap), 0, 0
    if not n:
        return top
    while child < (n - 1) // 2:
        child = 2 * (child + 1)
        if _above(heap[child], heap[child - 1]):
            child -= 1
        heap[hole] = heap[child]
        hole = child
    if n % 2 == 0 and child == (n - 2) // 2:
        child = 2 * child + 1
        heap[hole] = heap[child]
        hole = child
    _rise(heap, hole, entry)
    return top


def _heap_row(segment: NDArray[np.floating], k: int) -> list[int]:
    heap: list[Entry] = []
    for j, value in enumerate(segment.tolist()):
        if len(heap) < k or value > heap[0][0]:
            heap.append((value, j))
            _rise(heap, len(heap) - 1, (value, j))
        if len(heap) > k:
            _pop(heap)
    return [_pop(heap)[1] for _ in range(len(heap))][::-1]


def lengths_top_k(
    x: NDArray[np.floating], lengths: NDArray[np.int32], k: int
) -> tuple[NDArray[np.floating], NDArray[np.int32]]:
    """-> values [N, k], indices [N, k]."""
    values = np.zeros((len(lengths), k), x.dtype)
    indices = np.full((len(lengths), k), -1, np.int32)
    for row, segment in enumerate(np.split(x, np.cumsum(lengths)[:-1]) if len(lengths) else []):
        if np.isnan(segment[:k]).any():
            order = np.array(_heap_row(segment, k), int)
        else:
            order = np.argsort(-np.where(np.isnan(segment), -np.inf, segment), kind="stable")
            order = np.concatenate([order[~np.isnan(segment[order])], order[np.isnan(segment[order])]])[:k]
        values[row, : len(order)], indices[row, : len(order)] = segment[order], order
    return values, indices
