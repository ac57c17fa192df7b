"""Lengths, segment ids, ranges and offsets turned into each other on CUDA arrays, and segments gathered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.segment.lengths_cuda import offsets_of, on_host, segment_ids

Check = Callable[..., Any]


def offsets(lengths: Any, check: Check) -> Any:
    """Where segments begin and the last ends, int64 [N + 1]."""
    found, bad = offsets_of(lengths, None)
    if int(bad[0]):
        on_host(check, lengths)
    return found


def weights(lengths: Any, power: float, check: Check) -> Any:
    """length^-power of its segment for each element, float32."""
    import cupy

    ids, _ = segment_ids(lengths, None, check)
    return (cupy.maximum(lengths, 1).astype(np.float64) ** -power).astype(np.float32)[ids]


def gather(items: Any, lengths: Any, indices: Any, check: Check) -> Any:
    """The rows of the segments that indices name."""
    import cupy

    begins, bad = offsets_of(lengths, len(items))
    wanted = indices.reshape(-1)
    outside = ((wanted < 0) | (wanted >= len(lengths))).any()
    if int(cupy.logical_or(bad[0] != 0, outside)):
        on_host(check, lengths)
        checked_indices(cupy.asnumpy(indices), len(lengths), of="LENGTHS")
    ids, ends = segment_ids(lengths[wanted], None, check)
    rows = cupy.arange(ids.size) + (begins[:-1][wanted] - ends[:-1])[ids]
    return items.take(rows, axis=0)


def starts_of_ids(ids: Any, count: int | None, check: Check) -> Any:
    """Where the segments of ascending ids begin and the last ends, int64 [N + 1]; `check(ids)` is the CPU's."""
    import cupy

    wrong, last = 0, -1
    if ids.size:
        falls = cupy.logical_or((ids[1:] < ids[:-1]).any(), ids[0] < 0)
        wrong, last = (int(v) for v in cupy.asnumpy(cupy.stack([falls.astype(np.int64), ids[-1].astype(np.int64)])))
    if wrong or (count is not None and last >= count):
        on_host(check, ids)
    return cupy.searchsorted(ids, cupy.arange((last + 1 if count is None else count) + 1, dtype=np.int64))
