"""The emulator finds the faults that it is there to find."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.kit.cuemu.launch import KernelError

HEAD = 'extern "C" __global__ void f(const float* x, float* y, int n) { const int i = threadIdx.x; '
FAULTS = {
    "divergent barrier": ("if (i < 32) __syncthreads(); else __syncthreads();", "divergent __syncthreads"),
    "deadlock": ("if (i < 16) __syncwarp(); else __syncthreads();", "deadlock"),
    "wrong mask": ("__ballot_sync(0x0000ffff, 1);", "leaves it out"),
    "wild address": ("y[(1LL << 40) + i] = 1;", "invalid memory access"),
    "division by zero": ("y[i] = n / (n - 64);", "arithmetic fault"),
    "trap": ("__trap();", "__trap"),
}


def launch(cupy: ModuleType, body: str, *arguments: Any, block: int = 64) -> Any:
    x = cupy.asarray(np.arange(64, dtype=np.float32))
    y = cupy.empty_like(x)
    module = cupy.RawModule(code=HEAD + body + " }", options=("-std=c++17",))
    module.get_function("f")((1,), (block,), arguments or (x, y, np.int32(64)))
    return cupy.asnumpy(y)


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(emulated_cuda: ModuleType, fault: str) -> None:
    body, message = FAULTS[fault]
    with pytest.raises(KernelError, match=message):
        launch(emulated_cuda, body)


def test_shared_memory_starts_as_garbage(emulated_cuda: ModuleType) -> None:
    assert np.isnan(launch(emulated_cuda, "__shared__ float s[64]; if (n < 0) s[i] = 0; y[i] = s[i];")).all()


def test_shuffles_and_barriers(emulated_cuda: ModuleType) -> None:
    body = (
        "__shared__ float s[64]; s[i] = x[i]; __syncthreads(); y[i] = s[63 - i] + __shfl_xor_sync(0xffffffff, x[i], 1);"
    )
    x = np.arange(64, dtype=np.float32)
    np.testing.assert_array_equal(launch(emulated_cuda, body), x[::-1] + x.reshape(-1, 2)[:, ::-1].reshape(-1))


def test_arguments(emulated_cuda: ModuleType) -> None:
    x = emulated_cuda.zeros(64, np.float32)
    body = "if (i < n) y[i] = x[i];"
    for arguments, message in (
        ((x, x), "takes 3 arguments"),
        ((x, x, 64), "CuPy would pass the bytes of int64"),
        ((x, x.astype(np.float64), np.int32(64)), "pointer to f4, got an array of float64"),
        ((x, x[::2], np.int32(64)), "not C-contiguous"),
    ):
        with pytest.raises(KernelError, match=message):
            launch(emulated_cuda, body, *arguments)
    with pytest.raises(KernelError, match="INVALID_VALUE"):
        launch(emulated_cuda, body, block=2048)


def test_the_stand_in_keeps_devices_apart(emulated_cuda: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"numpy\.ndarray"):
        emulated_cuda.zeros(3) + np.zeros(3)
    with pytest.raises(AttributeError, match="no attribute 'memmap'"):
        emulated_cuda.memmap  # noqa: B018
    assert type(emulated_cuda.sum(emulated_cuda.zeros(3))) is emulated_cuda.ndarray
