"""TopK and its gradient on CUDA arrays: the selection of LengthsTopK for floats, a stable sort for integers."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.segment.lengths_top_k_cuda import Segments, top_k_of_segments

_NUMBERS = ("float32", "float64", "int32", "int64")
# Element i of (outer, k, inner) is what the selection (outer, inner, k) has there; flat is where that stands in X.
_LAID_OUT = Elementwise(
    "const long long o = i / inner / k, j = i / inner % k, c = i % inner, at = (o * inner + c) * k + j; "
    "const long long found = local[at]; value = values[at]; index = found; "
    "flat = found < 0 ? -1 : (o * n + found) * inner + c;",
    outputs="value index:int64 flat:int64", tables="values local:int32", int_scalars="n k inner", dtypes=_NUMBERS,
    name="top_k_laid_out",
)  # fmt: skip
_PLACES = Elementwise(
    "const long long o = i / inner / k, c = i % inner; if (index < -1 || index >= n) atomicExch(bad, 1); "
    "place = index < 0 || index >= n ? -1 : (o * n + index) * inner + c;",
    "index:int64", "place:int64", int_scalars="n k inner", flags="bad", dtypes=("int64",), name="top_k_places",
)  # fmt: skip


def _of_rows(rows: Any, k: int) -> tuple[Any, Any]:
    """Values and indices int32 [N, k] of the k largest of each row, padded with 0 and -1."""
    import cupy

    count, n = rows.shape
    if rows.dtype.kind == "f":
        starts, lengths = cupy.arange(count + 1, dtype=np.int64) * n, cupy.full(count, n, np.int32)
        return top_k_of_segments(rows.reshape(-1), Segments(starts, lengths), k)
    values, local = cupy.zeros((count, k), rows.dtype), cupy.full((count, k), -1, np.int32)
    if rows.size:
        order = cupy.argsort(~rows, axis=1, kind="stable")[:, :k]  # ~x falls where x grows, without overflow
        values[:, :n] = cupy.take_along_axis(rows, order, axis=1)
        local[:, :n] = order
    return values, local


def top_k(x: Any, k: int, axis: int, outs: tuple[Any, ...]) -> None:
    """Writes values, indices along the axis, and indices in x as a vector."""
    import cupy

    n, inner = x.shape[axis], prod(x.shape[axis + 1 :])
    rows = cupy.ascontiguousarray(cupy.moveaxis(x, axis, -1)).reshape(outs[0].size // k, n)
    values, local = _of_rows(rows, k)
    _LAID_OUT(out=tuple(out.reshape(-1) for out in outs), values=values, local=local, n=n, k=k, inner=inner)


def gradient(dvalues: Any, indices: Any, axis: int, dx: Any) -> bool:
    """Writes each value to where its index says, 0 elsewhere; whether an index is out of range."""
    import cupy

    n, inner, k = dx.shape[axis], prod(dx.shape[axis + 1 :]), indices.shape[axis]
    bad, places = cupy.zeros(1, np.int32), cupy.empty(indices.shape, np.int64)
    _PLACES(indices, out=places, n=n, k=max(k, 1), inner=inner, bad=bad)
    dx[...] = 0
    real = cupy.flatnonzero(places >= 0)
    dx.reshape(-1)[places.reshape(-1)[real]] = dvalues.reshape(-1)[real]
    return bool(int(bad[0]))
