"""Rows of a matrix by index: checked, gathered, added up. What every operator with INDICES stands on.

The sums are products with a sparse matrix whose entries are weights (or ones): scipy's kernels do them in one pass,
without a copy of the gathered rows. They trust their arguments, so indices must have gone through `checked_indices`.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def checked_indices(
    indices: np.ndarray, n: int, name: str = "INDICES", of: str = "DATA", *, wrap: bool = False
) -> np.ndarray:
    """The indices, all 0 to n - 1; with `wrap` -1 is the last, and so on.

    Raises IndexError naming the first that is none.
    """
    if not indices.size:
        return indices
    if int(indices.min()) >= (-n if wrap else 0) and int(indices.max()) < n:
        return (
            np.where(indices < 0, indices + indices.dtype.type(n), indices)
            if wrap and int(indices.min()) < 0
            else indices
        )
    bad = np.flatnonzero((indices < (-n if wrap else 0)) | (indices >= n))[0]
    raise IndexError(f"{name}: element {bad} is {indices.flat[bad]}, {of} has {n} rows")


def offsets_of(lengths: np.ndarray, dtype: Any = np.int64) -> np.ndarray:
    """[0, l0, l0 + l1, ...]: where each segment starts, and the end."""
    offsets = np.zeros(len(lengths) + 1, dtype)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def sum_rows(
    table: np.ndarray, indices: np.ndarray, lengths: np.ndarray, weights: np.ndarray | None, out: np.ndarray
) -> np.ndarray:
    """out[s] = the sum of weight * table[index] over segment s of the indices; table [R, D] and out [N, D] of one
    dtype.
    """
    from scipy.sparse import _sparsetools

    out[...] = 0
    if not out.size or not indices.size:
        return out
    offsets = offsets_of(lengths, indices.dtype)
    entries = np.ones(len(indices), table.dtype) if weights is None else np.ascontiguousarray(weights, table.dtype)
    (n, d), indices = out.shape, np.ascontiguousarray(indices)
    if d == 1:
        _sparsetools.csr_matvec(n, len(table), offsets, indices, entries, table.reshape(-1), out.reshape(-1))
    else:
        _sparsetools.csr_matvecs(n, len(table), d, offsets, indices, entries, table.reshape(-1), out.reshape(-1))
    return out


def add_rows(out: np.ndarray, indices: np.ndarray, values: np.ndarray) -> np.ndarray:
    """out[indices[i]] += values[i], rows repeated or not; out [R, D] contiguous, values [K, D] of its dtype."""
    from scipy.sparse import _sparsetools

    if not values.size:
        return out
    (k, d), indices = values.shape, np.ascontiguousarray(indices)
    offsets = np.arange(k + 1, dtype=indices.dtype)
    entries = np.ones(k, out.dtype)
    values = np.ascontiguousarray(values).reshape(-1)
    if d == 1:
        _sparsetools.csc_matvec(len(out), k, offsets, indices, entries, values, out.reshape(-1))
    else:
        _sparsetools.csc_matvecs(len(out), k, d, offsets, indices, entries, values, out.reshape(-1))
    return out
