"""TopKPool's CUDA functions in the emulator against the definition, row by row."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caffe2ops.ops.segment import top_k_pool_cuda as pool

LENGTHS = np.array([5, 0, 3], np.int32)
K = np.array([2, 4, 1], np.int32)


def plain(
    x: NDArray[Any], lengths: NDArray[np.int32], ks: NDArray[np.int32], order: str, axis: int, mode: str
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    axis %= x.ndim
    kmax = int(ks.max())
    rows = np.moveaxis(x, axis, -1)
    indices = np.full((*rows.shape[:-1], kmax), -1, np.int32)
    for at in np.ndindex(rows.shape[:-1]):
        n = at[0]
        length = lengths[n] if axis == 1 else rows.shape[-1] * (at[1] < lengths[n])
        best = np.argsort(-rows[at][:length], kind="stable")[: ks[n]]
        indices[(*at, slice(0, len(best)))] = np.sort(best) if order == "position" else best
    values = np.where(indices >= 0, np.take_along_axis(rows, np.maximum(indices, 0), -1), 0).astype(x.dtype)
    if mode == "mask":
        whole = np.zeros_like(rows)
        for at in np.ndindex(rows.shape[:-1]):
            kept = indices[at][indices[at] >= 0]
            whole[at][kept] = rows[at][kept]
        values = whole
    return np.moveaxis(values, -1, axis), np.moveaxis(indices, -1, axis)


@pytest.mark.parametrize("mode", ["gather", "mask"])
@pytest.mark.parametrize("order", ["value", "position"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 6), 1), ((3, 6, 4), 1), ((3, 6, 2, 2), 1), ((3, 6, 4), -1), ((3, 6, 2, 5), -1)]
)
@pytest.mark.parametrize("own_k", [False, True])
def test_forward_and_gradient(
    emulated_cuda: ModuleType, shape: tuple[int, ...], axis: int, order: str, mode: str, own_k: bool
) -> None:
    x = np.random.default_rng(0).integers(1, 9, shape).astype(np.float32)
    x_device, lengths, row_k = map(emulated_cuda.asarray, (x, LENGTHS, K))
    got = pool.top_k_pool(x_device, lengths, row_k if own_k else None, 0 if own_k else 3, order, axis, mode)
    wanted = plain(x, LENGTHS, K if own_k else np.full(3, 3, np.int32), order, axis, mode)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(emulated_cuda.asnumpy(a), b)
    dy = np.arange(1, wanted[0].size + 1, dtype=np.float32).reshape(wanted[0].shape)
    dx = pool.top_k_pool_gradient(got[1], emulated_cuda.asarray(dy), shape, axis, mode)
    chosen = wanted[1] >= 0
    source = dy if mode == "gather" else np.take_along_axis(dy, np.maximum(wanted[1], 0), axis)
    assert emulated_cuda.asnumpy(dx).sum() == source[chosen].sum()
    back = np.take_along_axis(emulated_cuda.asnumpy(dx), np.maximum(wanted[1], 0), axis)
    np.testing.assert_array_equal(back[chosen], source[chosen])


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2), (2, 3, 0)])
def test_nothing_there(emulated_cuda: ModuleType, shape: tuple[int, ...]) -> None:
    lengths = emulated_cuda.zeros(shape[0], np.int32)
    for axis in (1, -1):
        y, indices = pool.top_k_pool(emulated_cuda.zeros(shape, np.float32), lengths, k=2, axis=axis)
        assert y.shape == indices.shape
        assert (emulated_cuda.asnumpy(indices) == -1).all()


def test_refused(emulated_cuda: ModuleType) -> None:
    x, ones = emulated_cuda.zeros((2, 3), np.float32), emulated_cuda.asarray(np.ones(2, np.int32))
    with pytest.raises(ValueError, match=r"LENGTHS: \[0\] is 4, wants 0 to 3"):
        pool.top_k_pool(x, ones * 4, k=1)
    with pytest.raises(ValueError, match=r"LENGTHS: \[0\] is -1"):
        pool.top_k_pool(x, -ones, k=1)
    with pytest.raises(ValueError, match="K: has -1"):
        pool.top_k_pool(x, ones, -ones)
    with pytest.raises(ValueError, match="k: is 0"):
        pool.top_k_pool(x, ones)
    indices, dy = emulated_cuda.asarray(np.array([[3], [0]], np.int32)), emulated_cuda.ones((2, 1), np.float32)
    with pytest.raises(IndexError, match="outside 0 to 2"):
        pool.top_k_pool_gradient(indices, dy, (2, 3))
