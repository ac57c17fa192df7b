"""Sums over axes of device arrays, also of what an expression makes of several of them."""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.elementwise.broadcast import SUM, sum_cuda

PRODUCT = Elementwise("x * y", "x y", dtypes=("float32", "float64"), name="product")


def sum_rows(x: Any, out: Any) -> Any:
    """out [N] = the sums of the rows of x, its first dims being those of out."""
    return SUM(x.reshape(out.size, -1) if x.size else x.reshape(out.size, 0), out, axes=(1,))


def sum_of(kernel: Elementwise, *arrays: Any, out: Any, **named: Any) -> Any:
    """out [N] = for each row the sum of what the kernel makes of the arrays, all of one shape like the first."""
    import cupy

    return sum_rows(kernel(*arrays, out=cupy.empty(arrays[0].shape, out.dtype), **named), out)


def sum_over(x: Any, axes: tuple[int, ...], out: Any) -> Any:
    """out = the sum of x over any axes."""
    if axes:
        sum_cuda(x, axes, out)
    else:
        out[...] = x.reshape(out.shape)
    return out
