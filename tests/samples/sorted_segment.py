"""Segments named by ids: Sorted, SortedRange, Unsorted and Sparse, with all their reducers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, normal

CRASH = "Caffe2 reads or writes out of bounds"
DTYPE = "Caffe2 takes float32 only"

X, TABLE, W, DY = normal(5, 3), normal(4, 3, seed=1), normal(5), normal(3, 2, seed=2)
SORTED, UNSORTED, PICKED = int32s(0, 0, 1, 2, 2), int32s(2, 0, 2, 0, 4), int32s(3, 0, 1, 1, 2)
ORDERS = {"Sorted": SORTED, "Unsorted": UNSORTED}


def _reductions(order: str, kind: str) -> list[Sample]:
    ids, weights = ORDERS[order], [W] if kind == "WeightedSum" else []
    dense, sparse = f"{order}Segment{kind}", f"Sparse{order}Segment{kind}"
    none = [normal(0)] if weights else []
    return [
        Sample(dense, [X, *weights, ids]),
        Sample(dense, [normal(5), *weights, ids], note="vector"),
        Sample(dense, [normal(5, 2, 2), *weights, ids], note="3-D"),
        Sample(dense, [normal(0, 2), *none, int32s()], note="nothing"),
        Sample(
            dense, [X.astype("f8"), *(w.astype("f8") for w in weights), ids], note="float64", golden=False, reason=DTYPE
        ),
        Sample(dense, [X, *weights, ids[:3]], error="shape is", note="too few ids"),
        Sample(dense, [X, *weights, ids.astype("i8")], error="SEGMENT_IDS: dtype", note="int64 ids"),
        Sample(dense, [X, *weights, int32s(0, 0, 1, 2, -1)], error="SEGMENT_IDS: ", note="negative id"),
        Sample(sparse, [TABLE, *weights, PICKED, ids]),
        Sample(sparse, [TABLE, *weights, PICKED.astype("i8"), ids], note="int64 indices"),
        Sample(sparse, [normal(4), *weights, PICKED, ids], note="vector"),
        Sample(
            sparse, [TABLE, *none, int32s(), int32s()], note="nothing", differentiable=False, reason="no row is read"
        ),
        Sample(
            sparse, [TABLE, *weights, int32s(3, 4, 1, 1, 2), ids], error="INDICES: element 1 is 4", note="out of range"
        ),
        Sample(
            sparse, [TABLE, *weights, int32s(3, -1, 1, 1, 2), ids], error="INDICES: element 1 is -1", note="negative"
        ),
    ]


def _gradients(order: str, kind: str) -> list[Sample]:
    weights = [W] if kind == "WeightedSum" else []
    ids = {"Sorted": SORTED, "Unsorted": int32s(2, 0, 2, 0, 1)}[order]
    other = {"Sorted": int32s(0, 0, 1, 1, 1), "Unsorted": int32s(2, 0, 2, 0, 3)}[order]
    crash: dict[str, Any] = {} if order == "Sorted" or kind == "Mean" else {"golden": False, "reason": CRASH}
    names = [f"{order}Segment{kind}Gradient", f"Sparse{order}Segment{kind}Gradient"]
    return [
        s
        for name in names
        for s in (
            Sample(name, [*weights, DY, ids]),
            Sample(name, [*weights, DY, other], error="SEGMENT_IDS: ", note="ids of other segments", **crash),
        )
    ]


def _range(kind: str) -> list[Sample]:
    op = f"SortedSegmentRange{kind}"
    return [
        Sample(op, [X, SORTED]),
        Sample(op, [normal(5), SORTED], note="vector"),
        Sample(op, [normal(5, 2, 2), SORTED], note="3-D"),
        Sample(op, [normal(9, 2), int32s(0, 1, 1, 1, 1, 1, 2, 2, 2)], note="longer"),
        Sample(op, [normal(0, 2), int32s()], note="nothing"),
        Sample(op, [normal(5, 0), SORTED], note="no columns"),
        Sample(op, [X.astype("f8"), SORTED], note="float64", golden=False, reason=DTYPE),
        Sample(op, [X, int32s(0, 0, 0, 2, 2)], error="SEGMENT_IDS: 2 comes after 0", note="gap"),
        Sample(op, [X, int32s(1, 1, 1, 2, 2)], error="SEGMENT_IDS: the first is 1", note="first"),
        Sample(op, [X, SORTED[:3]], error="shape is", note="too few ids"),
        Sample(f"{op}Gradient", [normal(5, 2), normal(3, 2, seed=4), DY, SORTED]),
        Sample(
            f"{op}Gradient",
            [normal(5, 2), DY, DY, int32s(0, 0, 1, 1, 1)],
            error="wants 2 rows like those of DATA",
            note="ids",
        ),
    ]


samples = [
    *(s for order in ORDERS for kind in ("Sum", "Mean", "WeightedSum") for s in _reductions(order, kind)),
    *(s for order in ORDERS for kind in ("Sum", "Mean", "WeightedSum") for s in _gradients(order, kind)),
    *(s for kind in ("Sum", "Mean", "Max", "LogSumExp", "LogMeanExp") for s in _range(kind)),
    Sample("SortedSegmentSum", [X, int32s(0, 0, 0, 2, 2)], error="SEGMENT_IDS: 2 comes after 0", note="gap"),
    Sample("SortedSegmentSum", [X, int32s(0, 1, 0, 2, 2)], error="SEGMENT_IDS: 0 comes after 1", note="unsorted"),
    Sample("SortedSegmentSum", [X, int32s(1, 1, 1, 2, 2)], error="SEGMENT_IDS: the first is 1", note="first"),
    Sample(
        "SortedSegmentWeightedSum",
        [X, W, SORTED],
        {"grad_on_weights": 1},
        note="gradient on weights",
        differentiable=False,
        reason="neither here nor in Caffe2 is there one",
    ),
    Sample("UnsortedSegmentSum", [X, UNSORTED], {"num_segments": 7}, note="seven segments"),
    Sample("UnsortedSegmentMean", [X, UNSORTED], {"num_segments": 7}, note="seven segments"),
    Sample(
        "SparseUnsortedSegmentWeightedSum", [TABLE, W, PICKED, UNSORTED], {"num_segments": 7}, note="seven segments"
    ),
    Sample("UnsortedSegmentSum", [normal(0, 2), int32s()], {"num_segments": 2}, note="empty segments"),
    Sample(
        "UnsortedSegmentSum", [X, UNSORTED], {"num_segments": 4}, note="too few", error="element 4 is 4, wants 0 to 3"
    ),
    Sample("UnsortedSegmentWeightedSum", [X, W.astype("f8"), UNSORTED], note="float64", error="SCALARS: dtype"),
    Sample("UnsortedSegmentWeightedSum", [X, W[:, None], UNSORTED], note="weights", error="SCALARS: shape"),
    Sample("SortedSegmentRangeLogSumExp", [np.float32([-np.inf, -np.inf, 100, 100, 1e30]), SORTED], note="extremes"),
    Sample(
        "SortedSegmentRangeMax",
        [np.float32([1, 3, 3]), int32s(0, 0, 0)],
        note="ties",
        differentiable=False,
        reason="ties: a kink",
    ),
]
