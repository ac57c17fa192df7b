"""Places between the elements of images: which four they lie between, and the weight of each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Corners(NamedTuple):
    """Rows, columns and weights, [4, ...] each, of the elements around places [...]; and the ways from element to
    place.

    The elements are those above left, above right, below left, below right; beyond the last row or column it is taken
    twice.
    """

    rows: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    down: np.ndarray
    across: np.ndarray


def corners(y: Any, x: Any, height: int, width: int) -> Corners:
    """The corners of places y >= 0, x >= 0 (floats) in images of that size."""
    top, bottom, down = _between(y, height)
    left, right, across = _between(x, width)
    up, back = 1 - down, 1 - across
    return Corners(
        np.stack([top, top, bottom, bottom]),
        np.stack([left, right, left, right]),
        np.stack([up * back, up * across, down * back, down * across]),
        down,
        across,
    )


def _between(at: Any, size: int) -> tuple[np.ndarray, np.ndarray, Any]:
    at = np.minimum(at, at.dtype.type(size - 1))
    low = at.astype(np.int64)
    return low, np.minimum(low + 1, size - 1), at - low.astype(at.dtype)
