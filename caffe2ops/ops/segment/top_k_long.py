"""Which elements of one long segment can be among its k largest.

Maxima of many blocks of the segment give a threshold: the k-th largest of them is a value that at least k elements
reach, and hardly more than k do. Where that fails (NaN, -inf, or many elements equal to the threshold) the segment is
gone through in order, with the k-th largest so far as the bar for what follows.
"""

from __future__ import annotations

import numpy as np

STRETCH = 1 << 16  # elements looked at together
CONTIGUOUS = 1 << 19  # longer: the blocks are contiguous (one pass at the speed of DRAM), else strided (fewest calls)


def candidates(data: np.ndarray, k: int) -> np.ndarray:
    """Positions, ascending, of at least min(k, length) elements of a segment, among them the best k."""
    size = data.shape[0]
    if size > 4 * k:
        found = _reaching_strided(data, k) if size <= CONTIGUOUS else _reaching_contiguous(data, k)
        if found is not None and found.size <= STRETCH + 4 * k:
            return found
    return _candidates_in_order(data, k)


def _reaching_strided(data: np.ndarray, k: int) -> np.ndarray | None:
    columns = max(-(-5 * k // 64) * 64, 512)
    depth = data.shape[0] // columns
    if depth < 2:
        return None
    threshold = _kth_largest(np.maximum.reduce(data[: depth * columns].reshape(depth, columns), axis=0), k)
    return None if threshold is None else np.flatnonzero(data >= threshold)


def _reaching_contiguous(data: np.ndarray, k: int) -> np.ndarray | None:
    """One pass over the data; only blocks whose maximum reaches the threshold are looked at again."""
    size = data.shape[0]
    width = min(int(13 * (size / k) ** 0.5), size // (2 * k))  # balances the cost of a block against reading it again
    count = size // width
    blocks = data[: count * width].reshape(count, width)
    maxima = blocks.max(axis=1)
    threshold = _kth_largest(maxima.copy(), k)
    if threshold is None:
        return None
    survivors = np.flatnonzero(maxima >= threshold)
    if survivors.size > 4 * k:
        return None
    found = []
    step = max(1, STRETCH // width)
    for first in range(0, survivors.size, step):
        some = survivors[first : first + step]
        flat = np.flatnonzero(blocks[some] >= threshold)
        block = flat // width
        found.append(some[block] * width + (flat - block * width))
    found.append(np.flatnonzero(data[count * width :] >= threshold) + count * width)
    return np.concatenate(found)


def _kth_largest(maxima: np.ndarray, k: int) -> np.ndarray | None:
    """The k-th largest of the maxima; None where NaN or -inf leave it without a meaning as a threshold."""
    position = maxima.shape[0] - k
    maxima.partition(position)
    threshold = maxima[position]
    greatest = maxima[position:].max()
    return None if greatest != greatest or threshold == -np.inf else threshold


def _candidates_in_order(data: np.ndarray, k: int) -> np.ndarray:
    """The best k so far, stretch by stretch: exact whatever the values, in bounded memory.

    An element of a later stretch counts only if it is greater than the k-th so far, since of equals the earlier one
    stays.
    """
    best = np.empty(0, np.int64)
    bar = None
    step = max(4 * STRETCH, 4 * k)
    for start in range(0, data.shape[0], step):
        stretch = data[start : start + step]
        fresh = np.flatnonzero(stretch > bar if bar is not None else stretch == stretch)
        if not fresh.size:
            continue
        best = np.concatenate([best, fresh + start])
        if best.size > k:
            values = data[best]
            bar = np.partition(values, best.size - k)[best.size - k]
            above = values > bar
            level = np.flatnonzero(values == bar)[: k - np.count_nonzero(above)]
            above[level] = True
            best = best[above]
        if best.size == k and bar is None:
            bar = data[best].min()
    return best
