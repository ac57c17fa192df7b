"""Lists of ids merged on CUDA arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.ops.index.places_cuda import rows_of
from caffe2ops.ops.segment.lengths_cuda import offsets_of


def merge(lengths: Sequence[Any], values: Sequence[Any], counts: Any) -> Any:
    """The distinct ids of each row, ascending, and how many they are in `counts`; None where lengths are wrong."""
    import cupy

    begins = [offsets_of(of, each.size) for of, each in zip(lengths, values, strict=True)]
    if int(cupy.concatenate([bad for _, bad in begins]).max()):
        return None
    rows = cupy.concatenate([rows_of(at, each.size) for (at, _), each in zip(begins, values, strict=True)])
    ids = cupy.concatenate(list(values))
    if not ids.size:
        counts[...] = 0
        return ids
    order = cupy.argsort(ids, kind="stable")
    order = order[cupy.argsort(rows[order], kind="stable")]
    rows, ids = rows[order], ids[order]
    again = (rows[1:] == rows[:-1]) & (ids[1:] == ids[:-1])
    new = cupy.flatnonzero(cupy.concatenate([cupy.zeros(1, np.bool_), again]) == 0)
    counts[...] = cupy.diff(cupy.searchsorted(rows[new], cupy.arange(counts.size + 1)))
    return ids[new]
