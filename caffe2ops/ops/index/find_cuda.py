"""Find, FindDuplicateElements and IsMemberOf on CUDA arrays: a stable sort, then a binary search."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.index.places_cuda import last_places


def on_device(found: np.ndarray) -> Any:
    """What has been found among strings, which stay on the CPU."""
    import cupy

    return cupy.asarray(found)


def find(index: Any, query: Any, missing: int, out: Any) -> Any:
    """The last place of each query in index, `missing` where it has none."""
    import cupy

    places = last_places(index.reshape(-1), query)
    out[...] = cupy.where(places < 0, missing, places)
    return out


def duplicates(data: Any) -> Any:
    """The places, ascending, of all elements that have stood before."""
    import cupy

    again = cupy.zeros(data.size, np.bool_)
    if data.size:
        order = cupy.argsort(data, kind="stable")
        ordered = data[order]
        again[order[1:]] = ordered[1:] == ordered[:-1]
    return cupy.flatnonzero(again)


def is_member(x: Any, values: np.ndarray, out: Any) -> Any:
    """Whether each element is one of the values, which are of the host."""
    import cupy

    out[...] = last_places(cupy.asarray(values).astype(np.int64), x.astype(np.int64)) >= 0
    return out
