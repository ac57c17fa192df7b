"""Statistics of channels on CUDA arrays."""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.reduce.sums_cuda import sum_over

_SCALE_GRADIENT = Elementwise(
    "(x - mean) * inv_std * dy", "x mean inv_std dy", dtypes=("float32", "float64"), name="scale_gradient"
)


def backprop_stats(x: Any, mean: Any, inv_std: Any, dy: Any, outs: tuple[Any, ...]) -> Any:
    """The sums of dY (X - mean) inv_std and of dY [N, C, positions] over all but the channels."""
    import cupy

    sum_over(_SCALE_GRADIENT(x, mean, inv_std, dy, out=cupy.empty(x.shape, x.dtype)), (0, 2), outs[0])
    sum_over(dy, (0, 2), outs[1])
    return outs
