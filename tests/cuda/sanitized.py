"""What test_sanitizers.py runs: every way through the LengthsTopK and TopKPool kernels once, at a small size."""

from __future__ import annotations

import numpy as np

from caffe2ops.ops.segment import lengths_top_k_cuda as top_k
from caffe2ops.ops.segment import top_k_pool_cuda as pool
from tests.cuda import reference
from tests.kit.cuemu.fixture import installed


def main() -> None:
    with installed() as cupy:
        rng = np.random.default_rng(0)
        long = np.array([2500, 3], np.int32)  # several steps of one block
        x = rng.standard_normal(long.sum()).astype(np.float32)
        for k in (50, 300):
            _, indices = top_k.lengths_top_k(cupy.asarray(x), cupy.asarray(long), k)
            np.testing.assert_array_equal(cupy.asnumpy(indices), reference.lengths_top_k(x, long, k)[1])
        limits = {"WARP_MAX": 40, "BLOCK_MAX": 100, "MIN_CHUNK": 64, "MAX_CHUNKS": 1 << 30}
        for name, value in limits.items():
            setattr(top_k, name, value)
        lengths = np.array([0, 3, 16, 31, 40, 90, 300, 101], np.int32)
        for dtype, k in (("float32", 1), ("float32", 5), ("float64", 40), ("float32", 257)):
            x = rng.integers(-20, 20, lengths.sum()).astype(dtype)
            x[[1, 100, 400]] = np.nan
            on_device = cupy.asarray(x), cupy.asarray(lengths)
            values, indices = top_k.lengths_top_k(*on_device, k)
            np.testing.assert_array_equal(cupy.asnumpy(indices), reference.lengths_top_k(x, lengths, k)[1])
            top_k.lengths_top_k_gradient(on_device[1], indices, values)
        batch = cupy.asarray(rng.standard_normal((2, 5, 3)).astype(np.float32))
        values, indices = pool.top_k_pool(batch, cupy.asarray(np.array([4, 0], np.int32)), k=2)
        pool.top_k_pool_gradient(indices, values, batch.shape)
    print("clean")


if __name__ == "__main__":
    main()
