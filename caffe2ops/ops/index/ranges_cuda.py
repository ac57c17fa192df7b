"""Stretches of a vector on CUDA arrays: GatherRanges and GatherRangesToDense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.ops.index.places_cuda import rows_of
from caffe2ops.ops.segment.lengths_cuda import running_sums
from caffe2ops.ops.segment.segment_ids_cuda import read


def pairs(ranges: Any, count: int) -> tuple[Any, Any, Any]:
    """Starts and lengths of the stretches, int64, and whether one is not within `count` elements; on the device."""
    starts, lengths = ranges[..., 0].astype(np.int64), ranges[..., 1].astype(np.int64)
    return starts, lengths, ((starts < 0) | (lengths < 0) | (lengths > count - starts)).any()


def places(ranges: Any, count: int, counts: Any) -> Any:
    """The places of all elements of the stretches, how many each row has in `counts`; None where one of the stretches
    is not within `count` elements.
    """
    import cupy

    starts, lengths, bad = pairs(ranges, count)
    counts[...] = lengths.sum(axis=1)
    offsets = running_sums(lengths.reshape(-1))
    wrong, total = read(bad, offsets[-1])
    if wrong:
        return None
    return cupy.arange(total) + (starts.reshape(-1) - offsets[:-1])[rows_of(offsets, total)]


def statistics(counts: Any, lengths: Sequence[int], bad: Any) -> list[int]:
    """The flag, for each feature how many stretches have a wrong length, and for each how many are empty."""
    import cupy

    empty = counts == 0
    wrong = (counts != cupy.asarray(lengths, np.int64)) & ~empty
    return read(bad, *wrong.sum(axis=0), *empty.sum(axis=0))


def feature(data: Any, starts: Any, right: Any, key: Any, out: Any) -> Any:
    """A row of out [N, length] for each stretch, ordered by key where given; 0 where its length is not `right`."""
    import cupy

    if not out.size or not data.size:
        out[...] = 0
        return out
    at = cupy.where(right[:, None], starts[:, None] + cupy.arange(out.shape[1]), 0)
    if key is not None:
        at = cupy.take_along_axis(at, cupy.argsort(key[at], axis=1, kind="stable"), axis=1)
    out[...] = cupy.where(right[:, None], data[at], data.dtype.type(0))
    return out
