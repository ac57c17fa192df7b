"""FlexibleTopK: the largest values of each row, of each row another number, with its gradient."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Operator
from caffe2ops.ops.index.rows import checked_indices


def _check_rows(x: Any, k: Any) -> None:
    rows = prod(x.shape[:-1])
    if k.size != rows:
        raise ValueError(f"K: has {k.size} elements, X has {rows} rows")


def _checked(x: Any, k: np.ndarray) -> np.ndarray:
    """K as a vector: one number for each row of X, 1 to the length of a row."""
    _check_rows(x, k)
    width = x.shape[-1]
    if k.size and (k.min() < 1 or k.max() > width):
        raise ValueError(f"K: is {k.min()} to {k.max()}, wants 1 to {width}, as X has them in a row")
    return k.reshape(-1)


class FlexibleTopK(Operator):
    """The K[r] largest values of each row r, largest first, of equals the first, and where they stood.

    A row is the last dim. NaN is taken last (in Caffe2 it depends on the place). Raises ValueError for K below 1 or
    above the length of a row. Caffe2: operators/flexible_top_k.
    """

    contract = "X: float[..., M], K: int64 -> Flatten_values: X[?], Flatten_indices: int64[?]"
    docs = {
        "X": "rows",
        "K": "how many values of each row",
        "Flatten_values": "the values, row by row",
        "Flatten_indices": "their places in the row",
    }
    gradient = "FlexibleTopKGradient(X, K, dFlatten_values, Flatten_indices) -> dX"

    def infer(self, x: TensorSpec, k: TensorSpec) -> tuple[TensorSpec, ...]:
        return TensorSpec((UNKNOWN,), x.dtype), TensorSpec((UNKNOWN,), np.int64)

    def run_cpu(self, x: np.ndarray, k: np.ndarray) -> Any:
        counts = _checked(x, k)
        rows = x.reshape(-1, x.shape[-1]) if x.size else x.reshape(0, x.shape[-1])
        order = np.argsort(-rows, axis=1, kind="stable")
        wanted = np.arange(x.shape[-1]) < counts[:, None]
        return np.take_along_axis(rows, order, axis=1)[wanted], order[wanted]

    def run_cuda(self, x: Any, k: Any) -> Any:
        from caffe2ops.ops.index import flexible_top_k_cuda

        _check_rows(x, k)
        return flexible_top_k_cuda.top_k(x, k.reshape(-1), partial(_checked, x))


class FlexibleTopKGradient(Operator):
    """The gradient of FlexibleTopK: each of dFlatten_values where its value stood, 0 elsewhere.

    Raises ValueError where their number is not the sum of K.
    """

    contract = "X: float[..., M], K: int64, dFlatten_values: X[T], Flatten_indices: int64[T] -> dX: X"
    docs = {
        "X": "input",
        "K": "input",
        "dFlatten_values": "gradient",
        "Flatten_indices": "output",
        "dX": "gradient of X",
    }

    def run_cpu(self, x: np.ndarray, k: np.ndarray, dy: np.ndarray, indices: np.ndarray) -> Any:
        cells = self._cells(x, dy, k, indices)
        dx = self.out(0, x.shape, x.dtype)
        dx[...] = 0
        dx.reshape(-1)[cells] = dy
        return dx

    @staticmethod
    def _cells(x: Any, dy: Any, k: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Where each of dFlatten_values stood in X seen as a vector."""
        counts, width = _checked(x, k), x.shape[-1]
        if len(dy) != counts.sum():
            raise ValueError(f"dFlatten_values: has {len(dy)} elements, K adds up to {counts.sum()}")
        columns = checked_indices(indices, width, "Flatten_indices", "a row of X")
        return np.repeat(np.arange(len(counts)) * width, counts) + columns

    def run_cuda(self, x: Any, k: Any, dy: Any, indices: Any) -> Any:
        from caffe2ops.ops.index import flexible_top_k_cuda

        _check_rows(x, k)
        dx, check = self.out(0, x.shape, x.dtype), partial(self._cells, x, dy)
        return flexible_top_k_cuda.gradient(k.reshape(-1), dy, indices, dx, check)
