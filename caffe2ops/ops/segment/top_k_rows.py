"""Segments as rows of matrices: cutting work into pieces that stay in the cache, gathering, padding, writing rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

BLOCK = 1 << 16  # elements of a matrix of rows: the keys of a block (512 KiB) stay in the L2 cache
RUN = 1 << 18  # elements of a run of segments that is sorted by length, a stretch of data that stays in the cache
RUN_SEGMENTS = 1 << 15


def runs(lengths: np.ndarray, size: int) -> Iterator[tuple[int, int]]:
    """Cut a list of segments into runs of about `size` elements."""
    count, ends = lengths.shape[0], np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1])
    if total <= 2 * size and count < 20_000:
        cuts = [0, count]
    else:
        parts = max(1, -(-total // size), -(-count // RUN_SEGMENTS))
        inner = np.searchsorted(ends, np.arange(1, parts) * (total / parts))
        cuts = np.unique(np.concatenate([[0], inner, [count]])).tolist()
    return pairwise(cuts)


def blocks(first: int, last: int, width: int, size: int = BLOCK) -> Iterator[slice]:
    step = max(1, size // width)
    return (slice(start, min(last, start + step)) for start in range(first, last, step))


def copy_windows(data: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """data[start : start + width] for each start. A window as one item is indexed twice as fast as a row."""
    window = np.dtype((np.void, width * data.itemsize))
    windows = np.ndarray((data.shape[0] - width + 1,), window, data, strides=data.strides)
    return windows[starts].view(data.dtype).reshape(starts.shape[0], width)


def put_rows(matrix: np.ndarray, ids: np.ndarray, rows: np.ndarray) -> None:
    """matrix[ids] = rows, with a short row as one item: three times as fast."""
    if rows.shape[1] > 256:
        matrix[ids] = rows
    else:
        item = np.dtype((np.void, rows.shape[1] * rows.itemsize))
        np.put(matrix.view(item), ids, rows.view(item))


def pad(rows: np.ndarray, lengths: np.ndarray, fill: float) -> None:
    """Overwrite what lies beyond each row's length. Lengths ascend, so a column is padded in its first rows only."""
    count, width = rows.shape
    shortest = int(lengths[0])
    if shortest >= width:
        return
    if count < width - shortest:
        for row, length in enumerate(lengths.tolist()):
            rows[row, length:] = fill
    else:
        columns = range(shortest, width)
        for column, end in zip(columns, np.searchsorted(lengths, columns, side="right").tolist(), strict=True):
            rows[:end, column] = fill


def ordered_bits(values: np.ndarray) -> np.ndarray:
    """The bits of float32 values as int32 in the order of the values, -0 like +0. `values` is overwritten."""
    values += np.float32(0)  # -0 becomes +0
    bits = values.view(np.int32)
    flip = bits >> 31
    flip.view(np.uint32)[...] >>= 1  # 0x7fffffff for negative values: all but the sign
    bits ^= flip
    return bits
