"""The way back of LengthsTopK: gradients of the kept values go where the values stood."""

from __future__ import annotations

import numpy as np

_BLOCK = 1 << 16  # index entries looked at together: they stay in the cache


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
        scatter = _scatter_sparse if 2 * int(kept.sum()) < kept.shape[0] * k else _scatter_dense
        local, values = indices[rows].reshape(-1), dvalues[rows].reshape(-1)
        scatter(first, lengths[rows], starts[rows], kept, local, values, k, ddata)


def _scatter_dense(
    first: int,
    lengths: np.ndarray,
    starts: np.ndarray,
    kept: np.ndarray,
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
    padding = np.flatnonzero(~inside)
    row = padding // k
    if inside.shape[0] - padding.shape[0] != int(kept.sum()) or (padding - row * k < kept[row]).any():
        # An index that is wrong, or padding that looks like an index.
        read = (np.arange(k) < kept[:, None]).reshape(-1)
        _refuse(first, np.flatnonzero(read & ~inside), local, limits, k)
        padding = np.flatnonzero(~read)
    if padding.shape[0]:
        last = int(np.flatnonzero(kept)[-1])
        final = last * k + int(kept[last]) - 1
        target[padding] = target[final]
        ddata[target] = dvalues
        ddata[target[final]] = dvalues[final]
    else:
        ddata[target] = dvalues


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
    before = np.cumsum(kept) - kept
    row = np.repeat(np.arange(kept.shape[0]), kept)
    entry = (np.arange(kept.shape[0]) * k - before)[row]
    entry += np.arange(row.shape[0])
    index, limits = local[entry], lengths[row]
    inside = index.view(np.uint32) < limits.view(np.uint32)
    if not inside.all():
        _refuse(first, entry[~inside], local, np.repeat(lengths, k), k)
    target = starts[row]
    target += index
    ddata[target] = dvalues[entry]


def _refuse(first: int, wrong: np.ndarray, local: np.ndarray, limits: np.ndarray, k: int) -> None:
    if wrong.size:
        row, column = divmod(int(wrong[0]), k)
        raise IndexError(
            f"TopKIndices: [{first + row}, {column}] is {local[wrong[0]]}, outside its segment of {limits[wrong[0]]}"
        )
