"""PackRNNSequence and UnpackRNNSequence on CUDA arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caffe2ops.ops.index.places_cuda import put, rows_of
from caffe2ops.ops.segment.lengths_cuda import offsets_of, on_host
from caffe2ops.ops.segment.segment_ids_cuda import read

Check = Callable[..., Any]


def pack(values: Any, lengths: Any, out: Callable[[int], Any], check: Check) -> Any:
    """Sequences side by side; `out(longest)` gives the buffer for so many steps, `check(lengths)` is the CPU's."""
    import cupy

    offsets, bad = offsets_of(lengths, len(values))
    wrong, longest = read(bad, cupy.diff(offsets).max()) if lengths.size else (int(bad[0]), 0)
    if wrong:
        on_host(check, lengths)
    rows = offsets[:-1] + cupy.arange(longest)[:, None]
    taken = cupy.where(rows < offsets[1:], rows, -1)
    return put(values, taken.reshape(-1), cupy.zeros(values.shape[1:], values.dtype), out(longest))


def unpack(values: Any, lengths: Any, check: Check) -> Any:
    """The steps of each sequence; `check(lengths)` is the CPU's."""
    import cupy

    steps, count = values.shape[:2]
    offsets, bad = offsets_of(lengths, None)
    wrong, total = read(bad | (lengths > steps).any(), offsets[-1])
    if wrong:
        on_host(check, lengths)
    ids = rows_of(offsets, total)
    rows = values.reshape(steps * count, *values.shape[2:])
    return rows.take((cupy.arange(total) - offsets[ids]) * count + ids, axis=0)
