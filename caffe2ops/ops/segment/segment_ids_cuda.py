"""Segments by an id for each row on CUDA arrays: reductions, their gradients, and sums of rows that repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise, SegmentFold
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.segment.lengths_cuda import FLOATS, FOLDS, SUM, spread, width_of

Segmenter = Callable[[np.ndarray, int | None], np.ndarray]

MAX = SegmentFold(combine="a > b || a != a ? a : b", identity="-A(1) / A(0)", dtypes=FLOATS, name="greatest_of_segment")
_SHIFTED = Elementwise(
    "const T m = greatest[ids[i / width] * width + i % width]; e = exp(x - (m < T(lowest) ? T(lowest) : m));",
    "x", "e", tables="greatest ids:int64", int_scalars="width", scalars="lowest", dtypes=FLOATS, name="shifted_exp",
)  # fmt: skip
_LOG_SUM = Elementwise(
    "log(total) + (m < T(lowest) ? T(lowest) : m)", "total m", scalars="lowest", dtypes=FLOATS, name="log_sum"
)
_LOG_MEAN = Elementwise(
    "log(total) + (m < T(lowest) ? T(lowest) : m) - log(T(offsets[i / width + 1] - offsets[i / width]))",
    "total m", tables="offsets:int64", int_scalars="width", scalars="lowest", dtypes=FLOATS, name="log_mean",
)  # fmt: skip
# What a row's gradient is multiplied with: x is its element, y its segment's output, n how many rows the segment has.
_SLOPES = {
    kind: Elementwise(
        "const long long s = ids[i / width], at = s * width + i % width; const T n = T(offsets[s + 1] - offsets[s]); "
        f"const T y = outputs[at]; (void)n; (void)y; dx = dy[at] * ({slope});",
        "x", "dx", tables="outputs dy ids:int64 offsets:int64", int_scalars="width", dtypes=FLOATS,
        name=f"slope_{kind.lower()}",
    )
    for kind, slope in {
        "Sum": "T(1)",
        "Mean": "T(1) / n",
        "Max": "T(x == y)",
        "LogSumExp": "exp(x - y)",
        "LogMeanExp": "exp(x - y) / n",
    }.items()
}  # fmt: skip


def read(*numbers: Any) -> list[int]:
    """Numbers of the device, in one copy."""
    import cupy

    return [int(v) for v in cupy.asnumpy(cupy.stack([n.astype(np.int64).reshape(()) for n in numbers]))]


def _nothing(count: int | None) -> Any:
    import cupy

    return cupy.zeros((count or 0) + 1, np.int64)


def sorted_offsets(ids: Any, count: int | None, check: Segmenter) -> Any:
    """Where the segments of ascending ids begin, int64 [N + 1]; `check` is the CPU's segmenter, which names what is
    wrong. Two numbers are read from the device.
    """
    import cupy

    if not ids.size:
        return _nothing(count)
    steps = cupy.diff(ids)
    wrong, last = read(cupy.logical_or(ids[0] != 0, ((steps < 0) | (steps > 1)).any()), ids[-1])
    if wrong or (count is not None and last != count - 1):
        check(cupy.asnumpy(ids), count)
    return cupy.searchsorted(ids, cupy.arange(last + 2, dtype=ids.dtype))


def any_offsets(ids: Any, count: int | None, check: Segmenter) -> tuple[Any, Any]:
    """Offsets of segments whose ids come in any order, and the order (stable) that brings their rows together."""
    import cupy

    if not ids.size:
        return by_id(ids, count or 0)
    least, last = read(ids.min(), ids.max())
    if least < 0 or (count is not None and last >= count):
        check(cupy.asnumpy(ids), count)
    return by_id(ids, last + 1 if count is None else count)


def by_id(ids: Any, count: int) -> tuple[Any, Any]:
    """Offsets and stable order of ids 0 to count - 1, which are not checked."""
    import cupy

    if not ids.size:
        return _nothing(count), cupy.arange(0)
    order = cupy.argsort(ids, kind="stable")
    return cupy.searchsorted(ids[order], cupy.arange(count + 1, dtype=np.int64)), order


def add_rows(rows: Any, ids: Any, out: Any) -> Any:
    """out[r] = the sum, in order, of the rows whose id is r; 0 where there is none. Ids are not checked."""
    import cupy

    offsets, order = by_id(ids, len(out))
    return SUM(rows, offsets, out, cupy.zeros(1, np.int32), indices=order)


def reduce_segments(op: Any, data: Any, weights: Any, indices: Any, ids: Any, count: int | None) -> Any:
    """A SegmentReduce on CUDA."""
    import cupy

    check = type(op).segmenter
    order = None
    if op.prefix == "SortedSegment":
        offsets = sorted_offsets(ids, count, check)
    else:
        offsets, order = any_offsets(ids, count, check)
    picked = order if indices is None else indices if order is None else indices[order]
    weights = weights if weights is None or order is None else weights[order]
    out, bad = op.out(0, (offsets.size - 1, *data.shape[1:]), data.dtype), cupy.zeros(1, np.int32)
    FOLDS[op.kind](data, offsets, out, bad, indices=picked, weights=weights)
    if indices is not None and (int(bad[0]) or not out.size):
        checked_indices(cupy.asnumpy(indices), len(data))
    return out


def spread_segments(op: Any, weights: Any, dy: Any, ids: Any) -> Any:
    """A SegmentSpread on CUDA."""
    check, count = type(op).segmenter, len(dy)
    if op.prefix == "SortedSegment":
        offsets = sorted_offsets(ids, count, check)
    else:
        offsets = any_offsets(ids, count, check)[0]
    return spread(op.kind, dy, ids, offsets, weights, op.out(0, (ids.size, *dy.shape[1:]), dy.dtype))


def reduce_ranges(kind: str, op: Any, data: Any, ids: Any, check: Segmenter) -> Any:
    """A RangeReduce on CUDA."""
    import cupy

    offsets, bad = sorted_offsets(ids, None, check), cupy.zeros(1, np.int32)
    out = op.out(0, (offsets.size - 1, *data.shape[1:]), data.dtype)
    if not kind.startswith("Log"):
        return (MAX if kind == "Max" else FOLDS[kind])(data, offsets, out, bad)
    lowest = {"lowest": float(np.finfo(data.dtype).min)}
    greatest, total = (cupy.empty(out.shape, data.dtype) for _ in range(2))
    MAX(data, offsets, greatest, bad)
    each = cupy.empty(data.shape, data.dtype)
    SUM(_SHIFTED(data, out=each, greatest=greatest, ids=ids, width=width_of(data), **lowest), offsets, total, bad)
    if kind == "LogSumExp":
        return _LOG_SUM(total, greatest, out=out, **lowest)
    return _LOG_MEAN(total, greatest, out=out, offsets=offsets, width=width_of(data), **lowest)


def spread_ranges(kind: str, op: Any, data: Any, y: Any, dy: Any, ids: Any, check: Segmenter) -> Any:
    """A RangeSpread on CUDA."""
    offsets, width = sorted_offsets(ids, None, check), width_of(data)
    op.wants_rows(offsets.size - 1, width, OUTPUT=y, dOUTPUT=dy)
    return _SLOPES[kind](
        data, out=op.out(0, data.shape, data.dtype), outputs=y, dy=dy, ids=ids, offsets=offsets, width=width
    )
