"""The way back of LengthsTopK: gradients of the kept values go where the values stood."""

from __future__ import annotations

import numpy as np

_BLOCK = 1 << 17  # index entries looked at together: they stay in the cache


def lengths_top_k_gradient(
    lengths: np.ndarray, starts: np.ndarray, indices: np.ndarray, dvalues: np.ndarray, ddata: np.ndarray
) -> None:
    """Fill ddata[S]: dvalues[i, j] at starts[i] + indices[i, j] for j < min(lengths[i], k), 0 elsewhere.

    Raises IndexError for an index outside its segment. What stands in later columns is padding, and is not looked at.
    """
    ddata.view(np.uint8).fill(0)  # as bytes: memset, twice as fast as a fill with floats
    count, k = indices.shape
    step = max(1, _BLOCK // k)
    for first in range(0, count, step):
        rows = slice(first, min(count, first + step))
        kept = np.minimum(lengths[rows], k)
        entries = int(np.add.reduce(kept))
        local, values = indices[rows].reshape(-1), dvalues[rows].reshape(-1)
        if 2 * entries < local.shape[0]:
            _scatter_sparse(first, lengths[rows], starts[rows], kept, local, values, k, ddata)
        else:
            _scatter_dense(first, lengths[rows], starts[rows], kept, entries, local, values, k, ddata)


def _scatter_dense(
    first: int,
    lengths: np.ndarray,
    starts: np.ndarray,
    kept: np.ndarray,
    entries: int,
    local: np.ndarray,
    dvalues: np.ndarray,
    k: int,
    ddata: np.ndarray,
) -> None:
    """Few rows are padded: all entries are written, and padding does no harm.

    Padding is sent to where the last entry that counts goes, which is then written once more; leaving padding out costs
    more than that.
    """
    limits = np.repeat(lengths, k)
    inside = local.view(np.uint32) < limits.view(np.uint32)  # unsigned: -1 is a huge index
    target = np.repeat(starts, k)
    target += local
    if entries == local.shape[0] and inside.all():
        ddata[target] = dvalues
        return
    padding = np.flatnonzero(~inside)
    row = padding // k
    if inside.shape[0] - padding.shape[0] != entries or (padding - row * k < kept[row]).any():
        # An index that is wrong, or padding that looks like an index.
        read = (np.arange(k) < kept[:, None]).reshape(-1)
        _refuse(first, np.flatnonzero(read & ~inside), local, limits, k)
        padding = np.flatnonzero(~read)
    last = kept.shape[0] - 1 - int((kept[::-1] > 0).argmax())
    final = last * k + int(kept[last]) - 1
    target[padding] = target[final]
    ddata[target] = dvalues
    ddata[target[final]] = dvalues[final]


def _scatter_sparse(
    first: int,
    lengths: np.ndarray,
    starts: np.ndarray,
    kept: np.ndarray,
    local: np.ndarray,
    dvalues: np.ndarray,
    k: int,
    ddata: np.ndarray,
) -> None:
    """Most entries are padding: those that count are picked out by their positions in the block."""
    before = np.add.accumulate(kept, dtype=np.int64)
    entries = int(before[-1])
    before -= kept
    entry = np.repeat(np.arange(0, local.shape[0], k) - before, kept)
    entry += np.arange(entries)
    index, limits = local[entry], np.repeat(lengths, kept)
    inside = index.view(np.uint32) < limits.view(np.uint32)
    if not inside.all():
        _refuse(first, entry[~inside], local, np.repeat(lengths, k), k)
    target = np.repeat(starts, kept)
    target += index
    ddata[target] = dvalues[entry]


def _refuse(first: int, wrong: np.ndarray, local: np.ndarray, limits: np.ndarray, k: int) -> None:
    if wrong.size:
        row, column = divmod(int(wrong[0]), k)
        raise IndexError(
            f"TopKIndices: [{first + row}, {column}] is {local[wrong[0]]}, outside its segment of {limits[wrong[0]]}"
        )
