"""Reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, normal

DOUBLE = "Caffe2 takes float32 only"
NAN = "Caffe2's answer depends on where the NaN stands"


X = normal(2, 3, 4)
TIES = np.float32([[1, 3, 3, 2], [0, 0, 0, 0]])


def _reductions(op: str, whole: bool) -> list[Sample]:
    found = [
        Sample(op, [X]),
        Sample(op, [X], {"axes": [2]}, note="last axis"),
        Sample(op, [X], {"axes": [0, 2], "keepdims": 0}, note="first and last"),
        Sample(op, [X], {"axes": [-2]}, note="negative axis"),
        Sample(op, [X], {"axes": [1, 1], "keepdims": 0}, note="axis twice"),
        Sample(op, [X], {"keepdims": 0}, note="all, to a number"),
        Sample(op, [normal()], note="number"),
        Sample(
            op,
            [TIES],
            {"axes": [1]},
            note="ties and zeros",
            differentiable=op in ("ReduceSum", "ReduceMean"),
            reason="ties",
        ),
        Sample(op, [normal(2, 0, 3)], {"axes": [1]}, note="empty axis", differentiable=False),
        Sample(op, [normal(0, 3)], {"axes": [1]}, note="no rows", differentiable=False),
        Sample(op, [X], {"axes": [3]}, error="axes = 3", note="axis too far"),
    ]
    if whole:
        found += [
            Sample(op, [np.arange(6, dtype=d).reshape(2, 3)], {"axes": [1]}, note=d)
            for d in ("int32", "int64", "float64")
        ]
    else:
        found.append(Sample(op, [X.astype("f8")], {"axes": [1]}, note="float64", golden=False, reason=DOUBLE))
    y = normal(2, 1, 4, seed=1)
    found += [
        Sample(f"{op}Gradient", [normal(2, 1, 4), X, y], {"axes": [1]}),
        Sample(f"{op}Gradient", [normal(2, 4), X, y[:, 0]], {"axes": [1], "keepdims": 0}, note="without the axis"),
        Sample(
            f"{op}Gradient",
            [normal(2, 3), X, y],
            {"axes": [1]},
            error="dY: shape is",
            note="shape",
            golden=False,
            reason="unchecked",
        ),
    ]
    return found


def _front_back(kind: str, front: bool) -> list[Sample]:
    op, x = f"Reduce{'Front' if front else 'Back'}{kind}", normal(3, 2, 4)
    lengths, short = (int32s(1, 3, 0, 2, 3, 1, 2, 3) if front else int32s(4, 1, 2, 3, 4, 2)), normal(3, 4)
    kept = x.shape[1:] if front else x.shape[:2]
    y: list[Any] = [normal(*kept, seed=1)] if kind == "Max" else []
    long = int32s(*[4] * 4) if front else int32s(*[5] * 3)
    reads = "Caffe2 reads beyond the data"
    return [
        Sample(op, [x]),
        Sample(op, [x], {"num_reduce_dim": 2}, note="two dims"),
        Sample(op, [x], {"num_reduce_dims": 2}, note="the name that is not read"),
        Sample(op, [x, np.maximum(lengths, 1)], note="lengths"),
        Sample(op, [x, lengths], note="a length of 0", golden=False, reason="Caffe2 folds one element there"),
        Sample(op, [normal(0, 3) if front else normal(3, 0)], note="nothing to fold", differentiable=False),
        Sample(op, [short, long], error="lengths: element 0 is", note="lengths too long", golden=False, reason=reads),
        Sample(op, [short, int32s(1)], error="lengths: has 1 elements", note="too few lengths"),
        Sample(f"{op}Gradient", [normal(*kept), x, *y]),
        Sample(f"{op}Gradient", [normal(*kept), x, *y, lengths], note="lengths"),
        Sample(
            f"{op}Gradient", [normal(1), x, *y], error="dY: shape is", note="shape", golden=False, reason="unchecked"
        ),
    ]


TIED = np.float32([[[1, 3, 3], [2, 2, 0]], [[0, -1, 5], [5, 5, 5]]])
POINTS = np.float32([[0.1, 0.2], [0.5, 0.6], [1.0, 0.9], [2.0, 0.3], [4.0, 0.8]])
COLUMNS = np.float32([[0.05, 1], [0.1, 2], [0.3, 3], [0.5, 4], [1.0, 5], [2, 2.5]])

samples = [
    *(s for kind in ("Sum", "Max", "Min") for s in _reductions(f"Reduce{kind}", True)),
    *(s for kind in ("Mean", "L1", "L2") for s in _reductions(f"Reduce{kind}", False)),
    *(s for kind in ("Sum", "Mean", "Max") for front in (True, False) for s in _front_back(kind, front)),
    Sample(
        "ReduceMax", [np.float32([1, np.nan, 2])], note="nan", golden=False, expected=[np.float32([np.nan])], reason=NAN
    ),
    Sample("SumElements", [X]),
    Sample("SumElements", [X], {"average": 1}, note="average"),
    Sample("SumElements", [normal(0)], {"average": 1}, note="empty", differentiable=False),
    Sample("SumElements", [int32s(1, 2)], error="X: dtype is int32", note="int32"),
    Sample("SumElementsGradient", [X, np.array(2, np.float32)]),
    Sample("SumElementsGradient", [X, np.float32([2])], {"average": 1}, note="average"),
    Sample(
        "SumElementsGradient",
        [X, normal(2)],
        error="dsum: has 2",
        note="two",
        golden=False,
        reason="Caffe2 takes the first",
    ),
    Sample("SumElementsInt", [int32s(1, 2, -7)]),
    Sample("SumElementsInt", [int32s(2**31 - 1, 1)], note="overflow"),
    Sample("SumSqrElements", [X]),
    Sample("SumSqrElements", [X], {"average": 1}, note="average"),
    Sample("SumSqrElements", [normal(0)], {"average": 1}, note="empty"),
    Sample("AveragedLoss", [X]),
    Sample("AveragedLoss", [normal()], note="number"),
    Sample("AveragedLoss", [normal(0)], note="empty", differentiable=False),
    Sample("AveragedLossGradient", [X, np.array(2, np.float32)]),
    *(
        sample
        for op in ("ArgMax", "ArgMin")
        for sample in (
            Sample(op, [X]),
            Sample(op, [X], {"axis": 1}, note="axis"),
            Sample(op, [X], {"axis": 0, "keepdims": 0}, note="without the axis"),
            Sample(op, [TIES], note="ties"),
            *(Sample(op, [(X * 9).astype(d)], note=d) for d in ("int32", "int64", "float64")),
            Sample(
                op,
                [np.float32([[np.nan, 1, 2], [1, np.nan, 2], [2, 1, np.nan], [-np.inf, np.nan, np.inf]])],
                note="nan",
            ),
            Sample(op, [np.float32([[1, np.nan], [np.nan, 5]])], {"axis": 0}, note="nan, first axis"),
            Sample(op, [normal(2, 0)], note="empty axis"),
            Sample(op, [normal(0, 2)], note="no rows"),
            Sample(op, [X], {"axis": 3}, error="axis = 3", note="axis too far"),
        )
    ),
    Sample("RowwiseMax", [TIED], differentiable=False, reason="ties"),
    Sample("RowwiseMax", [normal(2, 3, 4)], note="no ties"),
    Sample("RowwiseMax", [normal(3, 4)], note="2-D", error="X: "),
    Sample("RowwiseMax", [normal(2, 3, 0)], note="empty", error="wants matrices", golden=False, reason="it crashes"),
    Sample(
        "ReduceBackMaxGradient",
        [normal(2, 3), normal(2, 3, 4), normal(3)],
        error=r"Y: shape is \[3\], wants \[2, 3\]",
        note="shape of Y",
        golden=False,
        reason="Caffe2 reads out of bounds",
    ),
    Sample("RowwiseMaxGradient", [TIED, TIED.max(axis=2), normal(2, 2)]),
    Sample("ColwiseMax", [TIED], differentiable=False, reason="ties"),
    Sample("ColwiseMax", [normal(2, 3, 4)], note="no ties"),
    Sample("ColwiseMaxGradient", [TIED, TIED.max(axis=1), normal(2, 3)]),
    Sample(
        "Histogram", [np.float32([0, 1, 2, 3, 0.5, -1, 4]), np.float32([[2.5]])], {"bin_edges": [0.0, 1.0, 2.0, 3.0]}
    ),
    Sample("Histogram", [np.float32([1, 7])], {"bin_edges": [0.0, 1.5]}, note="one bin"),
    Sample("Histogram", [np.float64([1, 2])], {"bin_edges": [0.0, 3.0]}, note="float64"),
    Sample("Histogram", [normal(3)], {"bin_edges": [1.0]}, note="one edge", error="greater than or equal to 2"),
    Sample("Histogram", [normal(3)], {"bin_edges": [1.0, 1.0]}, note="equal", error="strictly increasing"),
    Sample("Percentile", [COLUMNS, POINTS, int32s(3, 2)]),
    Sample("Percentile", [COLUMNS, POINTS, int32s(3, 1)], note="too few", error="lengths: sum is 4"),
    Sample(
        "Percentile",
        [COLUMNS, POINTS, int32s(5, 0)],
        note="none",
        error="wants 1 or more",
        golden=False,
        reason="it reads beyond",
    ),
]
