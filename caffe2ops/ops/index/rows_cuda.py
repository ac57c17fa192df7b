"""Rows by index on CUDA arrays: gathered, written where they belong, added up where they repeat."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.segment.segment_ids_cuda import add_rows

_BITS = ("uint8", "uint16", "uint32", "uint64")
# The index that element k of the outer slice o has; counted from the end where it is negative and `wrap`.
_INDEX = (
    "const long long o = i / inner / count, k = i / inner % count; long long r = indices[each ? o * count + k : k]; "
    "if (wrap && r < 0) r += n; if (r < 0 || r >= n) { atomicExch(bad, 1); r = -1; } "
)
_SIZES = "n count inner each wrap"
_TAKE = Elementwise(
    f"{_INDEX}y = r < 0 ? E_data(0) : data[(o * n + r) * inner + i % inner];",
    outputs="y", tables="data indices:int64", int_scalars=_SIZES, flags="bad", dtypes=_BITS, name="take",
)  # fmt: skip
_PLACES = Elementwise(
    f"{_INDEX}y = o * n + (r < 0 ? 0 : r);",
    outputs="y:int64", tables="indices:int64", int_scalars=_SIZES, flags="bad", dtypes=("int64",), name="places",
)  # fmt: skip


def bits(x: Any) -> Any:
    """An array as unsigned integers of its width: what is moved is not calculated with."""
    return x.view(np.dtype(f"u{x.dtype.itemsize}"))


def _flagged(kernel: Elementwise, indices: Any, n: int, out: Any, wrap: bool, **named: Any) -> Any:
    import cupy

    bad = cupy.zeros(1, np.int32)
    kernel(out=out, indices=indices, n=n, bad=bad, wrap=wrap, **named)
    if int(bad[0]) or not out.size:
        checked_indices(cupy.asnumpy(indices), n, wrap=wrap)
    return out


def take(data: Any, indices: Any, axis: int, each: bool, out: Any) -> Any:
    """Slices of data along an axis; with `each` every slice before the axis has indices of its own."""
    outer, inner = (int(np.prod(dims, dtype=np.int64)) for dims in (data.shape[:axis], data.shape[axis + 1 :]))
    count = indices.size // (max(outer, 1) if each else 1)
    _flagged(
        _TAKE, indices, data.shape[axis], bits(out), True, data=bits(data), count=count, inner=inner, each=each
    )  # fmt: skip
    return out


def add_slices(dy: Any, indices: Any, axis: int, each: bool, dx: Any) -> Any:
    """dx = each slice of dy added, in order, where `take` took it from; 0 elsewhere."""
    import cupy

    outer, inner = (int(np.prod(dims, dtype=np.int64)) for dims in (dx.shape[:axis], dx.shape[axis + 1 :]))
    count = indices.size // (max(outer, 1) if each else 1)
    n = dx.shape[axis]
    places = cupy.empty(outer * count, np.int64)
    _flagged(_PLACES, indices, n, places, True, count=count, inner=1, each=each)
    if dx.size:
        add_rows(dy.reshape(outer * count, inner), places, dx.reshape(outer * n, inner))
    return dx
