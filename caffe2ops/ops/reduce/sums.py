"""Sums over axes, and sums of squares. What lies last BLAS adds up, several times as fast as NumPy's own folds."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

BLOCK = 1 << 15  # elements that are centred at once, which stay in the cache


def _behind(x: np.ndarray, axes: tuple[int, ...]) -> int:
    """How many of the last dims of a contiguous float tensor are among the axes."""
    if x.dtype.kind != "f" or x.dtype.itemsize < 4 or not x.size or not x.flags.c_contiguous:
        return 0
    count = 0
    while count < len(axes) and x.ndim - 1 - count in axes:
        count += 1
    return count


def _kept(x: np.ndarray, behind: int) -> tuple[int, ...]:
    return x.shape[: x.ndim - behind] + (1,) * behind


def sum_over(x: np.ndarray, axes: tuple[int, ...]) -> Any:
    """The sum over the axes (0 or more, ascending), which stay as dims of 1."""
    behind = _behind(x, axes)
    if behind:
        width = prod(x.shape[x.ndim - behind :])
        x = (x.reshape(-1, width) @ np.ones(width, x.dtype)).reshape(_kept(x, behind))
        axes = axes[: len(axes) - behind]
    return np.add.reduce(x, axis=axes, keepdims=True, dtype=x.dtype) if axes else x


def squares_over(x: np.ndarray, axes: tuple[int, ...], centre: np.ndarray | None = None) -> Any:
    """The same of squares, of the distance to a centre (which broadcasts with x) where one is given."""
    behind = _behind(x, axes)
    if not behind:
        return np.add.reduce(np.square(x if centre is None else x - centre), axis=axes, keepdims=True)
    rows = x.reshape(-1, prod(x.shape[x.ndim - behind :]))
    if centre is None:
        found = np.vecdot(rows, rows)
    else:
        around = np.broadcast_to(centre, _kept(x, behind)).reshape(-1, 1)
        found = np.empty(len(rows), x.dtype)
        step = max(1, BLOCK // rows.shape[1])
        for at in range(0, len(rows), step):
            part = rows[at : at + step] - around[at : at + step]
            np.vecdot(part, part, out=found[at : at + step])
    return sum_over(found.reshape(_kept(x, behind)), axes[: len(axes) - behind])
