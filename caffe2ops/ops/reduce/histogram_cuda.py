"""Histogram and Percentile on CUDA arrays: a binary search for each element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.segment.lengths_cuda import offsets_of

# How many edges are no greater than x; none for NaN.
_BIN = Elementwise(
    "long long low = 0; for (long long high = x == x ? n : 0; low < high;) { const long long m = (low + high) / 2; "
    "if (x < T(edges[m])) high = m; else low = m + 1; } bin = T_bin(low);",
    "x", "bin:int32", tables="edges:float32", int_scalars="n", dtypes=("float32", "float64"), name="histogram_bin",
)  # fmt: skip
_PERCENTILE = Elementwise(
    "const long long j = i % columns, begin = offsets[j], end = offsets[j + 1] < count ? offsets[j + 1] : count; "
    "Y = T(0); if (begin >= end) atomicExch(bad, 1); else { "
    "const T *point = points + 2 * begin, *last = points + 2 * (end - 1); const T x = values[i]; long long at = 0; "
    "for (long long high = end - begin - 1; at < high;) { const long long m = (at + high) / 2; "
    "if (point[2 * m] < x) at = m + 1; else high = m; } "
    "const T *right = point + 2 * at, *left = at ? right - 2 : right; const T width = right[0] - left[0]; "
    "const T slope = width > T(0) ? (right[1] - left[1]) / width : T(0); "
    "Y = x < point[0] ? T(0) : x > last[0] ? T(1) : right[0] == x ? right[1] : slope * (x - left[0]) + left[1]; }",
    tables="values points offsets:int64", int_scalars="columns count", flags="bad", dtypes=("float32",),
    name="percentile",
)  # fmt: skip


def histogram(inputs: Sequence[Any], edges: np.ndarray, counts: Any) -> Any:
    """How many elements lie in each bin."""
    import cupy

    on_device = cupy.asarray(edges)
    counts[...] = 0
    for x in inputs:
        if x.size:
            bins = _BIN(x, out=cupy.empty(x.shape, np.int32), edges=on_device, n=edges.size)
            counts += cupy.bincount(bins.reshape(-1), minlength=edges.size + 1)[1:-1]
    return counts


def percentiles(values: Any, points: Any, lengths: Any, out: Any) -> bool:
    """Percentiles [N, D] of values; whether lengths are right, False also where nothing ran that could tell."""
    offsets, bad = offsets_of(lengths, len(points))
    _PERCENTILE(
        out=out, values=values, points=points, offsets=offsets, columns=values.shape[1], count=len(points), bad=bad
    )
    return bool(out.size) and not int(bad[0])
