"""The CUDA kernels of LengthsTopK and its gradient, played on the CPU, against a plain reference; bit for bit."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caffe2ops.ops.segment import lengths_top_k_cuda as top_k
from tests.cuda import reference
from tests.kit.cuemu.settings import settings

DTYPES = ("float16", "float32", "float64")
SPECIAL = [np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 6e-8, 5e-324]


@pytest.fixture(params=["forward", "reverse"])
def order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(settings, "order", request.param)
    return str(request.param)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds so low that short segments take the ways of long ones."""
    for name, value in (("WARP_MAX", 40), ("BLOCK_MAX", 100), ("MIN_CHUNK", 64), ("MAX_CHUNKS", 1 << 30)):
        monkeypatch.setattr(top_k, name, value)


def nasty(seed: int, lengths: NDArray[np.int32], dtype: str, nan: float = 0.02) -> NDArray[Any]:
    """Half of the values tie with others; infinities, zeros of both signs, denormals and NaN are among them."""
    rng = np.random.default_rng(seed)
    size = int(lengths.sum())
    x = rng.standard_normal(size) * 3
    x = np.where(rng.random(size) < 0.5, np.round(x), x)
    x = np.where(rng.random(size) < 0.1, rng.choice(SPECIAL, size), x)
    return np.where(rng.random(size) < nan, np.nan, x).astype(dtype)


def some_lengths(seed: int) -> NDArray[np.int32]:
    rng = np.random.default_rng(seed)
    every_limit = [0, 1, 8, 9, 16, 17, 32, 33, 40, 41, 100, 101, 1200]
    lengths = np.concatenate([rng.integers(0, 60, 30), rng.integers(0, 400, 4), every_limit])
    return rng.permutation(lengths).astype(np.int32)


def check(cupy: ModuleType, x: NDArray[Any], lengths: NDArray[np.int32], k: int) -> None:
    values, indices = top_k.lengths_top_k(cupy.asarray(x), cupy.asarray(lengths), k)
    wanted_values, wanted_indices = reference.lengths_top_k(x, lengths, k)
    bits = f"u{x.dtype.itemsize}"
    np.testing.assert_array_equal(cupy.asnumpy(indices), wanted_indices)
    np.testing.assert_array_equal(cupy.asnumpy(values).view(bits), wanted_values.view(bits))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 3, 32, 33, 256, 257])
def test_every_way(emulated_cuda: ModuleType, order: str, k: int, dtype: str) -> None:
    lengths = some_lengths(k)
    check(emulated_cuda, nasty(k, lengths, dtype), lengths, k)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 3, 32, 33, 256, 257, 700])
def test_every_way_of_long_segments(emulated_cuda: ModuleType, order: str, k: int, dtype: str) -> None:
    lengths = some_lengths(k)
    check(emulated_cuda, nasty(k, lengths, dtype), lengths, k)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [100, 1000, 5000])
def test_long_segments(
    emulated_cuda: ModuleType, monkeypatch: pytest.MonkeyPatch, order: str, k: int, dtype: str
) -> None:
    monkeypatch.setattr(top_k, "MIN_CHUNK", 4000)
    monkeypatch.setattr(top_k, "BLOCK_MAX", 8000)
    lengths = np.array([3, 9000, 0, 17001], np.int32)
    check(emulated_cuda, nasty(k, lengths, dtype, nan=1e-4), lengths, k)


@pytest.mark.parametrize("k", [1, 2, 10, 100])
def test_many_chunks(emulated_cuda: ModuleType, monkeypatch: pytest.MonkeyPatch, order: str, k: int) -> None:
    monkeypatch.setattr(top_k, "BLOCK_MAX", 300)
    monkeypatch.setattr(top_k, "MIN_CHUNK", 8)
    monkeypatch.setattr(top_k, "MAX_CHUNKS", 1 << 30)
    lengths = np.array([20000, 3, 9000], np.int32)
    check(emulated_cuda, nasty(k, lengths, "float32", nan=1e-4), lengths, k)


@pytest.mark.parametrize("limit", [100, 16384])
@pytest.mark.parametrize("k", [20, 200, 2000])
def test_all_equal(emulated_cuda: ModuleType, monkeypatch: pytest.MonkeyPatch, limit: int, k: int) -> None:
    monkeypatch.setattr(top_k, "BLOCK_MAX", limit)
    lengths = np.array([5000, 300], np.int32)
    check(emulated_cuda, np.where(np.arange(5300) % 2, 0.0, -0.0).astype(np.float32), lengths, k)


@pytest.mark.usefixtures("small_limits")
def test_launches_do_not_wait_for_the_host(emulated_cuda: ModuleType) -> None:
    lengths = some_lengths(0)
    x = nasty(0, lengths, "float32")
    for k in (3, 300):
        on_device = emulated_cuda.asarray(x), emulated_cuda.asarray(lengths)
        before = emulated_cuda.ndarray.syncs
        top_k.lengths_top_k(*on_device, k)
        assert emulated_cuda.ndarray.syncs == before + 1  # the flag, after the last launch


@pytest.mark.parametrize("n", [0, 1, 300])
def test_nothing_there(emulated_cuda: ModuleType, n: int) -> None:
    for k in (1, 40, 300):
        check(emulated_cuda, np.zeros(0, np.float32), np.zeros(n, np.int32), k)


@pytest.mark.parametrize(
    ("lengths", "size", "message"),
    [
        ([3, -1], 2, r"LENGTHS: \[1\] is -1"),
        ([20000, -20000] * 50 + [10], 20010, r"LENGTHS: \[1\] is -20000"),
        ([3, 3], 5, "LENGTHS: sum is 6, DATA has 5 elements"),
        ([2, 2], 5, "LENGTHS: sum is 4, DATA has 5 elements"),
        ([], 3, "LENGTHS: sum is 0, DATA has 3 elements"),
        ([2**31 - 1, 2**31 - 1], 4, "LENGTHS: sum is 4294967294, DATA has 4 elements"),
    ],
)
def test_refused_lengths(emulated_cuda: ModuleType, lengths: list[int], size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        top_k.lengths_top_k(
            emulated_cuda.zeros(size, np.float32), emulated_cuda.asarray(np.array(lengths, np.int32)), 2
        )


def test_refused_arguments(emulated_cuda: ModuleType) -> None:
    x, lengths = emulated_cuda.zeros(2, np.float32), emulated_cuda.asarray(np.array([2], np.int32))
    with pytest.raises(ValueError, match="k: is 0"):
        top_k.lengths_top_k(x, lengths, 0)
    with pytest.raises(ValueError, match="k: is 4294967296, the outputs for 1 segments would take 32 GiB"):
        top_k.lengths_top_k(x, lengths, 2**32)
    with pytest.raises(TypeError, match="DATA: dtype is int32"):
        top_k.lengths_top_k(lengths, lengths, 1)
    with pytest.raises(TypeError, match="LENGTHS: dtype is int64"):
        top_k.lengths_top_k(x, lengths.astype(np.int64), 1)
    with pytest.raises(ValueError, match="one dim each"):
        top_k.lengths_top_k(x.reshape(1, 2), lengths, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 4, 50])
def test_gradient(emulated_cuda: ModuleType, order: str, k: int, dtype: str) -> None:
    lengths = some_lengths(1)
    x = nasty(1, lengths, dtype, nan=0)
    _, indices = reference.lengths_top_k(x, lengths, k)
    dvalue = np.random.default_rng(2).standard_normal(indices.shape).astype(dtype)
    wanted = np.zeros_like(x)
    starts = np.cumsum(lengths) - lengths
    rows, columns = np.nonzero(indices >= 0)
    wanted[starts[rows] + indices[rows, columns]] = dvalue[rows, columns]
    got = top_k.lengths_top_k_gradient(*map(emulated_cuda.asarray, (lengths, indices, dvalue)))
    np.testing.assert_array_equal(emulated_cuda.asnumpy(got), wanted)


@pytest.mark.parametrize(
    ("lengths", "indices", "error", "message"),
    [
        ([2, 1], [[0, 2], [0, -1]], IndexError, r"\[0, 1\] is 2, outside its segment"),
        ([2, 1], [[0, -1], [0, -1]], IndexError, r"\[0, 1\] is -1, outside"),
        ([2, -1], [[0, 1], [0, -1]], ValueError, r"LENGTHS: \[1\] is -1"),
        ([2, 1, 1], [[0, 1], [0, -1]], ValueError, r"wants \(3, k\)"),
    ],
)
def test_gradient_refuses(
    emulated_cuda: ModuleType, lengths: list[int], indices: list[list[int]], error: type[Exception], message: str
) -> None:
    arrays = np.array(lengths, np.int32), np.array(indices, np.int32), np.ones((2, 2), np.float32)
    with pytest.raises(error, match=message):
        top_k.lengths_top_k_gradient(*map(emulated_cuda.asarray, arrays))


def test_gradient_ignores_columns_beyond_the_segment(emulated_cuda: ModuleType) -> None:
    arrays = np.array([1], np.int32), np.array([[0, 77]], np.int32), np.array([[2, 3]], np.float32)
    got = top_k.lengths_top_k_gradient(*map(emulated_cuda.asarray, arrays))
    assert emulated_cuda.asnumpy(got).tolist() == [2]
