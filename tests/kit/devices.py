"""The devices of the matrix: the CPU, CUDA kernels played on the CPU, and real CUDA where there is a card."""

from __future__ import annotations


def has_gpu() -> bool:
    """Whether cupy is here and sees a device."""
    try:
        import cupy

        return int(cupy.cuda.runtime.getDeviceCount()) > 0
    except Exception:
        return False


CUDA_KINDS = ("emulated", "cuda") if has_gpu() else ("emulated",)
KINDS = ("cpu", *CUDA_KINDS)
