"""Where keys stand on CUDA arrays, and rows put where they belong."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.index.rows_cuda import bits

_PUT = Elementwise(
    "const long long k = taken[i / width]; y = k < 0 ? other[i % width] : rows[k * width + i % width];",
    outputs="y", tables="rows other taken:int64", int_scalars="width", dtypes=("uint8", "uint16", "uint32", "uint64"),
    name="put_rows",
)  # fmt: skip


def rows_of(offsets: Any, count: int) -> Any:
    """The segment of each of `count` elements, int64; the number of segments for those that stand behind all."""
    import cupy

    return cupy.searchsorted(offsets[1:], cupy.arange(count), side="right")


def last_places(keys: Any, wanted: Any) -> Any:
    """For each of the wanted keys the last place where it stands in the vector `keys`, int64; -1 where it does not."""
    import cupy

    if not keys.size:
        return cupy.full(wanted.shape, -1, np.int64)
    order = cupy.argsort(keys, kind="stable")
    at = cupy.searchsorted(keys[order], wanted, side="right") - 1
    place = order[cupy.maximum(at, 0)]
    return cupy.where((at >= 0) & (keys[place] == wanted), place, -1)


def put(rows: Any, taken: Any, other: Any, out: Any) -> Any:
    """Row r of out is rows[taken[r]], or `other` (of one row's elements) where that is negative; taken is int64."""
    if rows.dtype.hasobject:  # strings stay on the CPU
        taken, flat = taken.get(), out.reshape(taken.size, *other.shape)
        flat[...] = other
        flat[taken >= 0] = rows[taken[taken >= 0]]
        return out
    _PUT(out=bits(out), rows=bits(rows), other=bits(other), taken=taken, width=prod(other.shape))
    return out
