"""FlexibleTopK and its gradient on CUDA arrays: a stable sort of each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caffe2ops.ops.index.places_cuda import last_places, put, rows_of
from caffe2ops.ops.segment.lengths_cuda import offsets_of, on_host
from caffe2ops.ops.segment.segment_ids_cuda import read


def _offsets(k: Any, width: int) -> tuple[Any, Any]:
    """Where the elements of each row begin, and a flag int32 [1]: a number below 1 or above the length of a row."""
    offsets, bad = offsets_of(k, None)
    return offsets, bad | ((k < 1) | (k > width)).any()


def top_k(x: Any, k: Any, check: Callable[..., Any]) -> tuple[Any, Any]:
    """Values and places of the k[r] largest of each row r; `check(k)` is the CPU's."""
    import cupy

    width = x.shape[-1]
    offsets, bad = _offsets(k, width)
    wrong, total = read(bad, offsets[-1])
    if wrong:
        on_host(check, k)
    if not total:
        return cupy.empty(0, x.dtype), cupy.empty(0, np.int64)
    order = cupy.argsort(-x.reshape(-1, width), axis=1, kind="stable").reshape(-1)
    rows = rows_of(offsets, total)
    places = order[rows * width + cupy.arange(total) - offsets[rows]]
    return x.reshape(-1)[rows * width + places], places


def gradient(k: Any, dy: Any, indices: Any, dx: Any, check: Callable[..., Any]) -> Any:
    """Each of dy where its index says; `check(k, indices)` is the CPU's."""
    import cupy

    width = dx.shape[-1]
    offsets, bad = _offsets(k, width)
    bad = bad | (offsets[-1] != len(dy)) | ((indices < 0) | (indices >= width)).any()
    cells = rows_of(offsets, len(dy)) * width + indices
    put(dy, last_places(cells, cupy.arange(dx.size)), cupy.zeros(1, dx.dtype), dx)
    if int(bad[0]):
        on_host(check, k, indices)
    return dx
