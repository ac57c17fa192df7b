"""SortedSegmentSum, Mean, WeightedSum and SparseSorted kin: segments of rows that stand together, ids 0, 0, 1, 2, 2."""

from __future__ import annotations

import numpy as np

from caffe2ops.ops.segment.segment_ids import segment_reductions


def sorted_segments(ids: np.ndarray, count: int | None) -> np.ndarray:
    """Lengths of segments from ids that begin with 0 and go up by at most 1, to count - 1 where that is given."""
    if not ids.size:
        return np.zeros(count or 0, np.int64)
    if ids[0]:
        raise ValueError(f"SEGMENT_IDS: the first is {ids[0]}, wants 0")
    steps = np.diff(ids)
    bad = np.flatnonzero((steps < 0) | (steps > 1))
    if bad.size:
        raise ValueError(
            f"SEGMENT_IDS: {ids[bad[0] + 1]} comes after {ids[bad[0]]}, wants them sorted and without gaps"
        )
    if count is not None and ids[-1] != count - 1:
        raise ValueError(f"SEGMENT_IDS: the last is {ids[-1]}, wants {count - 1}, as dOUTPUT has {count} rows")
    return np.bincount(ids)


segment_reductions(
    "SortedSegment",
    sorted_segments,
    "ids are ascending and leave none out.",
    "Raises ValueError for ids that don't begin with 0, aren't sorted or have gaps.",
)
