"""BatchPermutation: the rows of a batch in another order."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Operator


def checked(indices: np.ndarray) -> np.ndarray:
    """Raises IndexError for what is no permutation."""
    if not np.array_equal(np.sort(indices), np.arange(indices.size)):
        raise IndexError(f"indices: is {indices.tolist()}, wants each of 0 to {indices.size - 1} once")
    return indices


def check_on_device(indices: Any) -> None:
    """The same for an array on the device, from which a flag is read."""
    import cupy

    if int((cupy.sort(indices) != cupy.arange(indices.size, dtype=indices.dtype)).any()):
        checked(cupy.asnumpy(indices))


class BatchPermutation(Operator):
    """Y[i] = X[indices[i]]. Raises IndexError where indices are no permutation.

    Caffe2: operators/batch_permutation_op.
    """

    contract = "X: float[N, ...], indices: int32[N] -> Y: X"
    docs = {"X": "any tensor", "indices": "which row of X comes where", "Y": "its rows in that order"}
    gradient = "BatchPermutationGradient(indices, dY) -> dX"

    def run_cpu(self, X: np.ndarray, indices: np.ndarray) -> Any:
        return np.take(X, checked(indices), axis=0, out=self.out(0, X.shape, X.dtype))

    def run_cuda(self, X: Any, indices: Any) -> Any:
        check_on_device(indices)
        return X[indices]


class BatchPermutationGradient(Operator):
    """Gradient of BatchPermutation: dX[indices[i]] = dY[i]. Caffe2: operators/batch_permutation_op."""

    contract = "indices: int32[N], dY: float[N, ...] -> dX: dY"

    def run_cpu(self, indices: np.ndarray, dY: np.ndarray) -> Any:
        dX = self.out(0, dY.shape, dY.dtype)
        dX[checked(indices)] = dY
        return dX

    def run_cuda(self, indices: Any, dY: Any) -> Any:
        check_on_device(indices)
        dX = self.out(0, dY.shape, dY.dtype)
        dX[indices] = dY
        return dX
