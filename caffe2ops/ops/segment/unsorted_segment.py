"""UnsortedSegmentSum, Mean, WeightedSum and SparseUnsorted kin: segments of rows that stand anywhere."""

from __future__ import annotations

import numpy as np

from caffe2ops.ops.segment.segment_ids import segment_reductions


def unsorted_segments(ids: np.ndarray, count: int | None) -> np.ndarray:
    """Lengths of segments from any ids; `count` says how many segments there are."""
    if not ids.size:
        return np.zeros(count or 0, np.int64)
    bad = np.flatnonzero((ids < 0) | (False if count is None else ids >= count))
    if bad.size:
        wanted = "0 or more" if count is None else f"0 to {count - 1}"
        raise IndexError(f"SEGMENT_IDS: element {bad[0]} is {ids[bad[0]]}, wants {wanted}")
    return np.bincount(ids, minlength=count or 0)


segment_reductions(
    "UnsortedSegment",
    unsorted_segments,
    "ids come in any order, and a segment without rows is 0.",
    "Raises IndexError for an id that is negative or no segment.",
    count=True,
)
