"""LengthsTopK on a GPU: bytes moved a second against a device copy, and against torch.topk on padded data.

python -m tests.benchmarks.gpu_lengths_top_k [--rounds N] [--case NAME]...

Without a card it says so and ends with status 0. Times are the minimum over rounds of CUDA event times, after a
warm-up; contenders take turns within one process. "MB" is the least that any method must move: the data, the lengths
and both outputs, once. torch is optional; its padding is made beforehand and not timed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.kit.devices import has_gpu


class Case(NamedTuple):
    """Segments and k to be timed."""

    name: str
    lengths: Callable[[np.random.Generator], Any]
    k: int
    dtype: str = "float32"


CASES = (
    Case("1M x 100, k=10", lambda r: np.full(1_000_000, 100), 10),
    Case("1M x 100, k=1", lambda r: np.full(1_000_000, 100), 1),
    Case("4M x 16, k=4", lambda r: np.full(4_000_000, 16), 4),
    Case("2M x 0..60, k=5", lambda r: r.integers(0, 61, 2_000_000), 5),
    Case("2M x 0..60, k=5, float16", lambda r: r.integers(0, 61, 2_000_000), 5, "float16"),
    Case("2M x 0..60, k=5, float64", lambda r: r.integers(0, 61, 2_000_000), 5, "float64"),
    Case("200k x 1000, k=10", lambda r: np.full(200_000, 1000), 10),
    Case("20k x 10k, k=100", lambda r: np.full(20_000, 10_000), 100),
    Case("20k x 10k, k=1000", lambda r: np.full(20_000, 10_000), 1000),
    Case("100 x 2M, k=100", lambda r: np.full(100, 2_000_000), 100),
    Case("1 x 2^28, k=10", lambda r: np.array([1 << 28]), 10),
    Case("1 x 2^28, k=1000", lambda r: np.array([1 << 28]), 1000),
    Case("1 x 2^26, k=100k", lambda r: np.array([1 << 26]), 100_000),
    Case("Zipf 500k, k=10", lambda r: np.minimum(r.zipf(1.5, 500_000), 200_000), 10),
)
MAX_PADDED = 1 << 30  # elements that torch's padded matrix may have


def seconds(call: Callable[[], Any], rounds: int) -> float:
    """The least time of a call by CUDA events."""
    import cupy

    call()
    best = float("inf")
    for _ in range(rounds):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        call()
        end.record()
        end.synchronize()
        best = min(best, cupy.cuda.get_elapsed_time(start, end) / 1e3)
    return best


def padded_topk(x: Any, lengths: np.ndarray[Any, Any], k: int) -> Callable[[], Any] | None:
    """torch.topk over the segments as rows of a matrix padded with -inf, or None where that is not possible."""
    try:
        import torch
    except ImportError:
        return None
    width = max(int(lengths.max()), k)
    if not torch.cuda.is_available() or width * lengths.size > MAX_PADDED:
        return None
    import cupy

    rows = cupy.full((lengths.size, width), -np.inf, x.dtype)
    rows[cupy.arange(width) < cupy.asarray(lengths)[:, None]] = x
    matrix = torch.from_dlpack(rows)
    return lambda: torch.topk(matrix, k, dim=1)


def measure(case: Case, rounds: int) -> str:
    """One line of the table."""
    import cupy

    from caffe2ops.ops.segment.lengths_top_k_cuda import lengths_top_k, lengths_top_k_gradient

    rng = np.random.default_rng(0)
    lengths = case.lengths(rng).astype(np.int32)
    size = int(lengths.sum(dtype=np.int64))
    x = cupy.random.default_rng(0).standard_normal(size, dtype=np.float32).astype(case.dtype)
    on_device = cupy.asarray(lengths)
    values, indices = lengths_top_k(x, on_device, case.k)
    least = x.nbytes + on_device.nbytes + values.nbytes + indices.nbytes
    source, target = (cupy.empty(least // 2, np.uint8) for _ in range(2))
    copy = seconds(lambda: cupy.copyto(target, source), rounds)
    ours = seconds(lambda: lengths_top_k(x, on_device, case.k), rounds)
    back = seconds(lambda: lengths_top_k_gradient(on_device, indices, values, size), rounds)
    torch_call = padded_topk(x, lengths, case.k)
    theirs = f"{seconds(torch_call, rounds) * 1e3:10.3f}" if torch_call else f"{'-':>10}"
    return (
        f"{case.name:28}{least / 1e6:10.0f}{copy * 1e3:10.3f}{ours * 1e3:10.3f}{least / ours / 1e9:10.0f}"
        f"{copy / ours:10.2f}{theirs}{back * 1e3:10.3f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="LengthsTopK on a GPU")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--case", action="append", help="part of a case's name; may be given again")
    options = parser.parse_args()
    if not has_gpu():
        print("There is no CUDA device here (or no cupy), so there is nothing to measure. On a machine with a card:")
        print("  pip install -e '.[cuda13x]' && python -m tests.benchmarks.gpu_lengths_top_k")
        return 0
    import cupy

    print(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())
    columns = ("MB", "copy ms", "ours ms", "GB/s", "of copy", "torch ms", "grad ms")
    print(f"{'case':28}" + "".join(f"{column:>10}" for column in columns))
    for case in CASES:
        if not options.case or any(part in case.name for part in options.case):
            print(measure(case, options.rounds), flush=True)
            cupy.get_default_memory_pool().free_all_blocks()
    return 0


if __name__ == "__main__":
    sys.exit(main())
